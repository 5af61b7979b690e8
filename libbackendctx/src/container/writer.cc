// Writing a container: everything about the contents is known before the first byte goes out, since
// the index comes first and the file's name is its digest. Raw contents are described by their item
// (and compared while they are copied); zstd contents are compressed in Make to learn stored size
// and digest. Small results are kept; large ones are made again by Write, so that memory stays
// bounded however large the package is. Both passes give the same bytes or Write fails.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "base/bytes.h"
#include "container/compression.h"
#include "container/container.h"
#include "crypto/sha256.h"

namespace backendctx::container {
namespace {

using base::ByteView;

constexpr uint64_t kKeptBytes = 64 << 20;  // compressed contents of one writer that are kept

std::string Name(Kind kind, const Digest& digest) {
  return fmt::format("{} {}", KindName(kind), digest.Hex().substr(0, 12));
}

// The bytes of `source`, compared with `expected_size` and `expected` at the end; `item` is what
// they are of.
Source Compared(const Item& item, const Source& source, uint64_t expected_size,
                const Digest& expected) {
  return [&item, &source, expected_size, &expected](const Sink& sink) -> Status {
    crypto::Sha256Stream hash;
    uint64_t size = 0;
    BCTX_RETURN_IF_ERROR(source([&](ByteView bytes) -> Status {
      size += bytes.size();
      if (size <= expected_size) hash.Update(bytes);
      return size <= expected_size ? sink(bytes) : OkStatus();
    }));
    const Digest found = hash.Finish();
    if (size == expected_size && found == expected) return OkStatus();
    return {StatusCode::kCorrupt,
            fmt::format("{}: the source gave {} bytes with digest {}, expected {} with {}",
                        Name(item.kind, item.digest), size, found.Hex(), expected_size,
                        expected.Hex())};
  };
}

Source Checked(const Item& item) { return Compared(item, item.source, item.size, item.digest); }

Source CheckedStored(const Item& item) {
  return Compared(item, item.stored, item.stored_size, item.stored_digest);
}

Status CheckItems(const std::vector<Item>& items) {
  std::set<std::pair<Kind, Digest>> seen;
  for (const Item& item : items) {
    if (item.size == 0) {
      return {StatusCode::kInvalidArgument,
              fmt::format("{}: found no bytes, expected some", Name(item.kind, item.digest))};
    }
    if (!seen.insert({item.kind, item.digest}).second) {
      return {StatusCode::kInvalidArgument,
              fmt::format("{}: found twice, expected once", Name(item.kind, item.digest))};
    }
    if (IsStored(item.storage) && !item.source && !item.stored) {
      return {StatusCode::kInvalidArgument,
              fmt::format("{}: found no source", Name(item.kind, item.digest))};
    }
  }
  return OkStatus();
}

}  // namespace

struct Writer::State {
  std::vector<Item> items;
  std::vector<std::string> kept;  // compressed bytes, "" where they are made again
  uint64_t kept_bytes = 0;
  Index index;
  std::string head;
  Digest index_digest;

  Status Describe(const Item& item) {
    Entry entry;
    entry.kind = item.kind;
    entry.storage = item.storage;
    entry.size = item.size;
    entry.digest = item.digest;
    entry.detail = item.detail;
    kept.emplace_back();
    if (item.storage == Storage::kZstd && item.stored) {
      entry.stored_size = item.stored_size;
      entry.stored_digest = item.stored_digest;
    } else if (item.storage == Storage::kZstd) {
      BCTX_RETURN_IF_ERROR(TryCompress(item, &entry));
    }
    if (entry.storage == Storage::kRaw) {
      entry.stored_size = entry.size;
      entry.stored_digest = entry.digest;
    }
    index.entries.push_back(std::move(entry));
    return OkStatus();
  }

