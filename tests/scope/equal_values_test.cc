#include "scope/equal_values.h"

#include <catch2/catch.hpp>

namespace backendctx::scope {
namespace {

using model::Attribute;
using model::GraphView;
using model::Node;

class Builder {
 public:
  Builder& Input(const std::string& name, int32_t type = 1) {
    graph_.inputs.push_back(name);
    graph_.types[name].element_type = type;
    return *this;
  }
  Builder& Constant(const std::string& name, const std::string& digest) {
    model::TensorInfo info;
    info.element_type = 1;
    info.size = 4;
    info.digest = digest;
    graph_.initializers[name] = info;
    graph_.initializer_order.push_back(name);
    return *this;
  }
  Builder& Add(const std::string& op, const std::vector<std::string>& inputs,
               const std::vector<std::string>& outputs, int64_t attribute = 0,
               const std::string& domain = "") {
    Node node;
    node.op_type = op;
    node.domain = domain;
    node.inputs = inputs;
    node.outputs = outputs;
    if (attribute != 0) {
      Attribute to;
      to.name = op == "Cast" ? "to" : "axis";
      to.kind = Attribute::Kind::kInt;
      to.ints = {attribute};
      node.attributes.push_back(to);
    }
    for (const std::string& input : inputs) graph_.consumers[input].push_back(graph_.nodes.size());
    for (const std::string& output : outputs) graph_.producer[output] = graph_.nodes.size();
    graph_.nodes.push_back(std::move(node));
    return *this;
  }
  ValueClasses Classes(const std::vector<std::string>& functions = {}) const {
    model::ModelView view;
    view.local_functions = functions;
    return ValueClasses(view, graph_);
  }

 private:
  GraphView graph_;
};

}  // namespace

TEST_CASE("the same computation on the same values gives equal values", "[scope]") {
  Builder builder;
  builder.Input("x").Constant("one", "1").Constant("eins", "1").Constant("two", "2");
  builder.Add("Sub", {"one", "x"}, {"a"}).Add("Sub", {"eins", "x"}, {"b"});
  builder.Add("Sub", {"x", "one"}, {"c"}).Add("Sub", {"two", "x"}, {"d"});
  builder.Add("Neg", {"a"}, {"e"}).Add("Neg", {"b"}, {"f"}).Add("Abs", {"b"}, {"g"});
  const ValueClasses classes = builder.Classes();
  CHECK(classes.AreEqual("one", "eins"));
  CHECK(classes.AreEqual("a", "b"));
  CHECK(classes.AreEqual("e", "f"));
  CHECK_FALSE(classes.AreEqual("a", "c"));
  CHECK_FALSE(classes.AreEqual("a", "d"));
  CHECK_FALSE(classes.AreEqual("f", "g"));
  CHECK_FALSE(classes.AreEqual("x", "nowhere"));
  CHECK(classes.EqualTo("f", 8) == std::vector<std::string>{"e"});
  CHECK(classes.EqualTo("f", 0).empty());
  CHECK(classes.EqualTo("nowhere", 8).empty());
}

TEST_CASE("attributes and outputs tell values apart", "[scope]") {
  Builder builder;
  builder.Input("x");
  builder.Add("Split", {"x"}, {"a", "b"}, 1).Add("Split", {"x"}, {"c", "d"}, 1);
  builder.Add("Split", {"x"}, {"e", "f"}, 2);
  const ValueClasses classes = builder.Classes();
  CHECK(classes.AreEqual("a", "c"));
  CHECK(classes.AreEqual("b", "d"));
  CHECK_FALSE(classes.AreEqual("a", "b"));
  CHECK_FALSE(classes.AreEqual("a", "e"));
}

TEST_CASE("Identity and a Cast to its own type hand their input on", "[scope]") {
  Builder builder;
  builder.Input("x").Add("Identity", {"x"}, {"a"}).Add("Cast", {"x"}, {"b"}, 1);
  builder.Add("Cast", {"x"}, {"c"}, 10).Add("Neg", {"a"}, {"d"}).Add("Neg", {"x"}, {"e"});
  const ValueClasses classes = builder.Classes();
  CHECK(classes.AreEqual("x", "a"));
  CHECK(classes.AreEqual("x", "b"));
  CHECK_FALSE(classes.AreEqual("x", "c"));
  CHECK(classes.AreEqual("d", "e"));
}

TEST_CASE("chance, unknown domains and functions of the model make no equal values", "[scope]") {
  Builder builder;
  builder.Input("x");
  builder.Add("RandomNormalLike", {"x"}, {"a"}).Add("RandomNormalLike", {"x"}, {"b"});
  builder.Add("Op", {"x"}, {"c"}, 0, "local").Add("Op", {"x"}, {"d"}, 0, "local");
  builder.Add("Twice", {"x"}, {"e"}).Add("Twice", {"x"}, {"f"});
  CHECK_FALSE(builder.Classes().AreEqual("a", "b"));
  CHECK_FALSE(builder.Classes().AreEqual("c", "d"));
  CHECK(builder.Classes().AreEqual("e", "f"));
  CHECK_FALSE(builder.Classes({"ai.onnx::Twice"}).AreEqual("e", "f"));
}

TEST_CASE("nodes in any order give the same classes, a cycle gives none", "[scope]") {
  Builder builder;
  builder.Input("x").Add("Neg", {"a"}, {"c"}).Add("Neg", {"b"}, {"d"});
  builder.Add("Abs", {"x"}, {"a"}).Add("Abs", {"x"}, {"b"});
  CHECK(builder.Classes().AreEqual("c", "d"));
  Builder cycle;
  cycle.Input("x").Add("Add", {"x", "b"}, {"a"}).Add("Add", {"x", "a"}, {"b"});
  CHECK_FALSE(cycle.Classes().AreEqual("a", "b"));
}

}  // namespace backendctx::scope
