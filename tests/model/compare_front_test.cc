// Fronts of another encoder's version: whatever an encoder adds is undone, every edit is found.
#include "model/compare_front.h"

#include <functional>
#include <set>

#include "model/models.h"

namespace backendctx::model {
namespace {

using onnx::AttributeProto;
using onnx::GraphProto;
using onnx::ModelProto;
using onnx::NodeProto;
using onnx::TensorProto;

// Unnamed nodes, a constant as operand, one that is copied, one that is large, a branch with a
// partition and large constants of one name, one of which is the branch's output.
constexpr char kModel[] = R"(
<ir_version: 7, opset_import: ["" : 17], producer_name: "p">
agraph (float[N, 32] x, bool c) => (float[N, 32] y, float[N, 32] z)
<float[4] bias = {1.0, 2.0, 3.0, 4.0}>
{
  two = Constant <value_float = 2.0> ()
  shape = Constant <value_ints = [-1, 4]> ()
  back = Constant <value_ints = [-1, 32]> ()
  a = Mul(x, two)
  b = Reshape(a, shape)
  d = Add(b, bias)
  h = Reshape(d, back)
  z = Add(h, row)
  y = If (c) <
    then_branch = t () => (float[N, 32] tt)
      { k = Constant <value_float = 2.0> () u = Mul(h, k) v = Add(u, big) tt = Neg(v) },
    else_branch = e () => (float[32] table) { unused = Neg(h) }
  >
}
)";

FlatModel Flat() {
  ModelProto model = FromText(kModel);
  const auto graphs = Subgraphs(model.mutable_graph()->mutable_node(8));
  AddFirst(LargeConstant("big", 1), graphs[0]);
  AddFirst(LargeConstant("big", 2), graphs[1]);
  AddFirst(LargeConstant("table", 3), graphs[1]);
  AddFirst(LargeConstant("row", 4), model.mutable_graph());
  auto* info = model.mutable_graph()->add_value_info();
  info->set_name("a");
  info->mutable_type()->mutable_tensor_type()->set_elem_type(TensorProto::FLOAT);
  return LoadProto(model);
}

class Fixture {
 public:
  explicit Fixture(Encoding encoding) : flat(Flat()), container(flat), tag(TestTag(encoding)) {
    tag.encoder = 7;
    partitions = {PartitionOf(flat, "p0", "", {"a", "b", "d", "h"}),
                  PartitionOf(flat, "p1", "/y.then_branch", {"u", "v"})};
    front = Parsed(Value(EncodeFront(flat, partitions, tag, container.layout())));
  }

  Status Compare(const ModelProto& found) const {
    return CompareFront(flat, base::AsBytes(found.SerializeAsString()), tag, {"p0", "p1"},
                        [this](const Placement& place) -> std::optional<Digest> {
                          for (const auto& [digest, at] : container.placements) {
                            if (at.offset == place.offset && at.length == place.length)
                              return digest;
                          }
                          return std::nullopt;
                        });
  }

