// How packing grows with a model: processor seconds for models of 10,000 and 100,000 nodes, and for
// what comes after (open, verify, restore). `bench_packing [NODES [TENSORS]]` measures that size
// and a tenth of it. Attention is found and carried in functions; the backend writes a few bytes
// for each, so no compiler is measured.
//
// Hashing is what no packer can leave out: the seconds of SHA-256 over all bytes are shown beside.
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <optional>
#include <string>
#include <vector>

#include "authoring/pack.h"
#include "backendctx/package.h"
#include "base/bytes.h"
#include "base/os/file.h"
#include "crypto/sha256.h"
#include "onnx/onnx_pb.h"
#include "support/scratch.h"
#include "support/tiny_backend.h"

namespace backendctx::bench {
namespace {

using onnx::GraphProto;
using onnx::NodeProto;
using onnx::TensorProto;

constexpr size_t kLayerNodes = 50;

// A model of layers: attention, a branch with a weight of its own in every fourth, small operators.
class Maker {
 public:
  onnx::ModelProto Make(size_t nodes, size_t tensors) {
    model_.set_ir_version(8);
    auto* import = model_.add_opset_import();
    import->set_version(17);
    graph_ = model_.mutable_graph();
    Type(graph_->add_input(), "x");
    auto* flag = graph_->add_input();
    flag->set_name("flag");
    flag->mutable_type()->mutable_tensor_type()->set_elem_type(TensorProto::BOOL);
    std::string value = "x";
    const size_t layers = nodes / kLayerNodes;
    const size_t weights = layers == 0 ? 0 : tensors / layers;
    for (size_t i = 0; i < layers; ++i) value = Layer(value, i, weights);
    Type(graph_->add_output(), value);
    return std::move(model_);
  }

 private:
  static void Type(onnx::ValueInfoProto* info, const std::string& name) {
    info->set_name(name);
    auto* type = info->mutable_type()->mutable_tensor_type();
    type->set_elem_type(TensorProto::FLOAT);
    for (const char* symbol : {"batch", "length"}) {
      type->mutable_shape()->add_dim()->set_dim_param(symbol);
    }
    type->mutable_shape()->add_dim()->set_dim_value(16);
  }

  std::string Name() { return "v" + std::to_string(next_++); }

  NodeProto* Node(GraphProto* graph, const char* op, const std::vector<std::string>& inputs) {
    NodeProto* node = graph->add_node();
    node->set_op_type(op);
    for (const std::string& input : inputs) node->add_input(input);
    node->add_output(Name());
    return node;
  }

  std::string Weight(GraphProto* graph) {
    TensorProto* tensor = graph->add_initializer();
    tensor->set_name(Name());
    tensor->set_data_type(TensorProto::FLOAT);
    tensor->add_dims(16);
    tensor->add_dims(16);
    std::vector<float> values(256, static_cast<float>(next_));
    tensor->set_raw_data(values.data(), values.size() * sizeof(float));
    return tensor->name();
  }

  std::string Ints(const std::vector<int64_t>& values) {
    NodeProto* node = Node(graph_, "Constant", {});
    auto* attribute = node->add_attribute();
    attribute->set_name("value_ints");
    attribute->set_type(onnx::AttributeProto::INTS);
    for (const int64_t value : values) attribute->add_ints(value);
    return node->output(0);
  }

  std::string Turned(const std::string& value, const std::vector<int64_t>& order) {
    NodeProto* node = Node(graph_, "Transpose", {value});
    auto* attribute = node->add_attribute();
    attribute->set_name("perm");
    attribute->set_type(onnx::AttributeProto::INTS);
    for (const int64_t axis : order) attribute->add_ints(axis);
    return node->output(0);
  }

  std::string Op(const char* op, const std::vector<std::string>& inputs) {
    return Node(graph_, op, inputs)->output(0);
  }

  std::string Heads(const std::string& x, const std::vector<int64_t>& order) {
    return Turned(Op("Reshape", {Op("MatMul", {x, Weight(graph_)}), Ints({0, 0, 2, 8})}), order);
  }

  std::string Attention(const std::string& x) {
    const std::string scores = Op("MatMul", {Heads(x, {0, 2, 1, 3}), Heads(x, {0, 2, 3, 1})});
    NodeProto* softmax = Node(graph_, "Softmax", {scores});
    auto* axis = softmax->add_attribute();
    axis->set_name("axis");
    axis->set_type(onnx::AttributeProto::INT);
    axis->set_i(-1);
    const std::string mixed =
        Turned(Op("MatMul", {softmax->output(0), Heads(x, {0, 2, 1, 3})}), {0, 2, 1, 3});
    return Op("Reshape", {mixed, Ints({0, 0, 16})});
  }

