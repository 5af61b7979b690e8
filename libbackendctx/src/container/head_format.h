// Inside container only: the offsets of docs/format.md, "Header" and "Index".
#pragma once

#include <cstddef>

namespace backendctx::container {

// The header's fields.
inline constexpr size_t kAtMajor = 8;
inline constexpr size_t kAtMinor = 10;
inline constexpr size_t kAtHeaderSize = 12;
inline constexpr size_t kAtIndexOffset = 16;
inline constexpr size_t kAtIndexSize = 24;
inline constexpr size_t kAtFileSize = 32;
inline constexpr size_t kAtFeatures = 40;
inline constexpr size_t kAtEntryCount = 48;
inline constexpr size_t kAtReserved = 52;

// The fields of one record of the index; the detail follows, padded with zeros to 8 bytes.
inline constexpr size_t kAtRecordSize = 0;
inline constexpr size_t kAtDetailSize = 4;
inline constexpr size_t kAtKind = 8;
inline constexpr size_t kAtStorage = 9;
inline constexpr size_t kAtRecordReserved = 10;
inline constexpr size_t kAtOffset = 16;
inline constexpr size_t kAtStoredSize = 24;
inline constexpr size_t kAtSize = 32;
inline constexpr size_t kAtStoredDigest = 40;
inline constexpr size_t kAtDigest = 72;
inline constexpr size_t kRecordSize = 104;

}  // namespace backendctx::container
