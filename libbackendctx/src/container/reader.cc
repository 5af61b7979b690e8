#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <tuple>

#include "base/bytes.h"
#include "container/compression.h"
#include "container/container.h"
#include "crypto/sha256.h"

namespace backendctx::container {
namespace {

using base::ByteView;

constexpr size_t kPiece = size_t{1} << 17;

// Most packages have their head within the first read.
constexpr uint64_t kFirstRead = 4096;

uint8_t* Data(std::string& bytes) { return reinterpret_cast<uint8_t*>(bytes.data()); }

std::string Name(const Entry& entry) {
  return fmt::format("{} {}", KindName(entry.kind), entry.digest.Hex().substr(0, 12));
}

Status Differs(const Entry& entry, const char* which, const Digest& found, const Digest& expected) {
  return {StatusCode::kCorrupt,
          fmt::format("offset {}: {}: found {} digest {}, expected {}", entry.offset, Name(entry),
                      which, found.Hex(), expected.Hex()),
          {.offset = entry.offset,
           .field = Name(entry),
           .found = found.Hex(),
           .expected = expected.Hex()}};
}

// The bytes of the file from `offset`, in pieces.
Source Pieces(const os::File& file, uint64_t offset, uint64_t size) {
  return [&file, offset, size](const Sink& sink) -> Status {
    std::vector<uint8_t> buffer(static_cast<size_t>(std::min<uint64_t>(size, kPiece)));
    for (uint64_t done = 0; done < size;) {
      const auto count = static_cast<size_t>(std::min<uint64_t>(size - done, kPiece));
      BCTX_RETURN_IF_ERROR(file.ReadExact(offset + done, {buffer.data(), count}));
      BCTX_RETURN_IF_ERROR(sink({buffer.data(), count}));
      done += count;
    }
    return OkStatus();
  };
}

Result<std::string> ReadHead(const os::File& file, uint64_t file_size, const HeadLimits& limits) {
  std::string head(static_cast<size_t>(std::min(file_size, kFirstRead)), '\0');
  BCTX_RETURN_IF_ERROR(file.ReadExact(0, {Data(head), head.size()}));
  BCTX_ASSIGN_OR_RETURN(const uint64_t size, HeadSize(base::AsBytes(head), file_size, limits));
  const size_t have = head.size();
  head.resize(static_cast<size_t>(size));
  if (size > have) {
    BCTX_RETURN_IF_ERROR(file.ReadExact(have, {Data(head) + have, head.size() - have}));
  }
  return head;
}

bool Before(const Entry& a, const Entry& b) {
  return std::tie(a.kind, a.digest) < std::tie(b.kind, b.digest);
}

}  // namespace

struct Reader::State {
  os::File file;
  OpenOptions options;
  Index index;
  uint64_t head_size = 0;  // what index_digest is of; a newer writer's records may be longer
  Digest index_digest;
  std::vector<const Entry*> sorted;  // into index.entries, by kind and digest

  Status CheckPresent(const Entry& entry) const {
    if (!IsStored(entry.storage)) {
      return Status(StatusCode::kNotFound,
                    fmt::format("{}: the content is {}, expected stored bytes", Name(entry),
                                StorageName(entry.storage)));
    }
    if (entry.size > options.content_bytes) {
      return Status(StatusCode::kResourceExhausted,
                    fmt::format("{}: found {} bytes, the limit is {}", Name(entry), entry.size,
                                options.content_bytes));
    }
    return OkStatus();
  }

  Status CheckStoredDigest(const Entry& entry) const {
    return StreamStored(entry, [](ByteView) { return OkStatus(); });
  }

  // Hands on the stored bytes, and compares their digest when all of them have gone.
  Status StreamStored(const Entry& entry, const Sink& sink) const {
    crypto::Sha256Stream hash;
    BCTX_RETURN_IF_ERROR(Pieces(file, entry.offset, entry.stored_size)([&](ByteView bytes) {
      hash.Update(bytes);
      return sink(bytes);
    }));
    const Digest found = hash.Finish();
    if (found == entry.stored_digest) return OkStatus();
    return Differs(entry, "stored", found, entry.stored_digest);
  }

  // Decodes a zstd content whose stored bytes were compared already, and compares what comes out.
  Status Decode(const Entry& entry, const Sink& sink) const {
    crypto::Sha256Stream hash;
    const Status status =
        Decompress(Pieces(file, entry.offset, entry.stored_size), entry.size, [&](ByteView bytes) {
          hash.Update(bytes);
          return sink(bytes);
        });
    if (!status.ok()) return status.WithContext(Name(entry));
    const Digest found = hash.Finish();
    if (found == entry.digest) return OkStatus();
    return Differs(entry, "decoded", found, entry.digest);
  }

