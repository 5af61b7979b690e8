#include "model/flat_model.h"

#include <fmt/format.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <algorithm>
#include <tuple>

#include "base/bytes.h"
#include "crypto/sha256.h"
#include "model/canonical.h"
#include "model/check_graph.h"
#include "model/constants.h"
#include "model/external_data.h"
#include "model/front.h"
#include "model/function_body.h"
#include "model/guard.h"
#include "model/state.h"
#include "model/tensor_bytes.h"
#include "model/visit.h"
#include "onnx/defs/schema.h"

namespace backendctx::model {
namespace {

using google::protobuf::io::CodedInputStream;
using onnx::ModelProto;
using onnx::TensorProto;

// Messages between one graph and the next below it: node, attribute, graph.
constexpr uint64_t kMessagesPerGraph = 3;
// Messages below a graph that hold no graph: attribute, sparse tensor, tensor, entry; types.
constexpr uint64_t kMessagesBelow = 32;
// The parser, shape inference and every walk recurse as deep as the messages nest. A view stops at
// kMaxGraphDepth, so nothing is lost by stopping here, and a thread's stack holds it.
constexpr uint64_t kMaxMessageDepth = (kMaxGraphDepth + 1) * kMessagesPerGraph + kMessagesBelow;

BytesSource FromMemory(std::shared_ptr<const std::string> bytes) {
  return [bytes = std::move(bytes)](const BytesSink& sink) { return sink(base::AsBytes(*bytes)); };
}

Result<std::string> Collect(const BytesSource& source, uint64_t size) {
  std::string bytes;
  bytes.reserve(size);
  BCTX_RETURN_IF_ERROR(source([&](std::span<const uint8_t> piece) {
    bytes.append(base::AsText(piece));
    return OkStatus();
  }));
  return bytes;
}

Result<Digest> DigestOf(const BytesSource& source) {
  crypto::Sha256Stream sha;
  BCTX_RETURN_IF_ERROR(source([&](std::span<const uint8_t> piece) {
    sha.Update(piece);
    return OkStatus();
  }));
  return sha.Finish();
}

// Contents by digest, each once.
class Contents {
 public:
  Status Add(const Digest& digest, uint64_t size, BytesSource source) {
    const auto [at, added] = by_digest_.try_emplace(digest, TensorContent{digest, size, {}});
    if (added) at->second.source = std::move(source);
    if (at->second.size == size) return OkStatus();
    return Status(StatusCode::kMalformed, fmt::format("digest {}: found with sizes {} and {}",
                                                      digest.Hex(), at->second.size, size));
  }

  // Constants in attribute lists are stored where they are; a front still refers to them.
  Status AddListConstants(const ModelProto& model) {
    return VisitNodes(model, [this](const onnx::NodeProto& node) {
      if (!IsListConstant(node)) return OkStatus();
      const std::optional<TensorProto> tensor = ConstantTensor(node);
      if (!tensor) return OkStatus();
      BCTX_ASSIGN_OR_RETURN(std::string bytes, DecodeInline(*tensor));
      if (bytes.size() < kInlineLimit) return OkStatus();
      const Digest digest = crypto::Sha256(std::string_view(bytes));
      const uint64_t size = bytes.size();
      return Add(digest, size, FromMemory(std::make_shared<const std::string>(std::move(bytes))));
    });
  }

  std::vector<TensorContent> Sorted() {
    std::vector<TensorContent> sorted;
    for (auto& [digest, content] : by_digest_) sorted.push_back(std::move(content));
    return sorted;
  }

 private:
  std::map<Digest, TensorContent> by_digest_;
};

int DataFields(const TensorProto& tensor) {
  return (tensor.raw_data().empty() ? 0 : 1) + (tensor.float_data_size() > 0) +
         (tensor.int32_data_size() > 0) + (tensor.string_data_size() > 0) +
         (tensor.int64_data_size() > 0) + (tensor.double_data_size() > 0) +
         (tensor.uint64_data_size() > 0);
}

// Brings the tensors of a model just read into stored form.
class TensorTaker {
 public:
  TensorTaker(const std::string& path, const LoadLimits& limits, Contents* contents)
      : files_(path), limits_(limits), contents_(contents) {}

