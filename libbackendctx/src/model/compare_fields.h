// The parts of a front that are compared as they are: everything but nodes and tensors. Internal to
// model.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "backendctx/status.h"
#include "model/front.h"
#include "model/visit.h"
#include "onnx/onnx_pb.h"

namespace backendctx::model {

// Corrupt: the front was edited.
Status Differs(const std::string& text);

// Everything of a graph but nodes, initializers, types and annotations.
Status CompareHeads(const onnx::GraphProto& stored, const onnx::GraphProto& front,
                    const std::string& place);

// Types and annotations. Those of values that are gone may be gone, and those of the stored graph's
// `constants`, which may have left the graph; no other.
Status CompareAbout(const onnx::GraphProto& stored, const onnx::GraphProto& front,
                    const NameSet& constants, const std::string& place);

// What is left of the model: versions, imports, metadata, functions of its own, training. Of the
// imports those of `domains`, which the front has besides, are left out. Empties both.
Status CompareModels(const NameSet& domains, onnx::ModelProto* stored, onnx::ModelProto* front);

// A legalised body as the container holds it.
struct StoredBody {
  const EncodedPartition* partition = nullptr;
  onnx::FunctionProto body;
  std::vector<std::string> operands;  // that its call passes, by the names of the stored graph
};
using StoredBodies = std::map<std::string, StoredBody>;  // by the names of their functions

// `legalised` must outlive the result.
Result<StoredBodies> ReadStoredBodies(const FlatModel& flat,
                                      const std::vector<EncodedPartition>& legalised);

// The functions of the front that have these names are the stored ones, but for the last input
// where containers are embedded.
Status CompareBodies(const StoredBodies& stored, bool is_embedded, const onnx::ModelProto& front);

}  // namespace backendctx::model
