#include "model/external_data.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>
#include <vector>

#include "base/checked.h"
#include "base/text.h"

namespace backendctx::model {
namespace {

constexpr uint64_t kPiece = 1u << 20;

Result<uint64_t> ParseNumber(const std::string& key, const std::string& text) {
  uint64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || stop != end) {
    return Status(
        StatusCode::kMalformed,
        fmt::format("external data {}: found \"{}\", expected a decimal number below 2^64", key,
                    base::Printable(text, 40)));
  }
  return number;
}

Status StreamRange(const os::File& file, uint64_t offset, uint64_t size, const BytesSink& sink) {
  std::vector<uint8_t> piece(std::min(size, kPiece));
  for (uint64_t done = 0; done < size;) {
    const std::span<uint8_t> part(piece.data(), std::min(size - done, kPiece));
    BCTX_RETURN_IF_ERROR(file.ReadExact(offset + done, part));
    BCTX_RETURN_IF_ERROR(sink(part));
    done += part.size();
  }
  return OkStatus();
}

}  // namespace

Result<ExternalData> ParseExternalData(const onnx::TensorProto& tensor) {
  ExternalData external;
  std::set<std::string> seen;
  for (const auto& entry : tensor.external_data()) {
    const std::string& key = entry.key();
    if (!seen.insert(key).second) {
      return Status(StatusCode::kMalformed,
                    fmt::format("external data: found key \"{}\" twice", base::Printable(key, 40)));
    }
    if (key == "location") {
      external.location = entry.value();
    } else if (key == "offset") {
      BCTX_ASSIGN_OR_RETURN(external.offset, ParseNumber(key, entry.value()));
    } else if (key == "length") {
      BCTX_ASSIGN_OR_RETURN(external.length, ParseNumber(key, entry.value()));
    } else if (key != "checksum") {
      return Status(
          StatusCode::kMalformed,
          fmt::format("external data: found key \"{}\", expected location, offset, length "
                      "or checksum",
                      base::Printable(key, 40)));
    }
  }
  BCTX_RETURN_IF_ERROR(os::CheckPlainName(external.location));
  return external;
}

Result<BytesSource> ExternalFiles::Open(const ExternalData& external, uint64_t size) {
  if (external.length && *external.length != size) {
    return Status(StatusCode::kMalformed,
                  fmt::format("external data length: found {}, expected {} by its dims",
                              *external.length, size));
  }
  std::shared_ptr<const os::File>& file = files_[external.location];
  if (!file) {
    BCTX_ASSIGN_OR_RETURN(os::File opened, os::OpenBeside(model_path_, external.location));
    file = std::make_shared<const os::File>(std::move(opened));
  }
  BCTX_ASSIGN_OR_RETURN(const uint64_t file_size, file->Size());
  const std::optional<uint64_t> end = base::CheckedAdd(external.offset, size);
  if (!end || *end > file_size) {
    return Status(StatusCode::kMalformed,
                  fmt::format("external data \"{}\": found {} bytes, expected {} from offset {}",
                              external.location, file_size, size, external.offset));
  }
  return BytesSource([file, offset = external.offset, size](const BytesSink& sink) {
    return StreamRange(*file, offset, size, sink);
  });
}

}  // namespace backendctx::model
