// Attention written out: a product, what happens to the scores, a normalisation, a product.
//
// The products name their axes (product.h). What stands between them may move the axes of the
// scores, so their layout is followed from the first product to the second: it tells which operand
// of the first holds the keys (the one whose axis is normalised), whether masks are added to scores
// in the order (batch, head, query, key), and what the axes of V and of the result are.
#include <fmt/format.h>

#include <algorithm>

#include "patterns/candidate.h"

namespace backendctx::patterns {
namespace {

using model::GraphView;
using model::Node;

// Scores have the role kSequence where the first operand of the product lies, kChannel where the
// second does.
constexpr Role kOfOperand[2] = {kSequence, kChannel};

size_t PositionOf(const std::vector<int>& labels, int label) {
  return static_cast<size_t>(std::find(labels.begin(), labels.end(), label) - labels.begin());
}

class Matcher {
 public:
  Matcher(const GraphView& graph, Facts* facts, const Normalisation& normalisation, Stop* stop)
      : graph_(graph), facts_(*facts), normalisation_(normalisation), stop_(*stop) {}

  std::optional<Candidate> Run(Reading reading) {
    const bool read = ReadScoresAndRest(reading.first_side) && ReadProducts();
    if (!read || (reading.split_batch && !FindHeads())) return std::nullopt;
    if (!FollowScores() || !FindKeys()) return std::nullopt;
    if (!FollowProbabilities() || !FindRolesOfShared() || !CheckMasks()) return std::nullopt;
    return Make();
  }

 private:
  bool Fail(size_t node, std::string reason) {
    stop_ = {NameOf(graph_.nodes[node]), std::move(reason)};
    return false;
  }

  bool ReadScoresAndRest(size_t first_side) {
    auto scores = ReadScores(graph_, facts_, normalisation_.input, first_side, &stop_);
    if (!scores) return false;
    auto rest = ReadProbabilities(graph_, facts_, normalisation_.output, &stop_);
    if (!rest) return false;
    scores_ = *std::move(scores);
    rest_ = *std::move(rest);
    return true;
  }

  bool ReadOne(size_t node, TensorProduct* product, ProductAxes* axes) {
    std::string problem;
    auto read = ReadProduct(graph_, facts_, node, &problem);
    if (!read) return Fail(node, problem);
    for (size_t i = 0; i < 2; ++i) {
      const size_t rank = read->labels[i].size();
      if (rank == read->labels[0].size() && (rank == 3 || rank == 4)) continue;
      return Fail(node, fmt::format("the rank of {} is {}, expected 4, or 3 for every operand",
                                    read->value[i], rank));
    }
    const auto known = AxesOf(*read);
    if (!known) return Fail(node, "the product does not sum over one axis and keep the others");
    *product = *std::move(read);
    *axes = *known;
    return true;
  }

  bool ReadProducts() {
    if (!ReadOne(scores_.product, &first_, &first_axes_)) return false;
    if (!ReadOne(rest_.product, &second_, &second_axes_)) return false;
    const auto side = second_.OperandOf(rest_.value);
    if (!side) return Fail(rest_.product, "the probabilities are both operands of the product");
    probabilities_ = *side;
    if (second_.factor != 1) return Fail(rest_.product, "the product with V is scaled");
    return true;
  }

  // The roles of the axes of an operand of the first product, which is `as_kept` of its own axis.
  AxisRoles RolesOfFirst(const std::vector<int>& labels, const Role as_kept[2]) const {
    AxisRoles result;
    result.heads = heads_;
    for (const int label : labels) {
      Role role = kChannel;
      for (size_t i = 0; i < 2; ++i) {
        if (label == first_axes_.kept[i]) role = as_kept[i];
      }
      const size_t shared = PositionOf(first_axes_.shared, label);
      if (shared < first_axes_.shared.size()) role = shared == 0 ? kBatch : kHead;
      result.roles.push_back(role);
    }
    return result;
  }

  WalkOptions OperandOptions(size_t side) const {
    static constexpr Role kKept[2] = {kSequence, kSequence};
    WalkOptions options;
    options.axes = RolesOfFirst(first_.labels[side], kKept);
    options.allow_scale = true;
    options.allow_expand = side != query_ && (first_axes_.shared.size() == 2 || heads_);
    return options;
  }

