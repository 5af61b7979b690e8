// One tile of queries against one block of keys: the heart of the kernel.
//
// Query rows are in lanes, so the running maximum, the running sum and the rescaling are vertical:
// no horizontal reduction, no shuffle, and keys and values are read as scalars where they lie. The
// block goes through three passes over a small panel of weights that stays in the first cache:
//
//   1. scores, R keys at a time: product over channels, score steps, causal test, running maximum;
//   2. weights e^(s - max), and their sum;
//   3. out = out * e^(old max - max) + weights x values, R channels at a time.
//
// The rescaling of pass 3 is done where the accumulators are loaded. A group of R keys that reaches
// past the block's end repeats its last key: the copies cannot change the maximum, and passes 2 and
// 3 stop at the true end.
#include "compiler/emit.h"
#include "compiler/math.h"

namespace backendctx::cpu_attention {

using llvm::Value;

namespace {

struct Step {
  Emitter& e;
  int vectors;
  int rows;  // R
  Value *args, *k, *v, *q, *out, *max, *sum, *scratch, *keys, *limit, *masks;

  Value* Lane(Value* row, int vector) { return e.ir.At(row, int64_t{4} * vector * e.ir.lanes()); }
  Value* Panel(int64_t floats, Value* key) {
    return e.ir.AtFloat(e.Scratch(scratch, floats), e.ir.Mul(key, e.ir.I64(e.plan.q_tile())));
  }
  Ir::Values LoadRow(Value* row) {
    Ir::Values out_row;
    for (int i = 0; i < vectors; ++i) out_row.push_back(e.ir.LoadVec(Lane(row, i)));
    return out_row;
  }
  void StoreRow(const Ir::Values& values, Value* row) {
    for (int i = 0; i < vectors; ++i) e.ir.StoreVec(values[static_cast<size_t>(i)], Lane(row, i));
  }

