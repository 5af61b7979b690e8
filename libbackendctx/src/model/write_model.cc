#include "model/write_model.h"

#include <fmt/format.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <map>
#include <optional>
#include <unordered_set>

#include "base/os/file.h"
#include "crypto/sha256.h"
#include "model/flat_model.h"
#include "model/guard.h"
#include "model/visit.h"

namespace backendctx::model {
namespace {

using onnx::ModelProto;
using onnx::TensorProto;

constexpr uint64_t kPage = 4096;          // external tensors start at pages, to be mapped
constexpr uint64_t kTensorOverhead = 32;  // tags and lengths of one tensor's data, at most

class FileOutput : public google::protobuf::io::CopyingOutputStream {
 public:
  explicit FileOutput(os::File* file) : file_(file) {}
  bool Write(const void* buffer, int size) override {
    status_ = file_->Write({static_cast<const uint8_t*>(buffer), static_cast<size_t>(size)});
    return status_.ok();
  }
  const Status& status() const { return status_; }

 private:
  os::File* const file_;
  Status status_;
};

class Writer {
 public:
  Writer(const FlatModel::State& state, const std::string& path, bool force)
      : state_(state),
        path_(path),
        existing_(force ? os::AtomicFile::kReplace : os::AtomicFile::kMustBeNew),
        model_(state.stored) {}

  Status Run(uint64_t limit) {
    BCTX_ASSIGN_OR_RETURN(const uint64_t whole, WholeSize());
    BCTX_ASSIGN_OR_RETURN(os::AtomicFile out, os::AtomicFile::Create(path_, existing_));
    std::optional<os::AtomicFile> data;
    if (whole > limit) {
      BCTX_ASSIGN_OR_RETURN(data, os::AtomicFile::Create(path_ + ".data", existing_));
      BCTX_RETURN_IF_ERROR(MoveOut(data->file()));
    }
    BCTX_RETURN_IF_ERROR(PutInside(limit));
    BCTX_RETURN_IF_ERROR(Serialise(out.file()));
    // The model comes last: it is what names the data.
    if (data) BCTX_RETURN_IF_ERROR(data->Commit());
    const Status committed = out.Commit();
    if (!committed.ok() && data && existing_ == os::AtomicFile::kMustBeNew) {
      (void)os::RemoveFile(path_ + ".data");  // the failure of Commit is the one to report
    }
    return committed;
  }

 private:
  // The size with every tensor inside.
  Result<uint64_t> WholeSize() {
    uint64_t total = model_.ByteSizeLong();
    BCTX_RETURN_IF_ERROR(VisitTensors(&model_, [&](TensorProto* tensor, const std::string&) {
      BCTX_ASSIGN_OR_RETURN(const std::optional<Replaced> replaced, ReadReplaced(*tensor));
      if (replaced) total += replaced->size + kTensorOverhead;
      return OkStatus();
    }));
    return total;
  }

  Status MoveOut(os::File* file) {
    std::map<Digest, uint64_t> offsets;  // equal tensors share their bytes
    uint64_t end = 0;
    for (TensorProto& tensor : *model_.mutable_graph()->mutable_initializer()) {
      BCTX_ASSIGN_OR_RETURN(const std::optional<Replaced> replaced, ReadReplaced(tensor));
      if (!replaced || tensor.data_type() == TensorProto::STRING) continue;
      const auto [at, added] = offsets.try_emplace(replaced->digest, 0);
      if (added) {
        BCTX_RETURN_IF_ERROR(Pad(&end, file));
        at->second = end;
        BCTX_RETURN_IF_ERROR(Append(*replaced, file));
        end += replaced->size;
      }
      PointAt(os::NameOf(path_) + ".data", at->second, replaced->size, &tensor);
      moved_.insert(&tensor);
    }
    return OkStatus();
  }

  static Status Pad(uint64_t* end, os::File* file) {
    const std::string zeros((kPage - *end % kPage) % kPage, '\0');
    *end += zeros.size();
    return file->Write({reinterpret_cast<const uint8_t*>(zeros.data()), zeros.size()});
  }

  Status Append(const Replaced& replaced, os::File* file) const {
    const TensorContent* content = state_.Find(replaced.digest);
    if (!content) return Status(StatusCode::kInternal, "a content is missing");
    crypto::Sha256Stream sha;
    uint64_t size = 0;
    BCTX_RETURN_IF_ERROR(content->source([&](std::span<const uint8_t> piece) {
      sha.Update(piece);
      size += piece.size();
      return file->Write(piece);
    }));
    if (size == replaced.size && sha.Finish() == replaced.digest) return OkStatus();
    return Status(StatusCode::kCorrupt,
                  fmt::format("content {}: found other bytes", replaced.digest.Hex()));
  }

  Status PutInside(uint64_t limit) {
    uint64_t total = 0;
    return VisitTensors(&model_, [&](TensorProto* tensor, const std::string& place) -> Status {
      if (moved_.count(tensor)) return OkStatus();
      BCTX_ASSIGN_OR_RETURN(const std::optional<Replaced> replaced, ReadReplaced(*tensor));
      if (!replaced) {
        RemoveNotes(tensor);
        return OkStatus();
      }
      total += replaced->size;
      if (total > limit) {
        return Status(StatusCode::kResourceExhausted,
                      fmt::format("{}: found more than {} bytes that must stay inside the model",
                                  place, limit));
      }
      const TensorContent* content = state_.Find(replaced->digest);
      if (!content) return Status(StatusCode::kInternal, "a content is missing");
      BCTX_ASSIGN_OR_RETURN(std::string bytes, ReadAll(*content));
      return PutBack(tensor, std::move(bytes)).WithContext(place);
    });
  }

  Status Serialise(os::File* file) const {
    if (model_.ByteSizeLong() > kProtobufLimit) {
      return Status(StatusCode::kResourceExhausted,
                    fmt::format("found a model of {} bytes, expected at most {}",
                                model_.ByteSizeLong(), kProtobufLimit));
    }
    FileOutput output(file);
    google::protobuf::io::CopyingOutputStreamAdaptor adaptor(&output, 1 << 20);
    const bool written = model_.SerializeToZeroCopyStream(&adaptor) && adaptor.Flush();
    if (!output.status().ok()) return output.status();
    return written ? OkStatus() : Status(StatusCode::kInternal, "the model does not serialise");
  }

  const FlatModel::State& state_;
  const std::string& path_;
  const os::AtomicFile::Existing existing_;
  ModelProto model_;
  std::unordered_set<const TensorProto*> moved_;
};

}  // namespace

Status WriteModelWithin(uint64_t limit, const FlatModel::State& state, const std::string& path,
                        bool force) {
  return Guarded("writing a model", [&] { return Writer(state, path, force).Run(limit); })
      .InFile(path);
}

Status FlatModel::WriteModel(const std::string& path, bool force) const {
  return WriteModelWithin(kProtobufLimit, *state_, path, force);
}

}  // namespace backendctx::model
