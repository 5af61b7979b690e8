// On Exp. x = ln(2) * (n + f) with n whole and f in [-1/2, 1/2]; e^x = 2^n * 2^f. Adding a number
// as large as 1.5 * 2^23 leaves n in the low mantissa bits; that number here is 127 more, so that
// those bits are the biased exponent of 2^n and one shift makes the float. 2^f = 1 + f * q(f) with
// q of degree 4, fitted for the relative error (9e-8 before rounding) with the constant term
// exactly 1: e^0 is 1, and e^x - 1 comes out of the same terms without cancellation, which Tanh
// uses. 2^n is multiplied with f, beside the polynomial, and not with the sum behind it: the chain
// is shorter. Working in natural units costs nothing: log2(e) rides on the two multiply-adds of the
// reduction. A mask of -3.4e38 therefore enters the scores as it is; scaled by log2(e) it would
// overflow.
#include "compiler/math.h"

#include <cmath>

namespace backendctx::cpu_attention {

using llvm::Value;

namespace {

constexpr float kLog2E = 1.44269504F;
constexpr float kShifter = 12582912.F + 127.F;  // 1.5 * 2^23 + exponent bias
constexpr float kQ[5] = {0x1.62e42ap-1F, 0x1.ebf9bcp-3F, 0x1.c6b754p-5F, 0x1.3cea88p-7F,
                         0x1.5bb9fep-10F};
constexpr float kSmallest = -87.3365F;  // ln of the smallest normal float, rounded up

struct Reduced {
  Value* power;     // 2^n
  Value* fraction;  // f
  Value* poly;      // q(f)
};

Reduced Reduce(Ir& ir, Value* x) {
  auto& b = ir.b();
  Value* shifted = ir.Fma(x, ir.VecOf(kLog2E), ir.VecOf(kShifter));
  Value* whole = b.CreateFSub(shifted, ir.VecOf(kShifter));
  Value* fraction = ir.Fma(x, ir.VecOf(kLog2E), b.CreateFNeg(whole));
  Value* poly = ir.VecOf(kQ[4]);
  for (int i = 3; i >= 0; --i) poly = ir.Fma(poly, fraction, ir.VecOf(kQ[i]));
  Value* bits = b.CreateBitCast(shifted, ir.ivec());
  Value* power = b.CreateBitCast(b.CreateShl(bits, uint64_t{23}), ir.vec());
  return {power, fraction, poly};
}

}  // namespace

Value* Exp(Ir& ir, Value* x) {
  auto& b = ir.b();
  const Reduced r = Reduce(ir, x);
  Value* result = ir.Fma(r.poly, b.CreateFMul(r.fraction, r.power), r.power);
  Value* tiny = b.CreateFCmpOLT(x, ir.VecOf(kSmallest));
  return b.CreateSelect(tiny, ir.VecOf(0.F), result);
}

// With E = e^(-2|x|) - 1, tanh(|x|) = -E / (2 + E).
Value* Tanh(Ir& ir, Value* x) {
  auto& b = ir.b();
  Value* bits = b.CreateBitCast(x, ir.ivec());
  auto splat = [&](int32_t value) {
    return llvm::ConstantVector::getSplat(
        llvm::ElementCount::getFixed(static_cast<unsigned>(ir.lanes())),
        llvm::cast<llvm::Constant>(ir.I32(value)));
  };
  Value* sign = b.CreateAnd(bits, splat(INT32_MIN));
  Value* magnitude = b.CreateBitCast(b.CreateAnd(bits, splat(INT32_MAX)), ir.vec());
  Value* large = b.CreateFCmpOGT(magnitude, ir.VecOf(20.F));
  magnitude = b.CreateSelect(large, ir.VecOf(20.F), magnitude);

  const Reduced r = Reduce(ir, b.CreateFMul(magnitude, ir.VecOf(-2.F)));
  Value* minus_one = b.CreateFSub(r.power, ir.VecOf(1.F));
  Value* fq = b.CreateFMul(r.fraction, r.poly);
  Value* e = ir.Fma(r.power, fq, minus_one);
  Value* quotient = b.CreateFDiv(b.CreateFNeg(e), b.CreateFAdd(e, ir.VecOf(2.F)));
  Value* signed_bits = b.CreateOr(b.CreateBitCast(quotient, ir.ivec()), sign);
  return b.CreateBitCast(signed_bits, ir.vec());
}

namespace {

// One term of the product: V panel vectors against R broadcasts.
void Term(Ir& ir, const Product& product, Value* row_offset, int64_t row_bytes, Value* panel_at,
          Ir::Values* acc) {
  Ir::Values panel;
  for (int v = 0; v < product.vectors; ++v) {
    panel.push_back(ir.LoadVec(ir.At(panel_at, int64_t{4} * v * ir.lanes())));
  }
  for (size_t r = 0; r < product.rows.size(); ++r) {
    Value* at = ir.At(product.rows[r], row_offset);
    if (row_bytes != 0) at = ir.At(at, row_bytes);
    Value* scalar = ir.Splat(ir.LoadFloat(at));
    for (int v = 0; v < product.vectors; ++v) {
      Value*& sum = (*acc)[r * static_cast<size_t>(product.vectors) + static_cast<size_t>(v)];
      sum = ir.Fma(scalar, panel[static_cast<size_t>(v)], sum);
    }
  }
}

// Carried: row offset, then the accumulators.
Ir::Values Terms(Ir& ir, const Product& product, const Ir::Values& carried) {
  const int unroll = product.unroll;
  const int64_t panel_step = int64_t{4} * product.tile;
  auto* fixed_step = llvm::dyn_cast<llvm::ConstantInt>(product.row_step);
  auto body = [&](Value* k, const Ir::Values& in) {
    Ir::Values acc(in.begin() + 1, in.end());
    Value* panel = ir.At(product.panel, ir.Mul(k, ir.I64(panel_step)));
    Value* offset = in[0];
    for (int u = 0; u < unroll; ++u) {
      const int64_t fixed = fixed_step != nullptr ? fixed_step->getSExtValue() * u : 0;
      Term(ir, product, offset, fixed, ir.At(panel, panel_step * u), &acc);
      if (fixed_step == nullptr) offset = ir.Add(offset, product.row_step);
    }
    if (fixed_step != nullptr) offset = ir.Add(offset, ir.I64(fixed_step->getSExtValue() * unroll));
    Ir::Values out{offset};
    out.insert(out.end(), acc.begin(), acc.end());
    return out;
  };
  return ir.Loop(ir.I64(0), product.count, unroll, carried, true, body);
}

}  // namespace

Ir::Values Accumulate(Ir& ir, const Product& product, const Ir::Values& init) {
  Ir::Values carried{ir.I64(0)};
  carried.insert(carried.end(), init.begin(), init.end());
  carried = Terms(ir, product, carried);
  return {carried.begin() + 1, carried.end()};
}

namespace {

// For each 128-bit group of x and y: pick four of the group's eight floats, y's counted from 4.
Value* ShuffleGroups(Ir& ir, Value* x, Value* y, const int (&pick)[4]) {
  const int n = static_cast<int>(llvm::cast<llvm::FixedVectorType>(x->getType())->getNumElements());
  llvm::SmallVector<int, 16> mask;
  for (int group = 0; group < n; group += 4) {
    for (int from : pick) mask.push_back(from < 4 ? group + from : n + group + from - 4);
  }
  return ir.b().CreateShuffleVector(x, y, mask);
}

// Four vectors, transposed within each 128-bit group: what one shuffle unit does in one step.
Ir::Values TransposeGroups(Ir& ir, Value* const* rows) {
  Value* low01 = ShuffleGroups(ir, rows[0], rows[1], {0, 4, 1, 5});
  Value* high01 = ShuffleGroups(ir, rows[0], rows[1], {2, 6, 3, 7});
  Value* low23 = ShuffleGroups(ir, rows[2], rows[3], {0, 4, 1, 5});
  Value* high23 = ShuffleGroups(ir, rows[2], rows[3], {2, 6, 3, 7});
  Value* c0 = ShuffleGroups(ir, low01, low23, {0, 1, 4, 5});
  Value* c1 = ShuffleGroups(ir, low01, low23, {2, 3, 6, 7});
  Value* c2 = ShuffleGroups(ir, high01, high23, {0, 1, 4, 5});
  Value* c3 = ShuffleGroups(ir, high01, high23, {2, 3, 6, 7});
  return {c0, c1, c2, c3};
}

}  // namespace

Ir::Values Transpose(Ir& ir, const Ir::Values& rows) {
  Ir::Values upper = TransposeGroups(ir, rows.data());
  if (rows.size() == 4) return upper;
  const Ir::Values lower = TransposeGroups(ir, rows.data() + 4);
  Ir::Values columns;
  for (size_t i = 0; i < 4; ++i) {
    columns.push_back(ir.b().CreateShuffleVector(upper[i], lower[i], {0, 1, 2, 3, 8, 9, 10, 11}));
  }
  for (size_t i = 0; i < 4; ++i) {
    columns.push_back(ir.b().CreateShuffleVector(upper[i], lower[i], {4, 5, 6, 7, 12, 13, 14, 15}));
  }
  return columns;
}

}  // namespace backendctx::cpu_attention