  void ApplySteps(const Ir::Values& key, Ir::Values* scores);
  Ir::Values ApplyMask(const ScoreStep& step, const Ir::Values& key, Ir::Values scores);
  Ir::Values KeepCausal(const Ir::Values& key, Ir::Values scores);
  Ir::Values Scores(const Ir::Values& max_in);
  Ir::Values Weights(const Ir::Values& max_used, const Ir::Values& sum_in);
  void Output(const Ir::Values& alpha);
};

void Step::ApplySteps(const Ir::Values& key, Ir::Values* scores) {
  Ir& ir = e.ir;
  auto& b = ir.b();
  for (const ScoreStep& step : e.plan.steps) {
    switch (step.kind) {
      case ScoreStep::Kind::kScale:
        for (Value*& s : *scores) s = b.CreateFMul(s, ir.VecOf(e.plan.scale));
        break;
      case ScoreStep::Kind::kSoftcap:
        for (Value*& s : *scores) {
          Value* bent = Tanh(ir, b.CreateFMul(s, ir.VecOf(1.F / e.plan.softcap)));
          s = b.CreateFMul(bent, ir.VecOf(e.plan.softcap));
        }
        break;
      case ScoreStep::Kind::kAdd:
      case ScoreStep::Kind::kKeep: {
        Value* bit = b.CreateAnd(masks, ir.I64(int64_t{1} << step.mask));
        const Ir::Values open = *scores;
        *scores =
            ir.If(b.CreateICmpNE(bit, ir.I64(0)), open, [&] { return ApplyMask(step, key, open); });
        break;
      }
    }
  }
}

Ir::Values Step::ApplyMask(const ScoreStep& step, const Ir::Values& key, Ir::Values scores) {
  auto& b = e.ir.b();
  for (int r = 0; r < rows; ++r) {
    const Ir::Values mask = LoadRow(Panel(e.layout.mask[step.mask], key[static_cast<size_t>(r)]));
    for (int i = 0; i < vectors; ++i) {
      Value*& s = scores[static_cast<size_t>(r * vectors + i)];
      Value* m = mask[static_cast<size_t>(i)];
      if (step.kind == ScoreStep::Kind::kAdd) {
        s = b.CreateFAdd(s, m);
      } else {
        // The panel holds zero or a negative fill: the sign decides, in one blend.
        Value* drop = b.CreateICmpSLT(b.CreateBitCast(m, e.ir.ivec()),
                                      llvm::Constant::getNullValue(e.ir.ivec()));
        s = b.CreateSelect(drop, m, s);
      }
    }
  }
  return scores;
}

Ir::Values Step::KeepCausal(const Ir::Values& key, Ir::Values scores) {
  Ir& ir = e.ir;
  auto& b = ir.b();
  // Beyond the block nothing changes, so the limit fits 32 bits.
  Value* bounded = ir.MinI64(limit, ir.I64(e.plan.kv_block));
  Value* base = ir.Splat(b.CreateTrunc(bounded, ir.i32()));
  Value* infinity = llvm::ConstantFP::getInfinity(ir.vec(), true);
  for (int i = 0; i < vectors; ++i) {
    llvm::SmallVector<llvm::Constant*, 16> lane;
    for (int l = 0; l < ir.lanes(); ++l) {
      lane.push_back(llvm::cast<llvm::Constant>(ir.I32(i * ir.lanes() + l)));
    }
    Value* last = b.CreateAdd(base, llvm::ConstantVector::get(lane));
    for (int r = 0; r < rows; ++r) {
      Value* at = ir.Splat(b.CreateTrunc(key[static_cast<size_t>(r)], ir.i32()));
      Value*& s = scores[static_cast<size_t>(r * vectors + i)];
      s = b.CreateSelect(b.CreateICmpSGT(at, last), infinity, s);
    }
  }
  return scores;
}

Ir::Values Step::Scores(const Ir::Values& max_in) {
  Ir& ir = e.ir;
  const Plan& plan = e.plan;
  Value* stride = e.StrideBytes(args, offsetof(KernelArgs, k_stride), plan.k.unit_sequence());
  Value* channel = e.StrideBytes(args, offsetof(KernelArgs, k_channel), plan.k.unit_channel());
  Value* last = ir.Sub(keys, ir.I64(1));
  return ir.Loop(ir.I64(0), keys, rows, max_in, true, [&](Value* first, const Ir::Values& max_row) {
    Product product{
        {}, channel, q, plan.q_tile(), vectors, ir.I64(plan.qk_head_size), plan.target->unroll};
    Ir::Values key;
    for (int r = 0; r < rows; ++r) {
      key.push_back(ir.MinI64(ir.Add(first, ir.I64(r)), last));
      product.rows.push_back(ir.At(k, ir.Mul(key.back(), stride)));
    }
    Ir::Values scores =
        Accumulate(ir, product, Ir::Values(static_cast<size_t>(rows * vectors), ir.VecOf(0.F)));
    ApplySteps(key, &scores);
    if (plan.causal) {
      Value* crosses = ir.b().CreateICmpSGT(ir.Add(first, ir.I64(rows - 1)), limit);
      const Ir::Values open = scores;
      scores = ir.If(crosses, open, [&] { return KeepCausal(key, open); });
    }
    Ir::Values max_out = max_row;
    for (int r = 0; r < rows; ++r) {
      const auto at = scores.begin() + r * vectors;
      const Ir::Values row(at, at + vectors);
      StoreRow(row, Panel(e.layout.weights, ir.Add(first, ir.I64(r))));
      for (size_t i = 0; i < row.size(); ++i) max_out[i] = ir.Max(row[i], max_out[i]);
    }
    return max_out;
  });
}

// One column of vectors after another: then all constants and the sum of a column stay in
// registers.
Ir::Values Step::Weights(const Ir::Values& max_used, const Ir::Values& sum_in) {
  Ir& ir = e.ir;
  Ir::Values sums;
  for (int i = 0; i < vectors; ++i) {
    const auto column = static_cast<size_t>(i);
    sums.push_back(
        ir.Loop(ir.I64(0), keys, 1, {sum_in[column]}, true, [&](Value* key, const Ir::Values& in) {
          Value* at = Lane(Panel(e.layout.weights, key), i);
          Value* weight = Exp(ir, ir.b().CreateFSub(ir.LoadVec(at), max_used[column]));
          ir.StoreVec(weight, at);
          return Ir::Values{ir.b().CreateFAdd(in[0], weight)};
        })[0]);
  }
  return sums;
}

void Step::Output(const Ir::Values& alpha) {
  Ir& ir = e.ir;
  const Plan& plan = e.plan;
  Value* stride = e.StrideBytes(args, offsetof(KernelArgs, v_stride), plan.v.unit_sequence());
  Value* channel = e.StrideBytes(args, offsetof(KernelArgs, v_channel), plan.v.unit_channel());
  ir.For(ir.I64(0), ir.I64(plan.v_head_size), rows, [&](Value* d) {
    Product product{{},   stride, e.Scratch(scratch, e.layout.weights), plan.q_tile(), vectors,
                    keys, 1};
    Ir::Values acc, at;
    for (int r = 0; r < rows; ++r) {
      product.rows.push_back(ir.At(v, ir.Mul(ir.Add(d, ir.I64(r)), channel)));
      at.push_back(ir.AtFloat(out, ir.Mul(ir.Add(d, ir.I64(r)), ir.I64(plan.q_tile()))));
      const Ir::Values old = LoadRow(at.back());
      for (size_t i = 0; i < old.size(); ++i) {
        acc.push_back(ir.b().CreateFMul(old[i], alpha[i]));
      }
    }
    acc = Accumulate(ir, product, acc);
    for (int r = 0; r < rows; ++r) {
      const auto first = acc.begin() + r * vectors;
      StoreRow(Ir::Values(first, first + vectors), at[static_cast<size_t>(r)]);
    }
  });
}

}  // namespace

llvm::Function* EmitTileStep(Emitter& e, int vectors) {
  Ir& ir = e.ir;
  llvm::Type *p = ir.ptr(), *n = ir.i64();
  llvm::Function* f =
      ir.BeginFunction("tile_step_" + std::to_string(vectors), {p, p, p, p, p, p, p, p, n, n, n});
  Step step{e,
            vectors,
            e.plan.target->rows[vectors],
            f->getArg(0),
            f->getArg(1),
            f->getArg(2),
            f->getArg(3),
            f->getArg(4),
            f->getArg(5),
            f->getArg(6),
            f->getArg(7),
            f->getArg(8),
            f->getArg(9),
            f->getArg(10)};
  const Ir::Values old_max = step.LoadRow(step.max);
  const Ir::Values new_max = step.Scores(old_max);

  // A row that has met no key yet has maximum -inf, and -inf - -inf would be NaN: such a row
  // subtracts zero, which leaves its weights and its factor at zero.
  Ir::Values used, alpha, sum = step.LoadRow(step.sum);
  for (size_t i = 0; i < new_max.size(); ++i) {
    Value* infinity = llvm::ConstantFP::getInfinity(ir.vec(), true);
    Value* none = ir.b().CreateFCmpOEQ(new_max[i], infinity);
    used.push_back(ir.b().CreateSelect(none, ir.VecOf(0.F), new_max[i]));
    alpha.push_back(Exp(ir, ir.b().CreateFSub(old_max[i], used[i])));
    sum[i] = ir.b().CreateFMul(sum[i], alpha[i]);
  }
  step.StoreRow(new_max, step.max);
  step.StoreRow(step.Weights(used, sum), step.sum);
  step.Output(alpha);
  ir.b().CreateRetVoid();
  return f;
}

}  // namespace backendctx::cpu_attention