  Status Take(TensorProto* tensor, const std::string& place) {
    return TakeOne(tensor).WithContext(place);
  }

 private:
  Status TakeOne(TensorProto* tensor) {
    if (tensor->has_segment()) {
      return Status(StatusCode::kUnimplemented, "tensors in segments cannot be packed");
    }
    const bool external = tensor->data_location() == TensorProto::EXTERNAL;
    const int fields = DataFields(*tensor);
    if (fields > (external ? 0 : 1)) {
      return Status(StatusCode::kMalformed,
                    fmt::format("found data in {} places, expected one", fields + external));
    }
    if (external) return TakeExternal(tensor);
    return tensor->has_raw_data() ? TakeRaw(tensor) : TakeTyped(tensor);
  }

  Status CheckSize(uint64_t size) {
    total_ += std::min(size, UINT64_MAX - total_);
    if (total_ <= limits_.tensor_bytes) return OkStatus();
    return Status(StatusCode::kResourceExhausted,
                  fmt::format("found tensors of {} bytes and more, expected at most {}", total_,
                              limits_.tensor_bytes));
  }

  struct Range {
    Digest digest;
    BytesSource source;
  };

  Status TakeExternal(TensorProto* tensor) {
    BCTX_ASSIGN_OR_RETURN(const uint64_t size, DecodedSize(*tensor));
    BCTX_ASSIGN_OR_RETURN(const ExternalData external, ParseExternalData(*tensor));
    BCTX_ASSIGN_OR_RETURN(BytesSource source, files_.Open(external, size));
    if (size < kInlineLimit) {
      BCTX_ASSIGN_OR_RETURN(std::string bytes, Collect(source, size));
      MakeInline(tensor, Held::kExternal, std::move(bytes));
      return OkStatus();
    }
    const auto [at, added] = ranges_.try_emplace({external.location, external.offset, size});
    if (added) {  // many tensors may share one range: it is read once
      BCTX_RETURN_IF_ERROR(CheckSize(size));
      BCTX_ASSIGN_OR_RETURN(at->second, DigestOf(source));
    }
    Replace(tensor, Held::kExternal, at->second, size);
    return contents_->Add(at->second, size, std::move(source));
  }

  Status TakeRaw(TensorProto* tensor) {
    if (tensor->data_type() == TensorProto::STRING) {
      return Status(StatusCode::kMalformed, "found strings in raw data");
    }
    BCTX_ASSIGN_OR_RETURN(const uint64_t size, DecodedSize(*tensor));
    if (tensor->raw_data().size() != size) {
      return Status(StatusCode::kMalformed, fmt::format("found {} bytes, expected {} by its dims",
                                                        tensor->raw_data().size(), size));
    }
    if (size < kInlineLimit) return TakeSmall(tensor, Held::kRaw);
    BCTX_RETURN_IF_ERROR(CheckSize(size));
    std::shared_ptr<const std::string> bytes(tensor->release_raw_data());
    const Digest digest = crypto::Sha256(std::string_view(*bytes));
    Replace(tensor, Held::kRaw, digest, size);
    return contents_->Add(digest, size, FromMemory(std::move(bytes)));
  }

  Status TakeTyped(TensorProto* tensor) {
    BCTX_ASSIGN_OR_RETURN(std::string decoded, DecodeInline(*tensor));
    if (decoded.size() < kInlineLimit) return TakeSmall(tensor, Held::kTyped);
    BCTX_RETURN_IF_ERROR(CheckSize(decoded.size()));
    const uint64_t size = decoded.size();
    const Digest digest = crypto::Sha256(std::string_view(decoded));
    Replace(tensor, Held::kTyped, digest, size);
    return contents_->Add(digest, size,
                          FromMemory(std::make_shared<const std::string>(std::move(decoded))));
  }

