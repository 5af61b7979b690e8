// Kernels against guard pages: every tensor lies flush against a page that may not be touched, once
// behind it and once before it. A kernel that reaches past a tensor kills this program.
#include <sys/mman.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <memory>

#include "cpu_attention/check.h"
#include "cpu_attention/compiler_plugin.h"
#include "driver/driver.h"

namespace backendctx::cpu_attention::test {
namespace {

class Guarded {
 public:
  Guarded(size_t bytes, bool at_end) {
    const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    inside_ = (bytes + page - 1) / page * page;
    span_ = inside_ + 2 * page;
    base_ = static_cast<char*>(mmap(nullptr, span_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (base_ == MAP_FAILED) throw std::bad_alloc();
    if (inside_ != 0) mprotect(base_ + page, inside_, PROT_READ | PROT_WRITE);
    data_ = base_ + page + (at_end ? inside_ - bytes : 0);
  }
  ~Guarded() { munmap(base_, span_); }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;

  char* data() { return data_; }

 private:
  char *base_, *data_;
  size_t inside_, span_;
};

struct Host {
  bool at_end;
  std::unique_ptr<Guarded> y;
  size_t floats = 0;
};

void* GiveOutput(bctx_run* run, size_t, const int64_t* dims, int32_t rank) {
  auto* host = static_cast<Host*>(run->host);
  host->floats = 1;
  for (int32_t i = 0; i < rank; ++i) host->floats *= static_cast<size_t>(dims[i]);
  host->y = std::make_unique<Guarded>(host->floats * 4, host->at_end);
  return host->y->data();
}

std::vector<float> RunGuarded(bctx_kernel* kernel, Inputs& inputs, bool at_end) {
  std::vector<Tensor*> tensors{&inputs.q, &inputs.k, &inputs.v};
  for (Tensor& mask : inputs.masks) tensors.push_back(&mask);
  std::vector<std::unique_ptr<Guarded>> memory;
  std::vector<bctx_tensor> views;
  for (Tensor* tensor : tensors) {
    bctx_tensor view = tensor->View();
    const size_t bytes =
        static_cast<size_t>(tensor->elements()) * (tensor->type == kFloat ? 4U : 1U);
    memory.push_back(std::make_unique<Guarded>(bytes, at_end));
    if (bytes != 0) std::memcpy(memory.back()->data(), view.data, bytes);
    view.data = memory.back()->data();
    views.push_back(view);
  }
  Host host{at_end, nullptr};
  bctx_run run{};
  run.struct_size = sizeof(run);
  run.inputs = views.data();
  run.input_count = views.size();
  run.output_count = 1;
  run.output = GiveOutput;
  run.threads = 1;
  run.host = &host;
  bctx_error error{};
  error.struct_size = sizeof(error);
  REQUIRE(DriverPlugin()->run(kernel, &run, &error) == BCTX_OK);
  std::vector<float> y(host.floats);
  std::memcpy(y.data(), host.y->data(), y.size() * 4);
  return y;
}

Problem WithLayout(Layout layout, bool causal, std::vector<bctx_mask_kind> masks) {
  Problem problem;
  problem.q = problem.k = problem.v = problem.y = layout;
  problem.kv_heads = 1;
  problem.qk_head_size = 40;
  problem.v_head_size = 32;
  problem.causal = causal;
  problem.masks = std::move(masks);
  return problem;
}

}  // namespace

TEST_CASE("a kernel touches nothing outside its tensors", "[run]") {
  const int64_t lengths[] = {1, 2, 5, 7, 8, 9, 15, 17, 24, 25, 33, 49, 65, 97};
  const Layout layouts[] = {Layout::kPacked, Layout::kBhsd, Layout::kBhds, Layout::kBsdh};
  for (const char* target : {"x86-64-v4", "x86-64-v3", "aarch64"}) {
    for (int form = 0; form < 8; ++form) {
      std::vector<bctx_mask_kind> masks;
      if (form % 4 == 1) masks = {BCTX_MASK_ADD};
      if (form % 4 == 2) masks = {BCTX_MASK_KEEP};
      const Problem problem = WithLayout(layouts[form / 2], form % 4 == 3, masks);
      const Compiled compiled =
          Compile(CompilerPlugin(), problem, target, {{"kv-block", "24"}, {"q-tiles", "2"}});
      REQUIRE(compiled.message == "");
      Runner runner(*DriverPlugin(), compiled.blob);
      if (runner.load_code() == BCTX_INCOMPATIBLE) continue;
      Random random(static_cast<uint64_t>(form));
      for (int64_t queries : lengths) {
        const int64_t keys = lengths[random.Below(14)];
        const int64_t rows = random.Below(2) == 0 ? 1 : queries;
        Inputs inputs = MakeInputs(problem, random, 1, queries, keys, 1, {{1, 1, rows, keys}});
        for (bool at_end : {true, false}) {
          INFO(target << ", " << Describe(problem) << ", " << Describe(inputs));
          CHECK(Check(problem, inputs, RunGuarded(runner.kernel(), inputs, at_end)) == "");
        }
      }
    }
  }
}

}  // namespace backendctx::cpu_attention::test
