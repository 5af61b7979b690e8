#include "random_models/round_trip.h"

#include <filesystem>
#include <set>

#include "authoring/pack.h"
#include "backendctx/package.h"
#include "base/os/file.h"
#include "model/flat_model.h"
#include "model/tensor_bytes.h"
#include "model/visit.h"
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

// The operators of the graph without Constant nodes, which an encoding may hoist.
std::vector<std::string> Operators(const onnx::GraphProto& graph) {
  std::vector<std::string> operators;
  for (const onnx::NodeProto& node : graph.node()) {
    if (node.op_type() != "Constant") operators.push_back(node.domain() + ":" + node.op_type());
  }
  return operators;
}

std::set<std::string> FilesOf(const std::string& folder) {
  std::set<std::string> names;
  for (const auto& file : std::filesystem::directory_iterator(folder)) {
    names.insert(file.path().filename().string());
  }
  return names;
}

EncodeOptions In(FrontEncoding encoding, bool embed = false) {
  EncodeOptions form;
  form.encoding = encoding;
  form.embed = embed;
  return form;
}

EncodeOptions With(Compression compression, EncodeOptions form) {
  form.compression = compression;
  return form;
}

constexpr FrontEncoding kFunction = FrontEncoding::kFunction;
constexpr FrontEncoding kMetadata = FrontEncoding::kMetadata;
constexpr Compression kZstd{true, 3}, kNone{false, 3};

}  // namespace

RoundTrip::RoundTrip(uint64_t seed, std::string folder)
    : made_(GenerateModel(seed)), folder_(std::move(folder)) {}

Status RoundTrip::RunEncodings() {
  BCTX_RETURN_IF_ERROR(
      os::WriteFile(At("model.onnx"), made_.model.SerializeAsString(), os::AtomicFile::kMustBeNew));
  for (const auto& [name, bytes] : made_.files) {
    BCTX_RETURN_IF_ERROR(os::WriteFile(At(name), bytes, os::AtomicFile::kMustBeNew));
  }
  BCTX_ASSIGN_OR_RETURN(expected_, WithoutFiles(made_));
  BCTX_ASSIGN_OR_RETURN(const model::FlatModel flat, model::FlatModel::Load(At("model.onnx"), {}));
  digest_ = flat.graph_digest();
  BCTX_RETURN_IF_ERROR(Pack("function", In(kFunction)));
  BCTX_RETURN_IF_ERROR(Check("function/package.onnx"));
  BCTX_RETURN_IF_ERROR(PackAndEncode("metadata", In(kMetadata)));
  BCTX_RETURN_IF_ERROR(EncodeBack("metadata", "function", In(kFunction)));
  BCTX_ASSIGN_OR_RETURN(const std::string front, os::ReadFile(At("metadata/package.onnx"), kMost));
  onnx::ModelProto parsed;
  if (!parsed.ParseFromString(front)) return Wrong("the metadata front does not parse");
  if (Operators(parsed.graph()) != Operators(made_.model.graph())) {
    return Wrong("the metadata front has other nodes");
  }
  BCTX_ASSIGN_OR_RETURN(const model::FlatModel again,
                        model::FlatModel::Load(At("restored.onnx"), {}));
  return again.graph_digest() == digest_ ? OkStatus() : Wrong("another graph was restored");
}

Status RoundTrip::RunBoth() {
  BCTX_RETURN_IF_ERROR(PackAndEncode("both", In(FrontEncoding::kBoth)));
  BCTX_RETURN_IF_ERROR(Check("both/package.flat.onnx"));
  BCTX_RETURN_IF_ERROR(CheckSame("both/package.onnx", "function/package.onnx"));
  BCTX_RETURN_IF_ERROR(CheckSame("both/package.flat.onnx", "metadata/package.onnx"));
  return EncodeBack("both", "function", In(kFunction));
}

Status RoundTrip::RunEmbedded() {
  BCTX_RETURN_IF_ERROR(PackAndEncode("embedded", In(kFunction, true)));
  BCTX_RETURN_IF_ERROR(EncodeBack("embedded", "metadata", In(kMetadata)));
  const Status refused = Encode("function", "illegal", In(kMetadata, true));
  return refused.code() == StatusCode::kInvalidArgument ? OkStatus()
                                                        : Wrong("a metadata front was embedded");
}