  // False without a reason: there are no heads in the batch.
  bool FindHeads() {
    stop_ = {};
    if (first_axes_.shared.size() != 1) return false;
    for (size_t side = 0; side < 2 && !heads_; ++side) {
      heads_ = HeadsInBatch(graph_, facts_, first_.value[side], OperandOptions(side));
    }
    for (const size_t node : scores_.nodes) {
      if (heads_ || !IsReshape(facts_, graph_.nodes[node])) continue;
      const Fact& output = facts_.Of(graph_.nodes[node].Key());
      if (output.rank() == 4) heads_ = output.dims[1];
    }
    return heads_.has_value();
  }

  bool Move(size_t node_index, Layout* layout) {
    const Node& node = graph_.nodes[node_index];
    if (IsReshape(facts_, node)) {
      if (layout->ForwardOverReshape(facts_.symbols(), facts_.Of(node.Key()))) return true;
      return Fail(node_index, "what the Reshape does to the axes of the scores is not known");
    }
    const auto perm = Permutation(facts_, node);
    if (perm && !layout->ForwardOverTranspose(*perm)) {
      return Fail(node_index, "what the Transpose does to the axes of the scores is not known");
    }
    return true;
  }

  bool FollowScores() {
    const std::string& product = graph_.nodes[scores_.product].Key();
    layout_ = LayoutOf(facts_, product, RolesOfFirst(first_.out, kOfOperand));
    if (!layout_) {
      return Fail(scores_.product, fmt::format("the axes of the scores {} are not known", product));
    }
    for (auto node = scores_.nodes.rbegin(); node != scores_.nodes.rend(); ++node) {
      if (std::count(scores_.adds.begin(), scores_.adds.end(), *node) > 0) {
        at_masks_.push_back(*layout_);
      } else if (!Move(*node, &*layout_)) {
        return false;
      }
    }
    return true;
  }

  std::string AxisText() const {
    const size_t count = normalisation_.end_axis - normalisation_.first_axis;
    return fmt::format("the Softmax is over axis {}{} of rank {}", normalisation_.first_axis,
                       count > 1 ? " and all after it" : "",
                       facts_.Of(normalisation_.input).rank());
  }

  // What is normalised together are the keys.
  bool FindKeys() {
    const size_t first = normalisation_.first_axis, end = normalisation_.end_axis;
    if (end > layout_->rank()) return Fail(normalisation_.node, AxisText());
    const auto role = layout_->RoleOf(first, end);
    bool unit = end == first + 1 && layout_->IsUnit(first);
    for (const size_t query : {size_t{0}, size_t{1}}) {
      const Role keys = kOfOperand[1 - query];
      if (role != keys && !(unit && layout_->IsRole(first, keys))) continue;
      query_ = query;
      return true;
    }
    return Fail(normalisation_.node, AxisText() + ", not over keys");
  }

  // Kernels align masks with (batch, head, query, key), or (batch, query, key) without heads.
  bool CheckMasks() {
    for (size_t i = 0; i < at_masks_.size(); ++i) {
      const Fact& mask = facts_.Of(scores_.masks[i].value);
      const Layout& scores = at_masks_[i];
      if (mask.AllUnit() && mask.rank() <= scores.rank()) continue;
      if (!mask.ranked) {
        return Fail(scores_.adds[i],
                    fmt::format("the rank of the mask {} is not known", scores_.masks[i].value));
      }
      if (!IsInOrder(scores)) {
        return Fail(scores_.adds[i], fmt::format("the mask {} is added to scores whose axes are "
                                                 "not batch, head, query and key in this order",
                                                 scores_.masks[i].value));
      }
      const bool joined = heads_ && scores.rank() == 3;
      if (mask.rank() > scores.rank() || (joined && mask.rank() == 3 && !mask.dims[0].Is(1))) {
        return Fail(scores_.adds[i], fmt::format("the mask {} does not broadcast over heads",
                                                 scores_.masks[i].value));
      }
    }
    return true;
  }

  bool IsInOrder(const Layout& scores) const {
    const size_t rank = scores.rank();
    if (rank != 3 && rank != 4) return false;
    const bool shared = rank == 4 ? scores.IsRole(0, kBatch) && scores.IsRole(1, kHead)
                                  : scores.IsRole(0, kBatch) || scores.IsJoined(0);
    return shared && scores.IsRole(rank - 2, kOfOperand[query_]) &&
           scores.IsRole(rank - 1, kOfOperand[1 - query_]);
  }

