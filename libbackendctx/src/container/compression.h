// Inside container only: one zstd frame, made and taken apart in pieces.
//
// A frame of a container is one zstd frame (RFC 8878) with its content size and checksum present,
// without dictionary, and with a window of at most 8 MiB.
#pragma once

#include <cstdint>

#include "container/container.h"

namespace backendctx::container {

inline constexpr uint64_t kMaxWindow = 8 << 20;  // what RFC 8878 asks every decoder to take

// Compresses what `source` gives, `size` bytes, into `sink`.
Status Compress(const Source& source, uint64_t size, int level, const Sink& sink);

// Decodes the frame that `source` gives into `sink`: exactly `size` bytes, else Malformed. Memory
// is bounded by the window, whatever the frame says.
Status Decompress(const Source& source, uint64_t size, const Sink& sink);

}  // namespace backendctx::container
