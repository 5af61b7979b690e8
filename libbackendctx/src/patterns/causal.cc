#include "patterns/causal.h"

#include <algorithm>
#include <limits>

#include "patterns/shape_rules.h"

namespace backendctx::patterns {
namespace {

using model::GraphView;
using model::Node;

constexpr int kMaxDepth = 16;

// An integer tensor that counts along one axis and is constant along the others.
struct Ramp {
  size_t axis_from_end = 1;  // 1: the last axis
  Expr first;
};

// Which side of the diagonal of the last two axes is true: exactly that.
enum class Side { kPast, kFuture };  // j <= i; j > i

Side Other(Side side) { return side == Side::kPast ? Side::kFuture : Side::kPast; }

class Prover {
 public:
  Prover(const GraphView& graph, const Facts& facts) : graph_(graph), facts_(facts) {}

  bool Bool(const std::string& value, Side side, int depth = 0) {
    const Node* node = Enter(value, depth);
    if (!node) return false;
    const auto& in = node->inputs;
    if (Passes(*node)) return Bool(in[0], side, depth + 1);
    if (facts_.Is(*node, "Not")) return Bool(in[0], Other(side), depth + 1);
    if (facts_.Is(*node, "Cast")) return side == Side::kPast && LowerOnes(in[0], depth + 1);
    if (facts_.Is(*node, "Trilu")) return Trilu(*node, side);
    if (in.size() != 2) return false;
    if (facts_.Is(*node, "And")) {
      return Try([&] { return IsAll(in[0], 1) && Bool(in[1], side, depth + 1); }) ||
             Try([&] { return IsAll(in[1], 1) && Bool(in[0], side, depth + 1); });
    }
    if (facts_.Is(*node, "Equal") && side == Side::kFuture) {
      return Try([&] { return IsAll(in[1], 0) && LowerOnes(in[0], depth + 1); }) ||
             Try([&] { return IsAll(in[0], 0) && LowerOnes(in[1], depth + 1); });
    }
    return Compares(*node, side, depth);
  }

  // 0 in the past, minus infinity in the future.
  bool Float(const std::string& value, int depth = 0) {
    const Node* node = Enter(value, depth);
    if (!node) return false;
    const auto& in = node->inputs;
    if (Passes(*node)) return Float(in[0], depth + 1);
    if (facts_.Is(*node, "Trilu")) return Trilu(*node, Side::kFuture, /*minus=*/true);
    if (!facts_.Is(*node, "Where") || in.size() != 3) return false;
    auto masks = [&](size_t zero, size_t minus, Side side) {
      return IsAll(in[zero], 0) && IsMinus(in[minus]) && Bool(in[0], side, depth + 1);
    };
    return Try([&] { return masks(1, 2, Side::kPast); }) ||
           Try([&] { return masks(2, 1, Side::kFuture); });
  }

  std::vector<size_t> nodes() const { return nodes_; }

 private:
  // Of several ways to prove something, those that fail leave no nodes behind.
  template <typename Proof>
  bool Try(const Proof& proof) {
    const size_t before = nodes_.size();
    if (proof()) return true;
    nodes_.resize(before);
    return false;
  }

  const Node* Enter(const std::string& value, int depth) {
    const auto made = graph_.producer.find(value);
    if (depth > kMaxDepth || made == graph_.producer.end()) return nullptr;
    const Node& node = graph_.nodes[made->second];
    if (node.inputs.empty() || graph_.Constant(value)) return nullptr;
    nodes_.push_back(made->second);
    return &node;
  }

  // Leaves the last two axes as they are.
  bool Passes(const Node& node) const {
    if (facts_.Is(node, "Identity")) return true;
    const Fact &input = facts_.Of(node.inputs[0]), &output = facts_.Of(node.Key());
    const bool adds =
        facts_.Is(node, "Unsqueeze") || facts_.Is(node, "Expand") || facts_.Is(node, "Reshape");
    if (!adds || !input.ranked || !output.ranked || input.rank() < 2) return false;
    // Axes before them that are all 1 on one side; those after are the same.
    const Symbols& symbols = facts_.symbols();
    const bool front = std::all_of(input.dims.begin(), input.dims.end() - 2,
                                   [](const Expr& dim) { return dim.Is(1); });
    return front && output.rank() >= 2 &&
           symbols.Same(input.dims.end()[-1], output.dims.end()[-1]) &&
           symbols.Same(input.dims.end()[-2], output.dims.end()[-2]);
  }

