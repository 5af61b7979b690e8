// Parsing header and index: the first bytes of a package that anybody looks at.
//
// Nothing here is signed, so every field is a claim. The rules leave one byte string for one index:
// sizes and offsets follow from each other, unused fields are zero, entries lie in the order of the
// index at the next aligned position. A reader that follows the offsets can then neither leave the
// file nor read a byte twice, and every byte of the file is a header, an index, an entry or a gap.
// What remains free (digests, names, the minor version) is bound by the container's name, which is
// the digest of exactly these bytes.
#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "base/bytes.h"
#include "base/checked.h"
#include "base/text.h"
#include "container/head_format.h"
#include "container/index.h"

namespace backendctx::container {
namespace {

using base::ByteView;

Status Fail(StatusCode code, uint64_t offset, const std::string& field, const std::string& found,
            const std::string& expected) {
  return {code,
          fmt::format("offset {}: {}: found {}, expected {}", offset, field, found, expected),
          {.offset = offset, .field = field, .found = found, .expected = expected}};
}

Status Malformed(uint64_t offset, const std::string& field, const std::string& found,
                 const std::string& expected) {
  return Fail(StatusCode::kMalformed, offset, field, found, expected);
}

std::string Number(uint64_t value) { return fmt::format("{}", value); }

bool IsZero(ByteView bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](uint8_t byte) { return byte == 0; });
}

// What a wrong start most likely is, for the message.
std::string Looks(ByteView start) {
  const std::string_view text = base::AsText(start);
  if (text.starts_with("\x89"
                       "BCX"))
    return "a container that a text-mode transfer damaged";
  if (text.starts_with("PK\x03\x04")) return "a zip archive";
  if (text.starts_with("\x7f"
                       "ELF"))
    return "an ELF file";
  return "\"" + base::Printable(text.substr(0, kMagic.size())) + "\"";
}

struct Header {
  uint16_t major = 0, minor = 0;
  uint64_t index_size = 0;
  uint32_t entry_count = 0;
};

Status CheckVersion(const Header& header, uint64_t features) {
  if (header.major != kMajor) {
    return Fail(StatusCode::kUnsupportedVersion, kAtMajor, "container version",
                fmt::format("{}.{}", header.major, header.minor),
                fmt::format("{}.x; backendctx {}.0 or later reads it", kMajor, header.major));
  }
  if (features != 0) {
    return Fail(StatusCode::kUnsupportedVersion, kAtFeatures, "required features",
                fmt::format("{:#x}", features), "0; a later backendctx reads it");
  }
  return OkStatus();
}

Status CheckSizes(ByteView bytes, const Header& header, uint64_t file_size) {
  const auto header_size = base::LoadLittle<uint32_t>(&bytes[kAtHeaderSize]);
  if (header_size != kHeaderSize) {
    return Malformed(kAtHeaderSize, "header size", Number(header_size), Number(kHeaderSize));
  }
  const auto index_offset = base::LoadLittle<uint64_t>(&bytes[kAtIndexOffset]);
  if (index_offset != kHeaderSize) {
    return Malformed(kAtIndexOffset, "index offset", Number(index_offset), Number(kHeaderSize));
  }
  const auto declared = base::LoadLittle<uint64_t>(&bytes[kAtFileSize]);
  if (declared != file_size) {
    return Malformed(kAtFileSize, "file size", fmt::format("{} in the header", declared),
                     fmt::format("{} as the file has", file_size));
  }
  if (header.index_size > file_size - kHeaderSize) {
    return Malformed(kAtIndexSize, "index size", Number(header.index_size),
                     fmt::format("at most {}", file_size - kHeaderSize));
  }
  if (header.index_size / kRecordSize < header.entry_count) {
    return Malformed(kAtEntryCount, "entry count", Number(header.entry_count),
                     fmt::format("at most {} in an index of {} bytes",
                                 header.index_size / kRecordSize, header.index_size));
  }
  return OkStatus();
}

Status CheckLimits(const Header& header, const HeadLimits& limits) {
  if (header.index_size > limits.index_bytes) {
    return Fail(StatusCode::kResourceExhausted, kAtIndexSize, "index size",
                Number(header.index_size), fmt::format("at most {}", limits.index_bytes));
  }
  if (header.entry_count > limits.entries) {
    return Fail(StatusCode::kResourceExhausted, kAtEntryCount, "entry count",
                Number(header.entry_count), fmt::format("at most {}", limits.entries));
  }
  return OkStatus();
}

