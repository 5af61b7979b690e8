// One package in every form: encodings, one file or two, compressed or not, and from each to each.
#include "backendctx/encode.h"

#include <catch2/catch.hpp>
#include <map>

#include "onnx/onnx_pb.h"
#include "package/small_package.h"

namespace backendctx::tests {
namespace {

// As kSmallModel, with a Constant node of 128 bytes, and strings: a tensor that no front maps.
constexpr char kModel[] = R"(
  <ir_version: 9, opset_import: ["" : 23]>
  small (float[B, 2, S, 8] x) => (float[B, 2, S, 8] y)
  <float[8, 8] w = {
     1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8,
     1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8,
     1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8,
     1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8},
   string[12] words = {"a word", "a word", "a word", "a word", "a word", "a word", "a word",
     "a word", "a word", "a word", "a word", "a word"}>
  {
    shift = Constant <value = float[4, 8] {
      1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8,
      1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8}> ()
    row = ReduceSum <keepdims = 0> (shift)
    p = MatMul (x, w)
    q = Add (p, row)
    y = Attention (q, x, x)
  })";

struct TestForm {
  const char* name;
  FrontEncoding encoding;
  bool embed;
  Compression compression;
};
constexpr TestForm kForms[] = {
    {"function", FrontEncoding::kFunction, false, {}},
    {"function, zstd", FrontEncoding::kFunction, false, {true, 5}},
    {"metadata", FrontEncoding::kMetadata, false, {}},
    {"metadata, zstd", FrontEncoding::kMetadata, false, {true, 5}},
    {"both", FrontEncoding::kBoth, false, {}},
    {"both, zstd", FrontEncoding::kBoth, false, {true, 5}},
    {"embedded", FrontEncoding::kFunction, true, {}},
    {"embedded, zstd", FrontEncoding::kFunction, true, {true, 5}},
};

using Files = std::map<std::string, std::string>;

std::vector<std::string> NamesIn(const std::string& folder) {
  return os::ListFolder(folder).value();
}

Files FilesOf(const std::string& folder) {
  Files files;
  for (const std::string& name : NamesIn(folder)) {
    files[name] = os::ReadFile(os::Join(folder, name), 1 << 22).value();
  }
  return files;
}

// One model and key; packs it in every form, each into a folder of its own.
class Maker {
 public:
  Maker() : key_(SigningKey::Generate().value()) {
    WriteModel(kModel, scratch_ / "model.onnx");
    options_.backends = {{"tiny", {}}};
    options_.targets = {"tiny"};
    options_.key = &key_;
  }

  std::string Folder(const std::string& name) const {
    const std::string folder = scratch_ / name;
    REQUIRE(os::MakeFolders(folder).ok());
    return folder;
  }

  PackReport Pack(const TestForm& form, const std::string& folder) const {
    PackOptions options = options_;
    options.encoding = form.encoding;
    options.embed = form.embed;
    options.compression = form.compression;
    const plugin::Plugin tiny = plugin::Plugin::FromTable(TinyBackend()).value();
    Result<PackReport> report = authoring::PackWith({tiny}, scratch_ / "model.onnx",
                                                    os::Join(folder, "package.onnx"), options);
    INFO((report ? std::string() : report.error().message()));
    REQUIRE(report.has_value());
    return std::move(report).value();
  }

  Result<Package> Open(const std::string& path) const {
    OpenOptions options;
    options.trusted_keys = {key_.Public()};
    return Package::Open(path, options);
  }

  // Every front of the folder opens, verifies, knows its partition and gives the model back.
  void CheckFronts(const std::string& folder) const {
    size_t fronts = 0;
    for (const std::string& name : NamesIn(folder)) {
      if (!name.ends_with(".onnx")) continue;
      ++fronts;
      INFO(folder << "/" << name);
      const Result<Package> package = Open(os::Join(folder, name));
      INFO((package ? std::string() : package.error().message()));
      REQUIRE(package.has_value());
      const VerifyReport report = package->Verify({});
      INFO(report.first_error.message());
      CHECK(report.first_error.ok());
      REQUIRE(package->bindings().size() == 1);
      CHECK(package->bindings().front().stale.empty());
      CHECK(package->ContextBytes(package->manifest().contexts.front().id).has_value());
      const std::string restored = scratch_ / "restored.onnx";
      REQUIRE(package->Restore(restored, "", true).ok());
      CHECK(os::ReadFile(restored, 1 << 20).value() ==
            os::ReadFile(scratch_ / "model.onnx", 1 << 20).value());
    }
    CHECK(fronts > 0);
  }

