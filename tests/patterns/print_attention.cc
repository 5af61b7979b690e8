// print_attention MODEL.onnx...: what FindAttention says of each graph, for people.
#include <fmt/format.h>

#include <fstream>
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

void Print(const model::GraphView& graph, const Attention& a) {
  fmt::print("  found {}: {} nodes, heads {}/{}, sizes {}/{}, scale {}, softcap {}{}{}\n", a.form,
             a.nodes.size(), a.q_heads, a.kv_heads, a.qk_head_size, a.v_head_size, a.scale,
             a.softcap, a.causal ? ", causal" : "", a.zero_masked_rows ? ", zero rows" : "");
  fmt::print("    q {} k {} v {} y {}\n    ops", Text(a.q), Text(a.k), Text(a.v), Text(a.y));
  for (const size_t node : a.nodes) fmt::print(" {}", graph.nodes[node].op_type);
  fmt::print("\n");
  for (const Mask& mask : a.masks) {
    fmt::print("    mask {} {}\n", mask.kind == Mask::Kind::kAdd ? "add" : "keep", mask.value);
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

// Contents of external tensors do not matter here, as none of them is small.
Result<model::TensorContents> Contents(const onnx::TensorProto& tensor) {
  if (tensor.data_location() != onnx::TensorProto::EXTERNAL) return model::InlineContents(tensor);
  BCTX_ASSIGN_OR_RETURN(const uint64_t size, model::DecodedSize(tensor));
  return model::TensorContents{size, std::string(32, '\0'), ""};
}

int Run(const char* path) {
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
  for (int i = 1; i < argc; ++i) failures += backendctx::patterns::Run(argv[i]);
  return failures == 0 ? 0 : 1;
}
