#include <functional>

#include "model/models.h"

namespace backendctx::model {
namespace {

using onnx::ModelProto;
using onnx::TensorProto;

constexpr char kSmallModel[] = R"(
<ir_version: 8, opset_import: ["" : 17]>
agraph (float[N, 8] x) => (float[N, 8] y)
{
  a = MatMul(x, w)
  b = Relu(a)
  y = Neg(b)
}
)";

using TensorEdit = std::function<void(TensorProto*)>;

// Loads a model whose weight was external and then edited.
Status LoadEdited(const TestFolder& folder, const TensorEdit& edit) {
  ModelProto model = FromText(kSmallModel);
  AddWeights(&model, "w", {8, 8}, 1);
  WriteBytes(folder / "m.data", "");
  MakeExternal(model.mutable_graph()->mutable_initializer(0), folder / "m.data");
  edit(model.mutable_graph()->mutable_initializer(0));
  WriteBytes(folder / "m.onnx", model.SerializeAsString());
  return FlatModel::Load(folder / "m.onnx", {}).status();
}

TensorEdit Entry(const std::string& key, const std::string& value) {
  return [=](TensorProto* tensor) {
    for (auto& entry : *tensor->mutable_external_data()) {
      if (entry.key() == key) return entry.set_value(value);
    }
    SetEntry(tensor, key, value);
  };
}

Status LoadTensor(const TensorEdit& edit) {
  ModelProto model = FromText(kSmallModel);
  AddWeights(&model, "w", {8, 8}, 1);
  edit(model.mutable_graph()->mutable_initializer(0));
  const TestFolder folder;
  WriteBytes(folder / "m.onnx", model.SerializeAsString());
  return FlatModel::Load(folder / "m.onnx", {}).status();
}

ModelProto FrontProto() {
  ModelProto model = FromText(kSmallModel);
  AddWeights(&model, "w", {8, 8}, 1);
  const FlatModel flat = LoadProto(model);
  const TestContainer container(flat);
  return Parsed(Value(
      EncodeFront(flat, {PartitionOf(flat, "p0", "", {"a", "b"})}, TestTag(), container.layout())));
}

StatusCode CodeOf(const ModelProto& front) {
  return DecodeFront(base::AsBytes(front.SerializeAsString()), {}).status().code();
}

}  // namespace

TEST_CASE("a location that is no plain file name is an unsafe path", "[model][hostile]") {
  const TestFolder folder;
  CHECK(LoadEdited(folder, [](TensorProto*) {}).ok());
  for (const std::string location :
       {"../x", "a/../../x", "/etc/passwd", "C:\\x", "\\\\?\\x", "file://x", "", ".", "..", "x.",
        "x ", "sub/x", "*/_ORT_MEM_ADDR_/*", "a\nb", "m.onnx"}) {
    INFO(location);
    CHECK(LoadEdited(folder, Entry("location", location)).code() == StatusCode::kUnsafePath);
  }
  CHECK(LoadEdited(folder, Entry("location", std::string("a\0b", 3))).code() ==
        StatusCode::kUnsafePath);
  std::filesystem::create_symlink("/etc/hostname", folder / "link");
  CHECK(LoadEdited(folder, Entry("location", "link")).code() == StatusCode::kUnsafePath);
  std::filesystem::create_directory(folder / "folder");
  CHECK(LoadEdited(folder, Entry("location", "folder")).code() == StatusCode::kUnsafePath);
}

TEST_CASE("a missing external file is an input/output error that names it", "[model][hostile]") {
  const TestFolder folder;
  const Status status = LoadEdited(folder, Entry("location", "gone.data"));
  CHECK(status.code() == StatusCode::kIo);
  CHECK(status.message().find("gone.data") != std::string::npos);
}

