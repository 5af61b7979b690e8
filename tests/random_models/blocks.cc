// The blocks of a random model. Each keeps the type float [2, 5, 16], so any follows any.
#include "random_models/builder.h"

namespace backendctx::tests {
namespace {

using onnx::AttributeProto;
using onnx::FunctionProto;
using onnx::GraphProto;
using onnx::NodeProto;
using onnx::TensorProto;

constexpr int kDeepest = 4;
constexpr size_t kMostFunctions = 5;

class Blocks {
 public:
  Blocks(Builder* builder, Scope* scope)
      : b_(*builder), random_(builder->random()), scope_(*scope) {}

  std::string Run(std::string value, size_t count) {
    scope_.values.push_back(value);
    for (size_t i = 0; i < count; ++i) {
      value = One(value);
      scope_.values.push_back(value);
    }
    return value;
  }

 private:
  std::string One(const std::string& x) {
    const bool deeper = scope_.depth < kDeepest;
    const bool top = scope_.graph != nullptr && scope_.depth == 0 && scope_.function == nullptr;
    switch (random_.Below(20)) {
      case 0:
      case 1:
      case 2:
        return Linear(x);
      case 3:
      case 4:
      case 5:
        return Decomposed(x);
      case 6:
        return b_.opset() >= 23 ? Operator(x) : Decomposed(x);
      case 7:
      case 8:
        return deeper ? If(x) : Unary(x);
      case 9:
        return deeper ? Loop(x) : Unary(x);
      case 10:
        return deeper ? Scan(x) : Unary(x);
      case 11:
      case 12:
        return Call(x);
      case 13:
        return Sequence(x);
      case 14:
        return b_.opset() >= 15 ? Optional(x) : Unary(x);
      case 15:
        return top ? Extra(x) : Add(x);
      case 16:
        return scope_.function ? Unary(x) : Foreign(x);
      case 17:
        return Add(x);
      default:
        return Unary(x);
    }
  }

  std::string Unary(const std::string& x) {
    if (random_.Chance(10)) {
      NodeProto* node = b_.Node(&scope_, "Dropout", {x, "", ""});
      node->add_output("");
      b_.Count("absent inputs and outputs");
      return node->output(0);
    }
    return b_.Add(&scope_, random_.Of({"Abs", "Neg", "Relu", "Tanh", "Identity", "Sigmoid"}), {x});
  }

  // A captured value of a graph around, a small constant, or a weight of the same size.
  std::string Add(const std::string& x) {
    const std::string& other = scope_.values[random_.Below(scope_.values.size())];
    switch (random_.Below(3)) {
      case 0:
        return b_.Add(&scope_, "Add", {x, b_.Weight(&scope_, {16})});
      case 1:
        return b_.Add(&scope_, "Mul", {x, b_.Weight(&scope_, {5, 16})});
      default:
        return b_.Add(&scope_, "Add", {x, other});
    }
  }

  std::string Linear(const std::string& x) {
    return b_.Add(&scope_, "MatMul", {x, b_.Weight(&scope_, {16, 16})});
  }

  std::string Turned(const std::string& x, const std::vector<int64_t>& order) {
    NodeProto* node = b_.Node(&scope_, "Transpose", {x});
    Builder::SetAttribute(node, "perm", order);
    return node->output(0);
  }

  std::string Heads(const std::string& x, const std::vector<int64_t>& order) {
    const std::string split = b_.Ints(&scope_, {0, 0, 2, 8});
    return Turned(b_.Add(&scope_, "Reshape", {Linear(x), split}), order);
  }