  FlatModel flat;
  TestContainer container;
  FrontTag tag;
  std::vector<EncodedPartition> partitions;
  ModelProto front;
};

struct Edit {
  const char* what;
  std::function<void(ModelProto*)> make;
};

NodeProto* NodeOf(GraphProto* graph, const std::string& key) {
  for (NodeProto& node : *graph->mutable_node()) {
    if (KeyOf(node) == key) return &node;
  }
  FAIL("no node " << key);
  return nullptr;
}

void AddText(const std::string& key,
             google::protobuf::RepeatedPtrField<onnx::StringStringEntryProto>* to) {
  auto* entry = to->Add();
  entry->set_key(key);
  entry->set_value("v");
}

// Of both encodings.
std::vector<Edit> EditsOfAny() {
  return {
      {"producer", [](ModelProto* m) { m->set_producer_name("q"); }},
      {"IR version", [](ModelProto* m) { m->set_ir_version(9); }},
      {"opset", [](ModelProto* m) { m->mutable_opset_import(0)->set_version(18); }},
      {"import", [](ModelProto* m) { m->add_opset_import()->set_domain("more"); }},
      {"property", [](ModelProto* m) { AddText("k", m->mutable_metadata_props()); }},
      {"doc of the model", [](ModelProto* m) { m->set_doc_string("d"); }},
      {"name of the graph", [](ModelProto* m) { m->mutable_graph()->set_name("other"); }},
      {"metadata of the graph",
       [](ModelProto* m) { AddText("k", m->mutable_graph()->mutable_metadata_props()); }},
      {"input's type",
       [](ModelProto* m) {
         m->mutable_graph()->mutable_input(0)->mutable_type()->mutable_tensor_type()->set_elem_type(
             TensorProto::FLOAT16);
       }},
      {"node's operator",
       [](ModelProto* m) { NodeOf(m->mutable_graph(), "z")->set_op_type("Sub"); }},
      {"node's name", [](ModelProto* m) { NodeOf(m->mutable_graph(), "z")->set_name("n"); }},
      {"node's doc", [](ModelProto* m) { NodeOf(m->mutable_graph(), "z")->set_doc_string("n"); }},
      {"node's input", [](ModelProto* m) { NodeOf(m->mutable_graph(), "z")->set_input(0, "x"); }},
      {"node's metadata",
       [](ModelProto* m) {
         AddText("k", NodeOf(m->mutable_graph(), "z")->mutable_metadata_props());
       }},
      {"one more node",
       [](ModelProto* m) {
         NodeProto* node = m->mutable_graph()->add_node();
         node->set_op_type("Neg");
         node->add_input("x");
         node->add_output("more");
       }},
      {"one node less", [](ModelProto* m) { m->mutable_graph()->mutable_node()->RemoveLast(); }},
      {"small initializer",
       [](ModelProto* m) {
         TensorProto* bias = m->mutable_graph()->mutable_initializer(0);
         *bias = FloatTensor("bias", {4}, 9);
       }},
      {"initializer's doc",
       [](ModelProto* m) { m->mutable_graph()->mutable_initializer(0)->set_doc_string("d"); }},
      {"external data of another tensor",
       [](ModelProto* m) {
         auto* tensors = m->mutable_graph()->mutable_initializer();
         const int last = tensors->size() - 1;
         tensors->Mutable(last)->mutable_external_data()->Swap(
             tensors->Mutable(last - 1)->mutable_external_data());
       }},
      {"external data elsewhere",
       [](ModelProto* m) {
         auto* tensors = m->mutable_graph()->mutable_initializer();
         tensors->Mutable(tensors->size() - 1)->mutable_external_data(0)->set_value("other.bin");
       }},
      {"hoisted constant inside, with other values",
       [](ModelProto* m) {
         auto* tensors = m->mutable_graph()->mutable_initializer();
         TensorProto* tensor = tensors->Mutable(tensors->size() - 1);
         *tensor = FloatTensor(tensor->name(), {32}, 17);
       }},
      {"one more initializer",
       [](ModelProto* m) { *m->mutable_graph()->add_initializer() = FloatTensor("more", {4}, 1); }},
      {"renamed hoisted constant",
       [](ModelProto* m) {
         for (TensorProto& tensor : *m->mutable_graph()->mutable_initializer()) {
           if (tensor.name() == "row") tensor.set_name("other");
         }
         NodeOf(m->mutable_graph(), "z")->set_input(1, "other");
       }},
      {"branch's node",
       [](ModelProto* m) {
         GraphProto* branch = Subgraphs(NodeOf(m->mutable_graph(), "y"))[0];
         NodeOf(branch, "tt")->set_op_type("Abs");
       }},
      {"output of a branch",
       [](ModelProto* m) {
         GraphProto* branch = Subgraphs(NodeOf(m->mutable_graph(), "y"))[1];
         NodeOf(branch, "table")->set_input(0, "big_2");
       }},
      {"type of a value that is there",
       [](ModelProto* m) { m->mutable_graph()->add_value_info()->set_name("z"); }},
      {"unknown field",
       [](ModelProto* m) {
         ModelProto more;
         REQUIRE(more.ParseFromString(std::string("\xfa\x3f\x01x", 4)));  // field 1023
         m->MergeFrom(more);
       }},
  };
}

std::vector<Edit> EditsOfFunctions() {
  return {
      {"body's operator",
       [](ModelProto* m) { m->mutable_functions(0)->mutable_node(2)->set_op_type("Div"); }},
      {"body's attribute",
       [](ModelProto* m) {
         AttributeProto* attribute = m->mutable_functions(0)->mutable_node(3)->add_attribute();
         attribute->set_name("allowzero");
         attribute->set_type(AttributeProto::INT);
         attribute->set_i(1);
       }},
      {"copied constant",
       [](ModelProto* m) {
         m->mutable_functions(0)->mutable_node(0)->mutable_attribute(0)->set_ints(1, 8);
       }},
      {"one more constant in a body",
       [](ModelProto* m) {
         NodeProto* node = m->mutable_functions(0)->add_node();
         *node = m->functions(0).node(0);
         node->set_output(0, "more");
         node->set_name("more");
       }},
      {"body's input of another formal",
       [](ModelProto* m) {
         NodeProto* node = m->mutable_functions(0)->mutable_node(2);
         node->set_input(1, node->input(0));
       }},
      {"function's import",
       [](ModelProto* m) { m->mutable_functions(0)->mutable_opset_import(0)->set_version(18); }},
      {"function's doc", [](ModelProto* m) { m->mutable_functions(0)->set_doc_string("d"); }},
      {"call's operand", [](ModelProto* m) { NodeOf(m->mutable_graph(), "h")->set_input(0, "y"); }},
      {"call's partition",
       [](ModelProto* m) { NodeOf(m->mutable_graph(), "h")->mutable_attribute(0)->set_s("p9"); }},
      {"a function that nothing calls",
       [](ModelProto* m) {
         *m->add_functions() = m->functions(0);
         m->mutable_functions(2)->set_name("spare");
       }},
      {"a node in a body",
       [](ModelProto* m) {
         NodeProto* node = m->mutable_functions(0)->add_node();
         node->set_op_type("Neg");
         node->set_name("n");
         node->add_input("a");
         node->add_output("more");
       }},
  };
}

}  // namespace