Status RoundTrip::RunCompressed() {
  for (const FrontEncoding encoding : {kFunction, kMetadata}) {
    const char* plain = encoding == kFunction ? "function" : "metadata";
    const std::string name = std::string("compressed-") + plain;
    BCTX_RETURN_IF_ERROR(PackAndEncode(name, With(kZstd, In(encoding))));
    BCTX_RETURN_IF_ERROR(EncodeBack(name, plain, With(kNone, In(encoding))));
  }
  BCTX_RETURN_IF_ERROR(PackAndEncode("compressed-embedded", With(kZstd, In(kFunction, true))));
  return EncodeBack("compressed-embedded", "metadata", With(kNone, In(kMetadata)));
}

Status RoundTrip::PackAndEncode(const std::string& name, const EncodeOptions& form) {
  BCTX_RETURN_IF_ERROR(Pack(name, form));
  BCTX_RETURN_IF_ERROR(Check(name + "/package.onnx"));
  return EncodeBack("function", name, form);
}

Status RoundTrip::Pack(const std::string& name, const EncodeOptions& form) {
  PackOptions options;
  options.backends = {{"tiny", {}}};
  options.targets = {"tiny"};
  options.encoding = form.encoding;
  options.embed = form.embed;
  options.compression = form.compression.value_or(Compression{});
  const plugin::Plugin tiny = plugin::Plugin::FromTable(TinyBackend()).value();
  std::filesystem::create_directory(At(name));
  BCTX_ASSIGN_OR_RETURN(
      PackReport report,
      authoring::PackWith({tiny}, At("model.onnx"), At(name + "/package.onnx"), options));
  if (report_.front.empty()) report_ = std::move(report);
  return OkStatus();
}

Status RoundTrip::Encode(const std::string& from, const std::string& to,
                         const EncodeOptions& form) const {
  BCTX_ASSIGN_OR_RETURN(const Package package, Package::Open(At(from + "/package.onnx"), {}));
  std::filesystem::create_directory(At(to));
  return backendctx::Encode(package, At(to + "/package.onnx"), form).status();
}

Status RoundTrip::EncodeBack(const std::string& from, const std::string& name,
                             const EncodeOptions& form) const {
  BCTX_RETURN_IF_ERROR(Encode(from, "again", form));
  BCTX_RETURN_IF_ERROR(CheckAllSame("again", name));
  std::filesystem::remove_all(At("again"));
  return OkStatus();
}

Status RoundTrip::CheckAllSame(const std::string& a, const std::string& b) const {
  const std::set<std::string> names = FilesOf(At(a));
  if (names != FilesOf(At(b))) return Wrong(a + " and " + b + " have other files");
  for (const std::string& name : names) {
    BCTX_RETURN_IF_ERROR(CheckSame(a + "/" + name, b + "/" + name));
  }
  return OkStatus();
}

Status RoundTrip::CheckSame(const std::string& a, const std::string& b) const {
  BCTX_ASSIGN_OR_RETURN(const std::string one, os::ReadFile(At(a), kMost));
  BCTX_ASSIGN_OR_RETURN(const std::string other, os::ReadFile(At(b), kMost));
  return one == other ? OkStatus() : Wrong(a + " and " + b + " have other bytes");
}

// What comes back is the model, byte for byte: only external data have moved inside.
Status RoundTrip::Check(const std::string& front) const {
  BCTX_ASSIGN_OR_RETURN(const Package package, Package::Open(At(front), {}));
  for (const Binding& binding : package.bindings()) {
    if (!binding.stale.empty()) return Wrong(front + ": stale: " + binding.stale);
  }
  if (package.manifest().variants.at(0).graph_digest != digest_) {
    return Wrong(front + ": another graph digest");
  }
  VerifyOptions verify;
  verify.allow_unsigned = true;
  BCTX_RETURN_IF_ERROR(package.Verify(verify).first_error.WithContext(front));
  BCTX_RETURN_IF_ERROR(package.Restore(At("restored.onnx"), "default", true).WithContext(front));
  BCTX_ASSIGN_OR_RETURN(const std::string restored, os::ReadFile(At("restored.onnx"), kMost));
  return restored == expected_ ? OkStatus() : Wrong(front + ": another model was restored");
}

}  // namespace backendctx::tests
