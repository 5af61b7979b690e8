// Masks, from memory to one vector of rows a key.
//
// A mask tensor may be the same for all rows (padding) or have a row for each query, with keys
// adjacent or not. It is looked at first, as it lies: most blocks of most masks are all zero (or
// all true), and then neither the transposition nor the score step has to run. The look costs one
// load and one OR for each vector, the transposition about five times that.
#include <limits>

#include "compiler/emit.h"
#include "compiler/math.h"

namespace backendctx::cpu_attention {

using llvm::Value;

namespace {

struct Mask {
  Emitter& e;
  int number;

  Ir& ir() { return e.ir; }
  bool add() const { return e.plan.masks[static_cast<size_t>(number)].kind == BCTX_MASK_ADD; }
  Value* Advance(Value* data, Value* elements) {
    return add() ? ir().AtFloat(data, elements) : ir().At(data, elements);
  }
  Value* Load(Value* row, Value* index, int width);
  Value* Bits(Value* row, Value* index, int width);
  Value* LookAtRow(Value* row, Value* keys, Value* seen);
  Value* LookAtKeys(Value* row, Value* key_stride, Value* keys, Value* seen);
};

// One mask element, or `width` adjacent ones, as what the score step takes: the addend, or for a
// bool mask zero where the key is kept and the fill, minus infinity mostly, where not.
Value* Mask::Load(Value* row, Value* index, int width) {
  auto type = [&](llvm::Type* element) -> llvm::Type* {
    return width == 1 ? element : llvm::FixedVectorType::get(element, static_cast<unsigned>(width));
  };
  if (add()) {
    Value* addend = ir().LoadUnaligned(type(ir().f32()), ir().AtFloat(row, index));
    if (e.plan.masked_row != BCTX_MASKED_ROW_ZERO_BIAS) return addend;
    auto constant = [&](double value) { return llvm::ConstantFP::get(addend->getType(), value); };
    Value* masks = ir().b().CreateFCmpOLE(addend, constant(std::numeric_limits<float>::lowest()));
    return ir().b().CreateSelect(masks, llvm::ConstantFP::getInfinity(addend->getType(), true),
                                 addend);
  }
  Value* bytes = ir().LoadUnaligned(type(ir().i8()), ir().At(row, index));
  const Plan::Fill& fill = e.plan.fills[static_cast<size_t>(number)];
  const auto kept = fill.drops ? llvm::CmpInst::ICMP_EQ : llvm::CmpInst::ICMP_NE;
  Value* keep = ir().b().CreateICmp(kept, bytes, llvm::Constant::getNullValue(bytes->getType()));
  auto* other = llvm::ConstantFP::get(type(ir().f32()), static_cast<double>(fill.fill));
  return ir().b().CreateSelect(keep, llvm::Constant::getNullValue(type(ir().f32())), other);
}

// The same as integers: all zero means that nothing changes.
Value* Mask::Bits(Value* row, Value* index, int width) {
  Value* x = Load(row, index, width);
  llvm::Type* type = ir().i32();
  if (width != 1) type = llvm::FixedVectorType::get(type, static_cast<unsigned>(width));
  return ir().b().CreateBitCast(x, type);
}

// seen | all bits of `keys` adjacent elements.
Value* Mask::LookAtRow(Value* row, Value* keys, Value* seen) {
  auto& b = ir().b();
  const int width = e.plan.target->transpose, wide = 4 * width;
  auto* vector = llvm::FixedVectorType::get(ir().i32(), static_cast<unsigned>(width));
  Value* many = b.CreateAnd(keys, ir().I64(-wide));
  Ir::Values wide_seen =
      ir().Loop(ir().I64(0), many, wide, {llvm::Constant::getNullValue(vector)}, false,
                [&](Value* key, const Ir::Values& in) {
                  Value* all = in[0];
                  for (int i = 0; i < 4; ++i) {
                    all = b.CreateOr(all, Bits(row, ir().Add(key, ir().I64(i * width)), width));
                  }
                  return Ir::Values{all};
                });
  seen = b.CreateOr(seen, b.CreateOrReduce(wide_seen[0]));
  return ir().Loop(many, keys, 1, {seen}, false, [&](Value* key, const Ir::Values& in) {
    return Ir::Values{b.CreateOr(in[0], Bits(row, key, 1))};
  })[0];
}

Value* Mask::LookAtKeys(Value* row, Value* key_stride, Value* keys, Value* seen) {
  return ir().Loop(ir().I64(0), keys, 1, {seen}, false, [&](Value* key, const Ir::Values& in) {
    return Ir::Values{ir().b().CreateOr(in[0], Bits(row, ir().Mul(key, key_stride), 1))};
  })[0];
}

// Returns 0 from the function if nothing was seen, and goes on with 1 as its result.
void ReturnUnless(Ir& ir, Value* seen) {
  auto& b = ir.b();
  auto& context = ir.module().getContext();
  auto* nothing = llvm::BasicBlock::Create(context, "nothing", ir.function());
  auto* something = llvm::BasicBlock::Create(context, "something", ir.function());
  b.CreateCondBr(b.CreateICmpEQ(seen, ir.I32(0)), nothing, something);
  b.SetInsertPoint(nothing);
  b.CreateRet(ir.I64(0));
  b.SetInsertPoint(something);
}

}  // namespace

llvm::Function* EmitRowMask(Emitter& e, int number) {
  Ir& ir = e.ir;
  Mask mask{e, number};
  llvm::Function* function = ir.BeginFunction("row_mask_" + std::to_string(number),
                                              {ir.ptr(), ir.ptr(), ir.i64(), ir.i64()}, ir.i64());
  Value *out = function->getArg(0), *data = function->getArg(1);
  Value *key_stride = function->getArg(2), *keys = function->getArg(3);
  ReturnUnless(ir, mask.LookAtKeys(data, key_stride, keys, ir.I32(0)));

  const int tile = e.plan.q_tile();
  ir.For(ir.I64(0), keys, 1, [&](Value* key) {
    Value* x = ir.Splat(mask.Load(data, ir.Mul(key, key_stride), 1));
    Value* at = ir.AtFloat(out, ir.Mul(key, ir.I64(tile)));
    for (int v = 0; v < e.plan.target->vectors; ++v) {
      ir.StoreVec(x, ir.At(at, int64_t{4} * v * ir.lanes()));
    }
  });
  ir.b().CreateRet(ir.I64(1));
  return function;
}

llvm::Function* EmitTileMask(Emitter& e, int number) {
  Ir& ir = e.ir;
  auto& b = ir.b();
  Mask mask{e, number};
  const int tile = e.plan.q_tile(), width = e.plan.target->transpose;
  llvm::Function* function =
      ir.BeginFunction("tile_mask_" + std::to_string(number),
                       {ir.ptr(), ir.ptr(), ir.i64(), ir.i64(), ir.i64(), ir.i64()}, ir.i64());
  Value *out = function->getArg(0), *data = function->getArg(1);
  Value *row_stride = function->getArg(2), *key_stride = function->getArg(3);
  Value *rows = function->getArg(4), *keys = function->getArg(5);
  auto row_at = [&](Value* row) { return mask.Advance(data, ir.Mul(row, row_stride)); };

  Value* adjacent = b.CreateICmpEQ(key_stride, ir.I64(1));
  Ir::Values seen =
      ir.Loop(ir.I64(0), rows, 1, {ir.I32(0)}, true, [&](Value* row, const Ir::Values& in) {
        Value* look = ir.If(adjacent, {ir.I32(1)}, [&] {
          return Ir::Values{mask.LookAtRow(row_at(row), keys, ir.I32(0))};
        })[0];
        return Ir::Values{b.CreateOr(in[0], look)};
      });
  ReturnUnless(ir, seen[0]);

  // Rows that are not there repeat the last one.
  Value* last = ir.Sub(rows, ir.I64(1));
  auto lane_at = [&](Value* lane) { return row_at(ir.MinI64(lane, last)); };
  Value* whole = b.CreateAnd(keys, ir.I64(-width));
  Value* done = b.CreateSelect(adjacent, whole, ir.I64(0));
  // Keys inside: a few rows are read as streams. The other way round, rows a power of two apart
  // would push each other out of the cache.
  ir.For(ir.I64(0), ir.I64(tile), width, [&](Value* lane) {
    Ir::Values lanes;
    for (int i = 0; i < width; ++i) lanes.push_back(lane_at(ir.Add(lane, ir.I64(i))));
    ir.For(ir.I64(0), done, width, [&](Value* key) {
      Ir::Values block;
      for (Value* row : lanes) block.push_back(mask.Load(row, key, width));
      block = Transpose(ir, block);
      for (int i = 0; i < width; ++i) {
        Value* at = ir.Add(ir.Mul(ir.Add(key, ir.I64(i)), ir.I64(tile)), lane);
        ir.StoreUnaligned(block[static_cast<size_t>(i)], ir.AtFloat(out, at));
      }
    });
  });
  ir.For(done, keys, 1, [&](Value* key) {
    ir.For(ir.I64(0), ir.I64(tile), 1, [&](Value* lane) {
      Value* x = mask.Load(lane_at(lane), ir.Mul(key, key_stride), 1);
      ir.StoreFloat(x, ir.AtFloat(out, ir.Add(ir.Mul(key, ir.I64(tile)), lane)));
    });
  });
  b.CreateRet(ir.I64(1));
  return function;
}

}  // namespace backendctx::cpu_attention
