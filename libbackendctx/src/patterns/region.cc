#include "patterns/region.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <unordered_map>
#include <unordered_set>

#include "patterns/scores.h"

namespace backendctx::patterns {
namespace {

using model::GraphView;
using model::Node;

constexpr size_t kMaxHelpers = 256;

class Closure {
 public:
  Closure(const GraphView& graph, const Facts& facts, const Core& core)
      : graph_(graph), facts_(facts), core_(core), nodes_(core.nodes) {}

  std::optional<Region> Run(Leak* leak) {
    if (!TakeReaders(leak) || !OperandsAreOutside(leak)) return std::nullopt;
    TakeMakers();
    if (!IsAcyclic(leak)) return std::nullopt;
    return Finish();
  }

 private:
  bool IsOperand(const std::string& value) const {
    return std::find(core_.operands.begin(), core_.operands.end(), value) != core_.operands.end();
  }

  bool MadeInside(const std::string& value) const {
    const auto made = graph_.producer.find(value);
    return made != graph_.producer.end() && nodes_.count(made->second) > 0;
  }

  // Every reader of a value made inside (but y) must be inside: shape arithmetic can be taken in,
  // and then its own readers must be inside.
  bool TakeReaders(Leak* leak) {
    struct Made {
      std::string value, origin;  // the value of the core that it was computed from
    };
    std::vector<Made> pending;
    for (const size_t index : core_.nodes) {
      for (const std::string& output : graph_.nodes[index].outputs) {
        if (!output.empty() && output != core_.y) pending.push_back({output, output});
      }
    }
    while (!pending.empty()) {
      const Made made = pending.back();
      pending.pop_back();
      if (graph_.is_output.count(made.value)) {
        *leak = {made.origin, ""};
        return false;
      }
      const auto readers = graph_.consumers.find(made.value);
      if (readers == graph_.consumers.end()) continue;
      for (const size_t reader : readers->second) {
        if (nodes_.count(reader)) continue;
        const Node& node = graph_.nodes[reader];
        if (!IsHelper(facts_, node) || nodes_.size() > core_.nodes.size() + kMaxHelpers) {
          *leak = {made.origin, NameOf(node)};
          return false;
        }
        nodes_.insert(reader);
        for (const std::string& output : node.outputs) pending.push_back({output, made.origin});
      }
    }
    return true;
  }

  bool OperandsAreOutside(Leak* leak) const {
    for (const std::string& operand : core_.operands) {
      if (!MadeInside(operand)) continue;
      *leak = {operand, "attention itself, as an operand"};
      return false;
    }
    return true;
  }

  std::vector<std::string> InputNames() const {
    std::vector<std::string> names;
    for (const size_t index : nodes_) {
      for (const std::string& input : graph_.nodes[index].inputs) {
        const bool known = std::find(names.begin(), names.end(), input) != names.end();
        if (!input.empty() && !known && !MadeInside(input)) names.push_back(input);
      }
    }
    return names;
  }

  // The shape arithmetic behind the inputs: of what could be taken, the largest part that reads
  // nothing but operands, constants and itself, and that nobody else reads.
  void TakeMakers() {
    std::set<size_t> makers = HelpersBehindInputs();
    bool changed = true;
    while (changed) {
      changed = false;
      for (auto maker = makers.begin(); maker != makers.end();) {
        const bool keeps =
            ReadsOwn(graph_.nodes[*maker], makers) && IsReadHere(graph_.nodes[*maker], makers);
        changed |= !keeps;
        maker = keeps ? std::next(maker) : makers.erase(maker);
      }
    }
    nodes_.insert(makers.begin(), makers.end());
  }

  std::set<size_t> HelpersBehindInputs() const {
    std::set<size_t> helpers;
    std::vector<std::string> pending = InputNames();
    while (!pending.empty() && helpers.size() < kMaxHelpers) {
      const std::string value = pending.back();
      pending.pop_back();
      const auto made = graph_.producer.find(value);
      if (made == graph_.producer.end() || IsOperand(value) || MadeInside(value)) continue;
      const Node& node = graph_.nodes[made->second];
      if (!IsHelper(facts_, node) || !helpers.insert(made->second).second) continue;
      pending.insert(pending.end(), node.inputs.begin(), node.inputs.end());
    }
    return helpers;
  }

  bool ReadsOwn(const Node& node, const std::set<size_t>& makers) const {
    return std::all_of(node.inputs.begin(), node.inputs.end(), [&](const std::string& input) {
      if (input.empty() || IsOperand(input) || MadeInside(input) || graph_.Constant(input)) {
        return true;
      }
      const auto made = graph_.producer.find(input);
      return made != graph_.producer.end() && makers.count(made->second);
    });
  }

  bool IsReadHere(const Node& node, const std::set<size_t>& makers) const {
    return std::all_of(node.outputs.begin(), node.outputs.end(), [&](const std::string& output) {
      if (graph_.is_output.count(output)) return false;
      const auto readers = graph_.consumers.find(output);
      return readers == graph_.consumers.end() ||
             std::all_of(readers->second.begin(), readers->second.end(), [&](size_t reader) {
               return nodes_.count(reader) || makers.count(reader);
             });
    });
  }