  const test::Scratch& scratch() const { return scratch_; }

 private:
  test::Scratch scratch_;
  SigningKey key_;
  PackOptions options_;
};

EncodeOptions ToOptions(const TestForm& form) {
  EncodeOptions options;
  options.encoding = form.encoding;
  options.embed = form.embed;
  options.compression = form.compression;
  return options;
}

onnx::ModelProto Parsed(const std::string& bytes) {
  onnx::ModelProto model;
  REQUIRE(model.ParseFromString(bytes));
  return model;
}

}  // namespace

TEST_CASE("a package of every form verifies, gives the model back and has the same bytes again",
          "[package][encode]") {
  const Maker maker;
  for (const TestForm& form : kForms) {
    INFO(form.name);
    const std::string folder = maker.Folder(form.name);
    const PackReport report = maker.Pack(form, folder);
    maker.CheckFronts(folder);
    CHECK(report.embedded == form.embed);
    CHECK(report.container.empty() == form.embed);
    CHECK(report.fronts.size() == (form.encoding == FrontEncoding::kBoth ? 2 : 1));
    const std::string twice = maker.Folder(std::string(form.name) + " twice");
    maker.Pack(form, twice);
    CHECK(FilesOf(folder) == FilesOf(twice));
  }
}

TEST_CASE("encoding from any form gives what packing in the other form gives",
          "[package][encode]") {
  const Maker maker;
  for (const TestForm& form : kForms) maker.Pack(form, maker.Folder(form.name));
  for (const TestForm& from : kForms) {
    for (const TestForm& to : kForms) {
      INFO(from.name << " to " << to.name);
      const Package package = maker.Open(maker.Folder(from.name) + "/package.onnx").value();
      const std::string folder = maker.Folder(std::string(from.name) + " to " + to.name);
      const Result<EncodeReport> report =
          Encode(package, os::Join(folder, "package.onnx"), ToOptions(to));
      INFO((report ? std::string() : report.error().message()));
      REQUIRE(report.has_value());
      CHECK(FilesOf(folder) == FilesOf(maker.Folder(to.name)));
    }
  }
}

TEST_CASE("without a word about compression contents stay as they are held", "[package][encode]") {
  const Maker maker;
  maker.Pack(kForms[1], maker.Folder("from"));  // zstd:5
  const Package package = maker.Open(maker.Folder("from") + "/package.onnx").value();
  EncodeOptions options;
  options.encoding = FrontEncoding::kBoth;
  REQUIRE(Encode(package, maker.Folder("to") + "/package.onnx", options).has_value());
  maker.Pack(kForms[5], maker.Folder("packed"));
  CHECK(FilesOf(maker.Folder("to")) == FilesOf(maker.Folder("packed")));
}

TEST_CASE("a front in the metadata encoding is the flat graph, large Constants aside",
          "[package][encode]") {
  const Maker maker;
  const PackReport report = maker.Pack(kForms[2], maker.Folder("flat"));
  const onnx::ModelProto front = Parsed(os::ReadFile(report.front, 1 << 20).value());
  const onnx::ModelProto model =
      Parsed(os::ReadFile(maker.scratch() / "model.onnx", 1 << 20).value());
  CHECK(front.functions_size() == 0);
  CHECK(front.ir_version() == model.ir_version());
  CHECK(front.opset_import_size() == model.opset_import_size());
  REQUIRE(front.graph().node_size() == model.graph().node_size() - 1);
  for (int i = 0; i < front.graph().node_size(); ++i) {
    CHECK(front.graph().node(i).SerializeAsString() ==
          model.graph().node(i + 1).SerializeAsString());
  }
  REQUIRE(front.graph().initializer_size() == 3);
  CHECK(front.graph().initializer(2).name() == "shift");
  CHECK(front.graph().initializer(2).data_location() == onnx::TensorProto::EXTERNAL);
}

