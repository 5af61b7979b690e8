// A backend's functions, called as a host calls them, with what they promise copied.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "conformance/host.h"
#include "conformance/report.h"

namespace backendctx::conformance {

// One backend: a compiler and a driver, perhaps in one table. Either may be null, not both.
struct Backend {
  const bctx_plugin* compiler = nullptr;
  const bctx_plugin* driver = nullptr;
  // The one that has this, or null: offer, label, facts and judge may be in either.
  template <typename Member>
  const bctx_plugin* With(Member member) const {
    if (compiler != nullptr && compiler->*member != nullptr) return compiler;
    return driver != nullptr && driver->*member != nullptr ? driver : nullptr;
  }
  const bctx_plugin& Any() const { return compiler != nullptr ? *compiler : *driver; }
};

// Loads shared objects that hold one backend. Throws std::runtime_error with the reason.
Backend LoadBackend(const std::vector<std::string>& files);
// Members behind the table's struct_size are null. Throws when it is none of version 1.
bctx_plugin KnownTable(const bctx_plugin* table);

std::vector<std::string> ListOf(const char* const* list);
using Options = std::vector<std::pair<std::string, std::string>>;

struct Blob {
  bctx_code code = BCTX_INTERNAL;
  bctx_error error{};
  std::string bytes, entry, label, note;
  Options options;
  int32_t weights = 0;
};
Blob Compile(const Backend& backend, const Host& host, const std::string& target,
             const Options& options = {});

// The indices of nodes that the backend claims, ascending. False and a reason when it cannot take
// the whole model: only then is a backend without offers not asked to compile.
bool TakesAll(const Backend& backend, const Host& host, std::string* reason);

// A loaded kernel with everything that it was loaded from.
class Kernel {
 public:
  Kernel(const Backend& backend, const Host& host, const Blob& blob, size_t threads = 2);
  ~Kernel();
  Kernel(const Kernel&) = delete;
  Kernel& operator=(const Kernel&) = delete;

  bctx_code code = BCTX_INTERNAL;
  ErrorBuffer error;
  bctx_kernel* get() const { return kernel_; }

 private:
  const bctx_plugin& driver_;
  std::string bytes_;
  bctx_kernel* kernel_ = nullptr;
};

// One run. Outputs have guards on both sides.
struct Run {
  bctx_code code = BCTX_INTERNAL;
  ErrorBuffer error;
  std::vector<Tensor> outputs;
  std::string wrong;  // a rule of memory that was broken
};
enum class Parallel { kThreads, kBackwards };
struct RunOptions {
  size_t threads = 1;
  Parallel parallel = Parallel::kThreads;
  bool has_memory = true;     // false: the host has none for outputs
  size_t missing_inputs = 0;  // that are not passed
  int32_t element_type = kFloat;
};
std::unique_ptr<Run> RunKernel(const Backend& backend, const Kernel& kernel, const Host& host,
                               const std::vector<Tensor>& inputs, const RunOptions& options);

// Compares with the evaluation in double; relative to the largest value of each output.
void ExpectRight(Report* report, const Model& model, const std::vector<Tensor>& inputs,
                 const Run& run);

}  // namespace backendctx::conformance
