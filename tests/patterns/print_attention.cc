// print_attention [--json] MODEL.onnx...: what FindAttention says of each graph, for people, or one
// JSON object a region, or a candidate that was not taken, for scripts that try regions alone.
#include <fmt/format.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

#include "model/graph_view_builder.h"
#include "model/tensor_bytes.h"
#include "patterns/attention.h"

namespace backendctx::patterns {
namespace {

std::string Text(const Extent& e) {
  if (e.symbol.empty()) return fmt::to_string(e.constant);
  return e.factor == 1 ? e.symbol : fmt::format("{}*{}", e.factor, e.symbol);
}

std::string Text(const Operand& o) {
  return fmt::format("{}[{},{},{},{}]", o.value, o.axis[0], o.axis[1], o.axis[2], o.axis[3]);
}

const char* NameOf(Mask::Kind kind) {
  static constexpr const char* kNames[] = {"add", "keep", "drop"};
  return kNames[static_cast<size_t>(kind)];
}

void Print(const model::GraphView& graph, const Attention& a) {
  fmt::print("  found {}: {} nodes, heads {}/{}, sizes {}/{}, scale {}, softcap {}{}{}\n", a.form,
             a.nodes.size(), a.q_heads, a.kv_heads, a.qk_head_size, a.v_head_size, a.scale,
             a.softcap, a.causal ? ", causal" : "", a.zero_masked_rows ? ", zero rows" : "");
  fmt::print("    q {} k {} v {} y {}\n    ops", Text(a.q), Text(a.k), Text(a.v), Text(a.y));
  for (const size_t node : a.nodes) fmt::print(" {}", graph.nodes[node].op_type);
  fmt::print("\n");
  for (const Mask& mask : a.masks) {
    fmt::print("    mask {} {}", NameOf(mask.kind), mask.value);
    if (mask.kind != Mask::Kind::kAdd) fmt::print(" else {}", mask.fill);
    fmt::print("\n");
  }
  for (const InputShape& input : a.input_shapes) {
    fmt::print("    input {} (", input.value);
    for (const Extent& e : input.dims) fmt::print(" {}", Text(e));
    fmt::print(" )");
    if (input.has_values) fmt::print(" =");
    for (const Extent& e : input.values) fmt::print(" {}", Text(e));
    for (const float number : input.floats) fmt::print(" {}", number);
    fmt::print("\n");
  }
  for (const std::string& constant : a.constants) fmt::print("    constant {}\n", constant);
}

nlohmann::json ToJson(const Operand& o) {
  return {{"value", o.value}, {"axis", {o.axis[0], o.axis[1], o.axis[2], o.axis[3]}}};
}

nlohmann::json ToJson(const model::GraphView& graph, const Attention& a) {
  nlohmann::json masks = nlohmann::json::array(), inputs = nlohmann::json::array();
  for (const Mask& mask : a.masks) {
    masks.push_back(
        {{"value", mask.value}, {"kind", NameOf(mask.kind)}, {"fill", fmt::to_string(mask.fill)}});
  }
  for (const InputShape& shape : a.input_shapes) {
    nlohmann::json dims = nlohmann::json::array(), values = nlohmann::json::array();
    for (const Extent& e : shape.dims) dims.push_back({e.constant, e.symbol, e.factor});
    for (const Extent& e : shape.values) values.push_back({e.constant, e.symbol, e.factor});
    inputs.push_back({{"value", shape.value},
                      {"dims", dims},
                      {"values", values},
                      {"has_values", shape.has_values},
                      {"floats", shape.floats}});
  }
  return {{"graph", graph.path},
          {"form", a.form},
          {"nodes", a.nodes},
          {"inputs", inputs},
          {"constants", a.constants},
          {"outputs", a.outputs},
          {"q", ToJson(a.q)},
          {"k", ToJson(a.k)},
          {"v", ToJson(a.v)},
          {"y", ToJson(a.y)},
          {"q_heads", a.q_heads},
          {"kv_heads", a.kv_heads},
          {"qk_head_size", a.qk_head_size},
          {"v_head_size", a.v_head_size},
          {"scale", a.scale},
          {"softcap", a.softcap},
          {"causal", a.causal},
          {"zero_masked_rows", a.zero_masked_rows},
          {"masks", masks}};
}

// Contents of external tensors do not matter here, as none of them is small.
Result<model::TensorContents> Contents(const onnx::TensorProto& tensor) {
  if (tensor.data_location() != onnx::TensorProto::EXTERNAL) return model::InlineContents(tensor);
  BCTX_ASSIGN_OR_RETURN(const uint64_t size, model::DecodedSize(tensor));
  return model::TensorContents{size, std::string(32, '\0'), ""};
}

int Run(const char* path, bool json) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream bytes;
  bytes << file.rdbuf();
  onnx::ModelProto proto;
  if (!file || !proto.ParseFromString(bytes.str())) {
    fmt::print("{}: not a model\n", path);
    return 1;
  }
  const auto view = model::BuildView(proto, Contents);
  if (!view) {
    fmt::print("{}: {}\n", path, view.error().message());
    return 1;
  }
  for (const model::GraphView* graph : AllGraphs(*view)) {
    const AttentionReport report = FindAttention(*view, *graph);
    if (json) {
      for (const Attention& found : report.found) fmt::print("{}\n", ToJson(*graph, found).dump());
      for (const NotTaken& n : report.not_taken) {
        const nlohmann::json line = {{"not_taken", n.node}, {"op", n.op}, {"reason", n.reason}};
        fmt::print("{}\n", line.dump());
      }
      continue;
    }
    fmt::print("{} {}: {} nodes, {} found, {} not taken\n", path, graph->path, graph->nodes.size(),
               report.found.size(), report.not_taken.size());
    for (const Attention& found : report.found) Print(*graph, found);
    for (const NotTaken& n : report.not_taken) {
      fmt::print("  not taken {} ({}): {}\n", n.node, n.op, n.reason);
    }
  }
  return 0;
}

}  // namespace
}  // namespace backendctx::patterns

int main(int argc, char** argv) {
  int failures = 0;
  const bool json = argc > 1 && std::string(argv[1]) == "--json";
  for (int i = json ? 2 : 1; i < argc; ++i) failures += backendctx::patterns::Run(argv[i], json);
  return failures == 0 ? 0 : 1;
}