  Result<std::string> ReadRaw(const Entry& entry) const {
    std::string bytes(static_cast<size_t>(entry.stored_size), '\0');
    BCTX_RETURN_IF_ERROR(file.ReadExact(entry.offset, {Data(bytes), bytes.size()}));
    const Digest found = crypto::Sha256(bytes);
    if (found != entry.stored_digest) return Differs(entry, "stored", found, entry.stored_digest);
    return bytes;
  }
};

Result<Reader> Reader::Open(os::File file, const OpenOptions& options) {
  const std::string path = file.path();
  auto state = std::make_shared<State>();
  state->file = std::move(file);
  state->options = options;
  BCTX_ASSIGN_OR_RETURN(const uint64_t file_size, state->file.Size());
  const Result<std::string> head = ReadHead(state->file, file_size, options.head);
  if (!head) return head.status().InFile(path);
  Result<Index> index = ParseHead(base::AsBytes(*head), file_size, options.head);
  if (!index) return index.status().InFile(path);
  state->index = std::move(*index);
  state->head_size = head->size();
  state->index_digest = crypto::Sha256(*head);
  for (const Entry& entry : state->index.entries) state->sorted.push_back(&entry);
  std::sort(state->sorted.begin(), state->sorted.end(),
            [](const Entry* a, const Entry* b) { return Before(*a, *b); });
  Reader reader;
  reader.state_ = std::move(state);
  return reader;
}

const Index& Reader::index() const { return state_->index; }
const Digest& Reader::index_digest() const { return state_->index_digest; }
const os::File& Reader::file() const { return state_->file; }

const Entry* Reader::Find(Kind kind, const Digest& digest) const {
  Entry wanted;
  wanted.kind = kind;
  wanted.digest = digest;
  const auto found =
      std::lower_bound(state_->sorted.begin(), state_->sorted.end(), &wanted,
                       [](const Entry* a, const Entry* b) { return Before(*a, *b); });
  if (found == state_->sorted.end() || Before(wanted, **found)) return nullptr;
  return *found;
}

Result<std::string> Reader::Read(const Entry& entry) const {
  BCTX_RETURN_IF_ERROR(state_->CheckPresent(entry).InFile(state_->file.path()));
  if (entry.storage == Storage::kRaw) {
    Result<std::string> bytes = state_->ReadRaw(entry);
    if (!bytes) return bytes.status().InFile(state_->file.path());
    return bytes;
  }
  std::string bytes;
  Status status = state_->CheckStoredDigest(entry);
  if (status.ok()) {
    status = state_->Decode(entry, [&](ByteView piece) {
      bytes += base::AsText(piece);
      return OkStatus();
    });
  }
  if (!status.ok()) return status.InFile(state_->file.path());
  return bytes;
}

Status Reader::Stream(const Entry& entry, const Sink& sink) const {
  Status status = state_->CheckPresent(entry);
  if (status.ok() && entry.storage == Storage::kRaw) {
    status = state_->StreamStored(entry, sink);
  } else if (status.ok()) {
    status = state_->CheckStoredDigest(entry);
    if (status.ok()) status = state_->Decode(entry, sink);
  }
  return status.InFile(state_->file.path());
}

Status Reader::Check(const Entry& entry) const {
  Status status = state_->CheckPresent(entry);
  if (status.ok()) status = state_->CheckStoredDigest(entry);
  if (status.ok() && entry.storage == Storage::kZstd) {
    status = state_->Decode(entry, [](ByteView) { return OkStatus(); });
  }
  return status.InFile(state_->file.path());
}

Status Reader::CheckGaps() const {
  uint64_t end = state_->head_size;
  for (const Entry& entry : state_->index.entries) {
    if (!IsStored(entry.storage)) continue;
    uint64_t at = end;
    const Status status = Pieces(state_->file, end, entry.offset - end)([&](ByteView bytes) {
      const auto other =
          std::find_if(bytes.begin(), bytes.end(), [](uint8_t byte) { return byte != 0; });
      at += static_cast<uint64_t>(other - bytes.begin());
      if (other == bytes.end()) return OkStatus();
      return Status(
          StatusCode::kMalformed,
          fmt::format("offset {}: found byte {:#04x} in a gap, expected zero", at, *other),
          {.offset = at, .field = "gap"});
    });
    if (!status.ok()) return status.InFile(state_->file.path());
    end = entry.offset + entry.stored_size;
  }
  return OkStatus();
}

Item Reader::ToItem(const Entry& entry) const {
  Item item;
  item.kind = entry.kind;
  item.digest = entry.digest;
  item.size = entry.size;
  item.storage = entry.storage;
  item.detail = entry.detail;
  if (!IsStored(entry.storage)) return item;
  const Source stored = [state = state_, entry](const Sink& sink) {
    return Pieces(state->file, entry.offset, entry.stored_size)(sink).InFile(state->file.path());
  };
  if (entry.storage == Storage::kRaw) {
    item.source = stored;
    return item;
  }
  item.source = [state = state_, entry](const Sink& sink) {
    return state->Decode(entry, sink).InFile(state->file.path());
  };
  item.stored = stored;
  item.stored_size = entry.stored_size;
  item.stored_digest = entry.stored_digest;
  return item;
}

}  // namespace backendctx::container
