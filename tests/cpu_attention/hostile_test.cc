// Broken blobs. No code of theirs is ever run: they are loaded, at most.
#include <catch2/catch.hpp>
#include <cstdio>
#include <functional>
#include <limits>

#include "cpu_attention/elf_writer.h"
#include "driver/driver.h"
#include "driver/elf_image.h"

namespace backendctx::cpu_attention::test {
namespace {

using Bytes = std::vector<uint8_t>;

Outcome Parse(const Bytes& bytes) {
  // An exact copy on the heap: a read past its end is seen by the sanitizers.
  const std::vector<uint8_t> copy(bytes.begin(), bytes.end());
  ElfImage image;
  return ParseElf(copy.data(), copy.size(), kEntryName, kMinPage, &image);
}

bctx_code Load(const Bytes& bytes) {
  const std::vector<uint8_t> copy(bytes.begin(), bytes.end());
  bctx_load_request request{};
  request.struct_size = sizeof(request);
  request.blob = {copy.data(), copy.size()};
  request.entry = kEntryName;
  bctx_kernel* kernel = nullptr;
  const bctx_code code = DriverPlugin()->load(&request, &kernel, nullptr);
  if (code == BCTX_OK) DriverPlugin()->unload(kernel);
  return code;
}

#if defined(__aarch64__)
constexpr uint16_t kHere = EM_AARCH64, kElsewhere = EM_X86_64;
#else
constexpr uint16_t kHere = EM_X86_64, kElsewhere = EM_AARCH64;
#endif

// Breaks a sound blob and expects the refusal; the sound one itself loads.
void Refused(const char* message, const std::function<void(ElfParts&)>& change,
             const std::function<void(const ElfParts&, Bytes*)>& patch) {
  ElfParts sound(EM_X86_64);
  REQUIRE(Parse(sound.Write()).message == "");
  ElfParts parts(EM_X86_64);
  change(parts);
  Bytes bytes = parts.Write();
  patch(parts, &bytes);
  const Outcome outcome = Parse(bytes);
  CHECK(outcome.code == BCTX_MALFORMED);
  CHECK_THAT(outcome.message, Catch::Matchers::Contains(message));
}
void Patched(const char* message, const std::function<void(const ElfParts&, Bytes*)>& patch) {
  Refused(message, [](ElfParts&) {}, patch);
}
void Changed(const char* message, const std::function<void(ElfParts&)>& change) {
  Refused(message, change, [](const ElfParts&, Bytes*) {});
}

template <typename T>
std::function<void(const ElfParts&, Bytes*)> HeaderField(size_t offset, T value) {
  return [=](const ElfParts&, Bytes* bytes) { Put(bytes, offset, value); };
}
// Field of program header `number`: 0 read-only, 1 code, 2 dynamic, 3 stack.
template <typename T>
std::function<void(const ElfParts&, Bytes*)> Segment(size_t number, size_t offset, T value) {
  return [=](const ElfParts& parts, Bytes* bytes) {
    Put(bytes, parts.headers + number * sizeof(Elf64_Phdr) + offset, value);
  };
}
template <typename T>
std::function<void(const ElfParts&, Bytes*)> Symbol(size_t offset, T value) {
  return [=](const ElfParts& parts, Bytes* bytes) {
    Put(bytes, parts.symbols + sizeof(Elf64_Sym) + offset, value);
  };
}
// Value of dynamic tag `number` in order: hash, symbols, strings, string bytes, symbol bytes.
std::function<void(const ElfParts&, Bytes*)> TagValue(size_t number, uint64_t value) {
  return [=](const ElfParts& parts, Bytes* bytes) {
    Put(bytes, parts.dynamic + number * sizeof(Elf64_Dyn) + 8, value);
  };
}
std::function<void(ElfParts&)> ExtraTag(int64_t tag, uint64_t value) {
  return [=](ElfParts& parts) {
    Elf64_Dyn entry{};
    entry.d_tag = tag;
    entry.d_un.d_val = value;
    parts.extra_tags.push_back(entry);
  };
}
std::function<void(ElfParts&)> ExtraHeader(uint32_t type, uint32_t flags) {
  return [=](ElfParts& parts) {
    Elf64_Phdr header{};
    header.p_type = type;
    header.p_flags = flags;
    parts.extra_headers.push_back(header);
  };
}
template <typename T>
std::function<void(ElfParts&)> Table(T KernelTable::* member, T value) {
  return [=](ElfParts& parts) { parts.table.*member = value; };
}

constexpr uint64_t kHuge = std::numeric_limits<uint64_t>::max();

}  // namespace

TEST_CASE("a sound hand-made blob for this machine loads", "[hostile]") {
  CHECK(Load(ElfParts(kHere).Write()) == BCTX_OK);
  CHECK(Parse(ElfParts(EM_AARCH64).Write()).message == "");
}

TEST_CASE("a sound blob for another machine is incompatible, not malformed", "[hostile]") {
  CHECK(Load(ElfParts(kElsewhere).Write()) == BCTX_INCOMPATIBLE);
  ElfParts broken(kElsewhere);
  broken.table.q_tile = 0;
  CHECK(Load(broken.Write()) == BCTX_MALFORMED);
}

TEST_CASE("an elf header that no compiler of this backend writes is malformed", "[hostile]") {
  Patched("no elf", HeaderField<uint8_t>(0, 0x7e));
  Patched("not 64-bit", HeaderField<uint8_t>(EI_CLASS, ELFCLASS32));
  Patched("not little endian", HeaderField<uint8_t>(EI_DATA, ELFDATA2MSB));
  Patched("version is not 1", HeaderField<uint8_t>(EI_VERSION, 2));
  Patched("ident byte", HeaderField<uint8_t>(EI_OSABI, ELFOSABI_LINUX));
  Patched("ident byte", HeaderField<uint8_t>(15, 1));
  Patched("expected a shared object", HeaderField<uint16_t>(offsetof(Elf64_Ehdr, e_type), ET_EXEC));
  Patched("elf machine", HeaderField<uint16_t>(offsetof(Elf64_Ehdr, e_machine), EM_RISCV));
  Patched("version is not 1", HeaderField<uint32_t>(offsetof(Elf64_Ehdr, e_version), 0));
  Patched("entry point", HeaderField<uint64_t>(offsetof(Elf64_Ehdr, e_entry), 0x1000));
  Patched("flags", HeaderField<uint32_t>(offsetof(Elf64_Ehdr, e_flags), 1));
  Patched("program headers at", HeaderField<uint64_t>(offsetof(Elf64_Ehdr, e_phoff), kHuge - 3));
  Patched("header sizes", HeaderField<uint16_t>(offsetof(Elf64_Ehdr, e_ehsize), 63));
  Patched("header sizes", HeaderField<uint16_t>(offsetof(Elf64_Ehdr, e_phentsize), 32));
  Patched("program headers", HeaderField<uint16_t>(offsetof(Elf64_Ehdr, e_phnum), 0));
  Patched("program headers", HeaderField<uint16_t>(offsetof(Elf64_Ehdr, e_phnum), 0xffff));
  Patched("section headers", HeaderField<uint64_t>(offsetof(Elf64_Ehdr, e_shoff), 64));
  Patched("section headers", HeaderField<uint16_t>(offsetof(Elf64_Ehdr, e_shnum), 1));
}

TEST_CASE("a segment that is out of range or writable and executable is malformed", "[hostile]") {
  Patched("beyond the end", Segment<uint64_t>(0, offsetof(Elf64_Phdr, p_filesz), 1 << 20));
  Patched("beyond the end", Segment<uint64_t>(1, offsetof(Elf64_Phdr, p_offset), kHuge - 1));
  Patched("beyond the end", Segment<uint64_t>(1, offsetof(Elf64_Phdr, p_filesz), kHuge));
  Patched("beyond 16 MiB", Segment<uint64_t>(0, offsetof(Elf64_Phdr, p_memsz), 17 << 20));
  Patched("beyond 16 MiB", Segment<uint64_t>(1, offsetof(Elf64_Phdr, p_vaddr), kHuge - 1));
  Patched("more bytes in the file", Segment<uint64_t>(1, offsetof(Elf64_Phdr, p_memsz), 3));
  Patched("physical address", Segment<uint64_t>(1, offsetof(Elf64_Phdr, p_paddr), 0));
  Patched("alignment", Segment<uint64_t>(1, offsetof(Elf64_Phdr, p_align), 0));
  Patched("alignment", Segment<uint64_t>(1, offsetof(Elf64_Phdr, p_align), 4097));
  Patched("alignment", Segment<uint64_t>(1, offsetof(Elf64_Phdr, p_align), 1 << 20));
  Patched("writable and executable",
          Segment<uint32_t>(1, offsetof(Elf64_Phdr, p_flags), PF_R | PF_W | PF_X));
  Patched("expected readable", Segment<uint32_t>(1, offsetof(Elf64_Phdr, p_flags), PF_X));
  Patched("flags", Segment<uint32_t>(1, offsetof(Elf64_Phdr, p_flags), PF_R | 0x1000));
  Patched("longer in memory", Segment<uint64_t>(0, offsetof(Elf64_Phdr, p_memsz), 4096));
  Patched("longer in memory", Segment<uint64_t>(1, offsetof(Elf64_Phdr, p_memsz), 4096));
  Patched("disagree on the page", [](const ElfParts& parts, Bytes* bytes) {
    const size_t at = parts.headers + sizeof(Elf64_Phdr);
    Put(bytes, at + offsetof(Elf64_Phdr, p_vaddr), parts.code_address + 16);
    Put(bytes, at + offsetof(Elf64_Phdr, p_paddr), parts.code_address + 16);
  });
  Patched("shares a page", [](const ElfParts& parts, Bytes* bytes) {
    const size_t at = parts.headers + sizeof(Elf64_Phdr);
    Put(bytes, at + offsetof(Elf64_Phdr, p_vaddr), parts.code_address - 4096);
    Put(bytes, at + offsetof(Elf64_Phdr, p_paddr), parts.code_address - 4096);
  });
  Patched("the blob at", [](const ElfParts&, Bytes* bytes) { bytes->push_back(0); });
  Patched("does not start with the elf header", [](const ElfParts& parts, Bytes* bytes) {
    for (size_t field : {offsetof(Elf64_Phdr, p_vaddr), offsetof(Elf64_Phdr, p_paddr)}) {
      Put<uint64_t>(bytes, parts.headers + field, 4096);
      Put<uint64_t>(bytes, parts.headers + sizeof(Elf64_Phdr) + field, parts.code_address + 8192);
    }
  });
  Patched("stack header has contents", Segment<uint64_t>(3, offsetof(Elf64_Phdr, p_memsz), 64));
  Patched("executable stack", Segment<uint32_t>(3, offsetof(Elf64_Phdr, p_flags), PF_R | PF_X));
}

TEST_CASE("an elf that wants an interpreter, thread storage or unknown segments is malformed",
          "[hostile]") {
  Changed("interpreter", ExtraHeader(PT_INTERP, PF_R));
  Changed("thread-local", ExtraHeader(PT_TLS, PF_R));
  Changed("is not expected", ExtraHeader(PT_GNU_RELRO, PF_R));
  Changed("is not expected", ExtraHeader(PT_NOTE, PF_R));
  Changed("second dynamic", ExtraHeader(PT_DYNAMIC, PF_R));
  Changed("said to be elsewhere", ExtraHeader(PT_PHDR, PF_R));
}

TEST_CASE("an elf with imports, constructors or text relocations is malformed", "[hostile]") {
  Changed("needs another library", ExtraTag(DT_NEEDED, 1));
  Changed("has constructors", ExtraTag(DT_INIT, 0x1000));
  Changed("has constructors", ExtraTag(DT_INIT_ARRAY, 0x1000));
  Changed("has constructors", ExtraTag(DT_PREINIT_ARRAY, 0x1000));
  Changed("has destructors", ExtraTag(DT_FINI, 0x1000));
  Changed("has destructors", ExtraTag(DT_FINI_ARRAY, 0x1000));
  Changed("text relocations", ExtraTag(DT_TEXTREL, 0));
  Changed("text relocations", ExtraTag(DT_FLAGS, DF_TEXTREL));
  Changed("dynamic flags", ExtraTag(DT_FLAGS, DF_STATIC_TLS));
  Changed("procedure linkage", ExtraTag(DT_JMPREL, 0));
  Changed("procedure linkage", ExtraTag(DT_PLTGOT, 0));
  Changed("is not expected", ExtraTag(DT_SONAME, 1));
  Changed("is not expected", ExtraTag(DT_RUNPATH, 1));
  Changed("is not expected", ExtraTag(DT_REL, 0));
  Changed("is not expected", ExtraTag(DT_GNU_HASH, 0));
  Changed("is there twice", ExtraTag(DT_HASH, 0));
  Changed("describes relocations in part", ExtraTag(DT_RELA, 0));
  Patched("imports a symbol", Symbol<uint16_t>(offsetof(Elf64_Sym, st_shndx), SHN_UNDEF));
}

TEST_CASE("a dynamic table that lies about its place or contents is malformed", "[hostile]") {
  Patched("not in a segment", Segment<uint64_t>(2, offsetof(Elf64_Phdr, p_vaddr), kHuge - 7));
  Patched("not in a segment", Segment<uint64_t>(2, offsetof(Elf64_Phdr, p_filesz), 8));
  Patched("not in a segment", Segment<uint64_t>(2, offsetof(Elf64_Phdr, p_offset), 0));
  Patched("no dynamic table", [](const ElfParts& parts, Bytes* bytes) {
    Elf64_Phdr stack{};
    stack.p_type = PT_GNU_STACK;
    stack.p_flags = PF_R | PF_W;
    Put(bytes, parts.headers + 2 * sizeof(Elf64_Phdr), stack);
  });
  Patched("has no end", [](const ElfParts& parts, Bytes* bytes) {
    const size_t size = parts.headers + 2 * sizeof(Elf64_Phdr) + offsetof(Elf64_Phdr, p_filesz);
    Put(bytes, size, Get<uint64_t>(*bytes, size) - 16);
    Put(bytes, size + 8, Get<uint64_t>(*bytes, size));
  });
  Patched("goes on behind its end", [](const ElfParts& parts, Bytes* bytes) {
    Put<uint64_t>(bytes, parts.dynamic + 3 * sizeof(Elf64_Dyn), DT_NULL);
    Put<uint64_t>(bytes, parts.dynamic + 3 * sizeof(Elf64_Dyn) + 8, 0);
  });
  Patched("lacks hash", [](const ElfParts& parts, Bytes* bytes) {
    Put<uint64_t>(bytes, parts.dynamic, DT_FLAGS_1);
    Put<uint64_t>(bytes, parts.dynamic + 8, DF_1_NOW);
  });
  Patched("hash table", TagValue(0, kHuge - 3));
  Patched("symbols at", TagValue(1, kHuge - 23));
  Patched("strings at", TagValue(2, kHuge));
  Patched("strings at", TagValue(3, kHuge));
  Patched("strings at", TagValue(3, 0));
  Patched("symbol entries", TagValue(4, 16));
  Patched("0 buckets",
          [](const ElfParts& parts, Bytes* bytes) { Put<uint32_t>(bytes, parts.hash, 0); });
  Patched("hash table names symbol 7",
          [](const ElfParts& parts, Bytes* bytes) { Put<uint32_t>(bytes, parts.hash + 8, 7); });
  Patched("do not start with none",
          [](const ElfParts& parts, Bytes* bytes) { (*bytes)[parts.strings] = 'x'; });
  Patched("words is not in a segment", [](const ElfParts& parts, Bytes* bytes) {
    Put<uint32_t>(bytes, parts.hash, 0xffffffff);
  });
  Patched("symbols, expected one",
          [](const ElfParts& parts, Bytes* bytes) { Put<uint32_t>(bytes, parts.hash + 4, 3); });
}

TEST_CASE("an exported symbol that is not the table is malformed", "[hostile]") {
  Changed("exported symbol is not", [](ElfParts& parts) { parts.name = "bctx_attention_tablf"; });
  Changed("name of the exported symbol", [](ElfParts& parts) { parts.name = "b"; });
  Patched("name of the exported symbol",
          Symbol<uint32_t>(offsetof(Elf64_Sym, st_name), 0xffffffff));
  Patched("no global object",
          Symbol<uint8_t>(offsetof(Elf64_Sym, st_info), ELF64_ST_INFO(STB_GLOBAL, STT_GNU_IFUNC)));
  Patched("no global object",
          Symbol<uint8_t>(offsetof(Elf64_Sym, st_info), ELF64_ST_INFO(STB_WEAK, STT_OBJECT)));
  Patched("has no section", Symbol<uint16_t>(offsetof(Elf64_Sym, st_shndx), SHN_ABS));
  Patched("not in a read-only segment", Symbol<uint64_t>(offsetof(Elf64_Sym, st_value), kHuge - 7));
  Patched("not in a read-only segment", Symbol<uint64_t>(offsetof(Elf64_Sym, st_value), 0x1000));
  Patched("not in a read-only segment", Symbol<uint64_t>(offsetof(Elf64_Sym, st_size), 8));
  Patched("hidden", Symbol<uint8_t>(offsetof(Elf64_Sym, st_other), STV_HIDDEN));
  Patched("symbol 0", [](const ElfParts& parts, Bytes* bytes) { (*bytes)[parts.symbols] = 1; });
}

TEST_CASE("relocations other than relative ones into writable memory are malformed", "[hostile]") {
  auto relocate = [](uint64_t from_data, uint32_t type, uint32_t symbol, int64_t addend) {
    ElfParts parts(EM_X86_64);
    parts.relocations.resize(1);
    parts.Write();  // once to learn the address
    parts.relocations[0].r_offset = parts.data_address + from_data;
    parts.relocations[0].r_info = ELF64_R_INFO(symbol, type);
    parts.relocations[0].r_addend = addend;
    return Parse(parts.Write()).message;
  };
  using Catch::Matchers::Contains;
  CHECK(relocate(8, R_X86_64_RELATIVE, 0, 64) == "");
  CHECK_THAT(relocate(8, R_X86_64_64, 1, 64), Contains("expected relative"));
  CHECK_THAT(relocate(8, R_X86_64_IRELATIVE, 0, 64), Contains("expected relative"));
  CHECK_THAT(relocate(8, R_X86_64_COPY, 1, 64), Contains("expected relative"));
  CHECK_THAT(relocate(8, R_X86_64_RELATIVE, 1, 64), Contains("expected relative"));
  CHECK_THAT(relocate(4, R_X86_64_RELATIVE, 0, 64), Contains("not in a writable"));
  CHECK_THAT(relocate(64, R_X86_64_RELATIVE, 0, 64), Contains("not in a writable"));
  CHECK_THAT(relocate(0 - uint64_t{0x1000}, R_X86_64_RELATIVE, 0, 64),
             Contains("not in a writable"));
  CHECK_THAT(relocate(8, R_X86_64_RELATIVE, 0, 1 << 24), Contains("beyond the image"));
  CHECK_THAT(relocate(8, R_X86_64_RELATIVE, 0, -1), Contains("beyond the image"));
}

TEST_CASE("a table with a member out of range is malformed", "[hostile]") {
  Changed("no magic", [](ElfParts& parts) { parts.table.magic[7] = 'M'; });
  Changed("version", Table<uint32_t>(&KernelTable::version, 2));
  Changed("another driver", Table<uint32_t>(&KernelTable::table_bytes, 208));
  Changed("another driver", Table<uint32_t>(&KernelTable::args_bytes, 8));
  Changed("isa", Table<uint32_t>(&KernelTable::isa, 0));
  Changed("isa", Table<uint32_t>(&KernelTable::isa, 4));
  Changed("in an elf for machine", Table<uint32_t>(&KernelTable::isa, 3));
  Changed("scratch", Table<uint64_t>(&KernelTable::scratch_bytes, 0));
  Changed("scratch", Table<uint64_t>(&KernelTable::scratch_bytes, 64));
  Changed("scratch", Table<uint64_t>(&KernelTable::scratch_bytes, (64 << 10) + 4));
  Changed("scratch", Table<uint64_t>(&KernelTable::scratch_bytes, kHuge - 63));
  Changed("head counts", Table<int64_t>(&KernelTable::q_heads, 0));
  Changed("head counts", Table<int64_t>(&KernelTable::q_heads, 3));
  Changed("head counts", Table<int64_t>(&KernelTable::kv_heads, -2));
  Changed("head sizes", Table<int32_t>(&KernelTable::qk_head_size, 0));
  Changed("head sizes", Table<int32_t>(&KernelTable::v_head_size, 1 << 20));
  Changed("tile sizes", Table<int32_t>(&KernelTable::q_tile, 0));
  Changed("tile sizes", Table<int32_t>(&KernelTable::q_tiles, 1 << 30));
  Changed("tile sizes", Table<int32_t>(&KernelTable::kv_block, -8));
  Changed("flags", Table<int32_t>(&KernelTable::causal, 2));
  Changed("flags", Table<int32_t>(&KernelTable::masked_row, -1));
  Changed("scale", Table<float>(&KernelTable::scale, std::numeric_limits<float>::infinity()));
  Changed("softcap", Table<float>(&KernelTable::softcap, -1.F));
  Changed("counts", Table<int32_t>(&KernelTable::input_count, 0));
  Changed("counts", Table<int32_t>(&KernelTable::output_count, 2));
  Changed("counts", Table<int32_t>(&KernelTable::mask_count, 3));
  Changed("counts", Table<int32_t>(&KernelTable::mask_count, -1));
  Changed("mask 0", [](ElfParts& parts) { parts.table.masks[0].index = 4; });
  Changed("mask 0", [](ElfParts& parts) { parts.table.masks[0].kind = 2; });
  Changed("mask 1", [](ElfParts& parts) { parts.table.masks[1].index = 1; });
  Changed("operand q has index", [](ElfParts& parts) { parts.table.q.index = 4; });
  Changed("operand k has index", [](ElfParts& parts) { parts.table.k.index = -1; });
  Changed("operand v has rank", [](ElfParts& parts) { parts.table.v.rank = 2; });
  Changed("operand y has index", [](ElfParts& parts) { parts.table.y.index = 1; });
  Changed("operand q has axis", [](ElfParts& parts) { parts.table.q.axis[0] = 4; });
  Changed("name no layout", [](ElfParts& parts) { parts.table.q.axis[0] = 1; });
  Changed("name no layout", [](ElfParts& parts) { parts.table.y.axis[1] = 1; });
  auto kernel = [](int64_t offset) {
    return [offset](const ElfParts& parts, Bytes* bytes) {
      Put(bytes, parts.table_at + offsetof(KernelTable, kernel_offset), offset);
    };
  };
  Patched("not in an executable segment", kernel(0));
  Patched("not in an executable segment", kernel(std::numeric_limits<int64_t>::min()));
  Patched("not in an executable segment", kernel(1 << 20));
}

TEST_CASE("every truncation of a blob is malformed", "[hostile]") {
  const Bytes sound = ElfParts(kHere).Write();
  for (size_t size = 0; size < sound.size(); ++size) {
    INFO("size " << size);
    REQUIRE(Load(Bytes(sound.begin(), sound.begin() + static_cast<std::ptrdiff_t>(size))) ==
            BCTX_MALFORMED);
  }
  std::printf("%zu truncations refused\n", sound.size());
}

TEST_CASE("every flipped bit of a blob is refused or cannot mislead the driver", "[hostile]") {
  ElfParts parts(kHere);
  const Bytes sound = parts.Write();
  size_t refused = 0, harmless = 0;
  for (size_t bit = 0; bit < sound.size() * 8; ++bit) {
    Bytes bytes = sound;
    bytes[bit / 8] = static_cast<uint8_t>(bytes[bit / 8] ^ (1U << (bit % 8)));
    const size_t at = bit / 8;
    const bctx_code code = Load(bytes);
    INFO("byte " << at << ", bit " << bit % 8);
    if (code != BCTX_OK) {
      ++refused;
      REQUIRE((code == BCTX_MALFORMED || code == BCTX_INCOMPATIBLE));
      continue;
    }
    ++harmless;
    // What the driver need not judge: code, padding, the order of the hash table, the symbol's
    // section number and its two visibilities, strings that go on for longer; and numbers of the
    // table that have another sound value, which the blob's digest is for.
    const size_t symbol = parts.symbols + sizeof(Elf64_Sym);
    const size_t section = symbol + offsetof(Elf64_Sym, st_shndx);
    const size_t string_bytes = parts.dynamic + 3 * sizeof(Elf64_Dyn) + 8;
    const bool known = (at >= parts.table_at && at < parts.table_at + sizeof(KernelTable)) ||
                       at >= parts.end_of_first || (at >= parts.hash + 8 && at < parts.symbols) ||
                       at == section || at == section + 1 || at == string_bytes ||
                       at == string_bytes + 1 ||
                       (at > parts.strings + parts.name.size() + 1 && at < parts.table_at);
    REQUIRE(known);
  }
  std::printf("%zu flipped bits: %zu refused, %zu harmless\n", sound.size() * 8, refused, harmless);
}

}  // namespace backendctx::cpu_attention::test
