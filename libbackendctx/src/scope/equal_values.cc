#include "scope/equal_values.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <optional>
#include <set>
#include <unordered_set>

#include "base/bytes.h"
#include "model/order.h"

namespace backendctx::scope {
namespace {

using model::Attribute;
using model::GraphView;
using model::Node;

bool IsRandom(const std::string& op) {
  static const std::set<std::string> kRandom = {
      "Bernoulli",        "Dropout",       "Multinomial",      "RandomNormal",
      "RandomNormalLike", "RandomUniform", "RandomUniformLike"};
  return kRandom.contains(op);
}

// Fields one behind the other, each with its length, so that no two lists give one text.
class Key {
 public:
  void Add(const std::string& text) {
    base::AppendLittle(uint64_t{text.size()}, &text_);
    text_ += text;
  }
  void Add(uint64_t number) { base::AppendLittle(number, &text_); }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

void AddTensor(const model::TensorInfo& tensor, Key* key) {
  key->Add(static_cast<uint64_t>(tensor.element_type));
  key->Add(tensor.dims.size());
  for (const int64_t dim : tensor.dims) key->Add(static_cast<uint64_t>(dim));
  key->Add(tensor.digest);
}

void AddAttribute(const Attribute& attribute, Key* key) {
  key->Add(attribute.name);
  key->Add(static_cast<uint64_t>(attribute.kind));
  key->Add(attribute.floats.size());
  for (const float value : attribute.floats) {
    uint32_t bits = 0;
    std::memcpy(&bits, &value, sizeof bits);
    key->Add(bits);
  }
  key->Add(attribute.ints.size());
  for (const int64_t value : attribute.ints) key->Add(static_cast<uint64_t>(value));
  key->Add(attribute.strings.size());
  for (const std::string& value : attribute.strings) key->Add(value);
  key->Add(attribute.canonical);
  if (attribute.tensor) AddTensor(*attribute.tensor, key);
}

class Classifier {
 public:
  Classifier(const model::ModelView& model, const GraphView& graph,
             std::unordered_map<std::string, uint64_t>* class_of)
      : graph_(graph), class_of_(*class_of) {
    local_.insert(model.local_functions.begin(), model.local_functions.end());
  }

  // Values in the order in which they were given a class.
  std::vector<std::string> Run() {
    for (const std::string& input : graph_.inputs) Set(input, Fresh());
    for (const std::string& name : graph_.initializer_order) ClassOf(name);
    for (const size_t index : Order()) AddNode(graph_.nodes[index]);
    return std::move(order_);
  }

 private:
  std::vector<size_t> Order() const {
    std::vector<std::vector<size_t>> after(graph_.nodes.size());
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      for (const std::string& output : graph_.nodes[i].outputs) {
        const auto readers = graph_.consumers.find(output);
        if (output.empty() || readers == graph_.consumers.end()) continue;
        after[i].insert(after[i].end(), readers->second.begin(), readers->second.end());
      }
    }
    return model::StableOrder(after).value_or(std::vector<size_t>());  // a cycle: no values
  }

  uint64_t Fresh() { return next_++; }

  void Set(const std::string& value, uint64_t number) {
    if (class_of_.emplace(value, number).second) order_.push_back(value);
  }

  uint64_t Intern(const Key& key) {
    return numbers_.try_emplace(key.text(), next_).second ? next_++ : numbers_.at(key.text());
  }

  // Of a value that no node of the graph makes, when it is met first: a constant, or a value of a
  // graph around this one.
  uint64_t ClassOf(const std::string& value) {
    if (const auto known = class_of_.find(value); known != class_of_.end()) return known->second;
    const std::optional<model::TensorInfo> constant = graph_.Constant(value);
    uint64_t number = 0;
    if (constant) {
      Key key;
      key.Add("constant");
      AddTensor(*constant, &key);
      number = Intern(key);
    } else {
      number = Fresh();
    }
    Set(value, number);
    return number;
  }

  // The input that the node hands on unchanged.
  std::optional<std::string> Passes(const Node& node) const {
    if (!node.domain.empty() || node.inputs.empty() || node.outputs.size() != 1) return {};
    if (node.op_type == "Identity") return node.inputs[0];
    if (node.op_type != "Cast") return {};
    const model::ValueType* type = graph_.Type(node.inputs[0]);
    const int64_t to = node.Int("to", 0);
    if (type && to != 0 && type->element_type == to) return node.inputs[0];
    return {};
  }

  bool IsPure(const Node& node) const {
    if (node.domain != "" && node.domain != "com.microsoft") return false;
    if (IsRandom(node.op_type) || local_.contains(node.domain + "::" + node.op_type) ||
        local_.contains("ai.onnx::" + node.op_type)) {
      return false;
    }
    return std::none_of(node.attributes.begin(), node.attributes.end(),
                        [](const Attribute& attribute) { return attribute.graph != nullptr; });
  }

  void AddNode(const Node& node) {
    if (model::ConstantNodeTensor(node)) {
      ClassOf(node.outputs[0]);
      return;
    }
    if (const auto passed = Passes(node)) return Set(node.outputs[0], ClassOf(*passed));
    if (!IsPure(node)) {
      for (const std::string& output : node.outputs) Set(output, Fresh());
      return;
    }
    Key key;
    key.Add("node");
    key.Add(node.domain);
    key.Add(node.op_type);
    key.Add(node.inputs.size());
    for (const std::string& input : node.inputs) {
      key.Add(input.empty() ? UINT64_MAX : ClassOf(input));
    }
    std::map<std::string, const Attribute*> sorted;
    for (const Attribute& attribute : node.attributes) sorted[attribute.name] = &attribute;
    for (const auto& [name, attribute] : sorted) AddAttribute(*attribute, &key);
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      if (node.outputs[i].empty()) continue;
      Key output = key;
      output.Add(i);
      Set(node.outputs[i], Intern(output));
    }
  }

  const GraphView& graph_;
  std::unordered_map<std::string, uint64_t>& class_of_;
  std::unordered_set<std::string> local_;
  std::unordered_map<std::string, uint64_t> numbers_;
  std::vector<std::string> order_;
  uint64_t next_ = 0;
};

}  // namespace

ValueClasses::ValueClasses(const model::ModelView& model, const model::GraphView& graph) {
  for (const std::string& value : Classifier(model, graph, &class_of_).Run()) {
    members_[class_of_.at(value)].push_back(value);
  }
}

bool ValueClasses::AreEqual(const std::string& a, const std::string& b) const {
  const auto one = class_of_.find(a), other = class_of_.find(b);
  return one != class_of_.end() && other != class_of_.end() && one->second == other->second;
}

std::vector<std::string> ValueClasses::EqualTo(const std::string& value, size_t limit) const {
  std::vector<std::string> equal;
  const auto number = class_of_.find(value);
  if (number == class_of_.end()) return equal;
  for (const std::string& member : members_.at(number->second)) {
    if (equal.size() == limit) break;
    if (member != value) equal.push_back(member);
  }
  return equal;
}

}  // namespace backendctx::scope
