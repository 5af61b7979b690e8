// Sizes as polynomials: what a dimension or an element of a shape is, in terms of unknown ones.
//
// An atom stands for one unknown number that is not negative: a named dimension of the model, a
// size that nothing is known of, or a computation that polynomials cannot express ("a / b"), which
// is the same atom wherever it is computed of the same operands. Equal polynomials are equal
// numbers in every run; unequal ones may still be.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace backendctx::patterns {

class Expr {
 public:
  using Monomial = std::vector<int>;  // atoms, ascending, repeated for powers; empty: 1
  struct Graded {                     // a monomial order, so that exact division works
    bool operator()(const Monomial& a, const Monomial& b) const {
      return a.size() != b.size() ? a.size() < b.size() : b < a;
    }
  };
  using Terms = std::map<Monomial, int64_t, Graded>;  // no zero coefficients

  Expr() = default;         // zero
  Expr(int64_t constant) {  // NOLINT: implicit
    if (constant != 0) terms_[{}] = constant;
  }
  static Expr OfAtom(int atom);

  std::optional<int64_t> Constant() const;
  std::optional<int> Atom() const;  // exactly one atom, times one
  bool Is(int64_t constant) const { return Constant() == constant; }
  // Provably not negative: atoms are not.
  bool NonNegative() const;
  const Terms& terms() const { return terms_; }
  bool operator==(const Expr&) const = default;

 private:
  friend std::optional<Expr> Sum(const Expr&, const Expr&, int64_t);
  friend std::optional<Expr> Product(const Expr&, const Expr&);
  Terms terms_;
};

// a + factor * b. Nothing on overflow or when the result has too many terms.
std::optional<Expr> Sum(const Expr& a, const Expr& b, int64_t factor = 1);
std::optional<Expr> Product(const Expr& a, const Expr& b);
// a / b where it is a polynomial without remainder; nothing else, nor for b = 0.
std::optional<Expr> ExactQuotient(const Expr& a, const Expr& b);

// The atoms of one model, and what is known of them. The arithmetic here always gives a result: an
// opaque atom where a polynomial does not.
class Symbols {
 public:
  Expr Named(const std::string& key, const std::string& shown);  // equal keys: equal atoms
  // A dimension that a type names; declared: by an input of the model, not by an inference.
  Expr Dimension(const std::string& symbol, bool declared);
  Expr Fresh();

  Expr Add(const Expr& a, const Expr& b);
  Expr Multiply(const Expr& a, const Expr& b);
  // An unknown that is at most `upper`, as the length of a slice that ends there.
  Expr AtMost(const Expr& upper, const std::string& shown);
  Expr Quotient(const Expr& a, const Expr& b);  // rounded towards zero; operands not negative
  Expr Broadcast(const Expr& a, const Expr& b);

  // Known from here on: every run that does not fail has a == b. Used for unknown sizes only, never
  // to make two named dimensions, or a named one and a number, the same.
  void Assume(const Expr& a, const Expr& b);
  Expr Resolve(const Expr& expr) const;
  bool Same(const Expr& a, const Expr& b) const;
  // In every run a is b, or an unknown that AtMost gave for b.
  bool IsAtMost(const Expr& a, const Expr& b) const;
  bool IsFresh(const Expr& expr) const;
  std::string Text(const Expr& expr) const;  // "12*batch + 1"
  // The same for messages: a long computation is only called that.
  std::string Short(const Expr& expr) const;

 private:
  struct Atom {
    std::string shown;
    bool declared = false;  // a dimension that an input names
    bool fresh = false;     // nothing is known of it
    std::optional<Expr> upper;
    std::vector<Expr> broadcast;  // of these, each unlike the others
  };
  Expr New(Atom atom);
  // What was broadcast to give `expr`: itself, if nothing was.
  std::vector<Expr> Parts(const Expr& expr) const;

  std::vector<Atom> atoms_;
  std::unordered_map<std::string, int> named_;
  std::unordered_map<int, Expr> equal_;  // atom -> what it was found to be
};

}  // namespace backendctx::patterns