  std::string Decomposed(const std::string& x) {
    const std::string q = Heads(x, {0, 2, 1, 3}), k = Heads(x, {0, 2, 3, 1}),
                      v = Heads(x, {0, 2, 1, 3});
    std::string scores = b_.Add(&scope_, "MatMul", {q, k});
    scores = random_.Chance(50) ? b_.Add(&scope_, "Div", {scores, b_.Float(&scope_, 2.828427f)})
                                : b_.Add(&scope_, "Mul", {scores, b_.Float(&scope_, 0.35355338f)});
    if (random_.Chance(30)) {
      scores = b_.Add(&scope_, "Add", {scores, b_.Weight(&scope_, {5, 5})});
    }
    NodeProto* softmax = b_.Node(&scope_, "Softmax", {scores});
    Builder::SetAttribute(softmax, "axis", int64_t{-1});
    const std::string weights = softmax->output(0);
    const std::string mixed = Turned(b_.Add(&scope_, "MatMul", {weights, v}), {0, 2, 1, 3});
    b_.Count(scope_.depth > 0 ? "attention in a branch" : "attention");
    return b_.Add(&scope_, "Reshape", {mixed, b_.Ints(&scope_, {0, 0, 16})});
  }

  std::string Operator(const std::string& x) {
    const std::string q = Linear(x), k = Linear(x), v = Linear(x);
    NodeProto* node = b_.Node(&scope_, "Attention", {q, k, v});
    Builder::SetAttribute(node, "q_num_heads", int64_t{2});
    Builder::SetAttribute(node, "kv_num_heads", int64_t{2});
    if (random_.Chance(50)) Builder::SetAttribute(node, "is_causal", int64_t{1});
    b_.Count("Attention operator");
    return node->output(0);
  }

  // A graph below this one: what is visible here may be captured.
  Scope Inside(GraphProto* graph) const {
    Scope scope = scope_;
    scope.graph = graph;
    scope.depth = scope_.depth + 1;
    return scope;
  }

  void Body(GraphProto* graph, const std::string& value) {
    Scope scope = Inside(graph);
    const std::string out = RandomBlocks(&b_, &scope, value, 1 + random_.Below(3));
    b_.SetType(graph->add_output(), out);
  }

  std::string Condition() {
    if (scope_.function == nullptr && random_.Chance(50)) {
      b_.Count("input read by branches");
      return "flag";
    }
    return b_.Bool(&scope_, random_.Chance(50));
  }

  std::string If(const std::string& x) {
    NodeProto* node = b_.Node(&scope_, "If", {Condition()});
    Body(Builder::AddGraph(node, "then_branch"), x);
    Body(Builder::AddGraph(node, "else_branch"), x);
    b_.Count("If at depth " + std::to_string(scope_.depth + 1));
    return node->output(0);
  }

  std::string Loop(const std::string& x) {
    const std::string trips = b_.Ints(&scope_, {2}, true), go = b_.Bool(&scope_, true);
    GraphProto body;
    body.set_name("body");
    Scope scope = Inside(&body);
    const std::string step = b_.Name("step"), on = b_.Name("on"), carried = b_.Name("carried");
    auto* info = body.add_input();
    info->set_name(step);
    info->mutable_type()->mutable_tensor_type()->set_elem_type(TensorProto::INT64);
    info->mutable_type()->mutable_tensor_type()->mutable_shape();
    info = body.add_input();
    info->set_name(on);
    info->mutable_type()->mutable_tensor_type()->set_elem_type(TensorProto::BOOL);
    info->mutable_type()->mutable_tensor_type()->mutable_shape();
    b_.SetType(body.add_input(), carried);
    const std::string still = b_.Add(&scope, "Identity", {on});
    const std::string value = b_.Add(&scope, "Add", {carried, x});
    const std::string out = RandomBlocks(&b_, &scope, value, 1 + random_.Below(2));
    info = body.add_output();
    info->set_name(still);
    info->mutable_type()->mutable_tensor_type()->set_elem_type(TensorProto::BOOL);
    b_.SetType(body.add_output(), out);
    NodeProto* node = b_.Node(&scope_, "Loop", {trips, random_.Chance(30) ? "" : go, x});
    Builder::AddGraph(node, "body")->Swap(&body);
    b_.Count("Loop at depth " + std::to_string(scope_.depth + 1));
    return node->output(0);
  }