  // Every element is this number.
  bool IsAll(const std::string& value, float number) {
    std::string at = value;
    for (int depth = 0; depth <= kMaxDepth; ++depth) {
      const Fact& fact = facts_.Of(at);
      if (fact.floats && !fact.floats->empty()) {
        return std::all_of(fact.floats->begin(), fact.floats->end(),
                           [&](float element) { return element == number; });
      }
      if (const auto ints = ConstantInts(fact); ints && !ints->empty()) {
        return std::all_of(ints->begin(), ints->end(),
                           [&](int64_t element) { return static_cast<float>(element) == number; });
      }
      const Node* node = Enter(at, depth);
      if (!node) return false;
      if (facts_.Is(*node, "ConstantOfShape")) return FillOf(*node) == number;
      if (!facts_.Is(*node, "Expand") && !facts_.Is(*node, "Identity")) return false;
      at = node->inputs[0];
    }
    return false;
  }

  // What ConstantOfShape repeats.
  static std::optional<float> FillOf(const Node& node) {
    const model::Attribute* value = node.Find("value");
    if (!value) return 0.0f;
    if (!value->tensor) return std::nullopt;
    const std::string& bytes = value->tensor->bytes;
    float number = 0;
    if (value->tensor->element_type == kBool && bytes.size() == 1) return bytes[0] != 0 ? 1.f : 0.f;
    if (value->tensor->element_type != kFloat || bytes.size() != sizeof number) return std::nullopt;
    std::copy_n(bytes.data(), sizeof number, reinterpret_cast<char*>(&number));
    return number;
  }

  bool IsMinus(const std::string& value) {
    return Try([&] { return IsAll(value, -std::numeric_limits<float>::infinity()); }) ||
           Try([&] { return IsAll(value, std::numeric_limits<float>::lowest()); });
  }

  // Ones up to the diagonal, else zeros, of any type.
  bool LowerOnes(const std::string& value, int depth) {
    const Node* node = Enter(value, depth);
    if (!node) return false;
    if (Passes(*node)) return LowerOnes(node->inputs[0], depth + 1);
    return facts_.Is(*node, "Trilu") && Trilu(*node, Side::kPast);
  }

  // A triangle of a tensor whose elements are all true, one, or (`minus`) minus infinity.
  bool Trilu(const Node& node, Side side, bool minus = false) {
    if (!facts_.Is(node, "Trilu")) return false;
    int64_t diagonal = 0;
    if (node.inputs.size() > 1 && !node.inputs[1].empty()) {
      const auto given = facts_.Ints(node.inputs[1]);
      if (!given || given->size() != 1) return false;
      diagonal = given->front();
    }
    const bool upper = node.Int("upper", 1) != 0;
    const bool right = side == Side::kPast ? !upper && diagonal == 0 : upper && diagonal == 1;
    return right && (minus ? IsMinus(node.inputs[0]) : IsAll(node.inputs[0], 1));
  }

  // Keys against queries, counted from the same number.
  bool Compares(const Node& node, Side side, int depth) {
    struct Comparison {
      const char* op;
      bool keys_first;
      Side side;
      int64_t shift;  // first key less first query, to be exact
    };
    static constexpr Comparison kComparisons[] = {
        {"LessOrEqual", true, Side::kPast, 0},
        {"GreaterOrEqual", false, Side::kPast, 0},
        {"Less", true, Side::kPast, -1},
        {"Greater", false, Side::kPast, -1},
        {"Greater", true, Side::kFuture, 0},
        {"Less", false, Side::kFuture, 0},
        {"GreaterOrEqual", true, Side::kFuture, -1},
        {"LessOrEqual", false, Side::kFuture, -1},
    };
    for (const Comparison& it : kComparisons) {
      if (!facts_.Is(node, it.op) || it.side != side) continue;
      const auto keys = RampOf(node.inputs[it.keys_first ? 0 : 1], depth + 1);
      const auto queries = RampOf(node.inputs[it.keys_first ? 1 : 0], depth + 1);
      if (!keys || !queries || keys->axis_from_end != 1 || queries->axis_from_end != 2) continue;
      const auto shift = Sum(keys->first, queries->first, -1);
      if (shift && shift->Is(it.shift)) return true;
    }
    return false;
  }