  static Status TakeSmall(TensorProto* tensor, Held held) {
    if (tensor->external_data_size() > 0) MakeInline(tensor, held, "");
    return OkStatus();
  }

  ExternalFiles files_;
  const LoadLimits limits_;
  Contents* const contents_;
  std::map<std::tuple<std::string, uint64_t, uint64_t>, Digest> ranges_;
  uint64_t total_ = 0;
};

// Reads a file in pieces for the parser, which would else hold the whole file a second time.
class FileInput : public google::protobuf::io::CopyingInputStream {
 public:
  FileInput(const os::File& file, uint64_t size) : file_(file), size_(size) {}

  int Read(void* buffer, int size) override {
    const uint64_t part = std::min<uint64_t>(static_cast<uint64_t>(size), size_ - at_);
    status_ = file_.ReadExact(at_, {static_cast<uint8_t*>(buffer), part});
    if (!status_.ok()) return -1;
    at_ += part;
    return static_cast<int>(part);
  }
  const Status& status() const { return status_; }

 private:
  const os::File& file_;
  const uint64_t size_;
  uint64_t at_ = 0;
  Status status_;
};

Status ReadModel(const std::string& path, const LoadLimits& limits, ModelProto* model) {
  BCTX_ASSIGN_OR_RETURN(const os::File file, os::File::Open(path));
  BCTX_ASSIGN_OR_RETURN(const uint64_t size, file.Size());
  if (size > limits.model_bytes) {
    return Status(StatusCode::kResourceExhausted,
                  fmt::format("found {} bytes, expected at most {}", size, limits.model_bytes));
  }
  FileInput input(file, size);
  google::protobuf::io::CopyingInputStreamAdaptor adaptor(&input, 1 << 20);
  const Status parsed = ParseModel(&adaptor, limits, model);
  return input.status().ok() ? parsed : input.status();
}

Status Finish(Contents contents, FlatModel::State* state) {
  BCTX_RETURN_IF_ERROR(contents.AddListConstants(state->stored));
  state->tensors = contents.Sorted();
  BCTX_ASSIGN_OR_RETURN(state->view, BuildView(state->stored, StoredContents));
  state->graphs = IndexGraphs(*state);
  BCTX_ASSIGN_OR_RETURN(state->graph_digest, GraphDigest(state->stored));
  return OkStatus();
}

Result<std::shared_ptr<const FlatModel::State>> LoadState(const std::string& path,
                                                          const LoadLimits& limits) {
  auto state = std::make_shared<FlatModel::State>();
  BCTX_RETURN_IF_ERROR(ReadModel(path, limits, &state->stored));
  Contents contents;
  TensorTaker taker(path, limits, &contents);
  BCTX_RETURN_IF_ERROR(
      VisitTensors(&state->stored, [&taker](TensorProto* tensor, const std::string& place) {
        return taker.Take(tensor, place);
      }));
  BCTX_RETURN_IF_ERROR(Finish(std::move(contents), state.get()));
  return std::shared_ptr<const FlatModel::State>(std::move(state));
}

Status CheckStoredTensor(const ContentLookup& lookup, TensorProto* tensor, Contents* contents) {
  BCTX_ASSIGN_OR_RETURN(const std::optional<Replaced> replaced, ReadReplaced(*tensor));
  if (!replaced) {
    BCTX_ASSIGN_OR_RETURN(const std::string decoded, DecodeInline(*tensor));
    if (decoded.size() < kInlineLimit) return OkStatus();
    return Status(StatusCode::kMalformed,
                  fmt::format("stored graph: found {} bytes inside, expected less than {}",
                              decoded.size(), kInlineLimit));
  }
  const BytesSource source = [lookup, digest = replaced->digest](const BytesSink& sink) {
    return lookup(digest, sink);
  };
  return contents->Add(replaced->digest, replaced->size, source);
}

Result<std::shared_ptr<const FlatModel::State>> ParseState(std::span<const uint8_t> stored,
                                                           const ContentLookup& lookup,
                                                           const LoadLimits& limits) {
  auto state = std::make_shared<FlatModel::State>();
  BCTX_RETURN_IF_ERROR(ParseModel(stored, limits, &state->stored));
  Contents contents;
  BCTX_RETURN_IF_ERROR(
      VisitTensors(&state->stored, [&](TensorProto* tensor, const std::string& place) {
        return CheckStoredTensor(lookup, tensor, &contents).WithContext(place);
      }));
  BCTX_RETURN_IF_ERROR(Finish(std::move(contents), state.get()));
  return std::shared_ptr<const FlatModel::State>(std::move(state));
}

Status CannotPack(const std::string& what) {
  return Status(StatusCode::kUnimplemented, what + " cannot be packed");
}

// What operators of a later opset mean is not known, so neither is what a front made of them does.
int64_t NewestOpset() {
  return onnx::OpSchemaRegistry::DomainToVersionRange::Instance().Map().at("").second;
}

// Type, shape and elements.
Result<std::string> ContentOf(const TensorProto& tensor) {
  std::string content = fmt::format("{}", tensor.data_type());
  for (const int64_t dim : tensor.dims()) content += fmt::format(" {}", dim);
  BCTX_ASSIGN_OR_RETURN(const std::optional<Replaced> replaced, ReadReplaced(tensor));
  if (replaced) return content + ":" + replaced->digest.Hex();
  BCTX_ASSIGN_OR_RETURN(const std::string bytes, DecodeInline(tensor));
  return content + "=" + bytes;
}

// Of initializers of one name a runtime takes the first or the last, by where their bytes are, and
// an encoding moves bytes.
Status CheckDuplicates(const ModelProto& model) {
  for (const auto& [path, graph] : GraphsByPath(model.graph())) {
    std::unordered_map<std::string_view, const TensorProto*> first;
    for (const TensorProto& tensor : graph->initializer()) {
      const auto [at, is_new] = first.emplace(tensor.name(), &tensor);
      if (is_new) continue;
      BCTX_ASSIGN_OR_RETURN(const std::string one, ContentOf(*at->second));
      BCTX_ASSIGN_OR_RETURN(const std::string other, ContentOf(tensor));
      if (one == other) continue;
      return CannotPack(
          fmt::format("two initializers \"{}\" with different values", tensor.name()));
    }
  }
  return OkStatus();
}

}  // namespace

const TensorContent* FlatModel::State::Find(const Digest& digest) const {
  const auto at = std::lower_bound(
      tensors.begin(), tensors.end(), digest,
      [](const TensorContent& content, const Digest& wanted) { return content.digest < wanted; });
  return at != tensors.end() && at->digest == digest ? &*at : nullptr;
}

Result<std::string> ReadAll(const TensorContent& content) {
  BCTX_ASSIGN_OR_RETURN(std::string bytes, Collect(content.source, content.size));
  const Digest found = crypto::Sha256(std::string_view(bytes));
  if (bytes.size() == content.size && found == content.digest) return bytes;
  return Status(StatusCode::kCorrupt,
                fmt::format("content: found {} bytes with digest {}, expected {} with {}",
                            bytes.size(), found.Hex(), content.size, content.digest.Hex()));
}

Status ParseModel(google::protobuf::io::ZeroCopyInputStream* input, const LoadLimits& limits,
                  ModelProto* model) {
  CodedInputStream coded(input);
  const uint64_t depth = kMessagesPerGraph * limits.graph_depth + kMessagesBelow;
  coded.SetRecursionLimit(static_cast<int>(std::min(depth, kMaxMessageDepth)));
  if (!model->ParseFromCodedStream(&coded) || !coded.ConsumedEntireMessage()) {
    return Status(StatusCode::kMalformed,
                  "found bytes that are no ONNX model, or graphs nested too deep",
                  {.field = "model",
                   .found = "bytes that are no ONNX model, or graphs nested too deep",
                   .expected = "an ONNX model"});
  }
  if (model->has_graph()) return OkStatus();
  return Status(StatusCode::kMalformed, "found no graph, expected an ONNX model",
                {.field = "model", .found = "no graph", .expected = "an ONNX model"});
}

Status ParseModel(std::span<const uint8_t> bytes, const LoadLimits& limits, ModelProto* model) {
  if (bytes.size() > std::min<uint64_t>(limits.model_bytes, INT32_MAX)) {
    return Status(StatusCode::kResourceExhausted,
                  fmt::format("found a model of {} bytes, expected at most {}", bytes.size(),
                              limits.model_bytes));
  }
  google::protobuf::io::ArrayInputStream input(bytes.data(), static_cast<int>(bytes.size()));
  return ParseModel(&input, limits, model);
}

Result<FlatModel> FlatModel::Load(const std::string& path, const LoadLimits& limits) {
  auto state = Guarded("loading a model", [&] { return LoadState(path, limits); });
  if (!state) return state.status().InFile(path);
  FlatModel flat;
  flat.state_ = std::move(*state);
  return flat;
}

Result<FlatModel> FlatModel::Parse(std::span<const uint8_t> stored, ContentLookup lookup,
                                   const LoadLimits& limits) {
  BCTX_ASSIGN_OR_RETURN(auto state, Guarded("reading a stored graph",
                                            [&] { return ParseState(stored, lookup, limits); }));
  FlatModel flat;
  flat.state_ = std::move(state);
  return flat;
}

const ModelView& FlatModel::view() const { return state_->view; }
const std::vector<TensorContent>& FlatModel::tensors() const { return state_->tensors; }
const Digest& FlatModel::graph_digest() const { return state_->graph_digest; }
std::string FlatModel::Stored() const { return state_->stored.SerializeAsString(); }

Status FlatModel::CheckPackable() const {
  const ModelProto& model = state_->stored;
  for (const auto& property : model.metadata_props()) {
    if (property.key() != kFrontProperty) continue;
    return Status(StatusCode::kUnimplemented, "a package cannot be packed: restore it first",
                  {.field = kFrontProperty, .found = "a package", .expected = "a model"});
  }
  for (const auto& function : model.functions()) {
    if (function.domain() == kDomain) {
      // A front without its property is an edited front, for every verb that reads one.
      return Status(StatusCode::kCorrupt,
                    fmt::format("function \"{}\" is of domain {}, but no property {} names the "
                                "package: it was edited by a tool that drops metadata",
                                function.name(), kDomain, kFrontProperty),
                    {.field = kFrontProperty, .found = "nothing", .expected = "a front tag"});
    }
  }
  for (const auto& import : model.opset_import()) {
    if (import.domain() == kDomain) return CannotPack(fmt::format("an import of {}", kDomain));
    const bool standard = import.domain().empty() || import.domain() == "ai.onnx";
    if (standard && import.version() > NewestOpset()) {
      return CannotPack(fmt::format("opset {} (the newest that this version knows is {})",
                                    import.version(), NewestOpset()));
    }
  }
  BCTX_RETURN_IF_ERROR(VisitNodes(model, [](const onnx::NodeProto& node) {
    if (node.domain() != kDomain) return OkStatus();
    return CannotPack(fmt::format("node \"{}\" of domain {}", KeyOf(node), kDomain));
  }));
  return Guarded("checking a model", [&model] {
    BCTX_RETURN_IF_ERROR(CheckRunnable(model));
    return CheckDuplicates(model);
  });
}

}  // namespace backendctx::model