  std::string Scan(const std::string& x) {
    const std::string elements = b_.Weight(&scope_, {3, 2, 5, 16});
    GraphProto body;
    body.set_name("body");
    Scope scope = Inside(&body);
    const std::string state = b_.Name("state"), element = b_.Name("element");
    b_.SetType(body.add_input(), state);
    b_.SetType(body.add_input(), element);
    const std::string value = b_.Add(&scope, "Add", {state, element});
    const std::string next = RandomBlocks(&b_, &scope, value, 1 + random_.Below(2));
    const std::string each = b_.Add(&scope, "Tanh", {next});
    b_.SetType(body.add_output(), next);
    b_.SetType(body.add_output(), each);
    NodeProto* node = b_.Node(&scope_, "Scan", {x, elements});
    node->add_output(b_.Name("scanned"));
    Builder::SetAttribute(node, "num_scan_inputs", int64_t{1});
    Builder::AddGraph(node, "body")->Swap(&body);
    b_.Count("Scan at depth " + std::to_string(scope_.depth + 1));
    return node->output(0);
  }

  // A call of a function of the model's own, which may be made for it.
  std::string Call(const std::string& x) {
    auto* functions = b_.model().mutable_functions();
    const bool may_make =
        calls_open_ < 3 && static_cast<size_t>(functions->size()) < kMostFunctions;
    std::string name, overload;
    // Those in the model are whole: only they may be called, so none is recursive.
    const auto closed = static_cast<size_t>(functions->size());
    if (may_make && (closed == 0 || random_.Chance(60))) {
      MakeFunction(&name, &overload);
    } else if (closed > 0) {
      const FunctionProto& function = (*functions)[static_cast<int>(random_.Below(closed))];
      name = function.name();
      overload = function.overload();
    } else {
      return Unary(x);
    }
    // ONNX Runtime 1.31 does not find overloads that functions call.
    if (!overload.empty() && scope_.function != nullptr) return Unary(x);
    NodeProto* node = b_.Node(&scope_, name, {x, b_.Weight(&scope_, {16})}, "local");
    if (!overload.empty()) node->set_overload(overload);
    if (scope_.function != nullptr && random_.Chance(50) && scope_.function->attribute_size() > 0) {
      auto* attribute = node->add_attribute();
      attribute->set_name("alpha");
      attribute->set_type(AttributeProto::FLOAT);
      attribute->set_ref_attr_name("alpha");
      b_.Count("reference to an attribute through a call");
    } else {
      Builder::SetAttribute(node, "alpha", 0.1f);
    }
    b_.Count(scope_.function ? "function that calls a function" : "call of a function");
    return node->output(0);
  }

  void MakeFunction(std::string* name, std::string* overload) {
    FunctionProto function;
    // One of ours could have this name, in another domain.
    const bool ours = random_.Chance(20) && !b_.made().constructs.count("name of ours");
    *name = ours ? "BackendContext_Attention_0" : b_.Name("Function");
    if (ours) b_.Count("name of ours");
    const bool overloaded = b_.ir() >= 10 && scope_.function == nullptr && random_.Chance(30);
    *overload = overloaded ? b_.Name("overload") : "";
    if (!overload->empty()) b_.Count("overload");
    function.set_name(*name);
    function.set_domain("local");
    if (!overload->empty()) function.set_overload(*overload);
    function.add_input("x");
    function.add_input("w");
    function.add_attribute("alpha");
    for (const std::string domain : {"", "local"}) {
      auto* import = function.add_opset_import();
      import->set_domain(domain);
      import->set_version(domain.empty() ? b_.opset() : 1);
    }
    if (random_.Chance(50)) Default(&function);
    Scope scope;
    scope.function = &function;
    NodeProto* leaky = b_.Node(&scope, "LeakyRelu", {"x"});
    auto* attribute = leaky->add_attribute();
    attribute->set_name("alpha");
    attribute->set_type(AttributeProto::FLOAT);
    attribute->set_ref_attr_name("alpha");
    const std::string value = b_.Add(&scope, "Add", {leaky->output(0), "w"});
    ++calls_open_;
    const std::string out = RandomBlocks(&b_, &scope, value, 1 + random_.Below(3));
    --calls_open_;
    function.add_output(b_.Add(&scope, "Identity", {out}));
    b_.Import("local", 1);
    *b_.model().add_functions() = std::move(function);
  }

