#include "cpu_attention/case.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <thread>

namespace backendctx::cpu_attention::test {

int RankOf(Layout layout) { return layout == Layout::kPacked ? 3 : 4; }

bctx_attention_operand MakeOperand(Layout layout, int32_t index) {
  switch (layout) {
    case Layout::kBhsd:
      return {index, {0, 1, 2, 3}};
    case Layout::kBshd:
      return {index, {0, 2, 1, 3}};
    case Layout::kSbhd:
      return {index, {1, 2, 0, 3}};
    case Layout::kHbsd:
      return {index, {1, 0, 2, 3}};
    case Layout::kBhds:
      return {index, {0, 1, 3, 2}};
    case Layout::kBsdh:
      return {index, {0, 3, 1, 2}};
    case Layout::kPacked:
      return {index, {0, 2, 1, 2}};
  }
  return {index, {-1, -1, -1, -1}};
}

namespace {

std::vector<int64_t> DimsOf(Layout layout, int64_t b, int64_t h, int64_t s, int64_t d) {
  if (layout == Layout::kPacked) return {b, s, h * d};
  const bctx_attention_operand operand = MakeOperand(layout, 0);
  std::vector<int64_t> dims(4);
  const int64_t extents[4] = {b, h, s, d};
  for (int i = 0; i < 4; ++i) dims[static_cast<size_t>(operand.axis[i])] = extents[i];
  return dims;
}

// Position of element (b, h, s, d).
int64_t PositionOf(Layout layout, const std::vector<int64_t>& dims, int64_t head_size, int64_t b,
                   int64_t h, int64_t s, int64_t d) {
  if (layout == Layout::kPacked) return (b * dims[1] + s) * dims[2] + h * head_size + d;
  const bctx_attention_operand operand = MakeOperand(layout, 0);
  const int64_t at[4] = {b, h, s, d};
  int64_t index[4] = {};
  for (int i = 0; i < 4; ++i) index[operand.axis[i]] = at[i];
  int64_t position = 0;
  for (size_t i = 0; i < 4; ++i) position = position * dims[i] + index[i];
  return position;
}

int64_t MaskPosition(const Tensor& mask, const int64_t (&at)[4], int64_t heads) {
  const size_t rank = mask.dims.size();
  int64_t position = 0;
  for (size_t i = 0; i < rank; ++i) {
    const bool is_batch = i == 0 && rank == 3 && heads == 1;
    const int64_t index = mask.dims[i] == 1 ? 0 : at[is_batch ? 0 : 4 - rank + i];
    position = position * mask.dims[i] + index;
  }
  return position;
}

}  // namespace

Compiled Compile(const bctx_plugin& compiler, const Problem& problem, const std::string& target,
                 const Options& options, const char* dump_folder) {
  std::vector<bctx_value> values;
  for (Layout layout : {problem.q, problem.k, problem.v}) {
    values.push_back({"x", kFloat, RankOf(layout), nullptr});
  }
  bctx_attention attention{};
  attention.struct_size = sizeof(attention);
  attention.q = MakeOperand(problem.q, 0);
  attention.k = MakeOperand(problem.k, 1);
  attention.v = MakeOperand(problem.v, 2);
  attention.y = MakeOperand(problem.y, 0);
  attention.q_heads = problem.heads_at_run_time ? -1 : problem.q_heads;
  attention.kv_heads = problem.heads_at_run_time ? -1 : problem.kv_heads;
  attention.qk_head_size = problem.qk_head_size;
  attention.v_head_size = problem.v_head_size;
  attention.scale = problem.scale;
  attention.softcap = problem.softcap;
  attention.causal = problem.causal ? 1 : 0;
  attention.masked_row = problem.masked_row;
  attention.mask_count = static_cast<int32_t>(problem.masks.size());
  for (size_t i = 0; i < problem.masks.size() && i < BCTX_MAX_MASKS; ++i) {
    attention.masks[i] = {static_cast<int32_t>(3 + i), problem.masks[i], problem.fill};
    values.push_back({"mask", problem.masks[i] == BCTX_MASK_ADD ? kFloat : kBool, -1, nullptr});
  }
  bctx_value output{"y", kFloat, RankOf(problem.y), nullptr};
  for (size_t i = 0; i < problem.declared.size(); ++i) {
    const std::vector<int64_t>& dims = problem.declared[i];
    if (dims.empty()) continue;
    bctx_value& value = i < values.size() ? values[i] : output;
    value.dims = dims.data();
    value.rank = static_cast<int32_t>(dims.size());
  }
  bctx_partition partition{};
  partition.struct_size = sizeof(partition);
  partition.inputs = values.data();
  partition.input_count = values.size();
  partition.outputs = &output;
  partition.output_count = 1;
  partition.attention = &attention;

  std::vector<bctx_key_value> pairs;
  for (const auto& [key, value] : options) pairs.push_back({key.c_str(), value.c_str()});
  bctx_compile_request request{};
  request.struct_size = sizeof(request);
  request.partition = &partition;
  request.target = target.c_str();
  request.options = pairs.data();
  request.option_count = pairs.size();
  request.dump_folder = dump_folder;

  bctx_blob blob{};
  blob.struct_size = sizeof(blob);
  bctx_error error{};
  error.struct_size = sizeof(error);
  Compiled out;
  out.code = compiler.compile(&request, &blob, &error);
  out.message = error.message;
  if (out.code != BCTX_OK) return out;
  out.blob.bytes.assign(blob.bytes.data, blob.bytes.data + blob.bytes.size);
  out.blob.entry = blob.entry;
  for (size_t i = 0; i < blob.option_count; ++i) {
    out.blob.options.emplace_back(blob.options[i].key, blob.options[i].value);
  }
  for (size_t i = 0; i < blob.requirement_count; ++i) {
    const bctx_requirement& requirement = blob.requirements[i];
    if (std::string(requirement.key) != "cpu.features") continue;
    out.blob.features.assign(requirement.values, requirement.values + requirement.value_count);
  }
  compiler.release_blob(&blob);
  return out;
}

int64_t Tensor::elements() const {
  int64_t count = 1;
  for (int64_t dim : dims) count *= dim;
  return count;
}

bctx_tensor Tensor::View() {
  void* data = type == kFloat ? static_cast<void*>(floats.data()) : bools.data();
  return {data, dims.data(), static_cast<int32_t>(dims.size()), type};
}

uint64_t Random::Next() {  // splitmix64
  state_ += 0x9e3779b97f4a7c15U;
  uint64_t z = state_;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
  return z ^ (z >> 31);
}

float Random::Uniform() {
  return static_cast<float>(static_cast<int64_t>(Next() >> 40) - (1 << 23)) / (1 << 23);
}

Inputs MakeInputs(const Problem& problem, Random& random, int64_t batch, int64_t queries,
                  int64_t keys, float size, const std::vector<std::vector<int64_t>>& mask_dims) {
  Inputs inputs;
  inputs.batch = batch;
  inputs.queries = queries;
  inputs.keys = keys;
  auto fill = [&](Layout layout, int64_t heads, int64_t length, int64_t head_size, float range) {
    Tensor tensor;
    tensor.dims = DimsOf(layout, batch, heads, length, head_size);
    tensor.floats.resize(static_cast<size_t>(tensor.elements()));
    for (float& x : tensor.floats) x = range * random.Uniform();
    return tensor;
  };
  inputs.q = fill(problem.q, problem.q_heads, queries, problem.qk_head_size, size);
  inputs.k = fill(problem.k, problem.kv_heads, keys, problem.qk_head_size, size);
  inputs.v = fill(problem.v, problem.kv_heads, keys, problem.v_head_size, 1);
  for (size_t i = 0; i < problem.masks.size(); ++i) {
    Tensor mask;
    mask.dims = mask_dims[i];
    const auto count = static_cast<size_t>(mask.elements());
    if (problem.masks[i] == BCTX_MASK_ADD) {
      mask.floats.resize(count);
      const float kMinusInfinity = -std::numeric_limits<float>::infinity();
      for (float& x : mask.floats) {
        const int64_t dice = random.Below(8);
        x = dice == 0 ? kMinusInfinity : dice == 1 ? -3.4028235e38F : 2 * random.Uniform();
      }
    } else {
      mask.type = kBool;
      mask.bools.resize(count);
      for (uint8_t& x : mask.bools) x = random.Below(4) != 0 ? 1 : 0;
    }
    inputs.masks.push_back(std::move(mask));
  }
  return inputs;
}

namespace {

// A tensor in (b, h, s, d) order.
std::vector<float> Dense(Layout layout, const Tensor& from, int64_t batch, int64_t heads,
                         int64_t length, int64_t head_size) {
  std::vector<float> out;
  out.reserve(from.floats.size());
  for (int64_t b = 0; b < batch; ++b) {
    for (int64_t h = 0; h < heads; ++h) {
      for (int64_t s = 0; s < length; ++s) {
        for (int64_t d = 0; d < head_size; ++d) {
          out.push_back(from.floats[static_cast<size_t>(
              PositionOf(layout, from.dims, head_size, b, h, s, d))]);
        }
      }
    }
  }
  return out;
}

// 0 .. n-1 as it is, backward, even before odd, or shuffled.
std::vector<int64_t> Order(int order, int64_t n) {
  std::vector<int64_t> indices;
  for (int64_t i = 0; i < n; ++i) indices.push_back(i);
  if (order == 1) {
    std::reverse(indices.begin(), indices.end());
  } else if (order == 2) {
    std::stable_partition(indices.begin(), indices.end(), [](int64_t i) { return i % 2 == 0; });
  } else if (order > 2) {
    Random random(static_cast<uint64_t>(order));
    for (size_t i = indices.size(); i > 1; --i) {
      std::swap(indices[i - 1],
                indices[static_cast<size_t>(random.Below(static_cast<int64_t>(i)))]);
    }
  }
  return indices;
}

template <typename Real>
class Attention {
 public:
  Attention(const Problem& problem, const Inputs& in, int order)
      : p_(problem),
        in_(in),
        q_(Dense(problem.q, in.q, in.batch, problem.q_heads, in.queries, problem.qk_head_size)),
        k_(Dense(problem.k, in.k, in.batch, problem.kv_heads, in.keys, problem.qk_head_size)),
        v_(Dense(problem.v, in.v, in.batch, problem.kv_heads, in.keys, problem.v_head_size)),
        channels_(Order(order, problem.qk_head_size)),
        keys_(Order(order, in.keys)) {}

