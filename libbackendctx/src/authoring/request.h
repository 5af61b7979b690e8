// A region as a plug-in's compiler is handed it: the structs of plugin_abi.h over owned strings.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "authoring/plugin_graph.h"
#include "authoring/regions.h"
#include "backendctx/plugin_abi.h"
#include "base/os/process.h"
#include "model/flat_model.h"

namespace backendctx::authoring {

// The decoded bytes of every weight and constant of a region, in input order; empty for
// activations.
Result<std::vector<std::string>> ConstantsOf(const model::FlatModel& flat, const Region& region);

// Keeps alive everything that partition() points at, and the file of the weight table once a
// plug-in asked for it. Immovable: the C structs point into it. The flat model must outlive it.
class PartitionForPlugin {
 public:
  // `temporary_folder`: where the weight table is written.
  static Result<std::unique_ptr<PartitionForPlugin>> Make(const model::FlatModel& flat,
                                                          const Region& region,
                                                          const std::string& temporary_folder);
  const bctx_partition& partition() const { return partition_; }
  const std::string& body() const { return body_; }  // the serialised ModelProto
  // The decoded bytes of every weight and constant, in input order; empty for activations.
  const std::vector<std::string>& constants() const { return constants_; }

  PartitionForPlugin(const PartitionForPlugin&) = delete;
  PartitionForPlugin& operator=(const PartitionForPlugin&) = delete;

 private:
  PartitionForPlugin() = default;
  void FillValues(const std::vector<manifest::BoundaryValue>& from,
                  std::vector<std::vector<int64_t>>* dims, std::vector<bctx_value>* values);
  void FillWeights();
  void MakeGraph(const model::FlatModel& flat, const Region& region);
  Status WriteWeights();
  Status FillAttention(const patterns::Attention& from);
  Status FillOperand(const patterns::Operand& from, const char* role, bool output,
                     bctx_attention_operand* to) const;
  int32_t InputIndex(const std::string& name) const;

  static bctx_code GiveConstant(const bctx_partition* partition, size_t index, bctx_bytes* bytes,
                                bctx_error* error);
  static bctx_code GiveWeightFile(const bctx_partition* partition, const char** path,
                                  bctx_error* error);

  manifest::Partition source_;
  std::string temporary_folder_;
  std::string body_;
  std::vector<std::string> constants_;
  std::vector<std::vector<int64_t>> input_dims_, output_dims_;
  std::vector<bctx_value> inputs_, outputs_;
  std::vector<bctx_weight> weights_;
  std::unique_ptr<PluginGraph> graph_;
  mutable std::mutex mutex_;  // over the two below
  std::optional<os::TemporaryFolder> weight_folder_;
  std::string weight_file_;
  bctx_attention attention_{};
  bctx_partition partition_{};
};

}  // namespace backendctx::authoring