TEST_CASE("an edit inside or on the boundary of a partition of a flat front is stale",
          "[package][encode]") {
  const Maker maker;
  const PackReport report = maker.Pack(kForms[2], maker.Folder("flat"));
  const std::string original = os::ReadFile(report.front, 1 << 20).value();
  const auto stale_after = [&](const auto& edit) {
    onnx::ModelProto front = Parsed(original);
    edit(front.mutable_graph());
    REQUIRE(os::WriteFile(report.front, front.SerializeAsString(), os::AtomicFile::kReplace).ok());
    const Result<Package> package = maker.Open(report.front);
    INFO((package ? std::string() : package.error().message()));
    REQUIRE(package.has_value());
    CHECK(package->Verify({}).first_error.code() == StatusCode::kCorrupt);
    return package->bindings().front().stale;
  };
  using Graph = onnx::GraphProto;
  CHECK(stale_after([](Graph* graph) {
          auto* attribute = graph->mutable_node(3)->add_attribute();
          attribute->set_name("scale");
          attribute->set_type(onnx::AttributeProto::FLOAT);
          attribute->set_f(0.5f);
        }).find("structure digest") != std::string::npos);
  CHECK(stale_after([](Graph* graph) {
          graph->mutable_node(3)->set_output(0, "z");
          graph->mutable_output(0)->set_name("z");
        }).find("no node 'y'") != std::string::npos);
  CHECK_FALSE(stale_after([](Graph* graph) {
                graph->mutable_node(2)->set_output(0, "other");
                graph->mutable_node(3)->set_input(0, "other");
              }).empty());
  // Around it anything may change: the partition is what it was.
  CHECK(stale_after([](Graph* graph) { graph->mutable_node(2)->set_op_type("Sub"); }).empty());
}

TEST_CASE("a front of another encoder's version is compared field by field", "[package][encode]") {
  const Maker maker;
  for (const TestForm& form : kForms) {
    INFO(form.name);
    const std::string path = maker.Pack(form, maker.Folder(form.name)).front;
    std::string bytes = os::ReadFile(path, 1 << 22).value();
    const std::string version = "\"encoder\":2,";
    bytes.replace(bytes.find(version), version.size(), "\"encoder\":9,");
    REQUIRE(os::WriteFile(path, bytes, os::AtomicFile::kReplace).ok());
    Status status = maker.Open(path).value().Verify({}).first_error;
    INFO(status.message());
    CHECK(status.ok());
    onnx::ModelProto front = Parsed(bytes);
    for (onnx::NodeProto& node : *front.mutable_graph()->mutable_node()) {
      if (node.output(0) == "p") node.set_doc_string("edited");
    }
    REQUIRE(os::WriteFile(path, front.SerializeAsString(), os::AtomicFile::kReplace).ok());
    status = maker.Open(path).value().Verify({}).first_error;
    CHECK(status.code() == StatusCode::kCorrupt);
    CHECK(status.message().find("node \"p\"") != std::string::npos);
  }
}

TEST_CASE("with both encodings the old container goes when no front names it",
          "[package][encode]") {
  const Maker maker;
  const std::string folder = maker.Folder("pair");
  const std::string output = os::Join(folder, "package.onnx");
  const PackReport both = maker.Pack(kForms[4], folder);
  const Package package = maker.Open(os::Join(folder, "package.flat.onnx")).value();
  CHECK(package.encoding() == "metadata");

  EncodeOptions options = ToOptions(kForms[1]);  // another container, one front
  CHECK(Encode(package, output, options).status().code() == StatusCode::kInvalidArgument);
  options.force = true;
  REQUIRE(Encode(package, output, options).has_value());
  CHECK(os::Exists(both.container));  // package.flat.onnx still names it
  maker.CheckFronts(folder);

  const Package other = maker.Open(output).value();
  const std::string elsewhere = maker.Folder("elsewhere");
  REQUIRE(Encode(other, os::Join(elsewhere, "package.onnx"), ToOptions(kForms[0])).has_value());
  const Package away = maker.Open(os::Join(elsewhere, "package.onnx")).value();
  options = ToOptions(kForms[5]);
  CHECK(Encode(away, output, options).status().code() == StatusCode::kInvalidArgument);
  options.force = true;
  REQUIRE(Encode(away, output, options).has_value());
  CHECK_FALSE(os::Exists(both.container));
  CHECK(NamesIn(folder).size() == 3);
  maker.CheckFronts(folder);
}