TEST_CASE("external data entries are checked to the letter", "[model][hostile]") {
  const TestFolder folder;
  CHECK(LoadEdited(folder, Entry("checksum", "abc")).ok());
  for (const auto& [key, value] :
       std::vector<std::pair<std::string, std::string>>{{"__class__", "x"},
                                                        {"digest", "x"},
                                                        {"offset", "-1"},
                                                        {"offset", "0x10"},
                                                        {"offset", " 0"},
                                                        {"offset", "+0"},
                                                        {"offset", ""},
                                                        {"offset", "1"},
                                                        {"offset", "9223372036854775808"},
                                                        {"offset", "18446744073709551615"},
                                                        {"offset", "18446744073709551616"},
                                                        {"offset", "99999999999999999999999"},
                                                        {"length", "-256"},
                                                        {"length", "255"},
                                                        {"length", "257"},
                                                        {"length", "1e3"},
                                                        {"length", "18446744073709551615"}}) {
    INFO(key << " = " << value);
    CHECK(LoadEdited(folder, Entry(key, value)).code() == StatusCode::kMalformed);
  }
  for (const std::string key : {"location", "offset", "length"}) {
    CHECK(LoadEdited(folder, [&](TensorProto* t) { SetEntry(t, key, "0"); }).code() ==
          StatusCode::kMalformed);
  }
  CHECK(LoadEdited(folder, [](TensorProto* t) { t->mutable_external_data()->RemoveLast(); }).ok());
  CHECK(LoadEdited(folder, [](TensorProto* t) { t->set_raw_data("x"); }).code() ==
        StatusCode::kMalformed);
  CHECK(LoadEdited(folder, [](TensorProto* t) { t->set_data_type(TensorProto::STRING); }).code() ==
        StatusCode::kMalformed);
}

TEST_CASE("external data are found wherever they hide", "[model][hostile]") {
  // Each place gets a tensor whose file does not exist: who does not look there does not notice.
  const TensorEdit gone = [](TensorProto* tensor) {
    *tensor = FloatTensor("hidden", {64}, 1);
    tensor->clear_raw_data();
    tensor->set_data_location(TensorProto::EXTERNAL);
    SetEntry(tensor, "location", "gone.data");
  };
  const auto attribute = [](ModelProto* m) {
    auto* added = m->mutable_graph()->mutable_node(0)->add_attribute();
    added->set_name("hidden");
    return added;
  };
  const auto subgraph = [&](ModelProto* m) { return attribute(m)->mutable_g(); };
  const std::vector<std::function<TensorProto*(ModelProto*)>> places = {
      [](ModelProto* m) { return m->mutable_graph()->add_initializer(); },
      [](ModelProto* m) { return m->mutable_graph()->add_sparse_initializer()->mutable_values(); },
      [](ModelProto* m) { return m->mutable_graph()->add_sparse_initializer()->mutable_indices(); },
      [&](ModelProto* m) { return attribute(m)->mutable_t(); },
      [&](ModelProto* m) { return attribute(m)->add_tensors(); },
      [&](ModelProto* m) { return attribute(m)->mutable_sparse_tensor()->mutable_values(); },
      [&](ModelProto* m) { return attribute(m)->add_sparse_tensors()->mutable_indices(); },
      [&](ModelProto* m) { return subgraph(m)->add_initializer(); },
      [&](ModelProto* m) { return subgraph(m)->add_node()->add_attribute()->mutable_t(); },
      [&](ModelProto* m) { return attribute(m)->add_graphs()->add_initializer(); },
      [](ModelProto* m) { return m->add_functions()->add_attribute_proto()->mutable_t(); },
      [](ModelProto* m) { return m->add_functions()->add_node()->add_attribute()->mutable_t(); },
      [](ModelProto* m) { return m->add_training_info()->mutable_algorithm()->add_initializer(); },
  };
  for (size_t i = 0; i < places.size(); ++i) {
    INFO("place " << i);
    ModelProto model = FromText(kSmallModel);
    AddWeights(&model, "w", {8, 8}, 1);
    gone(places[i](&model));
    const TestFolder folder;
    WriteBytes(folder / "m.onnx", model.SerializeAsString());
    const Status status = FlatModel::Load(folder / "m.onnx", {}).status();
    CHECK(status.code() == StatusCode::kIo);
    CHECK(status.message().find("gone.data") != std::string::npos);
  }
}

TEST_CASE("data must fill a tensor's dims exactly", "[model][hostile]") {
  CHECK(LoadTensor([](TensorProto*) {}).ok());
  const std::vector<TensorEdit> edits = {
      [](TensorProto* t) { t->set_dims(0, 9); },
      [](TensorProto* t) { t->set_dims(0, 7); },
      [](TensorProto* t) { t->set_dims(0, -8), t->set_dims(1, -8); },
      [](TensorProto* t) { t->set_dims(0, int64_t{1} << 62), t->set_dims(1, 4); },
      [](TensorProto* t) { t->set_dims(0, int64_t{1} << 58), t->set_dims(1, 4); },
      [](TensorProto* t) {
        for (int i = 0; i < 10000; ++i) t->add_dims(2);
      },
      [](TensorProto* t) { t->set_data_type(TensorProto::DOUBLE); },
      [](TensorProto* t) { t->set_data_type(0); },
      [](TensorProto* t) { t->set_data_type(99); },
      [](TensorProto* t) { t->set_data_type(-1); },
      [](TensorProto* t) { t->set_data_type(TensorProto::STRING); },
      [](TensorProto* t) { t->mutable_raw_data()->pop_back(); },
      [](TensorProto* t) { t->clear_raw_data(); },
      [](TensorProto* t) { t->add_float_data(1); },
      [](TensorProto* t) { t->clear_raw_data(), t->add_int64_data(1); },
      [](TensorProto* t) {
        t->set_data_type(TensorProto::INT4), t->set_dims(0, 3), t->set_dims(1, 3);
      },
  };
  for (size_t i = 0; i < edits.size(); ++i) {
    INFO("edit " << i);
    CHECK(LoadTensor(edits[i]).code() == StatusCode::kMalformed);
  }
  CHECK(LoadTensor([](TensorProto* t) { t->mutable_segment()->set_begin(0); }).code() ==
        StatusCode::kUnimplemented);
}

