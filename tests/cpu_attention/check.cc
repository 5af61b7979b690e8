#include "cpu_attention/check.h"

#include <algorithm>
#include <cmath>
#include <sstream>

namespace backendctx::cpu_attention::test {
namespace {

constexpr int kOrders = 64;

double LargestError(const std::vector<double>& truth, const std::vector<float>& found) {
  double error = 0;
  for (size_t i = 0; i < truth.size(); ++i) {
    if (std::isfinite(found[i]) && std::isfinite(truth[i])) {
      error = std::max(error, std::abs(found[i] - truth[i]));
    }
  }
  return error;
}

}  // namespace

std::string Check(const Problem& problem, const Inputs& inputs, const std::vector<float>& y,
                  Errors* errors) {
  const std::vector<float> found = ToBhsd(problem, inputs, y);
  const std::vector<double> truth = Truth(problem, inputs);
  const std::vector<float> honest = Honest(problem, inputs, 0);
  if (found.size() != truth.size()) return "the output has another size";

  double largest = 0;
  for (float v : inputs.v.floats) {
    if (std::isfinite(v)) largest = std::max(largest, std::abs(static_cast<double>(v)));
  }
  const double floor = 1e-6 * largest;
  const double error = LargestError(truth, found);
  double honest_error = LargestError(truth, honest);
  if (errors != nullptr && honest_error > 0) errors->ratios.push_back(error / honest_error);
  for (int order = 1; order < kOrders && error > std::max(2 * honest_error, floor); ++order) {
    honest_error = std::max(honest_error, LargestError(truth, Honest(problem, inputs, order)));
  }
  const double allowed = std::max(2 * honest_error, floor);
  for (size_t i = 0; i < truth.size(); ++i) {
    const bool right = std::isnan(honest[i])
                           ? std::isnan(found[i])
                           : std::isfinite(found[i]) && std::abs(found[i] - truth[i]) <= allowed;
    if (!right) {
      std::ostringstream text;
      text.precision(9);
      text << "element " << i << " is " << found[i] << ", expected " << truth[i]
           << " (float: " << honest[i] << "), allowed error " << allowed;
      return text.str();
    }
  }
  return "";
}

double Errors::Mean() const {
  double sum = 0;
  for (double ratio : ratios) sum += ratio;
  return ratios.empty() ? 0 : sum / static_cast<double>(ratios.size());
}

namespace {

const char* Name(Layout layout) {
  switch (layout) {
    case Layout::kBhsd:
      return "bhsd";
    case Layout::kBshd:
      return "bshd";
    case Layout::kSbhd:
      return "sbhd";
    case Layout::kHbsd:
      return "hbsd";
    case Layout::kBhds:
      return "bhds";
    case Layout::kBsdh:
      return "bsdh";
    case Layout::kPacked:
      return "packed";
  }
  return "?";
}

}  // namespace

std::string Describe(const Problem& p) {
  std::ostringstream text;
  text << "q " << Name(p.q) << " k " << Name(p.k) << " v " << Name(p.v) << " y " << Name(p.y)
       << ", heads " << p.q_heads << "/" << p.kv_heads << (p.heads_at_run_time ? " (run time)" : "")
       << ", sizes " << p.qk_head_size << "/" << p.v_head_size << ", scale " << p.scale
       << ", softcap " << p.softcap << (p.causal ? ", causal" : "") << ", masked row "
       << (p.masked_row == BCTX_MASKED_ROW_ZERO ? "zero" : "nan") << ", masks";
  for (bctx_mask_kind kind : p.masks)
    text << (kind == BCTX_MASK_ADD ? " add" : kind == BCTX_MASK_KEEP ? " keep" : " drop");
  return text.str();
}

std::string Describe(const Inputs& in) {
  std::ostringstream text;
  text << "batch " << in.batch << ", queries " << in.queries << ", keys " << in.keys;
  for (const Tensor& mask : in.masks) {
    text << ", mask [";
    for (int64_t dim : mask.dims) text << dim << " ";
    text << "]";
  }
  return text.str();
}

}  // namespace backendctx::cpu_attention::test