Result<Header> ParseHeader(ByteView bytes, uint64_t file_size, const HeadLimits& limits) {
  if (!HasMagic(bytes)) {
    if (file_size < kHeaderSize && base::AsText(kMagic).starts_with(base::AsText(bytes))) {
      return Malformed(0, "header", fmt::format("{} bytes", file_size), Number(kHeaderSize));
    }
    return Malformed(0, "magic", Looks(bytes), "a BackendContext container");
  }
  if (bytes.size() < kHeaderSize || file_size < kHeaderSize) {
    return Malformed(0, "header", fmt::format("{} bytes", std::min(bytes.size(), file_size)),
                     Number(kHeaderSize));
  }
  Header header;
  header.major = base::LoadLittle<uint16_t>(&bytes[kAtMajor]);
  header.minor = base::LoadLittle<uint16_t>(&bytes[kAtMinor]);
  header.index_size = base::LoadLittle<uint64_t>(&bytes[kAtIndexSize]);
  header.entry_count = base::LoadLittle<uint32_t>(&bytes[kAtEntryCount]);
  BCTX_RETURN_IF_ERROR(CheckVersion(header, base::LoadLittle<uint64_t>(&bytes[kAtFeatures])));
  BCTX_RETURN_IF_ERROR(CheckSizes(bytes, header, file_size));
  if (header.minor <= kMinor && !IsZero(bytes.subspan(kAtReserved, kHeaderSize - kAtReserved))) {
    return Malformed(kAtReserved, "reserved bytes", "others", "zeros");
  }
  BCTX_RETURN_IF_ERROR(CheckLimits(header, limits));
  return header;
}

// One record, with its place in the file for messages.
class RecordParser {
 public:
  RecordParser(ByteView bytes, uint64_t at, size_t number, bool exact)
      : bytes_(bytes), at_(at), number_(number), exact_(exact) {}

  // How long the record is; it fits.
  Result<uint64_t> Size() const {
    if (bytes_.size() < kRecordSize) {
      return Bad(kAtRecordSize, "record", fmt::format("{} bytes left", bytes_.size()),
                 fmt::format("at least {}", kRecordSize));
    }
    const uint64_t size = Load<uint32_t>(kAtRecordSize);
    const uint64_t needed = (kRecordSize + uint64_t{Load<uint32_t>(kAtDetailSize)} + 7) / 8 * 8;
    if (size > bytes_.size() || size < needed || size % 8 != 0 || (exact_ && size != needed)) {
      return Bad(kAtRecordSize, "record size", Number(size),
                 fmt::format("{} within the {} bytes left", needed, bytes_.size()));
    }
    return size;
  }

  Result<Entry> Parse(uint64_t size) const {
    Entry entry;
    entry.kind = static_cast<Kind>(bytes_[kAtKind]);
    entry.storage = static_cast<Storage>(bytes_[kAtStorage]);
    entry.offset = Load<uint64_t>(kAtOffset);
    entry.stored_size = Load<uint64_t>(kAtStoredSize);
    entry.size = Load<uint64_t>(kAtSize);
    LoadDigest(kAtStoredDigest, &entry.stored_digest);
    LoadDigest(kAtDigest, &entry.digest);
    const auto detail = bytes_.subspan(kRecordSize, Load<uint32_t>(kAtDetailSize));
    entry.detail = base::AsText(detail);
    const size_t used = kRecordSize + detail.size();
    if (exact_ && (!IsZero(bytes_.subspan(kAtRecordReserved, kAtOffset - kAtRecordReserved)) ||
                   !IsZero(bytes_.subspan(used, static_cast<size_t>(size) - used)))) {
      return Bad(kAtRecordReserved, "reserved bytes or padding", "others", "zeros");
    }
    BCTX_RETURN_IF_ERROR(CheckKind(entry));
    BCTX_RETURN_IF_ERROR(IsStored(entry.storage) ? CheckStored(entry) : CheckNotStored(entry));
    return entry;
  }

 private:
  template <typename T>
  T Load(size_t offset) const {
    return base::LoadLittle<T>(&bytes_[offset]);
  }