TEST_CASE("what is no model is malformed", "[model][hostile]") {
  const TestFolder folder;
  const auto load = [&](const std::string& bytes) {
    WriteBytes(folder / "m.onnx", bytes);
    return FlatModel::Load(folder / "m.onnx", {}).status().code();
  };
  CHECK(load("") == StatusCode::kMalformed);
  CHECK(load("hello, this is no model") == StatusCode::kMalformed);
  CHECK(load(std::string(1000, '\0')) == StatusCode::kMalformed);
  CHECK(FlatModel::Load(folder / "gone.onnx", {}).status().code() == StatusCode::kIo);
  LoadLimits limits;
  limits.model_bytes = 10;
  WriteBytes(folder / "m.onnx", FrontProto().SerializeAsString());
  CHECK(FlatModel::Load(folder / "m.onnx", limits).status().code() ==
        StatusCode::kResourceExhausted);
  limits = {};
  limits.tensor_bytes = 100;
  ModelProto model = FromText(kSmallModel);
  AddWeights(&model, "w", {8, 8}, 1);
  WriteBytes(folder / "m.onnx", model.SerializeAsString());
  CHECK(FlatModel::Load(folder / "m.onnx", limits).status().code() ==
        StatusCode::kResourceExhausted);
}

TEST_CASE("graphs nested too deep stop at a limit", "[model][hostile]") {
  // Wire bytes made by hand, from the inside out and therefore in reverse: graph -> node ->
  // attribute
  // -> graph ..., each attribute followed by its type (field 20, GRAPH).
  for (const int depth : {70, 2000, 100000}) {
    std::string reversed;
    size_t size = 0;
    const auto open = [&](int number) {
      std::string head(1, static_cast<char>(number << 3 | 2));
      for (size_t rest = size;; rest >>= 7) {
        head += static_cast<char>((rest & 127) | (rest > 127 ? 128 : 0));
        if (rest <= 127) break;
      }
      size += head.size();
      reversed.append(head.rbegin(), head.rend());
    };
    std::string types;
    for (int i = 0; i < depth; ++i) {
      open(6);
      types += std::string("\xa0\x01\x05", 3);
      size += 3;
      open(5);
      open(1);
    }
    open(7);
    const std::string model = std::string(reversed.rbegin(), reversed.rend()) + types;
    const StatusCode code = DecodeFront(base::AsBytes(model), {}).status().code();
    CHECK((code == StatusCode::kMalformed || code == StatusCode::kResourceExhausted));
  }
}

TEST_CASE("branches nested within the limits load, deeper ones do not", "[model][hostile]") {
  const auto load = [](int depth) {
    ModelProto model = FromText(R"(
<ir_version: 8, opset_import: ["" : 17]> agraph (float[N] x, bool c) => (float[N] y) { o = Relu(x) }
)");
    onnx::GraphProto inner;
    inner.add_node()->Swap(model.mutable_graph()->mutable_node(0));
    for (int i = 0; i < depth; ++i) {
      inner.clear_output();
      *inner.add_output() = model.graph().output(0);
      inner.mutable_output(0)->set_name("o");
      inner.mutable_node(0)->set_output(0, "o");
      onnx::GraphProto outer;
      auto* node = outer.add_node();
      node->set_op_type("If");
      node->add_input("c");
      node->add_output("o");
      for (const char* name : {"then_branch", "else_branch"}) {
        auto* attribute = node->add_attribute();
        attribute->set_name(name);
        attribute->set_type(onnx::AttributeProto::GRAPH);
        auto* graph = attribute->mutable_g();
        if (name[0] == 't') {
          graph->Swap(&inner);
        } else {
          graph->add_node()->set_op_type("Neg");
          graph->mutable_node(0)->add_input("x");
          graph->mutable_node(0)->add_output("e");
          graph->add_output()->set_name("e");
        }
      }
      inner.Swap(&outer);
    }
    inner.mutable_node(0)->set_output(0, "y");
    model.mutable_graph()->mutable_node()->Clear();
    model.mutable_graph()->add_node()->Swap(inner.mutable_node(0));
    const TestFolder folder;
    WriteBytes(folder / "m.onnx", model.SerializeAsString());
    return FlatModel::Load(folder / "m.onnx", {}).status().code();
  };
  CHECK(load(1) == StatusCode::kOk);
  CHECK(load(60) == StatusCode::kOk);
  for (const int depth : {65, 200, 1000}) {
    INFO(depth);
    const StatusCode code = load(depth);
    CHECK((code == StatusCode::kMalformed || code == StatusCode::kResourceExhausted));
  }
}

