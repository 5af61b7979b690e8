// Header and index of a container as structs, and their bytes.
//
// docs/format.md, "Container", is the standard. The header has a fixed size; the index follows it;
// the manifest is the first entry, the signatures the second; contents come behind, sorted. The
// index is not signed: it says where each content is and how it is stored, and the manifest says
// what the contents are, so that slimming and recompressing keep the signature.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "backendctx/digest.h"
#include "backendctx/status.h"

namespace backendctx::container {

inline constexpr uint16_t kMajor = 0;
inline constexpr uint16_t kMinor = 1;

// PNG's trick: a byte over 127, a name, and line ends that every text-mode transfer breaks.
inline constexpr std::array<uint8_t, 8> kMagic = {0x89, 'B', 'C', 'X', '\r', '\n', 0x1a, '\n'};
bool HasMagic(std::span<const uint8_t> start);

enum class Kind : uint8_t {
  kManifest = 1,
  kSignatures = 2,
  kGraph = 3,
  kBody = 4,
  kTensor = 5,
  kBlob = 6
};

// How the bytes of a content are held. The numbers are fixed; this version writes kRaw, kZstd,
// kInline and kAbsent and refuses the rest as UnsupportedVersion.
enum class Storage : uint8_t {
  kRaw = 0,
  kZstd = 1,
  kView = 2,
  kRecipe = 3,
  kResidual = 4,
  kChunks = 5,
  kInline = 6,
  kAbsent = 7
};

// A zstd content is at most this many times its stored size; what compresses better is stored raw.
// So the memory that a file asks for is bounded by the file's own size.
inline constexpr uint64_t kMaxRatio = 512;

// Whether the content has bytes of its own in the file.
constexpr bool IsStored(Storage storage) {
  return storage == Storage::kRaw || storage == Storage::kZstd;
}

struct Entry {
  Kind kind = Kind::kTensor;
  Storage storage = Storage::kRaw;
  uint64_t offset = 0;       // in the file; 0 where nothing is stored
  uint64_t stored_size = 0;  // bytes at offset
  uint64_t size = 0;         // bytes when decoded
  Digest stored_digest;      // of the bytes at offset
  Digest digest;             // of the decoded bytes
  std::string detail;        // kInline: the initializer's name; views, recipes, chunks: their rule
};

const char* KindName(Kind kind);           // "manifest", "tensor" ...
const char* StorageName(Storage storage);  // "raw", "zstd" ...

struct Index {
  uint16_t major = kMajor, minor = kMinor;
  std::vector<Entry> entries;
  uint64_t file_size = 0;
};

// The alignment of an entry: the largest power of two <= size / 128, between 64 and 65536;
// blobs at least 4096.
uint64_t Alignment(Kind kind, uint64_t stored_size);

// Assigns offsets and file_size; entries keep their order. ResourceExhausted past 2^63 bytes.
Status LayOut(Index* index);

// Header and index bytes; the container's name is the SHA-256 of exactly these.
std::string EncodeHead(const Index& index);

struct HeadLimits {
  uint64_t index_bytes = 64u << 20;
  uint64_t entries = 1u << 20;
};
// `bytes` is the start of the file, at least header and index. Everything is checked: order,
// bounds, alignment, gaps smaller than the next entry's alignment, no overlap, no trailing bytes.
Result<Index> ParseHead(std::span<const uint8_t> bytes, uint64_t file_size,
                        const HeadLimits& limits);
// How many bytes from the start ParseHead needs, from the fixed-size header alone.
inline constexpr uint64_t kHeaderSize = 64;
Result<uint64_t> HeadSize(std::span<const uint8_t> header, uint64_t file_size,
                          const HeadLimits& limits);

}  // namespace backendctx::container