TEST_CASE("two fronts appear together or not at all", "[package][encode]") {
  const Maker maker;
  maker.Pack(kForms[0], maker.Folder("from"));
  const Package package = maker.Open(maker.Folder("from") + "/package.onnx").value();
  const std::string folder = maker.Folder("to"), output = os::Join(folder, "package.onnx");
  REQUIRE(os::MakeFolders(os::Join(folder, "package.flat.onnx")).ok());  // in the way
  EncodeOptions options = ToOptions(kForms[4]);
  options.force = true;
  CHECK_FALSE(Encode(package, output, options).has_value());
  CHECK(NamesIn(folder) == std::vector<std::string>{"package.flat.onnx"});
}

TEST_CASE("an embedded container needs the function encoding, and inline contents a front",
          "[package][encode]") {
  const Maker maker;
  maker.Pack(kForms[6], maker.Folder("from"));
  const std::string path = maker.Folder("from") + "/package.onnx";
  const Package package = maker.Open(path).value();
  CHECK(package.is_embedded());
  EncodeOptions options;
  options.embed = true;
  options.encoding = FrontEncoding::kMetadata;
  CHECK(Encode(package, maker.Folder("to") + "/package.onnx", options).status().code() ==
        StatusCode::kInvalidArgument);

  const onnx::ModelProto front = Parsed(os::ReadFile(path, 1 << 20).value());
  const onnx::NodeProto& call = front.graph().node(front.graph().node_size() - 1);
  const std::string name = call.input(call.input_size() - 1);
  CHECK(name == "backendctx_container");
  std::string bytes;
  for (const auto& tensor : front.graph().initializer()) {
    CHECK_FALSE(tensor.data_location() == onnx::TensorProto::EXTERNAL);
    if (tensor.name() == name) bytes = tensor.raw_data();
  }
  const std::string bare = maker.Folder("bare") + "/bare.bctx";
  REQUIRE(os::WriteFile(bare, bytes, os::AtomicFile::kMustBeNew).ok());
  const Result<Package> opened = maker.Open(bare);
  REQUIRE(opened.has_value());
  CHECK(opened->ContextBytes(opened->manifest().contexts.front().id).has_value());
  CHECK(opened->Restore(maker.scratch() / "none.onnx", "", true).code() == StatusCode::kNotFound);
}

TEST_CASE("an initializer whose name is no clean text is held by the container too",
          "[package][encode]") {
  const Maker maker;
  const std::string path = maker.scratch() / "model.onnx";
  onnx::ModelProto model = Parsed(os::ReadFile(path, 1 << 20).value());
  model.mutable_graph()->mutable_initializer(0)->set_name("w\n");
  for (onnx::NodeProto& node : *model.mutable_graph()->mutable_node()) {
    for (std::string& input : *node.mutable_input()) {
      if (input == "w") input = "w\n";
    }
  }
  REQUIRE(os::WriteFile(path, model.SerializeAsString(), os::AtomicFile::kReplace).ok());
  const std::string folder = maker.Folder("embedded");
  maker.Pack(kForms[6], folder);
  maker.CheckFronts(folder);
  const Package package = maker.Open(folder + "/package.onnx").value();
  REQUIRE(
      Encode(package, maker.Folder("both") + "/package.onnx", ToOptions(kForms[4])).has_value());
  maker.CheckFronts(maker.Folder("both"));
}

TEST_CASE("an embedded container whose operand a tool removed is stale, without it malformed",
          "[package][encode]") {
  const Maker maker;
  maker.Pack(kForms[6], maker.Folder("from"));
  const std::string path = maker.Folder("from") + "/package.onnx";
  onnx::ModelProto front = Parsed(os::ReadFile(path, 1 << 20).value());
  auto* graph = front.mutable_graph();
  graph->mutable_node(graph->node_size() - 1)->mutable_input()->RemoveLast();
  REQUIRE(os::WriteFile(path, front.SerializeAsString(), os::AtomicFile::kReplace).ok());
  const Result<Package> without = maker.Open(path);
  REQUIRE(without.has_value());
  CHECK(without->bindings().front().stale.find("operands") != std::string::npos);
  graph->mutable_initializer()->RemoveLast();
  REQUIRE(os::WriteFile(path, front.SerializeAsString(), os::AtomicFile::kReplace).ok());
  CHECK(maker.Open(path).status().code() == StatusCode::kMalformed);
}

}  // namespace backendctx::tests
