#include "authoring/compare_models.h"

#include <algorithm>
#include <set>

#include "base/text.h"
#include "fmt/format.h"

namespace backendctx::authoring {
namespace {

using model::Attribute;
using model::GraphView;
using model::Node;
using model::TensorInfo;

std::string Quoted(const std::string& text) { return "'" + base::Printable(text, 80) + "'"; }

std::string Place(const GraphView& graph) {
  return graph.path.empty() ? "" : " of graph " + Quoted(graph.path);
}

std::string CompareNames(const std::string& what, const std::vector<std::string>& a,
                         const std::vector<std::string>& b) {
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    if (a[i] != b[i]) return fmt::format("{} {}: {} and {}", what, i, Quoted(a[i]), Quoted(b[i]));
  }
  return a.size() == b.size() ? "" : fmt::format("{}s: {} and {}", what, a.size(), b.size());
}

bool SameType(const model::ValueType* a, const model::ValueType* b) {
  if (a == nullptr || b == nullptr) return a == b;
  return a->element_type == b->element_type && a->has_shape == b->has_shape && a->dims == b->dims;
}

std::string CompareTypes(const GraphView& a, const GraphView& b,
                         const std::vector<std::string>& values, const std::string& what) {
  for (const std::string& value : values) {
    if (!SameType(a.Type(value), b.Type(value))) {
      return fmt::format("{} {}: two types or shapes", what, Quoted(value));
    }
  }
  return "";
}

bool SameTensor(const TensorInfo& a, const TensorInfo& b) {
  return a.element_type == b.element_type && a.dims == b.dims && a.digest == b.digest;
}

// Graphs of attributes are walked with all others.
bool SameAttribute(const Attribute& a, const Attribute& b) {
  if (a.kind != b.kind || a.ints != b.ints || a.strings != b.strings ||
      a.canonical != b.canonical) {
    return false;
  }
  const auto same_bits = [](float x, float y) { return x == y || (x != x && y != y); };
  if (!std::equal(a.floats.begin(), a.floats.end(), b.floats.begin(), b.floats.end(), same_bits)) {
    return false;
  }
  if (!a.tensor || !b.tensor) return !a.tensor == !b.tensor;
  return SameTensor(*a.tensor, *b.tensor);
}

std::string CompareNodes(const Node& a, const Node& b, const std::string& place) {
  const std::string name = "node " + Quoted(a.Key()) + place;
  if (a.op_type != b.op_type || a.domain != b.domain) {
    return fmt::format("{}: operator {} and {}", name, Quoted(a.op_type), Quoted(b.op_type));
  }
  if (std::string text = CompareNames("input", a.inputs, b.inputs); !text.empty()) {
    return name + ": " + text;
  }
  if (std::string text = CompareNames("output", a.outputs, b.outputs); !text.empty()) {
    return name + ": " + text;
  }
  std::set<std::string> names;
  for (const Node* node : {&a, &b}) {
    for (const Attribute& attribute : node->attributes) names.insert(attribute.name);
  }
  for (const std::string& attribute : names) {
    const Attribute* x = a.Find(attribute);
    const Attribute* y = b.Find(attribute);
    if (x == nullptr || y == nullptr || !SameAttribute(*x, *y)) {
      return fmt::format("{}: attribute {}", name, Quoted(attribute));
    }
  }
  return "";
}

std::string CompareTensors(const GraphView& a, const GraphView& b) {
  const std::set<std::string> x(a.initializer_order.begin(), a.initializer_order.end());
  const std::set<std::string> y(b.initializer_order.begin(), b.initializer_order.end());
  for (const std::set<std::string>* names : {&x, &y}) {
    for (const std::string& name : *names) {
      if (!x.contains(name) || !y.contains(name)) {
        return fmt::format("initializer {}{}: only one has it", Quoted(name), Place(a));
      }
      if (!SameTensor(a.initializers.at(name), b.initializers.at(name))) {
        return fmt::format("initializer {}{}: two types, shapes or values", Quoted(name), Place(a));
      }
    }
  }
  return "";
}

std::string CompareGraphs(const GraphView& a, const GraphView& b) {
  const std::string place = Place(a);
  if (a.path != b.path) return fmt::format("graphs {} and {}", Quoted(a.path), Quoted(b.path));
  std::string text = CompareNames("input", a.inputs, b.inputs);
  if (text.empty()) text = CompareNames("output", a.outputs, b.outputs);
  if (text.empty()) text = CompareTypes(a, b, a.inputs, "input");
  if (!text.empty()) return text + place;
  for (size_t i = 0; i < std::min(a.nodes.size(), b.nodes.size()); ++i) {
    text = CompareNodes(a.nodes[i], b.nodes[i], place);
    if (!text.empty()) return text;
  }
  if (a.nodes.size() != b.nodes.size()) {
    return fmt::format("{} and {} nodes{}", a.nodes.size(), b.nodes.size(), place);
  }
  text = CompareTensors(a, b);
  return text.empty() ? CompareTypes(a, b, a.outputs, "output") : text;
}

}  // namespace

std::string FirstDifference(const model::ModelView& a, const model::ModelView& b) {
  std::set<std::string> domains;
  for (const model::ModelView* view : {&a, &b}) {
    for (const auto& [domain, version] : view->opsets) domains.insert(domain);
  }
  for (const std::string& domain : domains) {
    if (a.Opset(domain) != b.Opset(domain)) {
      return fmt::format("opset of {}: {} and {}", Quoted(domain), a.Opset(domain),
                         b.Opset(domain));
    }
  }
  const std::vector<const GraphView*> x = model::AllGraphs(a), y = model::AllGraphs(b);
  for (size_t i = 0; i < std::min(x.size(), y.size()); ++i) {
    if (std::string text = CompareGraphs(*x[i], *y[i]); !text.empty()) return text;
  }
  if (x.size() != y.size()) return fmt::format("{} and {} graphs", x.size(), y.size());
  return a.local_functions == b.local_functions ? "" : "functions of the model's own";
}

}  // namespace backendctx::authoring