  // The product with V sums over keys and keeps queries.
  bool FollowProbabilities() {
    for (const size_t node : rest_.nodes) {
      if (!Move(node, &*layout_)) return false;
    }
    const auto& labels = second_.labels[probabilities_];
    if (layout_->rank() != labels.size()) {
      return Fail(rest_.product, "the axes of the probabilities are not known");
    }
    const size_t summed = PositionOf(labels, second_axes_.summed);
    if (!layout_->IsRole(summed, kOfOperand[1 - query_])) {
      return Fail(normalisation_.node, AxisText() + ", which the product with V does not sum over");
    }
    const size_t kept = PositionOf(labels, second_axes_.kept[probabilities_]);
    if (!layout_->IsRole(kept, kOfOperand[query_])) {
      return Fail(rest_.product, "the product with V does not keep the queries");
    }
    return true;
  }

  // Whether a shared axis of the second product is batch or head; axes of size 1 are what is left.
  bool FindRolesOfShared() {
    const auto& labels = second_.labels[probabilities_];
    std::vector<Role> left = {kBatch, kHead};
    for (const int label : second_axes_.shared) {
      const size_t at = PositionOf(labels, label);
      if (layout_->IsUnit(at)) continue;
      if (heads_ && layout_->IsJoined(at)) return JoinShared();
      const Role role = layout_->IsRole(at, kBatch) ? kBatch : kHead;
      if (!layout_->IsRole(at, role)) {
        return Fail(rest_.product, "batch and heads of the probabilities are not told apart");
      }
      shared_.push_back({label, role});
      left.erase(std::remove(left.begin(), left.end(), role), left.end());
    }
    for (const int label : second_axes_.shared) {
      if (!layout_->IsUnit(PositionOf(labels, label)) || left.empty()) continue;
      shared_.push_back({label, left.front()});
      left.erase(left.begin());
    }
    return true;
  }

  bool JoinShared() {
    joined_ = true;
    shared_ = {{second_axes_.shared.front(), kBatch}};
    return second_axes_.shared.size() == 1;
  }

  AxisRoles RolesOfSecond(const std::vector<int>& labels, int sequence) const {
    AxisRoles result;
    if (joined_) result.heads = heads_;
    for (const int label : labels) {
      Role role = label == sequence ? kSequence : kChannel;
      for (const auto& [shared, its_role] : shared_) {
        if (label == shared) role = its_role;
      }
      result.roles.push_back(role);
    }
    return result;
  }

  Candidate Make() {
    Candidate candidate;
    candidate.form = "decomposed";
    candidate.core = scores_.nodes;
    candidate.core.insert(candidate.core.end(), rest_.nodes.begin(), rest_.nodes.end());
    candidate.core.insert(candidate.core.end(), normalisation_.nodes.begin(),
                          normalisation_.nodes.end());
    candidate.core.push_back(scores_.product);
    candidate.core.push_back(rest_.product);
    WalkOptions v;
    v.axes = RolesOfSecond(second_.labels[1 - probabilities_], second_axes_.summed);
    v.allow_expand = v.axes.rank() == 4;
    candidate.q = WalkBack(graph_, &facts_, first_.value[query_], OperandOptions(query_));
    candidate.k = WalkBack(graph_, &facts_, first_.value[1 - query_], OperandOptions(1 - query_));
    candidate.v = WalkBack(graph_, &facts_, second_.value[1 - probabilities_], v);
    candidate.masks = scores_.masks;
    candidate.scale = scores_.scale * first_.factor;
    candidate.softcap = scores_.softcap;
    candidate.zero_masked_rows = rest_.zero_masked_rows;
    candidate.headless = first_axes_.shared.size() == 1 && !heads_;
    candidate.y = graph_.nodes[rest_.product].Key();
    candidate.y_axes = RolesOfSecond(second_.out, second_axes_.kept[probabilities_]);
    return candidate;
  }

  const GraphView& graph_;
  Facts& facts_;
  const Normalisation& normalisation_;
  Stop& stop_;
  Scores scores_;
  Probabilities rest_;
  TensorProduct first_, second_;
  ProductAxes first_axes_, second_axes_;
  std::optional<Expr> heads_;     // in the batch axis of rank 3
  std::optional<Layout> layout_;  // of the scores, as far as they were followed
  std::vector<Layout> at_masks_;
  size_t query_ = 0;          // operand of the first product
  size_t probabilities_ = 0;  // operand of the second
  bool joined_ = false;       // batch and heads are one axis of the second product
  std::vector<std::pair<int, Role>> shared_;
};

}  // namespace

std::optional<Candidate> MatchDecomposed(const GraphView& graph, Facts* facts,
                                         const Normalisation& normalisation, Reading reading,
                                         Stop* stop) {
  return Matcher(graph, facts, normalisation, stop).Run(reading);
}

}  // namespace backendctx::patterns