TEST_CASE("a front is the stored graph after undoing what an encoding adds", "[model][compare]") {
  for (const Encoding encoding : {Encoding::kFunction, Encoding::kMetadata}) {
    const Fixture made(encoding);
    const Status status = made.Compare(made.front);
    INFO(status.message());
    CHECK(status.ok());
  }
}

TEST_CASE("names that another encoder gives are no difference", "[model][compare]") {
  Fixture made(Encoding::kFunction);
  for (auto& function : *made.front.mutable_functions()) {
    for (NodeProto& node : *function.mutable_node()) {
      node.set_name("another_" + node.name());
      for (std::string& input : *node.mutable_input()) {
        if (input == "x0") input = "formal";
      }
    }
    function.set_input(0, "formal");
  }
  NodeOf(made.front.mutable_graph(), "h")->set_name("any name");
  const Status status = made.Compare(made.front);
  INFO(status.message());
  CHECK(status.ok());
}

TEST_CASE("an edit anywhere in a front is found", "[model][compare]") {
  size_t edits = 0;
  for (const Encoding encoding : {Encoding::kFunction, Encoding::kMetadata}) {
    const Fixture made(encoding);
    std::vector<Edit> list = EditsOfAny();
    if (encoding == Encoding::kFunction) {
      for (Edit& edit : EditsOfFunctions()) list.push_back(std::move(edit));
    }
    for (const Edit& edit : list) {
      ModelProto front = made.front;
      edit.make(&front);
      INFO(edit.what);
      CHECK(front.SerializeAsString() != made.front.SerializeAsString());
      CHECK(made.Compare(front).code() == StatusCode::kCorrupt);
      ++edits;
    }
  }
  CHECK(edits > 60);
}

TEST_CASE("functions that grow by calling each other are refused soon", "[model][compare]") {
  Fixture made(Encoding::kFunction);
  std::string callee = made.front.functions(0).name();
  for (int depth = 0; depth < 40; ++depth) {
    auto* function = made.front.add_functions();
    *function = made.front.functions(0);
    function->set_name("grow_" + std::to_string(depth));
    function->clear_node();
    for (int i = 0; i < 2; ++i) {
      NodeProto* call = function->add_node();
      call->set_domain(kDomain);
      call->set_op_type(callee);
      for (const std::string& input : function->input()) call->add_input(input);
      call->add_output(i == 0 ? function->output(0) : "other");
    }
    callee = function->name();
  }
  NodeOf(made.front.mutable_graph(), "h")->set_op_type(callee);
  CHECK(made.Compare(made.front).code() == StatusCode::kCorrupt);
}

}  // namespace backendctx::model