  void LoadDigest(size_t offset, Digest* digest) const {
    const ByteView from = bytes_.subspan(offset, digest->bytes.size());
    std::copy(from.begin(), from.end(), digest->bytes.begin());
  }

  Status Bad(size_t offset, const char* field, const std::string& found,
             const std::string& expected, StatusCode code = StatusCode::kMalformed) const {
    return Fail(code, at_ + offset, fmt::format("entry {} {}", number_, field), found, expected);
  }

  Status CheckKind(const Entry& entry) const {
    const auto kind = static_cast<uint8_t>(entry.kind);
    if (kind == 0) return Bad(kAtKind, "kind", "0", "1 to 6");
    if (kind > static_cast<uint8_t>(Kind::kBlob)) {
      return Bad(kAtKind, "kind", Number(kind), "1 to 6; a later backendctx may know it",
                 StatusCode::kUnsupportedVersion);
    }
    if ((number_ == 0) != (entry.kind == Kind::kManifest)) {
      return Bad(kAtKind, "kind", KindName(entry.kind), "one manifest, as the first entry");
    }
    if (entry.kind == Kind::kSignatures && number_ != 1) {
      return Bad(kAtKind, "kind", "signatures", "none here: they are the second entry");
    }
    return CheckStorage(entry);
  }

  Status CheckStorage(const Entry& entry) const {
    const auto storage = static_cast<uint8_t>(entry.storage);
    const bool known = IsStored(entry.storage) || entry.storage == Storage::kInline ||
                       entry.storage == Storage::kAbsent;
    if (!known) {
      return Bad(kAtStorage, "storage", Number(storage),
                 "raw, zstd, inline or absent; a later backendctx may know it",
                 StatusCode::kUnsupportedVersion);
    }
    const bool head = entry.kind == Kind::kManifest || entry.kind == Kind::kSignatures;
    const bool data = entry.kind == Kind::kTensor || entry.kind == Kind::kBlob;
    const bool allowed = entry.storage == Storage::kRaw ||
                         (entry.storage == Storage::kZstd && data) ||
                         (entry.storage == Storage::kInline && entry.kind == Kind::kTensor) ||
                         (entry.storage == Storage::kAbsent && !head);
    if (allowed) return OkStatus();
    return Bad(kAtStorage, "storage", StorageName(entry.storage),
               fmt::format("another one for a {}", KindName(entry.kind)));
  }

  Status CheckStored(const Entry& entry) const {
    if (!entry.detail.empty()) return Bad(kRecordSize, "detail", "some", "none");
    if (entry.stored_size == 0) return Bad(kAtStoredSize, "stored size", "0", "at least 1");
    if (entry.storage == Storage::kZstd) return CheckRatio(entry);
    if (entry.size != entry.stored_size) {
      return Bad(kAtSize, "size", Number(entry.size),
                 fmt::format("{}, as it is stored raw", entry.stored_size));
    }
    if (entry.digest != entry.stored_digest) {
      return Bad(kAtDigest, "digest", entry.digest.Hex(),
                 fmt::format("{}, as it is stored raw", entry.stored_digest.Hex()));
    }
    return OkStatus();
  }

  Status CheckRatio(const Entry& entry) const {
    if (entry.stored_size >= entry.size) {
      return Bad(kAtStoredSize, "stored size", Number(entry.stored_size),
                 fmt::format("less than the decoded {}", entry.size));
    }
    if (entry.size / kMaxRatio > entry.stored_size ||
        (entry.size / kMaxRatio == entry.stored_size && entry.size % kMaxRatio != 0)) {
      return Bad(kAtSize, "size", fmt::format("{} out of {}", entry.size, entry.stored_size),
                 fmt::format("at most {} times as much", kMaxRatio));
    }
    return OkStatus();
  }

  Status CheckNotStored(const Entry& entry) const {
    if (entry.offset != 0 || entry.stored_size != 0 || entry.stored_digest != Digest{}) {
      return Bad(kAtOffset, "offset, stored size or stored digest", "others",
                 fmt::format("zeros, as it is {}", StorageName(entry.storage)));
    }
    if (entry.size == 0) return Bad(kAtSize, "size", "0", "at least 1");
    const bool named = entry.storage == Storage::kInline;
    if (named != !entry.detail.empty() || !base::IsCleanText(entry.detail)) {
      return Bad(kRecordSize, "detail", "\"" + base::Printable(entry.detail, 40) + "\"",
                 named ? "the name of an initializer" : "none");
    }
    return OkStatus();
  }

