// Into and out of lanes: queries and outputs have rows in memory where the kernel wants rows in
// lanes. Tensors with adjacent channels go through square in-register transposes, others through
// scalar copies.
#include "compiler/emit.h"
#include "compiler/math.h"

namespace backendctx::cpu_attention {

using llvm::Value;

llvm::Value* Emitter::Int(Value* args, size_t offset) {
  return ir.b().CreateAlignedLoad(ir.i64(), ir.At(args, static_cast<int64_t>(offset)),
                                  llvm::Align(8));
}

llvm::Value* Emitter::Pointer(Value* args, size_t offset) {
  return ir.b().CreateAlignedLoad(ir.ptr(), ir.At(args, static_cast<int64_t>(offset)),
                                  llvm::Align(8));
}

llvm::Value* Emitter::StrideBytes(Value* args, size_t offset, bool unit) {
  return unit ? ir.I64(4) : ir.Mul(Int(args, offset), ir.I64(4));
}

llvm::Function* EmitLoadQueries(Emitter& e) {
  Ir& ir = e.ir;
  const int tile = e.plan.q_tile(), width = e.plan.target->transpose;
  const int head_size = e.plan.qk_head_size;
  llvm::Function* function = ir.BeginFunction("load_queries", {ir.ptr(), ir.ptr(), ir.i64()});
  Value *args = function->getArg(0), *out = function->getArg(1), *first = function->getArg(2);
  Value* q = e.Pointer(args, offsetof(KernelArgs, q));
  Value* stride = e.StrideBytes(args, offsetof(KernelArgs, q_stride), e.plan.q.unit_sequence());
  Value* channel = e.StrideBytes(args, offsetof(KernelArgs, q_channel), e.plan.q.unit_channel());
  Value* last = ir.Sub(e.Int(args, offsetof(KernelArgs, rows)), ir.I64(1));
  const float scale = e.plan.scale_in_q ? e.plan.scale : 1.F;
  auto row_at = [&](Value* row) {
    return ir.At(q, ir.Mul(ir.MinI64(ir.Add(first, row), last), stride));
  };

  if (e.plan.q.unit_channel()) {
    auto* square = llvm::FixedVectorType::get(ir.f32(), static_cast<unsigned>(width));
    ir.For(ir.I64(0), ir.I64(tile), width, [&](Value* lane) {
      Ir::Values rows;
      for (int i = 0; i < width; ++i) rows.push_back(row_at(ir.Add(lane, ir.I64(i))));
      Value* lanes_out = ir.AtFloat(out, lane);
      ir.For(ir.I64(0), ir.I64(head_size), width, [&](Value* d) {
        Ir::Values block;
        for (Value* row : rows) block.push_back(ir.LoadUnaligned(square, ir.AtFloat(row, d)));
        block = Transpose(ir, block);
        for (int i = 0; i < width; ++i) {
          Value* scaled =
              ir.b().CreateFMul(block[static_cast<size_t>(i)], ir.SplatTo(width, ir.F32(scale)));
          Value* at = ir.AtFloat(lanes_out, ir.Mul(ir.Add(d, ir.I64(i)), ir.I64(tile)));
          ir.StoreUnaligned(scaled, at);
        }
      });
    });
  } else {
    ir.For(ir.I64(0), ir.I64(tile), 1, [&](Value* lane) {
      Value* row = row_at(lane);
      ir.For(ir.I64(0), ir.I64(head_size), 1, [&](Value* d) {
        Value* x = ir.LoadFloat(ir.At(row, ir.Mul(d, channel)));
        ir.StoreFloat(ir.b().CreateFMul(x, ir.F32(scale)),
                      ir.AtFloat(out, ir.Add(ir.Mul(d, ir.I64(tile)), lane)));
      });
    });
  }
  ir.b().CreateRetVoid();
  return function;
}

namespace {

// A guard writes zeros over the weights of a row that has NaN among its scores, or plus infinity.
// The sum of such a row is NaN by now and so are its outputs, of which nothing can be kept: zeros
// times V, which are NaN in the columns where V holds NaN or an infinity, are computed here. That
// is slow and rare.
void GuardRows(Emitter& e, Value* args, Value* out, Value* sum) {
  Ir& ir = e.ir;
  auto& b = ir.b();
  Ir::Values guarded;
  Value* any = b.getFalse();
  for (int v = 0; v < e.plan.target->vectors; ++v) {
    Value* total = ir.LoadVec(ir.At(sum, int64_t{4} * v * ir.lanes()));
    guarded.push_back(b.CreateFCmpUNO(total, total));
    any = b.CreateOr(any, b.CreateOrReduce(guarded.back()));
  }
  ir.IfDo(any, [&] {
    Value* values = e.Pointer(args, offsetof(KernelArgs, v));
    Value* stride = e.StrideBytes(args, offsetof(KernelArgs, v_stride), e.plan.v.unit_sequence());
    Value* channel = e.StrideBytes(args, offsetof(KernelArgs, v_channel), e.plan.v.unit_channel());
    Value* keys = e.Int(args, offsetof(KernelArgs, keys));
    ir.For(ir.I64(0), ir.I64(e.plan.v_head_size), 1, [&](Value* d) {
      Value* column = ir.At(values, ir.Mul(d, channel));
      auto add = [&](Value* key, const Ir::Values& in) {
        Value* x = ir.LoadFloat(ir.At(column, ir.Mul(key, stride)));
        return Ir::Values{b.CreateFAdd(in[0], b.CreateFMul(x, ir.F32(0)))};
      };
      Value* zero = ir.Splat(ir.Loop(ir.I64(0), keys, 1, {ir.F32(0)}, false, add)[0]);
      Value* row = ir.AtFloat(out, ir.Mul(d, ir.I64(e.plan.q_tile())));
      for (int v = 0; v < e.plan.target->vectors; ++v) {
        Value* at = ir.At(row, int64_t{4} * v * ir.lanes());
        ir.StoreVec(b.CreateSelect(guarded[static_cast<size_t>(v)], zero, ir.LoadVec(at)), at);
      }
    });
  });
}

// sum[lane] = 1 / sum[lane]; where no key had weight, what the partition wants of such a row.
void InvertSums(Emitter& e, Value* sum) {
  Ir& ir = e.ir;
  for (int v = 0; v < e.plan.target->vectors; ++v) {
    Value* at = ir.At(sum, int64_t{4} * v * ir.lanes());
    Value* total = ir.LoadVec(at);
    Value* inverse = ir.b().CreateFDiv(ir.VecOf(1.F), total);
    if (e.plan.masked_row != BCTX_MASKED_ROW_NAN) {
      Value* none = e.plan.masked_row == BCTX_MASKED_ROW_ZERO
                        ? ir.b().CreateFCmpUEQ(total, ir.VecOf(0.F))
                        : ir.b().CreateFCmpOEQ(total, ir.VecOf(0.F));
      inverse = ir.b().CreateSelect(none, ir.VecOf(0.F), inverse);
    }
    ir.StoreVec(inverse, at);
  }
}

}  // namespace

llvm::Function* EmitStoreOutput(Emitter& e) {
  Ir& ir = e.ir;
  const int tile = e.plan.q_tile(), width = e.plan.target->transpose;
  const int head_size = e.plan.v_head_size;
  llvm::Function* function =
      ir.BeginFunction("store_output", {ir.ptr(), ir.ptr(), ir.ptr(), ir.i64()});
  Value *args = function->getArg(0), *out = function->getArg(1);
  Value *sum = function->getArg(2), *first = function->getArg(3);
  Value* y = e.Pointer(args, offsetof(KernelArgs, y));
  Value* stride = e.StrideBytes(args, offsetof(KernelArgs, y_stride), e.plan.y.unit_sequence());
  Value* channel = e.StrideBytes(args, offsetof(KernelArgs, y_channel), e.plan.y.unit_channel());
  Value* rows = ir.MinI64(ir.Sub(e.Int(args, offsetof(KernelArgs, rows)), first), ir.I64(tile));
  if (e.plan.masked_row == BCTX_MASKED_ROW_ZERO) GuardRows(e, args, out, sum);
  InvertSums(e, sum);

  auto store_one = [&](Value* lane) {
    Value* row = ir.At(y, ir.Mul(ir.Add(first, lane), stride));
    Value* inverse = ir.LoadFloat(ir.AtFloat(sum, lane));
    ir.For(ir.I64(0), ir.I64(head_size), 1, [&](Value* d) {
      Value* x = ir.LoadFloat(ir.AtFloat(out, ir.Add(ir.Mul(d, ir.I64(tile)), lane)));
      ir.StoreFloat(ir.b().CreateFMul(x, inverse), ir.At(row, ir.Mul(d, channel)));
    });
  };
  Value* done = ir.I64(0);
  if (e.plan.y.unit_channel()) {
    auto* square = llvm::FixedVectorType::get(ir.f32(), static_cast<unsigned>(width));
    done = ir.b().CreateAnd(rows, ir.I64(-width));
    ir.For(ir.I64(0), done, width, [&](Value* lane) {
      Ir::Values row;
      for (int i = 0; i < width; ++i) {
        row.push_back(ir.At(y, ir.Mul(ir.Add(ir.Add(first, lane), ir.I64(i)), stride)));
      }
      Value* inverse = ir.LoadUnaligned(square, ir.AtFloat(sum, lane));
      ir.For(ir.I64(0), ir.I64(head_size), width, [&](Value* d) {
        Ir::Values block;
        for (int i = 0; i < width; ++i) {
          Value* at = ir.AtFloat(out, ir.Add(ir.Mul(ir.Add(d, ir.I64(i)), ir.I64(tile)), lane));
          block.push_back(ir.b().CreateFMul(ir.LoadUnaligned(square, at), inverse));
        }
        block = Transpose(ir, block);
        for (size_t i = 0; i < block.size(); ++i) {
          ir.StoreUnaligned(block[i], ir.AtFloat(row[i], d));
        }
      });
    });
  }
  ir.For(done, rows, 1, store_one);
  ir.b().CreateRetVoid();
  return function;
}

}  // namespace backendctx::cpu_attention
