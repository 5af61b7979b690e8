// Masks, from memory to one vector of rows a key.
//
// A mask tensor may be the same for all rows (padding) or have a row for each query, with keys
// adjacent or not. It is looked at first, as it lies: most blocks of most masks are all zero (or
// all true), and then neither the transposition nor the score step has to run; or they are closed,
// all masked, and then the block can be left out for rows that have met an open key. The look takes
// the smallest and the largest element, as unsigned bits: zero is the smallest of all, and what
// masks (-2^127 down to minus infinity) lies between two bounds near the other end, below the NaNs.
// It costs one load and two operations for each vector, the transposition about five times that.
#include <limits>

#include "compiler/emit.h"
#include "compiler/math.h"

namespace backendctx::cpu_attention {

using llvm::Value;

namespace {

// Bits of -2^127 and of minus infinity.
constexpr auto kLeastClosed = static_cast<int32_t>(0xff000000U);
constexpr auto kMostClosed = static_cast<int32_t>(0xff800000U);

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
  Ir::Values Nothing() { return {ir().I32(-1), ir().I32(0)}; }
  Ir::Values LookAtRow(Value* row, Value* keys, const Ir::Values& seen);
  Ir::Values LookAtKeys(Value* row, Value* key_stride, Value* keys);
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

Value* Min(Ir& ir, Value* x, Value* y) {
  return ir.b().CreateBinaryIntrinsic(llvm::Intrinsic::umin, x, y);
}
Value* Max(Ir& ir, Value* x, Value* y) {
  return ir.b().CreateBinaryIntrinsic(llvm::Intrinsic::umax, x, y);
}

// {smallest, largest} of what was seen, `bits` included.
Ir::Values See(Ir& ir, const Ir::Values& seen, Value* bits) {
  return {Min(ir, seen[0], bits), Max(ir, seen[1], bits)};
}

// Of `keys` adjacent elements.
Ir::Values Mask::LookAtRow(Value* row, Value* keys, const Ir::Values& seen) {
  auto& b = ir().b();
  const int width = e.plan.target->transpose, wide = 4 * width;
  auto* vector = llvm::FixedVectorType::get(ir().i32(), static_cast<unsigned>(width));
  Value* many = b.CreateAnd(keys, ir().I64(-wide));
  const Ir::Values nothing{llvm::Constant::getAllOnesValue(vector),
                           llvm::Constant::getNullValue(vector)};
  const Ir::Values wide_seen =
      ir().Loop(ir().I64(0), many, wide, nothing, false, [&](Value* key, const Ir::Values& in) {
        Ir::Values all = in;
        for (int i = 0; i < 4; ++i) {
          all = See(ir(), all, Bits(row, ir().Add(key, ir().I64(i * width)), width));
        }
        return all;
      });
  const Ir::Values before{Min(ir(), seen[0], b.CreateIntMinReduce(wide_seen[0], false)),
                          Max(ir(), seen[1], b.CreateIntMaxReduce(wide_seen[1], false))};
  return ir().Loop(many, keys, 1, before, false, [&](Value* key, const Ir::Values& in) {
    return See(ir(), in, Bits(row, key, 1));
  });
}

Ir::Values Mask::LookAtKeys(Value* row, Value* key_stride, Value* keys) {
  return ir().Loop(ir().I64(0), keys, 1, Nothing(), false, [&](Value* key, const Ir::Values& in) {
    return See(ir(), in, Bits(row, ir().Mul(key, key_stride), 1));
  });
}

Value* IsClosed(Ir& ir, const Ir::Values& seen) {
  auto& b = ir.b();
  return b.CreateAnd(b.CreateICmpUGE(seen[0], ir.I32(kLeastClosed)),
                     b.CreateICmpULE(seen[1], ir.I32(kMostClosed)));
}

// Returns `result` from the function on `condition`, and goes on where it does not hold.
void ReturnIf(Ir& ir, Value* condition, int64_t result) {
  auto& b = ir.b();
  auto& context = ir.module().getContext();
  auto* yes = llvm::BasicBlock::Create(context, "return", ir.function());
  auto* no = llvm::BasicBlock::Create(context, "go_on", ir.function());
  b.CreateCondBr(condition, yes, no);
  b.SetInsertPoint(yes);
  b.CreateRet(ir.I64(result));
  b.SetInsertPoint(no);
}

}  // namespace

llvm::Function* EmitRowMask(Emitter& e, int number) {
  Ir& ir = e.ir;
  Mask mask{e, number};
  llvm::Function* function = ir.BeginFunction("row_mask_" + std::to_string(number),
                                              {ir.ptr(), ir.ptr(), ir.i64(), ir.i64()}, ir.i64());
  Value *out = function->getArg(0), *data = function->getArg(1);
  Value *key_stride = function->getArg(2), *keys = function->getArg(3);
  const Ir::Values seen = mask.LookAtKeys(data, key_stride, keys);
  ReturnIf(ir, ir.b().CreateICmpEQ(seen[1], ir.I32(0)), kMaskOpen);

  const int tile = e.plan.q_tile();
  ir.For(ir.I64(0), keys, 1, [&](Value* key) {
    Value* x = ir.Splat(mask.Load(data, ir.Mul(key, key_stride), 1));
    Value* at = ir.AtFloat(out, ir.Mul(key, ir.I64(tile)));
    for (int v = 0; v < e.plan.target->vectors; ++v) {
      ir.StoreVec(x, ir.At(at, int64_t{4} * v * ir.lanes()));
    }
  });
  ir.b().CreateRet(
      ir.b().CreateSelect(IsClosed(ir, seen), ir.I64(kMaskClosed), ir.I64(kMaskMixed)));
  return function;
}

llvm::Function* EmitTileMask(Emitter& e, int number) {
  Ir& ir = e.ir;
  auto& b = ir.b();
  Mask mask{e, number};
  const int tile = e.plan.q_tile(), width = e.plan.target->transpose;
  llvm::Function* function = ir.BeginFunction(
      "tile_mask_" + std::to_string(number),
      {ir.ptr(), ir.ptr(), ir.i64(), ir.i64(), ir.i64(), ir.i64(), ir.i64()}, ir.i64());
  Value *out = function->getArg(0), *data = function->getArg(1);
  Value *row_stride = function->getArg(2), *key_stride = function->getArg(3);
  Value *rows = function->getArg(4), *keys = function->getArg(5);
  Value* may_skip = b.CreateICmpNE(function->getArg(6), ir.I64(0));
  auto row_at = [&](Value* row) { return mask.Advance(data, ir.Mul(row, row_stride)); };

  Value* adjacent = b.CreateICmpEQ(key_stride, ir.I64(1));
  const Ir::Values seen =
      ir.Loop(ir.I64(0), rows, 1, mask.Nothing(), true, [&](Value* row, const Ir::Values& in) {
        const Ir::Values unknown{ir.I32(0), ir.I32(-1)};
        return ir.If(adjacent, unknown, [&] { return mask.LookAtRow(row_at(row), keys, in); });
      });
  ReturnIf(ir, b.CreateICmpEQ(seen[1], ir.I32(0)), kMaskOpen);
  ReturnIf(ir, b.CreateAnd(IsClosed(ir, seen), may_skip), kMaskClosed);

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
  b.CreateRet(ir.I64(kMaskMixed));
  return function;
}

}  // namespace backendctx::cpu_attention
