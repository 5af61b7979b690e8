// One session's use of the provider, behind the C callbacks of ep.cc: looks at graphs, claims
// calls, makes their kernels, keeps the report.
//
// ONNX Runtime swallows errors of GetCapability and of CreateEp, or answers them with a session
// without this provider. So nothing here fails before Compile: what is fatal is remembered, one
// node is claimed, and its Compile fails with the message, which stops the session everywhere.
//
// Threads: ONNX Runtime makes a session on one thread; runs touch only kernel nodes.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "provider/graph_reader.h"
#include "provider/kernel_node.h"
#include "provider/plan.h"
#include "provider/report.h"

namespace backendctx::ort {

struct Apis {
  const OrtApi* ort = nullptr;
  const OrtEpApi* ep = nullptr;
  std::string version;  // ONNX Runtime's
};

class ProviderSession {
 public:
  ProviderSession(const Apis& apis, Result<ProviderOptions> options, const OrtLogger* logger);

  // The nodes of `graph` to be claimed, each alone.
  std::vector<const OrtNode*> Claim(const OrtGraph* graph);
  // The kernel of a claimed call. `graph` holds the call alone, `fused` has the ports of the run.
  Result<std::unique_ptr<KernelNode>> Compile(const OrtGraph* graph, const OrtNode* fused);
  // Tells the log and the report once all nodes were placed; later calls do nothing.
  void Finish();

 private:
  Status Prepare(const OrtGraph* graph);
  Result<std::vector<const OrtNode*>> ClaimCalls(const OrtGraph* graph);
  Result<bool> Consider(const OrtNode* node);
  Result<std::string> WhyNot(const OrtNode* node, const std::string& partition);
  Result<std::vector<const OrtNode*>> AnyNode(const OrtGraph* graph) const;
  void MarkStale(const std::string& partition, const std::string& why);
  void Note(const OrtNode* node, const std::string& partition, const std::string& why);
  Status CheckStrict() const;
  size_t CountUnproved() const;
  void WriteReport();
  void Log(OrtLoggingLevel level, const std::string& text) const;

  const Apis apis_;
  const GraphReader reader_;
  const Result<ProviderOptions> options_;
  const OrtLogger* const logger_;
  bool prepared_ = false;
  std::atomic<bool> finished_ = false;
  Status fatal_;
  std::optional<Plan> plan_;
  Observed observed_;
  std::map<std::string, size_t> call_index_;  // node and partition -> in observed_.calls
  std::string written_;                       // the report as it was last written
};

}  // namespace backendctx::ort