  std::vector<Real> Compute() const {
    std::vector<Real> out;
    for (int64_t b = 0; b < in_.batch; ++b) {
      for (int64_t h = 0; h < p_.q_heads; ++h) {
        for (int64_t i = 0; i < in_.queries; ++i) Row(b, h, i, &out);
      }
    }
    return out;
  }

 private:
  int64_t KvHead(int64_t b, int64_t h) const {
    return b * p_.kv_heads + h / (p_.q_heads / p_.kv_heads);
  }
  Real Score(int64_t b, int64_t h, int64_t i, int64_t j) const;
  bool Softmax(std::vector<Real>* row) const;
  void Row(int64_t b, int64_t h, int64_t i, std::vector<Real>* out) const;

  const Problem& p_;
  const Inputs& in_;
  const std::vector<float> q_, k_, v_;
  const std::vector<int64_t> channels_, keys_;
};

template <typename Real>
Real Attention<Real>::Score(int64_t b, int64_t h, int64_t i, int64_t j) const {
  const int64_t size = p_.qk_head_size;
  const float* q = q_.data() + ((b * p_.q_heads + h) * in_.queries + i) * size;
  const float* k = k_.data() + (KvHead(b, h) * in_.keys + j) * size;
  Real s = 0;
  for (int64_t d : channels_) s += static_cast<Real>(q[d]) * static_cast<Real>(k[d]);
  s *= static_cast<Real>(p_.scale);
  if (p_.softcap > 0) {
    const Real cap = static_cast<Real>(p_.softcap);
    s = cap * std::tanh(s / cap);
  }
  for (size_t m = 0; m < in_.masks.size(); ++m) {
    const auto at = static_cast<size_t>(MaskPosition(in_.masks[m], {b, h, i, j}, p_.q_heads));
    if (p_.masks[m] == BCTX_MASK_ADD) {
      // The finite mask is a fact of float arithmetic: the sum rounds to the mask itself.
      const float addend = in_.masks[m].floats[at];
      s = std::abs(addend) > 1e30F ? static_cast<Real>(static_cast<float>(s) + addend)
                                   : s + static_cast<Real>(addend);
    } else if ((in_.masks[m].bools[at] != 0) == (p_.masks[m] == BCTX_MASK_DROP)) {
      s = static_cast<Real>(p_.fill);
    }
  }
  if (p_.causal && j > i) s = -std::numeric_limits<Real>::infinity();
  return s;
}

// In place; false: every weight is NaN, because a score is, or is plus infinity, or all are minus
// infinity.
template <typename Real>
bool Attention<Real>::Softmax(std::vector<Real>* row) const {
  Real most = -std::numeric_limits<Real>::infinity();
  for (Real s : *row) most = s > most ? s : most;
  Real sum = 0;
  for (Real& s : *row) s = std::exp(s - most);
  for (int64_t j : keys_) sum += (*row)[static_cast<size_t>(j)];
  for (Real& s : *row) s /= sum;
  return !std::isnan(sum);
}

template <typename Real>
void Attention<Real>::Row(int64_t b, int64_t h, int64_t i, std::vector<Real>* out) const {
  std::vector<Real> row(static_cast<size_t>(in_.keys));
  for (int64_t j = 0; j < in_.keys; ++j) row[static_cast<size_t>(j)] = Score(b, h, i, j);
  const bool guarded = !Softmax(&row) && p_.masked_row == BCTX_MASKED_ROW_ZERO;
  if (guarded) std::fill(row.begin(), row.end(), Real{0});
  const int64_t size = p_.v_head_size;
  const float* v = v_.data() + KvHead(b, h) * in_.keys * size;
  std::vector<Real> y(static_cast<size_t>(size), Real{0});
  for (int64_t j : keys_) {
    for (int64_t d = 0; d < size; ++d) {
      y[static_cast<size_t>(d)] += row[static_cast<size_t>(j)] * static_cast<Real>(v[j * size + d]);
    }
  }
  out->insert(out->end(), y.begin(), y.end());
}

}  // namespace

std::vector<double> Truth(const Problem& problem, const Inputs& inputs) {
  return Attention<double>(problem, inputs, 0).Compute();
}

std::vector<float> Honest(const Problem& problem, const Inputs& inputs, int order) {
  return Attention<float>(problem, inputs, order).Compute();
}

std::vector<float> ToBhsd(const Problem& problem, const Inputs& in, const std::vector<float>& y) {
  const std::vector<int64_t> dims =
      DimsOf(problem.y, in.batch, problem.q_heads, in.queries, problem.v_head_size);
  std::vector<float> out;
  out.reserve(y.size());
  for (int64_t b = 0; b < in.batch; ++b) {
    for (int64_t h = 0; h < problem.q_heads; ++h) {
      for (int64_t i = 0; i < in.queries; ++i) {
        for (int64_t d = 0; d < problem.v_head_size; ++d) {
          out.push_back(
              y[static_cast<size_t>(PositionOf(problem.y, dims, problem.v_head_size, b, h, i, d))]);
        }
      }
    }
  }
  return out;
}

Runner::Runner(const bctx_plugin& driver, const Blob& blob) : driver_(driver) {
  bctx_load_request request{};
  request.struct_size = sizeof(request);
  request.blob = {blob.bytes.data(), blob.bytes.size()};
  request.entry = blob.entry.c_str();
  bctx_error error{};
  error.struct_size = sizeof(error);
  load_code_ = driver.load(&request, &kernel_, &error);
  message_ = error.message;
}

Runner::~Runner() {
  if (kernel_ != nullptr) driver_.unload(kernel_);
}

namespace {

struct Host {
  std::vector<float> y;
  std::vector<int64_t> y_dims;
};

void* GiveOutput(bctx_run* run, size_t, const int64_t* dims, int32_t rank) {
  auto* host = static_cast<Host*>(run->host);
  host->y_dims.assign(dims, dims + rank);
  int64_t count = 1;
  for (int64_t dim : host->y_dims) count *= dim;
  // One more than needed, so that there is an address for an empty tensor.
  host->y.assign(static_cast<size_t>(count) + 1, -7777.F);
  return host->y.data();
}

void Parallel(bctx_run*, size_t count, void (*work)(void*, size_t), void* argument) {
  std::vector<std::thread> threads;
  for (size_t i = 1; i < count; ++i) threads.emplace_back(work, argument, i);
  work(argument, 0);
  for (std::thread& thread : threads) thread.join();
}

}  // namespace

std::vector<float> RunKernel(const bctx_plugin& driver, bctx_kernel* kernel, const Problem& problem,
                             Inputs& inputs, size_t threads, bctx_code* code,
                             std::string* message) {
  std::vector<bctx_tensor> tensors{inputs.q.View(), inputs.k.View(), inputs.v.View()};
  for (Tensor& mask : inputs.masks) tensors.push_back(mask.View());
  Host host;
  bctx_run run{};
  run.struct_size = sizeof(run);
  run.inputs = tensors.data();
  run.input_count = tensors.size();
  run.output_count = 1;
  run.output = GiveOutput;
  run.parallel = Parallel;
  run.threads = threads;
  run.host = &host;
  bctx_error error{};
  error.struct_size = sizeof(error);
  *code = driver.run(kernel, &run, &error);
  *message = error.message;
  if (*code != BCTX_OK) return {};
  const auto expected =
      DimsOf(problem.y, inputs.batch, problem.q_heads, inputs.queries, problem.v_head_size);
  if (host.y_dims != expected || host.y.back() != -7777.F) {
    *message = "the output has another shape or was written past its end";
    *code = BCTX_INTERNAL;
    return {};
  }
  host.y.pop_back();
  return host.y;
}

}  // namespace backendctx::cpu_attention::test
