// Blobs made by hand, part by part, so that each rule of the driver can be broken on its own.
#pragma once

#include <elf.h>

#include <cstdint>
#include <string>
#include <vector>

#include "abi/kernel_abi.h"

namespace backendctx::cpu_attention::test {

// A sound table for this ELF machine; its kernel_offset is set by the writer.
KernelTable SoundTable(uint16_t machine);

// The parts of a small blob as a compiler could write it: one read-only segment with everything but
// code, one executable segment with one return instruction, and, if there are relocations, one
// writable segment of 64 bytes. Change a part, then Write; or change the bytes afterwards.
struct ElfParts {
  explicit ElfParts(uint16_t machine = EM_X86_64);

  // Before Write: what goes in.
  KernelTable table;
  std::string name = kEntryName;
  std::vector<Elf64_Dyn> extra_tags;
  std::vector<Elf64_Rela> relocations;
  std::vector<Elf64_Phdr> extra_headers;
  uint16_t machine;

  // After Write: where it went, as file offsets (equal to addresses in the first segment).
  size_t headers = 0, hash = 0, symbols = 0, strings = 0, table_at = 0, dynamic = 0, code = 0;
  size_t relocations_at = 0, end_of_first = 0;
  uint64_t code_address = 0, data_address = 0;

  std::vector<uint8_t> Write();
};

template <typename T>
T Get(const std::vector<uint8_t>& bytes, size_t at);
template <typename T>
void Put(std::vector<uint8_t>* bytes, size_t at, T value);

}  // namespace backendctx::cpu_attention::test

#include <cstring>

template <typename T>
T backendctx::cpu_attention::test::Get(const std::vector<uint8_t>& bytes, size_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof(T));
  return value;
}
template <typename T>
void backendctx::cpu_attention::test::Put(std::vector<uint8_t>* bytes, size_t at, T value) {
  std::memcpy(bytes->data() + at, &value, sizeof(T));
}