TEST_CASE("hostile functions of ours are malformed", "[model][hostile]") {
  CHECK(CodeOf(FrontProto()) == StatusCode::kOk);
  ModelProto front = FrontProto();
  const auto call = [](onnx::FunctionProto* function, const std::string& name) {
    auto* node = function->add_node();
    node->set_domain(kDomain);
    node->set_op_type(name);
  };
  SECTION("recursive") {
    call(front.mutable_functions(0), "Context_p0");
    CHECK(CodeOf(front) == StatusCode::kMalformed);
  }
  SECTION("mutually recursive") {
    *front.add_functions() = front.functions(0);
    front.mutable_functions(1)->set_name("Other");
    call(front.mutable_functions(0), "Other");
    call(front.mutable_functions(1), "Context_p0");
    CHECK(CodeOf(front) == StatusCode::kMalformed);
  }
  SECTION("recursive inside a subgraph") {
    auto* graph = front.mutable_functions(0)->mutable_node(0)->add_attribute()->mutable_g();
    graph->add_node()->set_domain(kDomain);
    graph->mutable_node(0)->set_op_type("Context_p0");
    CHECK(CodeOf(front) == StatusCode::kMalformed);
  }
  SECTION("twice there") {
    *front.add_functions() = front.functions(0);
    CHECK(CodeOf(front) == StatusCode::kMalformed);
  }
  SECTION("overloaded") {
    front.mutable_functions(0)->set_overload("x");
    CHECK(CodeOf(front) == StatusCode::kMalformed);
  }
  SECTION("called by a function of the model") {
    auto* function = front.add_functions();
    function->set_domain("local");
    function->set_name("f");
    call(function, "Context_p0");
    CHECK(CodeOf(front) == StatusCode::kMalformed);
  }
  SECTION("not imported") {
    front.mutable_opset_import()->RemoveLast();
    CHECK(CodeOf(front) == StatusCode::kMalformed);
  }
  SECTION("two different tags") {
    auto* property = front.add_metadata_props();
    property->set_key(kFrontProperty);
    property->set_value("{}");
    CHECK(CodeOf(front) == StatusCode::kMalformed);
  }
  SECTION("a tag that names a path") {
    front.mutable_metadata_props(0)->mutable_value()->insert(
        front.metadata_props(0).value().find("m-0123"), "../");
    CHECK(CodeOf(front) == StatusCode::kUnsafePath);
  }
}

TEST_CASE("what is wrong with one call is said of that call", "[model][hostile]") {
  using Edit = std::function<void(ModelProto*)>;
  const std::vector<Edit> edits = {
      [](ModelProto* m) { m->clear_functions(); },
      [](ModelProto* m) { m->mutable_graph()->mutable_node(0)->add_input("x"); },
      [](ModelProto* m) { m->mutable_graph()->mutable_node(0)->mutable_input()->RemoveLast(); },
      [](ModelProto* m) { m->mutable_graph()->mutable_node(0)->set_input(0, ""); },
      [](ModelProto* m) { m->mutable_graph()->mutable_node(0)->add_output("z"); },
      [](ModelProto* m) { m->mutable_graph()->mutable_node(0)->set_overload("o"); },
      [](ModelProto* m) { m->mutable_functions(0)->mutable_node(0)->set_input(0, "nowhere"); },
      [](ModelProto* m) { m->mutable_functions(0)->set_output(0, "nowhere"); },
      [](ModelProto* m) { m->mutable_functions(0)->set_output(0, "x0"); },
      [](ModelProto* m) { m->mutable_functions(0)->set_input(1, "x0"); },
      [](ModelProto* m) { m->mutable_functions(0)->mutable_node(0)->set_output(0, "x0"); },
      [](ModelProto* m) { *m->mutable_functions(0)->add_node() = m->functions(0).node(0); },
      [](ModelProto* m) {
        auto* node = m->mutable_functions(0)->mutable_node(0);
        node->set_input(0, m->functions(0).node(1).output(0));  // a cycle
      },
      [](ModelProto* m) {
        auto* a = m->mutable_functions(0)->mutable_node(0)->add_attribute();
        a->set_name("alpha");
        a->set_type(onnx::AttributeProto::FLOAT);
        a->set_ref_attr_name("partition");
      },
      [](ModelProto* m) {  // another meaning of MatMul
        auto* function = m->add_functions();
        function->set_domain("ai.onnx");
        function->set_name("MatMul");
      },
  };
  for (size_t i = 0; i < edits.size(); ++i) {
    INFO("edit " << i);
    ModelProto front = FrontProto();
    edits[i](&front);
    const Result<DecodedFront> decoded = DecodeFront(base::AsBytes(front.SerializeAsString()), {});
    REQUIRE(decoded.has_value());
    REQUIRE(decoded->calls.size() == 1);
    const StatusCode code = decoded->calls[0].structure_digest.status().code();
    CHECK((code == StatusCode::kMalformed || code == StatusCode::kUnimplemented));
  }
}

