// Containers in memory for the tests of this folder.
#pragma once

#include <sys/mman.h>

#include <catch2/catch.hpp>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "container/container.h"
#include "crypto/sha256.h"

namespace backendctx::test {

// Bytes that look like nothing and do not compress; equal for equal seeds.
inline std::string Noise(size_t size, uint32_t seed) {
  std::string bytes(size, '\0');
  for (char& byte : bytes) {
    seed = seed * 1664525u + 1013904223u;
    byte = static_cast<char>(seed >> 24);
  }
  return bytes;
}

inline container::Item MakeItem(container::Kind kind, const std::string& bytes,
                                container::Storage storage = container::Storage::kRaw) {
  container::Item item;
  item.kind = kind;
  item.digest = crypto::Sha256(bytes);
  item.size = bytes.size();
  item.source = container::FromBytes(std::make_shared<const std::string>(bytes));
  item.storage = storage;
  return item;
}

inline std::string ToBytes(std::vector<container::Item> items) {
  auto writer = container::Writer::Make(std::move(items));
  REQUIRE(writer);
  auto bytes = writer->ToBytes();
  REQUIRE(bytes);
  return *bytes;
}

// Manifest, signatures, a graph, two tensors (one with a hole before it), a blob, an absent blob.
inline std::vector<container::Item> SampleItems() {
  using container::Kind;
  using container::Storage;
  std::vector<container::Item> items;
  items.push_back(MakeItem(Kind::kManifest, "the manifest"));
  items.push_back(MakeItem(Kind::kSignatures, "the signatures"));
  items.push_back(MakeItem(Kind::kGraph, Noise(300, 1)));
  items.push_back(MakeItem(Kind::kTensor, std::string(2000, 'w') + Noise(100, 2), Storage::kZstd));
  items.push_back(MakeItem(Kind::kTensor, Noise(500, 3)));
  items.push_back(MakeItem(Kind::kBlob, Noise(700, 4)));
  items.push_back(MakeItem(Kind::kBlob, Noise(800, 5), Storage::kAbsent));
  return items;
}

inline os::File InMemory(const std::string& bytes) {
  const int fd = memfd_create("container", MFD_CLOEXEC);
  REQUIRE(fd >= 0);
  os::File file = os::File::FromDescriptor(fd, "test.bctx");
  REQUIRE(file.Write(base::AsBytes(bytes)).ok());
  return file;
}

inline Result<container::Reader> Open(const std::string& bytes,
                                      const container::OpenOptions& options = {}) {
  return container::Reader::Open(InMemory(bytes), options);
}

// Opens and checks everything there is to check.
inline Status CheckAll(const std::string& bytes, const container::OpenOptions& options = {}) {
  BCTX_ASSIGN_OR_RETURN(const container::Reader reader, Open(bytes, options));
  for (const container::Entry& entry : reader.index().entries) {
    if (container::IsStored(entry.storage)) BCTX_RETURN_IF_ERROR(reader.Check(entry));
  }
  return reader.CheckGaps();
}

inline StatusCode CodeOf(const std::string& bytes, const container::OpenOptions& options = {}) {
  return CheckAll(bytes, options).code();
}

template <typename T>
std::string With(std::string bytes, size_t offset, T value) {
  base::StoreLittle(value, reinterpret_cast<uint8_t*>(bytes.data()) + offset);
  return bytes;
}

}  // namespace backendctx::test