  std::string Branch(const std::string& x) {
    NodeProto* node = Node(graph_, "If", {"flag"});
    for (const char* name : {"then_branch", "else_branch"}) {
      auto* attribute = node->add_attribute();
      attribute->set_name(name);
      attribute->set_type(onnx::AttributeProto::GRAPH);
      GraphProto* branch = attribute->mutable_g();
      branch->set_name(name);
      Type(branch->add_output(), Node(branch, "MatMul", {x, Weight(branch)})->output(0));
    }
    return node->output(0);
  }

  std::string Layer(const std::string& x, size_t number, size_t weights) {
    const int before = graph_->node_size();
    std::string value = Op("Add", {x, Attention(x)});
    if (number % 4 == 0) value = Branch(value);
    for (size_t i = 3; i < weights; ++i) value = Op("MatMul", {value, Weight(graph_)});
    while (graph_->node_size() < before + static_cast<int>(kLayerNodes))
      value = Op("Tanh", {value});
    return value;
  }

  onnx::ModelProto model_;
  GraphProto* graph_ = nullptr;
  size_t next_ = 0;
};

// Processor seconds of this process: what else runs on the machine does not count.
double Now() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

// Seconds, or the program ends with the reason.
template <typename Work>
double Measured(const char* what, const Work& work) {
  const double start = Now();
  const Status status = work();
  if (!status.ok()) {
    std::fprintf(stderr, "bench_packing: %s: %s\n", what, status.message().c_str());
    std::exit(1);
  }
  return Now() - start;
}

double HashSeconds(uint64_t bytes) {
  const std::string piece(1 << 20, 'x');
  const double start = Now();
  crypto::Sha256Stream sha;
  for (uint64_t done = 0; done < bytes; done += piece.size()) sha.Update(piece);
  (void)sha.Finish();
  return Now() - start;
}

double MeasureSize(size_t nodes, size_t tensors) {
  const test::Scratch scratch;
  const std::string model = scratch / "model.onnx", package = scratch / "package.onnx";
  const std::string bytes = Maker().Make(nodes, tensors).SerializeAsString();
  if (!os::WriteFile(model, bytes, os::AtomicFile::kMustBeNew).ok()) std::exit(1);
  PackOptions options;
  options.backends = {{"tiny", {}}};
  options.targets = {"tiny"};
  const plugin::Plugin tiny = plugin::Plugin::FromTable(tests::TinyBackend()).value();
  PackReport report;
  const double pack = Measured("pack", [&]() -> Status {
    BCTX_ASSIGN_OR_RETURN(report, authoring::PackWith({tiny}, model, package, options));
    return OkStatus();
  });
  std::optional<Package> opened;
  const double open = Measured("open", [&]() -> Status {
    BCTX_ASSIGN_OR_RETURN(opened, Package::Open(package, {}));
    return OkStatus();
  });
  VerifyOptions any;
  any.allow_unsigned = true;
  const double verify = Measured("verify", [&] { return opened->Verify(any).first_error; });
  const double restore = Measured(
      "restore", [&] { return opened->Restore(scratch / "restored.onnx", "default", false); });
  std::printf("%8zu %8zu %10zu %8.2f %8.2f %8.2f %8.2f %10.3f\n", nodes, tensors,
              report.taken.size(), pack, open, verify, restore, HashSeconds(bytes.size()));
  std::fflush(stdout);
  return pack;
}

}  // namespace
}  // namespace backendctx::bench

int main(int count, char** arguments) {
  using backendctx::bench::MeasureSize;
  const size_t nodes = count > 1 ? std::strtoull(arguments[1], nullptr, 10) : 100'000;
  const size_t tensors = count > 2 ? std::strtoull(arguments[2], nullptr, 10) : nodes / 5;
  std::printf("%8s %8s %10s %8s %8s %8s %8s %10s\n", "nodes", "tensors", "partitions", "pack s",
              "open s", "verify s", "restore s", "hashing s");
  const double tenth = MeasureSize(nodes / 10, tensors / 10);
  const double whole = MeasureSize(nodes, tensors);
  std::printf("10 times the nodes: %.1f times the seconds of packing\n", whole / tenth);
  return 0;
}
