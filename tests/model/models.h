// Models for tests, written in ONNX's text form, and messages compared by meaning of their tensors.
#pragma once

#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "crypto/sha256.h"
#include "model/flat_model.h"
#include "model/front.h"
#include "model/structure.h"
#include "model/tensor_bytes.h"
#include "model/visit.h"
#include "onnx/defs/parser.h"
#include "onnx/onnx_pb.h"
#include "scope/partition.h"

namespace backendctx::model {

// A folder that is gone when the test ends.
class TestFolder {
 public:
  TestFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "bctx-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~TestFolder() { std::filesystem::remove_all(path_); }
  std::string operator/(const std::string& name) const { return (path_ / name).string(); }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

inline void WriteBytes(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

inline std::string ReadBytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline onnx::ModelProto FromText(const std::string& text) {
  onnx::ModelProto model;
  const auto status = onnx::OnnxParser::Parse(model, text.c_str());
  INFO(status.ErrorMessage());
  REQUIRE(status.IsOK());
  return model;
}

template <typename T>
T Value(Result<T> result) {
  INFO(result.status().message());
  REQUIRE(result.has_value());
  return std::move(*result);
}

// Raw float data start, start + 1, ...
inline onnx::TensorProto FloatTensor(const std::string& name, const std::vector<int64_t>& dims,
                                     float start) {
  onnx::TensorProto tensor;
  tensor.set_name(name);
  tensor.set_data_type(onnx::TensorProto::FLOAT);
  int64_t count = 1;
  for (const int64_t dim : dims) {
    tensor.add_dims(dim);
    count *= dim;
  }
  std::vector<float> values;
  for (int64_t i = 0; i < count; ++i) values.push_back(start + static_cast<float>(i));
  tensor.set_raw_data(values.data(), values.size() * sizeof(float));
  return tensor;
}

// A Constant node of 128 bytes.
inline onnx::NodeProto LargeConstant(const std::string& name, float start) {
  onnx::NodeProto node;
  node.set_op_type("Constant");
  node.add_output(name);
  onnx::AttributeProto* attribute = node.add_attribute();
  attribute->set_name("value");
  attribute->set_type(onnx::AttributeProto::TENSOR);
  *attribute->mutable_t() = FloatTensor("", {32}, start);
  return node;
}

inline void AddFirst(const onnx::NodeProto& node, onnx::GraphProto* graph) {
  *graph->add_node() = node;
  for (int i = graph->node_size() - 1; i > 0; --i) graph->mutable_node()->SwapElements(i, i - 1);
}

inline void AddWeights(onnx::ModelProto* model, const std::string& name,
                       const std::vector<int64_t>& dims, float start) {
  *model->mutable_graph()->add_initializer() = FloatTensor(name, dims, start);
}

inline void SetEntry(onnx::TensorProto* tensor, const std::string& key, const std::string& value) {
  auto* entry = tensor->add_external_data();
  entry->set_key(key);
  entry->set_value(value);
}

// Moves the raw data of a tensor behind what `file` holds already.
inline void MakeExternal(onnx::TensorProto* tensor, const std::string& file) {
  const std::string before = ReadBytes(file);
  WriteBytes(file, before + tensor->raw_data());
  SetEntry(tensor, "location", std::filesystem::path(file).filename().string());
  SetEntry(tensor, "offset", std::to_string(before.size()));
  SetEntry(tensor, "length", std::to_string(tensor->raw_data().size()));
  tensor->set_data_location(onnx::TensorProto::EXTERNAL);
  tensor->clear_raw_data();
}

inline FlatModel LoadProto(const onnx::ModelProto& model) {
  const TestFolder folder;
  WriteBytes(folder / "m.onnx", model.SerializeAsString());
  return Value(FlatModel::Load(folder / "m.onnx", {}));
}

inline FlatModel LoadText(const std::string& text) { return LoadProto(FromText(text)); }

inline onnx::ModelProto Parsed(const std::string& bytes) {
  onnx::ModelProto model;
  REQUIRE(model.ParseFromString(bytes));
  return model;
}

// Every tensor inside, in raw data: what remains differs only where models differ.
inline onnx::ModelProto WithRawTensors(onnx::ModelProto model, const std::string& folder = "") {
  const Status status =
      VisitTensors(&model, [&](onnx::TensorProto* tensor, const std::string&) -> Status {
        if (tensor->data_location() == onnx::TensorProto::EXTERNAL) {
          std::map<std::string, std::string> entries;
          for (const auto& e : tensor->external_data()) entries[e.key()] = e.value();
          const std::string file = ReadBytes(folder + "/" + entries["location"]);
          const uint64_t offset = entries.count("offset") ? std::stoull(entries["offset"]) : 0;
          BCTX_ASSIGN_OR_RETURN(const uint64_t size, DecodedSize(*tensor));
          tensor->set_raw_data(file.substr(offset, size));
          tensor->clear_external_data();
          tensor->clear_data_location();
          return OkStatus();
        }
        BCTX_ASSIGN_OR_RETURN(std::string bytes, DecodeInline(*tensor));
        const std::string name = tensor->name(), doc = tensor->doc_string();
        tensor->clear_float_data();
        tensor->clear_int32_data();
        tensor->clear_int64_data();
        tensor->clear_double_data();
        tensor->clear_uint64_data();
        tensor->clear_string_data();
        tensor->set_raw_data(std::move(bytes));
        return OkStatus();
      });
  INFO(status.message());
  REQUIRE(status.ok());
  return model;
}

// A lookup over the contents of a loaded model: the container's part in these tests.
inline ContentLookup LookupOf(const FlatModel& flat) {
  auto contents = std::make_shared<std::map<Digest, std::string>>();
  for (const TensorContent& content : flat.tensors()) {
    std::string bytes;
    REQUIRE(content
                .source([&](std::span<const uint8_t> piece) {
                  bytes.append(base::AsText(piece));
                  return OkStatus();
                })
                .ok());
    REQUIRE(bytes.size() == content.size);
    REQUIRE(crypto::Sha256(std::string_view(bytes)) == content.digest);
    (*contents)[content.digest] = bytes;
  }
  return [contents](const Digest& digest, const BytesSink& sink) -> Status {
    const auto found = contents->find(digest);
    if (found == contents->end()) return Status(StatusCode::kNotFound, "no content");
    return sink(base::AsBytes(found->second));
  };
}

// The contents one behind the other in one file, as a container would have them.
struct TestContainer {
  std::string bytes = std::string(64, '\0');
  std::map<Digest, Placement> placements;

  explicit TestContainer(const FlatModel& flat) {
    const ContentLookup lookup = LookupOf(flat);
    for (const TensorContent& content : flat.tensors()) {
      placements[content.digest] = {bytes.size(), content.size};
      REQUIRE(lookup(content.digest, [this](std::span<const uint8_t> piece) {
                bytes.append(base::AsText(piece));
                return OkStatus();
              }).ok());
      bytes.resize((bytes.size() + 63) / 64 * 64);
    }
  }
  Layout layout() const {
    return [this](const Digest& digest) -> std::optional<Placement> {
      const auto found = placements.find(digest);
      if (found == placements.end()) return std::nullopt;
      return found->second;
    };
  }
};

inline FrontTag TestTag(Encoding encoding = Encoding::kFunction) {
  FrontTag tag;
  tag.container = "m-0123456789ab.bctx";
  tag.manifest.bytes.fill(7);
  tag.encoding = encoding;
  return tag;
}

inline const GraphView& GraphAt(const ModelView& view, const std::string& path) {
  for (const GraphView* graph : AllGraphs(view)) {
    if (graph->path == path) return *graph;
  }
  FAIL("no graph " << path);
  return view.graph;
}

// The partition that the nodes with these keys span.
inline EncodedPartition PartitionOf(const FlatModel& flat, const std::string& id,
                                    const std::string& path, const std::vector<std::string>& keys) {
  const GraphView& graph = GraphAt(flat.view(), path);
  std::vector<size_t> nodes;
  for (const std::string& key : keys) nodes.push_back(graph.producer.at(key));
  const scope::Partition span = Value(scope::Span(graph, nodes));
  EncodedPartition partition;
  partition.id = id;
  partition.graph_path = path;
  partition.function = "Context_" + id;
  for (const size_t node : span.nodes) partition.nodes.push_back(graph.nodes[node].Key());
  partition.activations = span.activations;
  partition.weights = span.weights;
  partition.constants = span.constants;
  partition.outputs = span.outputs;
  if (const Result<std::vector<std::string>> operands = CallOperands(flat, partition)) {
    std::erase_if(partition.constants, [&operands](const std::string& constant) {
      return std::find(operands->begin(), operands->end(), constant) == operands->end();
    });
  }
  partition.structure_digest = Value(StructureDigest(
      flat.view(), graph,
      {span.nodes, span.activations, span.outputs, partition.weights, partition.constants}));
  return partition;
}

}  // namespace backendctx::model
