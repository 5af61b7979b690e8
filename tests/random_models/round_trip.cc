#include "random_models/round_trip.h"

#include "authoring/pack.h"
#include "backendctx/package.h"
#include "base/bytes.h"
#include "base/os/file.h"
#include "container/container.h"
#include "model/flat_model.h"
#include "model/front.h"
#include "model/tensor_bytes.h"
#include "model/visit.h"
#include "package/state.h"
#include "support/tiny_backend.h"

namespace backendctx::tests {
namespace {

constexpr uint64_t kMost = 1u << 30;

Status Wrong(const std::string& text) { return Status(StatusCode::kInternal, text); }

// The model with every external tensor inside, as raw data: what restore makes of them.
Result<std::string> WithoutFiles(const RandomModel& made) {
  onnx::ModelProto model = made.model;
  BCTX_RETURN_IF_ERROR(
      model::VisitTensors(&model, [&](onnx::TensorProto* tensor, const std::string&) -> Status {
        if (tensor->data_location() != onnx::TensorProto::EXTERNAL) return OkStatus();
        std::map<std::string, std::string> entries;
        for (const auto& entry : tensor->external_data()) entries[entry.key()] = entry.value();
        BCTX_ASSIGN_OR_RETURN(const uint64_t size, model::DecodedSize(*tensor));
        tensor->set_raw_data(
            made.files.at(entries["location"]).substr(std::stoull(entries["offset"]), size));
        tensor->clear_external_data();
        tensor->clear_data_location();
        return OkStatus();
      }));
  return model.SerializeAsString();
}

}  // namespace

RoundTrip::RoundTrip(uint64_t seed, std::string folder)
    : made_(GenerateModel(seed)), folder_(std::move(folder)) {}

Status RoundTrip::Run() {
  BCTX_RETURN_IF_ERROR(
      os::WriteFile(At("model.onnx"), made_.model.SerializeAsString(), os::AtomicFile::kMustBeNew));
  for (const auto& [name, bytes] : made_.files) {
    BCTX_RETURN_IF_ERROR(os::WriteFile(At(name.c_str()), bytes, os::AtomicFile::kMustBeNew));
  }
  BCTX_RETURN_IF_ERROR(Pack());
  BCTX_ASSIGN_OR_RETURN(const Package package, Package::Open(At("package.onnx"), {}));
  for (const Binding& binding : package.bindings()) {
    if (!binding.stale.empty()) return Wrong("stale: " + binding.stale);
  }
  VerifyOptions verify;
  verify.allow_unsigned = true;
  BCTX_RETURN_IF_ERROR(package.Verify(verify).first_error);
  BCTX_RETURN_IF_ERROR(package.Restore(At("restored.onnx"), "default", false));
  return Compare(package.manifest().variants.at(0).graph_digest);
}

Status RoundTrip::Pack() {
  PackOptions options;
  options.backends = {{"tiny", {}}};
  options.targets = {"tiny"};
  const plugin::Plugin tiny = plugin::Plugin::FromTable(TinyBackend()).value();
  BCTX_ASSIGN_OR_RETURN(report_,
                        authoring::PackWith({tiny}, At("model.onnx"), At("package.onnx"), options));
  return OkStatus();
}

namespace {

// The operators of the graph without Constant nodes, which an encoding may hoist.
std::vector<std::string> Operators(const onnx::GraphProto& graph) {
  std::vector<std::string> operators;
  for (const onnx::NodeProto& node : graph.node()) {
    if (node.op_type() != "Constant") operators.push_back(node.domain() + ":" + node.op_type());
  }
  return operators;
}

}  // namespace

Status RoundTrip::RunMetadata() {
  BCTX_ASSIGN_OR_RETURN(const Package made, Package::Open(At("package.onnx"), {}));
  BCTX_ASSIGN_OR_RETURN(os::File file, os::File::Open(made.container_path()));
  BCTX_ASSIGN_OR_RETURN(const container::Reader reader,
                        container::Reader::Open(std::move(file), {}));
  BCTX_ASSIGN_OR_RETURN(const model::FlatModel flat, model::FlatModel::Load(At("model.onnx"), {}));
  model::FrontTag tag;
  tag.container = os::NameOf(made.container_path());
  tag.manifest = made.manifest_digest();
  tag.encoding = model::Encoding::kMetadata;
  BCTX_ASSIGN_OR_RETURN(const std::string front,
                        model::EncodeFront(flat, {}, tag, package::LayoutOf(reader.index())));
  BCTX_RETURN_IF_ERROR(os::WriteFile(At("metadata.onnx"), front, os::AtomicFile::kMustBeNew));
  onnx::ModelProto parsed;
  if (!parsed.ParseFromString(front)) return Wrong("the metadata front does not parse");
  if (Operators(parsed.graph()) != Operators(made_.model.graph())) {
    return Wrong("the metadata front has other nodes");
  }
  BCTX_ASSIGN_OR_RETURN(const Package package, Package::Open(At("metadata.onnx"), {}));
  VerifyOptions verify;
  verify.allow_unsigned = true;
  return package.Verify(verify).first_error;
}

// What comes back is the model, byte for byte: only external data have moved inside.
Status RoundTrip::Compare(const Digest& digest) const {
  BCTX_ASSIGN_OR_RETURN(const std::string restored, os::ReadFile(At("restored.onnx"), kMost));
  BCTX_ASSIGN_OR_RETURN(const std::string expected, WithoutFiles(made_));
  if (restored != expected) return Wrong("another model was restored");
  BCTX_ASSIGN_OR_RETURN(const model::FlatModel again,
                        model::FlatModel::Load(At("restored.onnx"), {}));
  return again.graph_digest() == digest ? OkStatus() : Wrong("another graph digest");
}

}  // namespace backendctx::tests
