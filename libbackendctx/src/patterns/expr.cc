#include "patterns/expr.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

namespace backendctx::patterns {
namespace {

constexpr size_t kMaxTerms = 64;
constexpr size_t kMaxDegree = 16;
constexpr int kMaxResolveSteps = 64;
constexpr size_t kMaxShown = 400;  // a computation with a longer text is an unknown of its own

Expr::Monomial Joined(const Expr::Monomial& a, const Expr::Monomial& b) {
  Expr::Monomial result;
  std::merge(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(result));
  return result;
}

// a / b, when every atom of b is in a as often.
std::optional<Expr::Monomial> Without(const Expr::Monomial& a, const Expr::Monomial& b) {
  if (!std::includes(a.begin(), a.end(), b.begin(), b.end())) return std::nullopt;
  Expr::Monomial result;
  std::set_difference(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(result));
  return result;
}

std::optional<Expr> Term(const Expr::Monomial& monomial, int64_t coefficient) {
  std::optional<Expr> result = Expr(coefficient);
  for (const int atom : monomial) {
    if (result) result = Product(*result, Expr::OfAtom(atom));
  }
  return result;
}

}  // namespace

Expr Expr::OfAtom(int atom) {
  Expr result;
  result.terms_[{atom}] = 1;
  return result;
}

std::optional<int64_t> Expr::Constant() const {
  if (terms_.empty()) return 0;
  if (terms_.size() == 1 && terms_.begin()->first.empty()) return terms_.begin()->second;
  return std::nullopt;
}

std::optional<int> Expr::Atom() const {
  if (terms_.size() != 1) return std::nullopt;
  const auto& [monomial, coefficient] = *terms_.begin();
  if (monomial.size() != 1 || coefficient != 1) return std::nullopt;
  return monomial[0];
}

bool Expr::NonNegative() const {
  return std::all_of(terms_.begin(), terms_.end(),
                     [](const auto& term) { return term.second > 0; });
}

std::optional<Expr> Sum(const Expr& a, const Expr& b, int64_t factor) {
  Expr result = a;
  for (const auto& [monomial, coefficient] : b.terms_) {
    int64_t product = 0;
    int64_t& sum = result.terms_[monomial];
    if (__builtin_mul_overflow(coefficient, factor, &product) ||
        __builtin_add_overflow(sum, product, &sum)) {
      return std::nullopt;
    }
    if (sum == 0) result.terms_.erase(monomial);
  }
  if (result.terms_.size() > kMaxTerms) return std::nullopt;
  return result;
}

std::optional<Expr> Product(const Expr& a, const Expr& b) {
  Expr result;
  for (const auto& [left, x] : a.terms_) {
    for (const auto& [right, y] : b.terms_) {
      if (left.size() + right.size() > kMaxDegree) return std::nullopt;
      const Expr::Monomial monomial = Joined(left, right);
      int64_t product = 0;
      int64_t& sum = result.terms_[monomial];
      if (__builtin_mul_overflow(x, y, &product) || __builtin_add_overflow(sum, product, &sum)) {
        return std::nullopt;
      }
      if (sum == 0) result.terms_.erase(monomial);
      if (result.terms_.size() > kMaxTerms) return std::nullopt;
    }
  }
  return result;
}

// Long division by the leading terms of a monomial order: each step removes a's leading term.
std::optional<Expr> ExactQuotient(const Expr& a, const Expr& b) {
  if (b.terms().empty()) return std::nullopt;
  const auto& [lead, by] = *b.terms().rbegin();
  Expr rest = a, quotient;
  for (size_t step = 0; !rest.terms().empty(); ++step) {
    const auto& [monomial, coefficient] = *rest.terms().rbegin();
    const auto left = Without(monomial, lead);
    const bool overflows = by == -1 && coefficient == INT64_MIN;
    if (step > kMaxTerms || !left || overflows || coefficient % by != 0) return std::nullopt;
    const auto term = Term(*left, coefficient / by);
    const auto product = term ? Product(*term, b) : std::nullopt;
    const auto next = product ? Sum(rest, *product, -1) : std::nullopt;
    const auto longer = term ? Sum(quotient, *term) : std::nullopt;
    if (!next || !longer) return std::nullopt;
    rest = *next;
    quotient = *longer;
  }
  return quotient;
}

Expr Symbols::New(Atom atom) {
  atoms_.push_back(std::move(atom));
  return Expr::OfAtom(static_cast<int>(atoms_.size()) - 1);
}

Expr Symbols::Named(const std::string& key, const std::string& shown) {
  const auto found = named_.find(key);
  if (found != named_.end()) return Expr::OfAtom(found->second);
  named_.emplace(key, static_cast<int>(atoms_.size()));
  return New({shown, false, false, std::nullopt, {}});
}

Expr Symbols::Dimension(const std::string& symbol, bool declared) {
  const Expr result = Named("dim:" + symbol, symbol);
  atoms_[static_cast<size_t>(*result.Atom())].declared |= declared;
  return result;
}

Expr Symbols::Fresh() {
  return New({fmt::format("?{}", atoms_.size()), false, true, std::nullopt, {}});
}

Expr Symbols::AtMost(const Expr& upper, const std::string& shown) {
  if (shown.size() > kMaxShown) return Fresh();
  const Expr result = Named("at most " + Text(upper) + ":" + shown, shown);
  atoms_[static_cast<size_t>(*result.Atom())].upper = upper;
  return result;
}

bool Symbols::IsAtMost(const Expr& a, const Expr& b) const {
  if (Same(a, b)) return true;
  const auto atom = Resolve(a).Atom();
  const Atom* known = atom ? &atoms_[static_cast<size_t>(*atom)] : nullptr;
  return known && known->upper && Same(*known->upper, b);
}

Expr Symbols::Add(const Expr& a, const Expr& b) {
  const auto sum = Sum(a, b);
  return sum ? *sum : Fresh();
}

Expr Symbols::Multiply(const Expr& a, const Expr& b) {
  const auto product = Product(a, b);
  return product ? *product : Fresh();
}

Expr Symbols::Quotient(const Expr& a, const Expr& b) {
  const Expr over = Resolve(a), by = Resolve(b);
  if (auto exact = ExactQuotient(over, by)) return *exact;
  const auto x = over.Constant(), y = by.Constant();
  if (x && y && *y != 0 && !(*x == INT64_MIN && *y == -1)) return Expr(*x / *y);
  const std::string text = fmt::format("({}) / ({})", Text(over), Text(by));
  if (text.size() > kMaxShown) return Fresh();
  return Named("div:" + text, text);
}

std::vector<Expr> Symbols::Parts(const Expr& expr) const {
  const auto atom = Resolve(expr).Atom();
  if (!atom || atoms_[static_cast<size_t>(*atom)].broadcast.empty()) return {Resolve(expr)};
  return atoms_[static_cast<size_t>(*atom)].broadcast;
}

Expr Symbols::Broadcast(const Expr& a, const Expr& b) {
  if (b.Is(1)) return a;
  if (a.Is(1)) return b;
  // A shorter one that is not 1 would fail, and 1 broadcasts.
  if (IsAtMost(b, a)) return a;
  if (IsAtMost(a, b)) return b;
  if (a.Constant()) return a;  // then the other is this or 1
  if (b.Constant()) return b;
  std::vector<Expr> parts = Parts(a);
  for (const Expr& part : Parts(b)) {
    const bool covered = std::any_of(parts.begin(), parts.end(),
                                     [&](const Expr& other) { return IsAtMost(part, other); });
    if (covered) continue;
    parts.erase(std::remove_if(parts.begin(), parts.end(),
                               [&](const Expr& other) { return IsAtMost(other, part); }),
                parts.end());
    parts.push_back(part);
  }
  if (parts.size() == 1) return parts[0];
  std::vector<std::string> names;
  for (const Expr& part : parts) names.push_back(Text(part));
  std::sort(names.begin(), names.end());
  const std::string shown = fmt::format("broadcast({})", fmt::join(names, ", "));
  if (shown.size() > kMaxShown) return Fresh();
  const Expr result = Named(shown, shown);
  atoms_[static_cast<size_t>(*result.Atom())].broadcast = parts;
  return result;
}

void Symbols::Assume(const Expr& a, const Expr& b) {
  const Expr x = Resolve(a), y = Resolve(b);
  if (x == y || x.Constant() || y.Constant()) return;
  for (const auto& [from, to] : {std::pair(x, y), std::pair(y, x)}) {
    const auto atom = from.Atom();
    if (!atom || atoms_[static_cast<size_t>(*atom)].declared) continue;
    const bool circular = std::any_of(to.terms().begin(), to.terms().end(), [&](const auto& term) {
      return std::find(term.first.begin(), term.first.end(), *atom) != term.first.end();
    });
    if (circular) continue;
    equal_[*atom] = to;
    return;
  }
}

Expr Symbols::Resolve(const Expr& expr) const {
  Expr result = expr;
  for (int step = 0; step < kMaxResolveSteps && !equal_.empty(); ++step) {
    Expr next;
    bool changed = false;
    for (const auto& [monomial, coefficient] : result.terms()) {
      Expr term(coefficient);
      for (const int atom : monomial) {
        const auto found = equal_.find(atom);
        changed |= found != equal_.end();
        const auto product =
            Product(term, found == equal_.end() ? Expr::OfAtom(atom) : found->second);
        if (!product) return result;
        term = *product;
      }
      const auto sum = Sum(next, term);
      if (!sum) return result;
      next = *sum;
    }
    if (!changed) break;
    result = next;
  }
  return result;
}

bool Symbols::Same(const Expr& a, const Expr& b) const {
  return a == b || (!equal_.empty() && Resolve(a) == Resolve(b));
}

bool Symbols::IsFresh(const Expr& expr) const {
  const auto atom = Resolve(expr).Atom();
  return atom && atoms_[static_cast<size_t>(*atom)].fresh;
}

std::string Symbols::Short(const Expr& expr) const {
  constexpr size_t kMaxInMessages = 80;
  std::string text = Text(expr);
  return text.size() > kMaxInMessages ? "a computed size" : text;
}

std::string Symbols::Text(const Expr& expr) const {
  const Expr shown = Resolve(expr);
  if (shown.terms().empty()) return "0";
  std::string text;
  for (auto term = shown.terms().rbegin(); term != shown.terms().rend(); ++term) {
    std::string product;
    if (term->second != 1 || term->first.empty()) product = fmt::format("{}", term->second);
    for (const int atom : term->first) {
      if (!product.empty()) product += "*";
      product += atoms_[static_cast<size_t>(atom)].shown;
    }
    text += (text.empty() ? "" : " + ") + product;
  }
  return text;
}

}  // namespace backendctx::patterns