  std::optional<Ramp> RampOf(const std::string& value, int depth) {
    const Node* node = Enter(value, depth);
    if (!node) return std::nullopt;
    const Fact &input = facts_.Of(node->inputs[0]), &output = facts_.Of(value);
    if (facts_.Is(*node, "Range")) return OfRange(*node);
    const bool integer = output.type == kInt64 || output.type == kInt32;
    if (integer && (facts_.Is(*node, "Identity") || facts_.Is(*node, "Cast"))) {
      return RampOf(node->inputs[0], depth + 1);
    }
    if (facts_.Is(*node, "Add")) return OfSum(*node, depth);
    const bool moves = facts_.Is(*node, "Unsqueeze") || facts_.Is(*node, "Reshape");
    if (!moves || !input.ranked || !output.ranked) return std::nullopt;
    auto ramp = RampOf(node->inputs[0], depth + 1);
    if (!ramp || ramp->axis_from_end > input.rank()) return std::nullopt;
    // The one axis that is not of size 1 goes where the one such axis of the result is.
    std::optional<size_t> to;
    for (size_t i = 0; i < output.rank(); ++i) {
      if (output.dims[i].Is(1)) continue;
      if (to) return std::nullopt;
      to = output.rank() - i;
    }
    const auto wide = std::count_if(input.dims.begin(), input.dims.end(),
                                    [](const Expr& dim) { return !dim.Is(1); });
    if (!to || wide != 1) return std::nullopt;
    ramp->axis_from_end = *to;
    return ramp;
  }

  std::optional<Ramp> OfRange(const Node& node) const {
    if (node.inputs.size() != 3) return std::nullopt;
    const auto& first = facts_.Of(node.inputs[0]).ints;
    const auto step = facts_.Ints(node.inputs[2]);
    const bool known = first && first->size() == 1 && first->front() && step && step->size() == 1;
    if (!known || step->front() != 1) return std::nullopt;
    return Ramp{1, *first->front()};
  }

  // A number added to every element.
  std::optional<Ramp> OfSum(const Node& node, int depth) {
    for (const size_t at : {size_t{0}, size_t{1}}) {
      const Fact& number = facts_.Of(node.inputs[1 - at]);
      if (!number.ints || number.ints->size() != 1 || !number.ints->front()) continue;
      auto ramp = RampOf(node.inputs[at], depth + 1);
      const auto sum = ramp ? Sum(ramp->first, *number.ints->front()) : std::nullopt;
      if (!sum || facts_.Of(node.inputs[at]).rank() < number.rank()) continue;
      ramp->first = *sum;
      return ramp;
    }
    return std::nullopt;
  }

  const GraphView& graph_;
  const Facts& facts_;
  std::vector<size_t> nodes_;
};

}  // namespace

std::optional<std::vector<size_t>> CausalNodes(const GraphView& graph, const Facts& facts,
                                               const Mask& mask) {
  Prover prover(graph, facts);
  const bool masks = mask.fill <= std::numeric_limits<float>::lowest();
  bool proved = false;
  if (mask.kind == Mask::Kind::kAdd) proved = prover.Float(mask.value);
  if (mask.kind == Mask::Kind::kKeep) proved = masks && prover.Bool(mask.value, Side::kPast);
  if (mask.kind == Mask::Kind::kDrop) proved = masks && prover.Bool(mask.value, Side::kFuture);
  if (!proved) return std::nullopt;
  std::vector<size_t> nodes = prover.nodes();
  std::sort(nodes.begin(), nodes.end());
  nodes.erase(std::unique(nodes.begin(), nodes.end()), nodes.end());
  return nodes;
}

}  // namespace backendctx::patterns
