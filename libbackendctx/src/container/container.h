// Reading and writing container files.
//
// A Reader keeps the file open and reads by pread; nothing is mapped, so a file that changes
// later gives an error and never a fault. Read returns decoded bytes that were compared with both
// digests. The file named by an index digest is never overwritten by a Writer.
//
// Threads: a Reader is immutable and safe from any thread; a Writer belongs to one.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/os/file.h"
#include "container/index.h"

namespace backendctx::container {

struct OpenOptions {
  HeadLimits head;
  uint64_t content_bytes = 1ull << 40;  // decoded size of one content, at most
};

// Where a content's bytes come from when the file is written: `size` bytes in pieces to the sink.
using Sink = std::function<Status(std::span<const uint8_t>)>;
using Source = std::function<Status(const Sink&)>;

struct Item {
  Kind kind = Kind::kTensor;
  Digest digest;  // of the decoded bytes; checked again while writing
  uint64_t size = 0;
  Source source;                    // the decoded bytes
  Storage storage = Storage::kRaw;  // kRaw, kZstd, kInline or kAbsent
  int zstd_level = 3;
  std::string detail;
  // kZstd whose stored bytes are there already and are not made again; checked while writing.
  Source stored;
  uint64_t stored_size = 0;
  Digest stored_digest;
};

class Reader {
 public:
  static Result<Reader> Open(os::File file, const OpenOptions& options);

  const Index& index() const;
  const Digest& index_digest() const;  // SHA-256 of header and index
  const os::File& file() const;
  const Entry* Find(Kind kind, const Digest& digest) const;

  // The decoded bytes, compared with stored and decoded digests: Corrupt when they differ.
  // Absent and inline contents are NotFound.
  Result<std::string> Read(const Entry& entry) const;
  // The same bytes in pieces, for contents that memory need not hold. Digests are compared as Read
  // does, but the decoded one only when all pieces have gone: keep nothing of a failed stream.
  Status Stream(const Entry& entry, const Sink& sink) const;
  // The same check without keeping the bytes; progress may be null.
  Status Check(const Entry& entry) const;
  // Every gap is zero: Malformed with the offset when not.
  Status CheckGaps() const;
  // What makes a Writer hold the entry as this file does. It reads from this file, which it keeps
  // open.
  Item ToItem(const Entry& entry) const;

 private:
  struct State;
  std::shared_ptr<const State> state_;
};

// Lays out `items` (manifest first, signatures second, the rest in the order given; zstd items are
// compressed first, and kept where they are small) and tells the name before anything is written.
// A zstd item that does not shrink, or shrinks more than kMaxRatio times, is stored raw.
// InvalidArgument: order, a content twice, an empty content, a kind that must be raw.
class Writer {
 public:
  static Result<Writer> Make(std::vector<Item> items);
  const Index& index() const;
  const Digest& index_digest() const;
  std::string FileName(const std::string& stem) const;  // "STEM-<12 hex>.bctx"
  // Streams everything into `file` and syncs it. Corrupt when a source gives other bytes than its
  // digest says.
  Status Write(os::File* file) const;
  Result<std::string> ToBytes() const;  // for embedding and tests

 private:
  struct State;
  std::shared_ptr<State> state_;
};

inline Source FromBytes(std::shared_ptr<const std::string> bytes) {
  return [bytes](const Sink& sink) {
    return sink({reinterpret_cast<const uint8_t*>(bytes->data()), bytes->size()});
  };
}

}  // namespace backendctx::container
