// load and run.
#include <algorithm>
#include <cstring>
#include <thread>

#include "conformance/checks.h"

namespace backendctx::conformance {
namespace {

// What can be run here; empty with the reason said.
std::vector<Taken> Runnable(const Backend& backend, Report* report, size_t most) {
  if (backend.compiler == nullptr) {
    report->Skip("no compiler was named, so there are no blobs");
    return {};
  }
  if (backend.driver == nullptr) {
    report->Skip("no driver was named");
    return {};
  }
  std::vector<Taken> here = CompileForHere(backend, report, most);
  if (here.empty()) report->Skip("it made no blob that this machine runs");
  return here;
}

bool IsFragile(const Backend& backend) {
  return (backend.driver->flags & BCTX_PLUGIN_FRAGILE) != 0;
}

// Altered blobs are loaded and never run: the code in one may do anything.
void LoadDamaged(const Backend& backend, const Taken& taken, std::string bytes, bool is_cut,
                 Report* report) {
  Blob damaged = taken.blob;
  damaged.bytes = std::move(bytes);
  const Kernel kernel(backend, *taken.host, damaged);
  if (kernel.code != BCTX_OK) {
    ExpectFailure(report, kernel.code, kernel.error.error);
  } else if (is_cut) {
    report->Fail("a blob cut to %zu of %zu bytes was loaded", damaged.bytes.size(),
                 taken.blob.bytes.size());
  }
}

}  // namespace

void CheckNumbers(const Backend& backend, Report* report) {
  const std::vector<Taken> here = Runnable(backend, report, std::max<size_t>(12, Enough(backend)));
  size_t runs = 0;
  for (const Taken& taken : here) {
    const Kernel kernel(backend, *taken.host, taken.blob);
    const Model& model = taken.host->model();
    for (size_t shape = 0; shape < model.shapes.size(); ++shape) {
      const std::vector<Tensor> inputs = RandomInputs(model, shape);
      for (const RunOptions& options :
           {RunOptions{1, Parallel::kThreads}, RunOptions{8, Parallel::kThreads},
            RunOptions{3, Parallel::kBackwards}}) {
        report->About(taken.Name() + ", shape " + std::to_string(shape) + ", threads " +
                      std::to_string(options.threads));
        ExpectRight(report, model, inputs,
                    *RunKernel(backend, kernel, *taken.host, inputs, options));
        ++runs;
      }
    }
  }
  if (runs != 0) report->Note("%zu runs of %zu blobs", runs, here.size());
}

void CheckRuns(const Backend& backend, Report* report) {
  const std::vector<Taken> here = Runnable(backend, report, Enough(backend));
  for (const Taken& taken : here) {
    const Host& host = *taken.host;
    const size_t last = host.model().shapes.size() - 1;
    const std::vector<Tensor> inputs = RandomInputs(host.model(), last);
    auto first = std::make_unique<Kernel>(backend, host, taken.blob);
    const Kernel kernel(backend, host, taken.blob);
    const auto run = [&](const RunOptions& options) {
      return RunKernel(backend, kernel, host, inputs, options);
    };
    report->About(taken.Name() + ", no memory for outputs");
    RunOptions options;
    options.has_memory = false;
    auto done = run(options);
    ExpectFailure(report, done->code, done->error.error);
    report->About(taken.Name() + ", an input is missing");
    options = {};
    options.missing_inputs = 1;
    done = run(options);
    ExpectFailure(report, done->code, done->error.error);
    report->About(taken.Name() + ", inputs of a type that was not compiled");
    options = {};
    options.element_type = 11;  // double: the memory is shorter than it says
    done = run(options);
    ExpectFailure(report, done->code, done->error.error);
    report->About(taken.Name() + ", after runs that failed and another kernel's end");
    first.reset();
    ExpectRight(report, host.model(), inputs, *run({}));
    report->About(taken.Name() + ", by 4 threads at once");
    std::vector<std::unique_ptr<Run>> runs(8);
    std::vector<std::thread> threads;
    for (size_t t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        for (size_t i = t; i < runs.size(); i += 4) {
          const std::vector<Tensor> own = RandomInputs(host.model(), i % (last + 1));
          runs[i] = RunKernel(backend, kernel, host, own, {2, Parallel::kThreads});
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    for (size_t i = 0; i < runs.size(); ++i) {
      ExpectRight(report, host.model(), RandomInputs(host.model(), i % (last + 1)), *runs[i]);
    }
  }
  if (!here.empty()) report->Note("%zu blobs", here.size());
}

void CheckDamage(const Backend& backend, Report* report) {
  const std::vector<Taken> here = Runnable(backend, report, Enough(backend));
  // A fragile one is given few, each of which may end this process.
  const size_t most = IsFragile(backend) ? 4 : 400;
  size_t loads = 0;
  for (const Taken& taken : here) {
    const std::string& bytes = taken.blob.bytes;
    const size_t step = std::max<size_t>(1, bytes.size() / most);
    report->About(taken.Name());
    for (size_t size = 0; size < bytes.size(); size += step, ++loads) {
      LoadDamaged(backend, taken, bytes.substr(0, size), true, report);
    }
    for (size_t at = 0; at < bytes.size(); at += step, ++loads) {
      std::string flipped = bytes;
      flipped[at] = static_cast<char>(flipped[at] ^ 0xff);
      LoadDamaged(backend, taken, std::move(flipped), false, report);
    }
    LoadDamaged(backend, taken, std::string(bytes.size(), '\xff'), true, report);
    if (report->failures() > 20) return report->Fail("and so on");
  }
  if (loads != 0) report->Note("%zu altered blobs", loads);
}

}  // namespace backendctx::conformance