  ByteView bytes_;
  uint64_t at_;
  size_t number_;
  bool exact_;
};

// Entries lie behind the head in the order of the index, each at the next aligned position.
Status CheckPlaces(const Index& index, uint64_t head_size) {
  uint64_t end = head_size;
  for (size_t i = 0; i < index.entries.size(); ++i) {
    const Entry& entry = index.entries[i];
    if (!IsStored(entry.storage)) continue;
    const std::string field = fmt::format("entry {} offset", i);
    const auto expected = base::CheckedAlign(end, Alignment(entry.kind, entry.stored_size));
    if (!expected || entry.offset != *expected) {
      return Malformed(entry.offset, field, Number(entry.offset),
                       fmt::format("{}: no overlap and no hole",
                                   expected ? Number(*expected) : "an end below 2^64"));
    }
    const auto next = base::CheckedAdd(entry.offset, entry.stored_size);
    if (!next || *next > index.file_size) {
      return Malformed(entry.offset, fmt::format("entry {} stored size", i),
                       Number(entry.stored_size),
                       fmt::format("an end within {} bytes", index.file_size));
    }
    end = *next;
  }
  if (end == index.file_size) return OkStatus();
  return Malformed(end, "trailing bytes", Number(index.file_size - end), "0");
}

Status CheckUnique(const Index& index) {
  std::vector<const Entry*> sorted;
  for (const Entry& entry : index.entries) sorted.push_back(&entry);
  const auto key = [](const Entry* entry) { return std::tie(entry->kind, entry->digest); };
  std::sort(sorted.begin(), sorted.end(),
            [&](const Entry* a, const Entry* b) { return key(a) < key(b); });
  const auto twice =
      std::adjacent_find(sorted.begin(), sorted.end(),
                         [&](const Entry* a, const Entry* b) { return key(a) == key(b); });
  if (twice == sorted.end()) return OkStatus();
  return Malformed(kHeaderSize, "index",
                   fmt::format("{} {} twice", KindName((*twice)->kind), (*twice)->digest.Hex()),
                   "each content once");
}

}  // namespace

Result<uint64_t> HeadSize(std::span<const uint8_t> header, uint64_t file_size,
                          const HeadLimits& limits) {
  BCTX_ASSIGN_OR_RETURN(const Header parsed, ParseHeader(header, file_size, limits));
  return kHeaderSize + parsed.index_size;
}

Result<Index> ParseHead(std::span<const uint8_t> bytes, uint64_t file_size,
                        const HeadLimits& limits) {
  BCTX_ASSIGN_OR_RETURN(const Header header, ParseHeader(bytes, file_size, limits));
  if (bytes.size() - kHeaderSize < header.index_size) {
    return Malformed(kHeaderSize, "index", fmt::format("{} bytes", bytes.size() - kHeaderSize),
                     Number(header.index_size));
  }
  Index index;
  index.major = header.major;
  index.minor = header.minor;
  index.file_size = file_size;
  index.entries.reserve(header.entry_count);
  ByteView rest = bytes.subspan(kHeaderSize, static_cast<size_t>(header.index_size));
  uint64_t at = kHeaderSize;
  for (size_t i = 0; i < header.entry_count; ++i) {
    const RecordParser record(rest, at, i, header.minor <= kMinor);
    BCTX_ASSIGN_OR_RETURN(const uint64_t size, record.Size());
    BCTX_ASSIGN_OR_RETURN(Entry entry, record.Parse(size));
    index.entries.push_back(std::move(entry));
    rest = rest.subspan(static_cast<size_t>(size));
    at += size;
  }
  if (!rest.empty()) return Malformed(at, "index", Number(rest.size()) + " bytes more", "none");
  if (index.entries.empty()) return Malformed(kAtEntryCount, "entry count", "0", "at least 1");
  BCTX_RETURN_IF_ERROR(CheckPlaces(index, kHeaderSize + header.index_size));
  BCTX_RETURN_IF_ERROR(CheckUnique(index));
  return index;
}

}  // namespace backendctx::container
