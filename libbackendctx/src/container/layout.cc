// Where entries lie, and the bytes of header and index.
#include <algorithm>
#include <bit>

#include "base/bytes.h"
#include "base/checked.h"
#include "container/head_format.h"
#include "container/index.h"

namespace backendctx::container {
namespace {

constexpr uint64_t kLargestFile = uint64_t{1} << 63;

uint64_t RecordSize(const Entry& entry) { return (kRecordSize + entry.detail.size() + 7) / 8 * 8; }

uint64_t IndexSize(const Index& index) {
  uint64_t size = 0;
  for (const Entry& entry : index.entries) size += RecordSize(entry);
  return size;
}

void AppendDigest(const Digest& digest, std::string* out) { *out += base::AsText(digest.bytes); }

void AppendRecord(const Entry& entry, std::string* out) {
  const uint64_t size = RecordSize(entry);
  const size_t end = out->size() + static_cast<size_t>(size);
  base::AppendLittle(static_cast<uint32_t>(size), out);
  base::AppendLittle(static_cast<uint32_t>(entry.detail.size()), out);
  base::AppendLittle(static_cast<uint8_t>(entry.kind), out);
  base::AppendLittle(static_cast<uint8_t>(entry.storage), out);
  out->append(6, '\0');
  base::AppendLittle(entry.offset, out);
  base::AppendLittle(entry.stored_size, out);
  base::AppendLittle(entry.size, out);
  AppendDigest(entry.stored_digest, out);
  AppendDigest(entry.digest, out);
  *out += entry.detail;
  out->resize(end, '\0');
}

}  // namespace

const char* KindName(Kind kind) {
  static constexpr const char* kNames[] = {"",     "manifest", "signatures", "graph",
                                           "body", "tensor",   "blob"};
  const auto number = static_cast<size_t>(kind);
  return number < std::size(kNames) ? kNames[number] : "";
}

const char* StorageName(Storage storage) {
  static constexpr const char* kNames[] = {"raw",      "zstd",   "view",   "recipe",
                                           "residual", "chunks", "inline", "absent"};
  const auto number = static_cast<size_t>(storage);
  return number < std::size(kNames) ? kNames[number] : "";
}

bool HasMagic(std::span<const uint8_t> start) {
  return start.size() >= kMagic.size() && std::equal(kMagic.begin(), kMagic.end(), start.begin());
}

uint64_t Alignment(Kind kind, uint64_t stored_size) {
  const uint64_t least = kind == Kind::kBlob ? 4096 : 64;
  return std::clamp(std::bit_floor(stored_size / 128), least, uint64_t{65536});
}

Status LayOut(Index* index) {
  uint64_t end = kHeaderSize + IndexSize(*index);
  for (Entry& entry : index->entries) {
    if (!IsStored(entry.storage)) {
      entry.offset = 0;
      continue;
    }
    const auto offset = base::CheckedAlign(end, Alignment(entry.kind, entry.stored_size));
    const auto next = base::CheckedAdd(offset.value_or(kLargestFile), entry.stored_size);
    if (!offset || !next || *next > kLargestFile) {
      return {StatusCode::kResourceExhausted, "the container would have more than 2^63 bytes"};
    }
    entry.offset = *offset;
    end = *next;
  }
  index->file_size = end;
  return OkStatus();
}

std::string EncodeHead(const Index& index) {
  std::string out;
  const uint64_t index_size = IndexSize(index);
  out.reserve(static_cast<size_t>(kHeaderSize + index_size));
  out += base::AsText(kMagic);
  base::AppendLittle(index.major, &out);
  base::AppendLittle(index.minor, &out);
  base::AppendLittle(static_cast<uint32_t>(kHeaderSize), &out);
  base::AppendLittle(uint64_t{kHeaderSize}, &out);
  base::AppendLittle(index_size, &out);
  base::AppendLittle(index.file_size, &out);
  base::AppendLittle(uint64_t{0}, &out);
  base::AppendLittle(static_cast<uint32_t>(index.entries.size()), &out);
  out.resize(kHeaderSize, '\0');
  for (const Entry& entry : index.entries) AppendRecord(entry, &out);
  return out;
}

}  // namespace backendctx::container