TEST_CASE("any truncated or flipped front ends in a status", "[model][hostile]") {
  const std::string good = FrontProto().SerializeAsString();
  const Digest digest = *Value(DecodeFront(base::AsBytes(good), {})).calls[0].structure_digest;
  size_t stopped = 0, seen = 0;
  for (size_t size = 0; size < good.size(); ++size) {
    stopped += !DecodeFront(base::AsBytes(good.substr(0, size)), {}).has_value();
  }
  CHECK(stopped > 0);
  for (size_t bit = 0; bit < good.size() * 8; ++bit) {
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << (bit % 8)));
    const Result<DecodedFront> decoded = DecodeFront(base::AsBytes(bad), {});
    if (!decoded) continue;
    for (const Call& call : decoded->calls) {
      seen += !call.structure_digest.has_value() || *call.structure_digest != digest;
    }
  }
  CHECK(seen > 0);
}

TEST_CASE("a hostile stored graph is malformed", "[model][hostile]") {
  ModelProto model = FromText(kSmallModel);
  AddWeights(&model, "w", {8, 8}, 1);
  const FlatModel flat = LoadProto(model);
  const ModelProto stored = Parsed(flat.Stored());
  const auto parse = [&](const TensorEdit& edit) {
    ModelProto edited = stored;
    edit(edited.mutable_graph()->mutable_initializer(0));
    return FlatModel::Parse(base::AsBytes(edited.SerializeAsString()), LookupOf(flat), {})
        .status()
        .code();
  };
  CHECK(parse([](TensorProto*) {}) == StatusCode::kOk);
  const std::vector<TensorEdit> edits = {
      [](TensorProto* t) { t->clear_external_data(); },
      [](TensorProto* t) { t->mutable_external_data(0)->mutable_value()->pop_back(); },
      [](TensorProto* t) { t->mutable_external_data(0)->mutable_value()->at(0) = 'A'; },
      [](TensorProto* t) { t->mutable_external_data(1)->set_value("0256"); },
      [](TensorProto* t) { t->mutable_external_data(1)->set_value("512"); },
      [](TensorProto* t) { t->mutable_external_data(1)->set_value("64"); },
      [](TensorProto* t) { t->mutable_external_data(2)->set_value("elsewhere"); },
      [](TensorProto* t) { t->mutable_external_data()->SwapElements(0, 1); },
      [](TensorProto* t) { SetEntry(t, "location", "x"); },
      [](TensorProto* t) { t->set_dims(0, 9); },
      [](TensorProto* t) { *t = FloatTensor("w", {8, 8}, 1); },
  };
  for (size_t i = 0; i < edits.size(); ++i) {
    INFO("edit " << i);
    CHECK(parse(edits[i]) == StatusCode::kMalformed);
  }
}

TEST_CASE("a content that changed is corrupt and nothing is written", "[model][hostile]") {
  const TestFolder folder;
  ModelProto model = FromText(kSmallModel);
  AddWeights(&model, "w", {8, 8}, 1);
  const FlatModel flat = LoadProto(model);
  const FlatModel wrong =
      Value(FlatModel::Parse(base::AsBytes(flat.Stored()),
                             [](const Digest&, const BytesSink& sink) {
                               return sink(base::AsBytes(std::string(256, 'x')));
                             },
                             {}));
  CHECK(wrong.WriteModel(folder / "out.onnx", false).code() == StatusCode::kCorrupt);
  CHECK(std::filesystem::is_empty(folder.path()));
}

}  // namespace backendctx::model