  void Default(FunctionProto* function) {
    AttributeProto* attribute = function->add_attribute_proto();
    attribute->set_name("beta");
    attribute->set_type(AttributeProto::TENSOR);
    TensorProto* tensor = attribute->mutable_t();
    tensor->set_data_type(TensorProto::FLOAT);
    tensor->add_dims(40);
    for (int i = 0; i < 40; ++i) tensor->add_float_data(random_.Number());
    b_.Count("default attribute of a function");
  }

  std::string Sequence(const std::string& x) {
    const std::string& other = scope_.values[random_.Below(scope_.values.size())];
    const std::string sequence = b_.Add(&scope_, "SequenceConstruct", {x, other});
    b_.Count("sequence");
    if (scope_.graph && scope_.depth == 0 && !scope_.function && random_.Chance(40)) {
      auto* output = scope_.graph->add_output();
      output->set_name(sequence);
      output->mutable_type()
          ->mutable_sequence_type()
          ->mutable_elem_type()
          ->mutable_tensor_type()
          ->set_elem_type(TensorProto::FLOAT);
      b_.Count("sequence output");
    }
    return b_.Add(&scope_, "SequenceAt", {sequence, b_.Ints(&scope_, {0}, true)});
  }

  std::string Optional(const std::string& x) {
    b_.Count("optional");
    return b_.Add(&scope_, "OptionalGetElement", {b_.Add(&scope_, "Optional", {x})});
  }

  // Operators that the checker does not know, or whose domain nobody imports.
  std::string Foreign(const std::string& x) {
    if (random_.Chance(50)) {
      NodeProto* node =
          b_.Node(&scope_, "SimplifiedLayerNormalization", {x, b_.Weight(&scope_, {16})});
      node->clear_domain();
      Builder::SetAttribute(node, "axis", int64_t{-1});
      Builder::SetAttribute(node, "epsilon", 1e-5f);
      b_.Count("operator that the checker does not know");
      return node->output(0);
    }
    if (random_.Chance(40)) b_.Import("com.microsoft", 1);
    b_.Count("operator of another domain");
    return b_.Add(&scope_, "Gelu", {x}, "com.microsoft");
  }

  // Outputs of other types.
  std::string Extra(const std::string& x) {
    GraphProto* graph = scope_.graph;
    if (random_.Chance(50)) {
      b_.Import("ai.onnx.ml", 3);
      const std::string flat = b_.Add(&scope_, "Reshape", {x, b_.Ints(&scope_, {10, 16})});
      NodeProto* node = b_.Node(&scope_, "ZipMap", {flat}, "ai.onnx.ml");
      std::vector<int64_t> labels(16);
      for (size_t i = 0; i < labels.size(); ++i) labels[i] = static_cast<int64_t>(i * i);
      Builder::SetAttribute(node, "classlabels_int64s", labels);
      auto* output = graph->add_output();
      output->set_name(node->output(0));
      auto* map =
          output->mutable_type()->mutable_sequence_type()->mutable_elem_type()->mutable_map_type();
      map->set_key_type(TensorProto::INT64);
      map->mutable_value_type()->mutable_tensor_type()->set_elem_type(TensorProto::FLOAT);
      b_.Count("map output");
      return x;
    }
    TensorProto strings;
    strings.set_data_type(TensorProto::STRING);
    const size_t count = random_.Chance(50) ? 3 : 20;
    strings.add_dims(static_cast<int64_t>(count));
    for (size_t i = 0; i < count; ++i) strings.add_string_data(std::string(i, 'a') + "\u00e9");
    strings.set_name(b_.Name("strings"));
    const std::string name = strings.name();
    *graph->add_initializer() = std::move(strings);
    auto* output = graph->add_output();
    output->set_name(b_.Add(&scope_, "Identity", {name}));
    output->mutable_type()->mutable_tensor_type()->set_elem_type(TensorProto::STRING);
    b_.Count("strings");
    return x;
  }

  Builder& b_;
  Random& random_;
  Scope& scope_;
  static thread_local int calls_open_;  // functions that are being made
};

thread_local int Blocks::calls_open_ = 0;

}  // namespace

std::string RandomBlocks(Builder* builder, Scope* scope, std::string value, size_t count) {
  return Blocks(builder, scope).Run(std::move(value), count);
}

}  // namespace backendctx::tests
