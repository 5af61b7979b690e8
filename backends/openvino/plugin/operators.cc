#include "plugin/operators.h"

#include <cstring>
#include <string_view>
#include <unordered_map>

namespace backendctx::openvino {
namespace {

// The newest operator set of ONNX whose operators were tried.
constexpr int64_t kNewestOpset = 28;
// Before it some operators had other defaults, and few models are of it.
constexpr int64_t kOldestOpset = 11;

// Why a node of a known operator is not taken after all; empty: it is.
using Check = std::string (*)(const NodeJudge&, size_t);

// onnx TensorProto.DataType.
enum Type : int32_t {
  kFloat = 1,
  kUint8 = 2,
  kInt8 = 3,
  kInt32 = 6,
  kInt64 = 7,
  kString = 8,
  kBool = 9,
  kFloat16 = 10,
  kDouble = 11,
  kUint4 = 21,
  kInt4 = 22
};

bctx_attribute Attribute(const bctx_graph& graph, size_t node, const char* name) {
  bctx_attribute attribute{};
  attribute.struct_size = sizeof(attribute);
  bctx_error error{};
  error.struct_size = sizeof(error);
  if (graph.attribute(&graph, node, name, &attribute, &error) != BCTX_OK) attribute.count = 0;
  return attribute;
}

int64_t IntOf(const bctx_graph& graph, size_t node, const char* name, int64_t otherwise) {
  const bctx_attribute found = Attribute(graph, node, name);
  return found.kind == BCTX_ATTRIBUTE_INTS && found.count > 0 ? found.ints[0] : otherwise;
}

std::string CheckAttention(const NodeJudge& judge, size_t node) {
  const bctx_graph& graph = judge.graph();
  if (IntOf(graph, node, "left_window_size", -1) != -1 ||
      IntOf(graph, node, "right_window_size", -1) != -1) {
    return "OpenVINO ignores the window of an Attention";
  }
  const bctx_node& attention = graph.nodes[node];
  if (attention.output_count > 3 && attention.outputs[3] >= 0) {
    return "OpenVINO gives other scores than qk_matmul_output_mode asks for";
  }
  return "";
}

std::string RefuseRotary(const NodeJudge&, size_t) {
  return "OpenVINO compiles a RotaryEmbedding rightly, and the blob that it exports imports as a "
         "graph that gives other results";
}

std::string RefuseTensorScatter(const NodeJudge&, size_t) {
  return "OpenVINO has no TensorScatter";
}

std::string RefuseFlexAttention(const NodeJudge&, size_t) {
  return "OpenVINO has no FlexAttention";
}

// What the scale and zero point are is folded into the weights.
std::string CheckQuantised(const NodeJudge& judge, size_t node) {
  if (!judge.IsConstant(node, 1)) return "its scale is not a constant";
  if (judge.Input(node, 2) != nullptr && !judge.IsConstant(node, 2)) {
    return "its zero point is not a constant";
  }
  return "";
}

std::string CheckAxes(const NodeJudge& judge, size_t node) {
  if (judge.Input(node, 1) == nullptr || judge.IsConstant(node, 1)) return "";
  return "its axes are known only at run time";
}

std::string CheckSeveral(const NodeJudge& judge, size_t node) {
  return judge.graph().nodes[node].input_count > 1 ? "" : "of one input it computes nothing";
}

struct Known {
  int64_t oldest = kOldestOpset, newest = kNewestOpset;
  Check check = nullptr;
};

using Operators = std::unordered_map<std::string_view, Known>;

const Operators& OnnxOperators() {
  static const Operators table = [] {
    Operators made;
    for (const char* name : {"Abs",
                             "Add",
                             "And",
                             "Cast",
                             "Ceil",
                             "Clip",
                             "Concat",
                             "ConstantOfShape",
                             "Conv",
                             "Cos",
                             "Div",
                             "Elu",
                             "Equal",
                             "Erf",
                             "Exp",
                             "Expand",
                             "Flatten",
                             "Floor",
                             "Gather",
                             "GatherElements",
                             "GatherND",
                             "Gelu",
                             "Gemm",
                             "GlobalAveragePool",
                             "Greater",
                             "GreaterOrEqual",
                             "HardSigmoid",
                             "HardSwish",
                             "Identity",
                             "InstanceNormalization",
                             "IsNaN",
                             "LayerNormalization",
                             "LeakyRelu",
                             "Less",
                             "LessOrEqual",
                             "Log",
                             "LogSoftmax",
                             "MatMul",
                             "Mul",
                             "Neg",
                             "Not",
                             "Or",
                             "PRelu",
                             "Pow",
                             "RMSNormalization",
                             "Range",
                             "Reciprocal",
                             "ReduceMean",
                             "ReduceMin",
                             "ReduceSum",
                             "Relu",
                             "Reshape",
                             "Shape",
                             "Sigmoid",
                             "Sign",
                             "Sin",
                             "Slice",
                             "Softmax",
                             "Softplus",
                             "Split",
                             "Sqrt",
                             "Sub",
                             "Swish",
                             "Tanh",
                             "Transpose",
                             "Trilu",
                             "Where",
                             "Xor"}) {
      made[name] = {};
    }
    made["Attention"].check = CheckAttention;
    for (const char* name : {"Max", "Min", "Sum"}) made[name].check = CheckSeveral;
    made["Squeeze"].check = CheckAxes;
    made["Unsqueeze"].check = CheckAxes;
    made["DequantizeLinear"].check = CheckQuantised;
    made["QuantizeLinear"].check = CheckQuantised;
    made["RotaryEmbedding"].check = RefuseRotary;
    made["TensorScatter"].check = RefuseTensorScatter;
    // What exporters of a runtime write in the default domain.
    made["SimplifiedLayerNormalization"] = {};
    return made;
  }();
  return table;
}

const Operators& RuntimeOperators() {
  static const Operators table = {{"FusedMatMul", {1, 1}},
                                  {"MatMulNBits", {1, 1}},
                                  {"RotaryEmbedding", {1, 1, RefuseRotary}},
                                  {"SkipSimplifiedLayerNormalization", {1, 1}}};
  return table;
}

const Operators& PreviewOperators() {
  static const Operators table = {{"FlexAttention", {1, 1, RefuseFlexAttention}}};
  return table;
}

const Operators* OperatorsOf(std::string_view domain) {
  if (domain.empty() || domain == "ai.onnx") return &OnnxOperators();
  if (domain == "com.microsoft") return &RuntimeOperators();
  if (domain == "ai.onnx.preview") return &PreviewOperators();
  return nullptr;
}

bool IsTaken(int32_t type, bool may_be_packed) {
  switch (type) {
    case kFloat:
    case kUint8:
    case kInt8:
    case kInt32:
    case kInt64:
    case kBool:
    case kFloat16:
      return true;
    case kUint4:
    case kInt4:
      return may_be_packed;
    default:
      return false;
  }
}

std::string CheckValue(const bctx_value& value, bool may_be_packed) {
  const std::string name = std::string("'") + value.name + "'";
  if (value.element_type == 0) return "the type of " + name + " is not known";
  if (value.element_type == kDouble) {
    return name + " is of 64-bit floats, which OpenVINO computes in 32 bits";
  }
  if (!IsTaken(value.element_type, may_be_packed)) {
    return name + " is of element type " + std::to_string(value.element_type) +
           ", which was not tried";
  }
  if (value.rank < 0) return "the rank of " + name + " is known only at run time";
  return "";
}

}  // namespace

NodeJudge::NodeJudge(const bctx_graph& graph)
    : graph_(graph), is_computed_(graph.value_count, false) {
  for (size_t i = 0; i < graph.input_count; ++i) is_computed_[graph.inputs[i]] = true;
  for (size_t i = 0; i < graph.node_count; ++i) {
    for (size_t k = 0; k < graph.nodes[i].output_count; ++k) {
      const int32_t output = graph.nodes[i].outputs[k];
      if (output >= 0) is_computed_[output] = true;
    }
  }
}

const bctx_value* NodeJudge::Input(size_t node, size_t index) const {
  const bctx_node& of = graph_.nodes[node];
  if (index >= of.input_count || of.inputs[index] < 0) return nullptr;
  return &graph_.values[of.inputs[index]];
}

bool NodeJudge::IsConstant(size_t node, size_t index) const {
  const bctx_node& of = graph_.nodes[node];
  return Input(node, index) != nullptr && !is_computed_[of.inputs[index]];
}

std::string NodeJudge::CheckValues(size_t index) const {
  const bctx_node& node = graph_.nodes[index];
  const bool is_dequantizer = std::strcmp(node.op_type, "DequantizeLinear") == 0;
  for (size_t i = 0; i < node.input_count; ++i) {
    if (node.inputs[i] < 0) continue;
    const bool may_be_packed = is_dequantizer && IsConstant(index, i);
    std::string why = CheckValue(graph_.values[node.inputs[i]], may_be_packed);
    if (!why.empty()) return why;
  }
  for (size_t i = 0; i < node.output_count; ++i) {
    if (node.outputs[i] < 0) continue;
    std::string why = CheckValue(graph_.values[node.outputs[i]], false);
    if (!why.empty()) return why;
  }
  return "";
}

std::string NodeJudge::WhyRefused(size_t index) const {
  const bctx_node& node = graph_.nodes[index];
  if (node.has_graph != 0) return "it holds a graph of its own";
  const Operators* table = OperatorsOf(node.domain);
  const auto known = table == nullptr ? Operators::const_iterator() : table->find(node.op_type);
  if (table == nullptr || known == table->end()) return "the operator was not tried";
  const auto& [oldest, newest, check] = known->second;
  if (node.version < oldest || node.version > newest) {
    return "operator set " + std::to_string(node.version) + " was not tried, " +
           std::to_string(oldest) + " to " + std::to_string(newest) + " were";
  }
  if (check != nullptr) {
    std::string why = check(*this, index);
    if (!why.empty()) return why;
  }
  return CheckValues(index);
}

}  // namespace backendctx::openvino
