// A model as a host shows it to a plug-in: bctx_graph and bctx_partition over owned memory.
//
// Threads: immutable after construction, but for the file of weights, which is made once.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "conformance/model.h"

namespace backendctx::conformance {

// Immovable: the C structs point into it. The model must outlive it.
class Host {
 public:
  explicit Host(const Model& model);
  ~Host();
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  const Model& model() const { return model_; }
  const bctx_graph& graph() const { return graph_; }
  // Without `attention` nothing was recognised.
  const bctx_partition& partition() const { return partition_; }
  // The weight table as one piece, and what load is handed of it (places in that piece).
  const std::string& table() const { return table_; }
  std::vector<bctx_bound_weight> BoundWeights() const;
  // A file that holds the table; made by the first call.
  std::string WeightFile() const;
  // The operands of a run: the inputs, then every constant.
  std::vector<Tensor> Operands(const std::vector<Tensor>& inputs) const;

 private:
  int32_t ValueIndex(const std::string& name, const std::map<std::string, Dims>& dims);
  void FillTable();
  const Tensor* Constant(const std::string& name) const;

  static bctx_code GiveAttribute(const bctx_graph*, size_t node, const char* name, bctx_attribute*,
                                 bctx_error*);
  static bctx_code GiveConstant(const bctx_graph*, size_t value, bctx_bytes*, bctx_error*);
  static bctx_code GiveOnnx(const bctx_graph*, int32_t form, bctx_bytes*, bctx_error*);
  static bctx_code GiveInput(const bctx_partition*, size_t input, bctx_bytes*, bctx_error*);
  static bctx_code GiveWeightFile(const bctx_partition*, const char** path, bctx_error*);

  const Model& model_;
  std::map<std::string, int32_t> value_index_;
  std::deque<Dims> dims_;
  std::deque<std::vector<int32_t>> operands_;
  std::vector<bctx_value> values_, inputs_, outputs_;
  std::vector<bctx_node> nodes_;
  std::vector<int32_t> graph_inputs_, graph_outputs_;
  std::vector<bctx_weight> weights_;
  std::string table_, onnx_[2];
  mutable std::mutex mutex_;
  mutable std::string folder_, file_;
  bctx_graph graph_{};
  bctx_partition partition_{};
};

}  // namespace backendctx::conformance
