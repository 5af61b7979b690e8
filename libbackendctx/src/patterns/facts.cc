#include "patterns/facts.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <utility>

#include "patterns/shape_rules.h"

namespace backendctx::patterns {
namespace {

using model::GraphView;
using model::Node;
using model::TensorInfo;
using model::ValueType;

constexpr char kMicrosoft[] = "com.microsoft";

template <typename T>
std::vector<T> ElementsOf(const TensorInfo& tensor) {
  std::vector<T> result(tensor.bytes.size() / sizeof(T));
  if (!result.empty()) std::memcpy(result.data(), tensor.bytes.data(), result.size() * sizeof(T));
  return result;
}

template <typename T>
void SetInts(const TensorInfo& tensor, Fact* fact) {
  const std::vector<T> elements = ElementsOf<T>(tensor);
  if (elements.size() > kMaxElements) return;
  fact->ints.emplace();
  for (const T element : elements) fact->ints->push_back(Expr(static_cast<int64_t>(element)));
}

Fact OfConstant(const TensorInfo& tensor) {
  Fact fact;
  fact.type = tensor.element_type;
  fact.ranked = true;
  fact.dims.assign(tensor.dims.begin(), tensor.dims.end());
  if (tensor.bytes.empty() && tensor.size != 0) return fact;
  if (fact.type == kInt64) SetInts<int64_t>(tensor, &fact);
  if (fact.type == kInt32) SetInts<int32_t>(tensor, &fact);
  if (fact.type == kBool) SetInts<uint8_t>(tensor, &fact);
  if (fact.type == kFloat) fact.floats = ElementsOf<float>(tensor);
  return fact;
}

}  // namespace

std::string TypeName(int32_t type) {
  static constexpr const char* kNames[] = {"not known",  "float",   "uint8",  "int8",   "uint16",
                                           "int16",      "int32",   "int64",  "string", "bool",
                                           "float16",    "double",  "uint32", "uint64", "complex64",
                                           "complex128", "bfloat16"};
  const bool named = type >= 0 && static_cast<size_t>(type) < std::size(kNames);
  return named ? kNames[type] : "type " + std::to_string(type);
}

std::string NotFloat(const Facts& facts, const std::string& value) {
  const int32_t type = facts.Of(value).type;
  if (type == kUnknownType) return "the element type of " + value + " is not known";
  return value + " is not a float tensor but " + TypeName(type);
}

bool Fact::AllUnit() const {
  return ranked && std::all_of(dims.begin(), dims.end(), [](const Expr& d) { return d.Is(1); });
}

std::vector<size_t> TopologicalOrder(const GraphView& graph) {
  std::vector<size_t> waits(graph.nodes.size(), 0), order, ready;
  for (const auto& [value, readers] : graph.consumers) {
    const auto made = graph.producer.find(value);
    if (made == graph.producer.end()) continue;
    for (const size_t reader : readers) ++waits[reader];
  }
  // Among those that could come next the first in the model's order does, so that an ordered model
  // keeps its order.
  std::vector<bool> done(graph.nodes.size(), false);
  auto release = [&](size_t node, auto&& on_ready) {
    for (const std::string& output : graph.nodes[node].outputs) {
      const auto readers = graph.consumers.find(output);
      if (output.empty() || readers == graph.consumers.end()) continue;
      for (const size_t reader : readers->second) {
        if (--waits[reader] == 0) on_ready(reader);
      }
    }
  };
  for (size_t start = 0; start < graph.nodes.size(); ++start) {
    if (waits[start] != 0 || done[start]) continue;
    ready.push_back(start);
    while (!ready.empty()) {
      const size_t node = ready.back();
      ready.pop_back();
      if (done[node]) continue;
      done[node] = true;
      order.push_back(node);
      release(node, [&](size_t reader) {
        if (reader < start) ready.push_back(reader);  // later ones are met by the outer loop
      });
    }
  }
  return order;
}

Facts::Facts(const model::ModelView& model, const GraphView& graph) : opset_(model.Opset("")) {
  for (const std::string& function : model.local_functions) {
    const bool is_default = function.rfind("ai.onnx::", 0) == 0;
    overridden_.insert(is_default ? function.substr(sizeof "ai.onnx" - 1) : function);
  }
  std::vector<const GraphView*> nest;
  for (const GraphView* at = &graph; at; at = at->parent) nest.push_back(at);
  for (auto at = nest.rbegin(); at != nest.rend(); ++at) Evaluate(**at);
}

bool Facts::IsStandard(const Node& node) const {
  return node.domain.empty() && !overridden_.count("::" + node.op_type);
}

bool Facts::IsMicrosoft(const Node& node, const char* op_type) const {
  return node.op_type == op_type && node.domain == kMicrosoft &&
         !overridden_.count(node.domain + "::" + node.op_type);
}

const Fact& Facts::Of(const std::string& value) const {
  static const Fact kUnknown;
  const auto found = facts_.find(value);
  return found == facts_.end() ? kUnknown : found->second;
}

std::optional<float> Facts::Scalar(const std::string& value) const {
  const Fact& fact = Of(value);
  if (!fact.floats || fact.floats->size() != 1 || !fact.AllUnit()) return std::nullopt;
  return fact.floats->front();
}

std::optional<std::vector<int64_t>> Facts::Ints(const std::string& value) const {
  return ConstantInts(Of(value));
}

Fact Facts::Declared(const ValueType& type, bool of_input) {
  Fact fact;
  fact.type = type.element_type;
  fact.ranked = type.has_shape;
  for (const model::Dim& dim : type.dims) {
    if (dim.value >= 0) {
      fact.dims.push_back(Expr(dim.value));
    } else {
      fact.dims.push_back(dim.symbol.empty() ? symbols_.Fresh()
                                             : symbols_.Dimension(dim.symbol, of_input));
    }
  }
  return fact;
}

// What the rules proved, completed by the declared type where that says more.
void Facts::Define(const GraphView& graph, const std::string& value, Fact fact) {
  const auto type = graph.types.find(value);
  if (type != graph.types.end()) {
    const bool of_input = !graph.producer.count(value);
    const Fact declared = Declared(type->second, of_input);
    if (fact.type == kUnknownType) fact.type = declared.type;
    if (!fact.ranked) {
      fact.ranked = declared.ranked;
      fact.dims = declared.dims;
    } else if (declared.ranked && declared.rank() == fact.rank()) {
      for (size_t i = 0; i < fact.rank(); ++i) {
        const bool more = !fact.dims[i].Constant() && declared.dims[i].Constant();
        if (more || symbols_.IsFresh(fact.dims[i])) fact.dims[i] = declared.dims[i];
      }
    }
  }
  facts_[value] = std::move(fact);
}

void Facts::EvaluateNode(const GraphView& graph, const Node& node) {
  RuleContext context{node, opset_, symbols_, {}, std::vector<Fact>(node.outputs.size())};
  for (const std::string& input : node.inputs) {
    context.inputs.push_back(input.empty() ? nullptr : &Of(input));
  }
  Rule rule = IsStandard(node) ? FindRule(node.op_type) : nullptr;
  if (IsMicrosoft(node, node.op_type.c_str())) rule = FindMicrosoftRule(node.op_type);
  if (rule && !node.outputs.empty()) rule(context);
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    if (!node.outputs[i].empty()) Define(graph, node.outputs[i], std::move(context.outputs[i]));
  }
}

void Facts::Evaluate(const GraphView& graph) {
  for (const auto& [name, tensor] : graph.initializers) {
    if (graph.Constant(name)) facts_[name] = OfConstant(tensor);
  }
  for (const std::string& input : graph.inputs) Define(graph, input, Fact());
  for (const size_t index : TopologicalOrder(graph)) {
    const Node& node = graph.nodes[index];
    if (const auto tensor = IsStandard(node) ? ConstantNodeTensor(node) : std::nullopt) {
      if (!node.Key().empty()) facts_[node.Key()] = OfConstant(*tensor);
    } else {
      EvaluateNode(graph, node);
    }
  }
}

}  // namespace backendctx::patterns