  Status TryCompress(const Item& item, Entry* entry) {
    crypto::Sha256Stream hash;
    std::string bytes;
    bool keep = true;
    entry->stored_size = 0;
    BCTX_RETURN_IF_ERROR(Compress(Checked(item), item.size, item.zstd_level, [&](ByteView piece) {
      hash.Update(piece);
      entry->stored_size += piece.size();
      keep = keep && kept_bytes + entry->stored_size <= kKeptBytes;
      if (keep) bytes += base::AsText(piece);
      return OkStatus();
    }));
    const bool shrinks = entry->stored_size < item.size;
    const bool bounded = (item.size + kMaxRatio - 1) / kMaxRatio <= entry->stored_size;
    if (!shrinks || !bounded) {
      entry->storage = Storage::kRaw;
      return OkStatus();
    }
    entry->stored_digest = hash.Finish();
    if (keep) {
      kept_bytes += bytes.size();
      kept.back() = std::move(bytes);
    }
    return OkStatus();
  }

  // The stored bytes of one content.
  Status Emit(size_t i, const Sink& sink) const {
    const Entry& entry = index.entries[i];
    if (entry.storage == Storage::kRaw) return Checked(items[i])(sink);
    if (items[i].stored) return CheckedStored(items[i])(sink);
    if (!kept[i].empty()) return sink(base::AsBytes(kept[i]));
    crypto::Sha256Stream hash;
    BCTX_RETURN_IF_ERROR(
        Compress(Checked(items[i]), entry.size, items[i].zstd_level, [&](ByteView piece) {
          hash.Update(piece);
          return sink(piece);
        }));
    if (hash.Finish() == entry.stored_digest) return OkStatus();
    return {StatusCode::kInternal, "zstd gave other bytes the second time"};
  }

  Status EmitAll(const Sink& sink) const {
    static constexpr std::array<uint8_t, 65536> kZeros{};  // no gap is longer
    BCTX_RETURN_IF_ERROR(sink(base::AsBytes(head)));
    uint64_t end = head.size();
    for (size_t i = 0; i < index.entries.size(); ++i) {
      const Entry& entry = index.entries[i];
      if (!IsStored(entry.storage)) continue;
      BCTX_RETURN_IF_ERROR(sink({kZeros.data(), static_cast<size_t>(entry.offset - end)}));
      BCTX_RETURN_IF_ERROR(Emit(i, sink));
      end = entry.offset + entry.stored_size;
    }
    return OkStatus();
  }
};

Result<Writer> Writer::Make(std::vector<Item> items) {
  BCTX_RETURN_IF_ERROR(CheckItems(items));
  auto state = std::make_shared<State>();
  state->items = std::move(items);
  for (const Item& item : state->items) BCTX_RETURN_IF_ERROR(state->Describe(item));
  BCTX_RETURN_IF_ERROR(LayOut(&state->index));
  state->head = EncodeHead(state->index);
  // What a reader would refuse is never written.
  const HeadLimits none{UINT64_MAX, UINT64_MAX};
  const Result<Index> again = ParseHead(base::AsBytes(state->head), state->index.file_size, none);
  if (!again) {
    return Status(StatusCode::kInvalidArgument,
                  "these contents make no container: " + again.error().message());
  }
  state->index_digest = crypto::Sha256(state->head);
  Writer writer;
  writer.state_ = std::move(state);
  return writer;
}

const Index& Writer::index() const { return state_->index; }
const Digest& Writer::index_digest() const { return state_->index_digest; }

std::string Writer::FileName(const std::string& stem) const {
  return fmt::format("{}-{}.bctx", stem, state_->index_digest.Hex().substr(0, 12));
}

Status Writer::Write(os::File* file) const {
  BCTX_RETURN_IF_ERROR(state_->EmitAll([&](ByteView bytes) { return file->Write(bytes); }));
  return file->Sync();
}

Result<std::string> Writer::ToBytes() const {
  std::string out;
  BCTX_RETURN_IF_ERROR(state_->EmitAll([&](ByteView bytes) {
    out += base::AsText(bytes);
    return OkStatus();
  }));
  return out;
}

}  // namespace backendctx::container