  // y is the only way out; a path back from it into the region could only lead to helpers.
  bool IsAcyclic(Leak* leak) const {
    if (nodes_.size() == core_.nodes.size()) return true;
    std::unordered_set<size_t> seen;
    std::vector<std::string> pending = {core_.y};
    while (!pending.empty()) {
      const auto readers = graph_.consumers.find(pending.back());
      pending.pop_back();
      if (readers == graph_.consumers.end()) continue;
      for (const size_t reader : readers->second) {
        if (nodes_.count(reader)) {
          *leak = {core_.y, NameOf(graph_.nodes[reader])};
          return false;
        }
        if (!seen.insert(reader).second) continue;
        const auto& outputs = graph_.nodes[reader].outputs;
        pending.insert(pending.end(), outputs.begin(), outputs.end());
      }
    }
    return true;
  }

  Region Finish() const {
    Region region;
    region.nodes = nodes_;
    for (const std::string& name : InputNames()) {
      (graph_.Constant(name) ? region.constants : region.inputs).push_back(name);
    }
    return region;
  }

  const GraphView& graph_;
  const Facts& facts_;
  const Core& core_;
  std::set<size_t> nodes_;
};

// A size in terms of the free dimensions: itself, or a constant times one of them.
std::optional<Extent> ExtentOf(const Symbols& symbols, const std::vector<FreeDimension>& free,
                               const Expr& size) {
  const Expr resolved = symbols.Resolve(size);
  if (const auto constant = resolved.Constant()) return Extent{*constant, "", 1};
  for (const FreeDimension& dimension : free) {
    if (symbols.Same(resolved, dimension.size)) return Extent{-1, dimension.symbol, 1};
  }
  for (const FreeDimension& dimension : free) {
    if (symbols.IsAtMost(resolved, dimension.size)) return Extent{-1, dimension.symbol, 1};
  }
  for (const FreeDimension& dimension : free) {
    const auto quotient = ExactQuotient(resolved, symbols.Resolve(dimension.size));
    const auto factor = quotient ? quotient->Constant() : std::nullopt;
    if (factor) return Extent{-1, dimension.symbol, *factor};
  }
  return std::nullopt;
}

}  // namespace

bool IsHelper(const Facts& facts, const Node& node) {
  static const std::unordered_set<std::string> kOps = {"Shape",
                                                       "Size",
                                                       "Gather",
                                                       "Slice",
                                                       "Concat",
                                                       "Unsqueeze",
                                                       "Squeeze",
                                                       "Cast",
                                                       "Add",
                                                       "Sub",
                                                       "Mul",
                                                       "Div",
                                                       "Sqrt",
                                                       "Reciprocal",
                                                       "Where",
                                                       "Equal",
                                                       "Reshape",
                                                       "Identity",
                                                       "ConstantOfShape",
                                                       "Pow",
                                                       "Range"};
  if (!facts.IsStandard(node) || !kOps.count(node.op_type)) return false;
  // Only small known contents: integers, or numbers made from them.
  return std::all_of(node.outputs.begin(), node.outputs.end(), [&](const std::string& output) {
    const Fact& fact = facts.Of(output);
    const bool integer = fact.type == kInt64 || fact.type == kInt32 || fact.type == kBool;
    return output.empty() || (integer && fact.ints) || (fact.type == kFloat && fact.floats);
  });
}

std::optional<Region> Close(const GraphView& graph, const Facts& facts, const Core& core,
                            Leak* leak) {
  return Closure(graph, facts, core).Run(leak);
}

std::optional<InputShape> Describe(const Facts& facts, const std::vector<FreeDimension>& free,
                                   const std::string& value, bool needs_values,
                                   std::string* problem) {
  const Fact& fact = facts.Of(value);
  InputShape shape;
  shape.value = value;
  if (!fact.ranked) {
    *problem = fmt::format("the rank of the input {} is not known", value);
    return std::nullopt;
  }
  for (const Expr& dim : fact.dims) {
    const auto extent = ExtentOf(facts.symbols(), free, dim);
    if (!extent) {
      *problem = fmt::format("the input {} has a dimension {}, which is none of attention's own",
                             value, facts.symbols().Short(dim));
      return std::nullopt;
    }
    shape.dims.push_back(*extent);
  }
  if (!needs_values) return shape;
  if (fact.floats) {
    shape.floats = *fact.floats;
    return shape;
  }
  shape.has_values = fact.ints.has_value();
  for (size_t i = 0; fact.ints && i < fact.ints->size(); ++i) {
    const auto& element = (*fact.ints)[i];
    const auto extent = element ? ExtentOf(facts.symbols(), free, *element) : std::nullopt;
    if (!extent) {
      *problem =
          fmt::format("element {} of the input {} is {}, which is no size of attention's own", i,
                      value, element ? facts.symbols().Short(*element) : "not known");
      return std::nullopt;
    }
    shape.values.push_back(*extent);
  }
  if (!fact.ints) {
    *problem = fmt::format("the value of the input {} is not known", value);
    return std::nullopt;
  }
  return shape;
}

}  // namespace backendctx::patterns
