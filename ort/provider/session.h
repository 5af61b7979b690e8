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
#include <set>
#include <string>
#include <vector>

#include "provider/flat_graph.h"
#include "provider/graph_reader.h"
#include "provider/handoff.h"
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
  // `report`: where the report goes, known even when the options are in error; empty: nowhere.
  // `handoff`: of a session of ours, which has made the plan; null: nobody has.
  ProviderSession(const Apis& apis, Result<ProviderOptions> options, std::string report,
                  const OrtLogger* logger, std::shared_ptr<Handoff> handoff);

  // Sets of nodes of `graph` to be claimed, each to become one: calls, or regions of a flat graph.
  std::vector<std::vector<const OrtNode*>> Claim(const OrtGraph* graph);
  // The kernel of what was claimed. `graph` holds those nodes alone, `fused` has the ports of the
  // run.
  Result<std::unique_ptr<KernelNode>> Compile(const OrtGraph* graph, const OrtNode* fused);
  // Tells the log and the report once all nodes were placed; later calls do nothing.
  void Finish();

 private:
  Status Prepare(const OrtGraph* graph);
  using NodeSets = std::vector<std::vector<const OrtNode*>>;
  Result<NodeSets> ClaimCalls(const OrtGraph* graph);
  Result<bool> Consider(const OrtNode* node);
  Result<std::string> WhyNot(const OrtNode* node, const std::string& partition);
  Result<NodeSets> AnyNode(const OrtGraph* graph) const;
  Result<std::unique_ptr<KernelNode>> MakeKernel(const package::LoadedContext& loaded,
                                                 std::string name, const CallPorts& ports,
                                                 const OrtNode* fused);

  // Of partitions that are no calls (regions.cc).
  struct Taken {
    std::set<const OrtNode*> nodes;
    std::vector<std::set<size_t>> places;  // of each region
  };
  Status ClaimRegions(const OrtGraph* graph, NodeSets* claimed);
  bool IsGraph(const FlatGraph& flat, const std::string& path) const;
  std::vector<std::string> OtherNamesOf(const manifest::Partition& partition,
                                        const manifest::BoundaryValue& value);
  Result<FlatRegion> FindRegion(const FlatGraph& flat, const package::LoadedContext& loaded,
                                const Taken& taken);
  Result<std::string> WhyNotRegion(const FlatGraph& flat, const FlatRegion& region,
                                   const package::LoadedContext& loaded, const Taken& taken);
  Result<std::unique_ptr<KernelNode>> CompileRegion(const std::vector<const OrtNode*>& nodes,
                                                    const OrtNode* fused);
  void NoteRegion(const package::LoadedContext& loaded, const FlatRegion& region);
  void Observe(const std::string& partition, const std::string& context, const std::string& reason);
  void JudgeRegions();
  void MarkStale(const std::string& partition, const std::string& why);
  void Note(const OrtNode* node, const std::string& partition, const std::string& why);
  Status CheckStrict() const;
  size_t CountUnproved() const;
  void WriteReport();
  void Tell();
  void Log(OrtLoggingLevel level, const std::string& text) const;

  const Apis apis_;
  const GraphReader reader_;
  const Result<ProviderOptions> options_;
  const std::string report_;
  const OrtLogger* const logger_;
  const std::shared_ptr<Handoff> handoff_;
  bool prepared_ = false;
  bool waits_ = false;  // a call was met whose body is to be looked into
  std::atomic<bool> finished_ = false;
  Status fatal_;
  std::optional<Plan> plan_;
  Observed observed_;
  std::map<std::string, size_t> call_index_;  // node and partition -> in observed_.calls
  // Of regions: what the nodes of each are known by, what became of each partition that was looked
  // for ("": it was found), and the decisions before ONNX Runtime was asked.
  struct ClaimedRegion {
    const package::LoadedContext* loaded = nullptr;
    std::vector<std::string> inputs, outputs;  // names, in the partition's order; "": not read
  };
  std::map<std::string, ClaimedRegion> claimed_regions_;
  std::map<std::string, std::string> lost_;
  std::vector<Decision> decided_;
  std::string written_;  // the report as it was last written
};

}  // namespace backendctx::ort
