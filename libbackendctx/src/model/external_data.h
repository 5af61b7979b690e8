// External data of a tensor: the entries, and the bytes that they name. Internal to model.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "backendctx/status.h"
#include "base/os/file.h"
#include "model/flat_model.h"
#include "onnx/onnx_pb.h"

namespace backendctx::model {

struct ExternalData {
  std::string location;
  uint64_t offset = 0;
  std::optional<uint64_t> length;
};

// The entries of a tensor whose data_location is EXTERNAL. Malformed: a key other than location,
// offset, length and checksum, one twice, a number that is no plain decimal below 2^64. UnsafePath:
// a location that is not one plain file name.
Result<ExternalData> ParseExternalData(const onnx::TensorProto& tensor);

// Opens the external files of one model beside it, each once.
class ExternalFiles {
 public:
  explicit ExternalFiles(std::string model_path) : model_path_(std::move(model_path)) {}

  // The bytes that `external` names, `size` of them. Malformed when length differs from `size` or
  // the file ends before; Io naming the file when there is none.
  Result<BytesSource> Open(const ExternalData& external, uint64_t size);

 private:
  std::string model_path_;
  std::map<std::string, std::shared_ptr<const os::File>> files_;
};

}  // namespace backendctx::model
