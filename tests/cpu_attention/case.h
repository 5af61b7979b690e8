// One attention problem: how it is compiled, how it is called, what is right.
#pragma once

#include <backendctx/plugin_abi.h>

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <vector>

namespace backendctx::cpu_attention::test {

inline constexpr int32_t kFloat = 1, kBool = 9;

// Where an operand has its axes. kPacked: (b, s, h*d).
enum class Layout { kBhsd, kBshd, kSbhd, kHbsd, kBhds, kBsdh, kPacked };

bctx_attention_operand MakeOperand(Layout layout, int32_t index);
int RankOf(Layout layout);

// What is compiled.
struct Problem {
  Layout q = Layout::kBhsd, k = Layout::kBhsd, v = Layout::kBhsd, y = Layout::kBhsd;
  int64_t q_heads = 2, kv_heads = 2;
  bool heads_at_run_time = false;
  int64_t qk_head_size = 64, v_head_size = 64;
  float scale = 0.125F;
  float softcap = 0;
  bool causal = false;
  bctx_masked_row masked_row = BCTX_MASKED_ROW_ZERO;
  std::vector<bctx_mask_kind> masks;
  float fill = -std::numeric_limits<float>::infinity();  // where a bool mask drops a key
  // Declared shapes of q, k, v, masks, y in this order; one that is not there or empty is unknown.
  std::vector<std::vector<int64_t>> declared;
};

struct Blob {
  std::vector<uint8_t> bytes;
  std::string entry;
  std::vector<std::pair<std::string, std::string>> options;
  std::vector<std::string> features;  // values of the cpu.features requirement
};

struct Compiled {
  bctx_code code = BCTX_OK;
  std::string message;
  Blob blob;
};

using Options = std::vector<std::pair<std::string, std::string>>;

// Calls the compiler plug-in's table.
Compiled Compile(const bctx_plugin& compiler, const Problem& problem, const std::string& target,
                 const Options& options = {}, const char* dump_folder = nullptr);

struct Tensor {
  int32_t type = kFloat;
  std::vector<int64_t> dims;
  std::vector<float> floats;
  std::vector<uint8_t> bools;

  int64_t elements() const;
  bctx_tensor View();
};

// One call: tensors in the problem's layouts.
struct Inputs {
  int64_t batch = 1, queries = 1, keys = 1;
  Tensor q, k, v;
  std::vector<Tensor> masks;
};

// A random number source with one implementation everywhere.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15U + 1) {}
  uint64_t Next();
  int64_t Below(int64_t n) { return static_cast<int64_t>(Next() % static_cast<uint64_t>(n)); }
  float Uniform();  // [-1, 1)

 private:
  uint64_t state_;
};

// Random q, k, v of magnitude about `size`; masks of these dims (each 1 or the full extent).
Inputs MakeInputs(const Problem& problem, Random& random, int64_t batch, int64_t queries,
                  int64_t keys, float size, const std::vector<std::vector<int64_t>>& mask_dims);

// The output of attention in (b, h, s, d) order, in double.
std::vector<double> Truth(const Problem& problem, const Inputs& inputs);

// The same in three honest passes of plain float arithmetic: scores, softmax, product. The order of
// summation is free in such an implementation: 0 is forward, each other number another order.
std::vector<float> Honest(const Problem& problem, const Inputs& inputs, int order);

// Reorders a tensor of the problem's y layout to (b, h, s, d).
std::vector<float> ToBhsd(const Problem& problem, const Inputs& inputs,
                          const std::vector<float>& y);

// Calls a loaded kernel: output in the problem's y layout; code in `code`, text in `message`.
std::vector<float> RunKernel(const bctx_plugin& driver, bctx_kernel* kernel, const Problem& problem,
                             Inputs& inputs, size_t threads, bctx_code* code, std::string* message);

// A driver with one loaded blob.
class Runner {
 public:
  Runner(const bctx_plugin& driver, const Blob& blob);
  ~Runner();
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;

  bctx_code load_code() const { return load_code_; }
  const std::string& message() const { return message_; }
  std::vector<float> Run(const Problem& problem, Inputs& inputs, size_t threads, bctx_code* code) {
    return RunKernel(driver_, kernel_, problem, inputs, threads, code, &message_);
  }

  bctx_kernel* kernel() { return kernel_; }

 private:
  const bctx_plugin& driver_;
  bctx_kernel* kernel_ = nullptr;
  bctx_code load_code_ = BCTX_OK;
  std::string message_;
};

}  // namespace backendctx::cpu_attention::test
