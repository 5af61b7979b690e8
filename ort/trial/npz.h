// Reading numpy's .npz: a ZIP archive of .npy files (numpy.lib.format, versions 1 to 3).
//
// Stored and deflated members are read, ZIP64 too. Everything is checked against the file's bounds
// and each member against its CRC-32; the sum of the sizes is limited.
//
// Threads: a function without shared state.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "backendctx/status.h"
#include "trial/tensor.h"

namespace backendctx::ort {

inline constexpr uint64_t kNpzBytes = 4ull << 30;

// Malformed: no ZIP archive of arrays. Unimplemented: an array of a type or order that is not read,
// named. ResourceExhausted: more than `limit` bytes.
Result<std::vector<NamedTensor>> ParseNpz(std::span<const uint8_t> file, uint64_t limit);
Result<std::vector<NamedTensor>> ReadNpz(const std::string& path);

}  // namespace backendctx::ort
