#include "model/compare_fields.h"

#include <fmt/format.h>

#include <algorithm>

namespace backendctx::model {

using onnx::GraphProto;
using onnx::ModelProto;
using onnx::NodeProto;

Status Differs(const std::string& text) {
  return Status(
      StatusCode::kCorrupt,
      fmt::format("{}: the front is not what this package's contents give: it was edited; "
                  "restore the model and pack it again",
                  text),
      {.field = "front"});
}

// Everything of a graph but nodes, initializers, types and annotations.
Status CompareHeads(const GraphProto& stored, const GraphProto& front, const std::string& place) {
  const auto head = [](GraphProto graph) {
    graph.clear_node();
    graph.clear_initializer();
    graph.clear_value_info();
    graph.clear_quantization_annotation();
    return graph.SerializeAsString();
  };
  if (head(stored) == head(front)) return OkStatus();
  return Differs(fmt::format("name, text, inputs, outputs or metadata of {}", place));
}

// Types and annotations of values that are gone may be gone, and those of constants that have
// left the graph; no other.
Status CompareAbout(const GraphProto& stored, const GraphProto& front, const NameSet& constants,
                    const std::string& place) {
  NameSet left = Definitions(front);
  for (const NodeProto& node : front.node()) {
    left.insert(node.input().begin(), node.input().end());
  }
  for (const std::string& name : constants) left.erase(name);
  const auto compare = [&](const auto& ours, const auto& theirs, const auto& name_of) -> Status {
    int at = 0;
    for (const auto& item : ours) {
      const bool is_next =
          at < theirs.size() && theirs.Get(at).SerializeAsString() == item.SerializeAsString();
      if (is_next) {
        ++at;
      } else if (left.count(name_of(item))) {
        return Differs(
            fmt::format("type or annotation of value \"{}\" of {}", name_of(item), place));
      }
    }
    if (at == theirs.size()) return OkStatus();
    return Differs(
        fmt::format("type or annotation of value \"{}\" of {}", name_of(theirs.Get(at)), place));
  };
  BCTX_RETURN_IF_ERROR(compare(stored.value_info(), front.value_info(),
                               [](const auto& info) { return info.name(); }));
  return compare(stored.quantization_annotation(), front.quantization_annotation(),
                 [](const auto& annotation) { return annotation.tensor_name(); });
}

// What is left of the model: versions, imports, metadata, functions of its own, training.
Status CompareModels(const NameSet& domains, ModelProto* stored, ModelProto* front) {
  constexpr int64_t kMostRaised = 8;
  if (front->ir_version() != stored->ir_version()) {
    if (front->ir_version() < stored->ir_version() || front->ir_version() > kMostRaised) {
      return Differs("the IR version");
    }
    front->set_ir_version(stored->ir_version());
  }
  const auto drop = [](auto* list, const auto& is_ours) {
    list->erase(std::remove_if(list->begin(), list->end(), is_ours), list->end());
  };
  drop(front->mutable_metadata_props(),
       [](const auto& property) { return property.key() == kFrontProperty; });
  drop(front->mutable_opset_import(), [&domains](const auto& import) {
    return import.domain() == kDomain || domains.count(import.domain());
  });
  drop(front->mutable_functions(),
       [](const auto& function) { return function.domain() == kDomain; });
  stored->clear_graph();
  front->clear_graph();
  if (stored->SerializeAsString() == front->SerializeAsString()) return OkStatus();
  return Differs("producer, imports, metadata, functions or another field of the model");
}

Result<StoredBodies> ReadStoredBodies(const FlatModel& flat,
                                      const std::vector<EncodedPartition>& legalised) {
  StoredBodies bodies;
  for (const EncodedPartition& partition : legalised) {
    StoredBody& legal = bodies[partition.function];
    legal.partition = &partition;
    if (!legal.body.ParseFromString(partition.legal_body)) {
      return Status(
          StatusCode::kMalformed,
          fmt::format("partition \"{}\": its legalised body is no function", partition.id));
    }
    BCTX_ASSIGN_OR_RETURN(legal.operands, CallOperands(flat, partition));
  }
  return bodies;
}

Status CompareBodies(const StoredBodies& stored, bool is_embedded, const ModelProto& front) {
  for (onnx::FunctionProto function : front.functions()) {
    const auto expected = stored.find(function.name());
    if (function.domain() != kDomain || expected == stored.end()) continue;
    if (is_embedded && function.input_size() > 0) function.mutable_input()->RemoveLast();
    if (function.SerializeAsString() == expected->second.body.SerializeAsString()) continue;
    return Differs(fmt::format("the body of function \"{}\"", function.name()));
  }
  return OkStatus();
}

}  // namespace backendctx::model
