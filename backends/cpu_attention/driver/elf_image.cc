// The ELF reader of the driver.
//
// Problem: the blob is native code, and the first mistake in reading it is someone else's code with
// our privileges. Its signature and digest were checked before, but a loader that trusts offsets
// turns a bug or a bad tool into a write anywhere.
//
// Idea: accept only the small language that our linker writes, and refuse everything else by name:
// one header, a few segments, one dynamic table whose every tag is on a list, one exported object
// symbol, no imports, relative relocations at most. Sections are not looked at and may not be
// there. What is not understood is not skipped but refused.
//
// Why it is right: all positions are unsigned 64-bit numbers that were checked, with overflow, to
// lie in the file (Bytes) or in the file-backed part of a segment (At) before anything is read;
// what is read is copied out, never pointed to; loops run over counts that were bounded by the
// file's size. Nothing is executable until this file has said yes.
#include "driver/elf_image.h"

#include <elf.h>

#include <algorithm>
#include <cstring>

#include "driver/table.h"

namespace backendctx::cpu_attention {
namespace {

constexpr uint64_t kMaxSpan = 16 << 20;
constexpr uint64_t kMaxBlob = 16 << 20;
constexpr uint64_t kMaxAlign = 65536;
constexpr int kMaxSegments = 16;

std::string Hex(uint64_t value) {
  char text[19];
  int at = 18;
  text[at] = '\0';
  do {
    text[--at] = "0123456789abcdef"[value & 15];
    value >>= 4;
  } while (value != 0);
  return "0x" + std::string(text + at);
}

bool Sum(uint64_t a, uint64_t b, uint64_t* sum) { return !__builtin_add_overflow(a, b, sum); }

bool IsPowerOfTwo(uint64_t value) { return value != 0 && (value & (value - 1)) == 0; }

class Parser {
 public:
  Parser(const uint8_t* blob, size_t size, uint64_t page, ElfImage* image)
      : blob_(blob), size_(size), page_(page), image_(image) {}

  Outcome Parse(const char* entry);

 private:
  // Copies from the file.
  template <typename T>
  bool Bytes(uint64_t offset, T* out) const {
    uint64_t end = 0;
    if (!Sum(offset, sizeof(T), &end) || end > size_) return false;
    std::memcpy(out, blob_ + offset, sizeof(T));
    return true;
  }
  // The segment whose file-backed part has [address, address + bytes).
  const ElfSegment* Find(uint64_t address, uint64_t bytes) const {
    uint64_t end = 0;
    if (!Sum(address, bytes, &end)) return nullptr;
    for (const ElfSegment& s : image_->segments) {
      if (address >= s.address && end <= s.address + s.file_bytes) return &s;
    }
    return nullptr;
  }
  // Copies from the image as it is before relocation.
  template <typename T>
  bool At(uint64_t address, T* out) const {
    const ElfSegment* segment = Find(address, sizeof(T));
    return segment != nullptr && Bytes(segment->offset + (address - segment->address), out);
  }

  Outcome Header();
  Outcome ProgramHeaders();
  Outcome Load(const Elf64_Phdr& header);
  Outcome Other(const Elf64_Phdr& header);
  Outcome FileIsCovered() const;
  Outcome Dynamic();
  Outcome DynamicTag(const Elf64_Dyn& tag);
  Outcome SymbolCount(uint64_t* count) const;
  Outcome Symbols(const char* entry);
  Outcome SymbolName(const Elf64_Sym& symbol, const char* entry) const;
  Outcome Relocations();
  Outcome Table();

  const uint8_t* blob_;
  uint64_t size_;
  uint64_t page_;
  ElfImage* image_;
  Elf64_Ehdr header_{};
  Elf64_Phdr dynamic_{};
  bool has_dynamic_ = false;
  uint64_t seen_tags_ = 0;
  uint64_t hash_ = 0, symtab_ = 0, strtab_ = 0, strtab_bytes_ = 0;
  uint64_t rela_ = 0, rela_bytes_ = 0;
};

Outcome Parser::Header() {
  if (size_ > kMaxBlob) {
    return Malformed("blob of " + std::to_string(size_) + " bytes, over 16 MiB");
  }
  if (!Bytes(0, &header_)) {
    return Malformed("blob of " + std::to_string(size_) + " bytes, shorter than an elf header");
  }
  const unsigned char* ident = header_.e_ident;
  if (std::memcmp(ident, ELFMAG, SELFMAG) != 0) return Malformed("blob is no elf file");
  if (ident[EI_CLASS] != ELFCLASS64) return Malformed("elf class is not 64-bit");
  if (ident[EI_DATA] != ELFDATA2LSB) return Malformed("elf byte order is not little endian");
  if (ident[EI_VERSION] != EV_CURRENT || header_.e_version != EV_CURRENT) {
    return Malformed("elf version is not 1");
  }
  for (int i = EI_OSABI; i < EI_NIDENT; ++i) {
    if (ident[i] != 0) return Malformed("elf ident byte " + std::to_string(i) + " is not zero");
  }
  if (header_.e_type != ET_DYN) {
    return Malformed("elf type " + std::to_string(header_.e_type) + ", expected a shared object");
  }
  if (header_.e_machine != EM_X86_64 && header_.e_machine != EM_AARCH64) {
    return Malformed("elf machine " + std::to_string(header_.e_machine) +
                     ", expected x86-64 or aarch64");
  }
  image_->machine = header_.e_machine;
  if (header_.e_flags != 0) return Malformed("elf flags are not zero");
  if (header_.e_entry != 0) return Malformed("elf has an entry point");
  if (header_.e_ehsize != sizeof(Elf64_Ehdr) || header_.e_phentsize != sizeof(Elf64_Phdr)) {
    return Malformed("elf header sizes are not those of 64-bit elf");
  }
  if (header_.e_shoff != 0 || header_.e_shnum != 0 || header_.e_shstrndx != 0 ||
      header_.e_shentsize != 0) {
    return Malformed("elf has section headers");
  }
  if (header_.e_phnum == 0 || header_.e_phnum > kMaxSegments) {
    return Malformed("elf has " + std::to_string(header_.e_phnum) +
                     " program headers, expected 1 to " + std::to_string(kMaxSegments));
  }
  if (header_.e_phoff != sizeof(Elf64_Ehdr)) {
    return Malformed("program headers at " + Hex(header_.e_phoff) + ", expected 0x40");
  }
  return {};
}

Outcome Parser::ProgramHeaders() {
  for (int i = 0; i < header_.e_phnum; ++i) {
    Elf64_Phdr header;
    if (!Bytes(header_.e_phoff + static_cast<uint64_t>(i) * sizeof(header), &header)) {
      return Malformed("program header " + std::to_string(i) + " is beyond the end of the blob");
    }
    Outcome outcome = header.p_type == PT_LOAD ? Load(header) : Other(header);
    if (!outcome.ok()) {
      outcome.message = "program header " + std::to_string(i) + ": " + outcome.message;
      return outcome;
    }
  }
  if (image_->segments.empty()) return Malformed("elf has no segment to load");
  return FileIsCovered();
}

Outcome Parser::Load(const Elf64_Phdr& header) {
  uint64_t file_end = 0, memory_end = 0;
  if (!Sum(header.p_offset, header.p_filesz, &file_end) || file_end > size_) {
    return Malformed("file range " + Hex(header.p_offset) + "+" + Hex(header.p_filesz) +
                     " is beyond the end of the blob");
  }
  if (header.p_filesz > header.p_memsz) return Malformed("more bytes in the file than in memory");
  if (header.p_memsz == 0) return Malformed("segment is empty");
  if (!Sum(header.p_vaddr, header.p_memsz, &memory_end) || memory_end > kMaxSpan) {
    return Malformed("memory range " + Hex(header.p_vaddr) + "+" + Hex(header.p_memsz) +
                     " is beyond 16 MiB");
  }
  if (header.p_paddr != header.p_vaddr) return Malformed("physical address differs");
  if (!IsPowerOfTwo(header.p_align) || header.p_align < kMinPage || header.p_align > kMaxAlign) {
    return Malformed("alignment " + Hex(header.p_align) + ", expected 0x1000 to 0x10000");
  }
  if ((header.p_offset ^ header.p_vaddr) & (header.p_align - 1)) {
    return Malformed("offset and address disagree on the page");
  }
  if ((header.p_flags & ~uint32_t{PF_R | PF_W | PF_X}) != 0 || (header.p_flags & PF_R) == 0) {
    return Malformed("flags " + Hex(header.p_flags) + ", expected readable");
  }
  const bool write = (header.p_flags & PF_W) != 0, execute = (header.p_flags & PF_X) != 0;
  if (write && execute) return Malformed("segment is writable and executable");
  if (!write && header.p_filesz != header.p_memsz) {
    return Malformed("read-only segment is longer in memory than in the file");
  }
  const uint64_t page = std::max(page_, header.p_align);
  if (!image_->segments.empty()) {
    const ElfSegment& before = image_->segments.back();
    const uint64_t used = (before.address + before.memory_bytes + page - 1) / page * page;
    if (header.p_vaddr / page * page < used) {
      return Malformed("segment at " + Hex(header.p_vaddr) + " shares a page with the one before");
    }
  }
  image_->segments.push_back(
      {header.p_offset, header.p_filesz, header.p_vaddr, header.p_memsz, write, execute});
  image_->span = (memory_end + page - 1) / page * page;
  return {};
}

Outcome Parser::Other(const Elf64_Phdr& header) {
  switch (header.p_type) {
    case PT_PHDR: {
      Elf64_Phdr expected = header;
      expected.p_flags = PF_R;
      expected.p_offset = expected.p_vaddr = expected.p_paddr = header_.e_phoff;
      expected.p_filesz = expected.p_memsz = uint64_t{header_.e_phnum} * sizeof(Elf64_Phdr);
      expected.p_align = 8;
      if (std::memcmp(&header, &expected, sizeof(header)) != 0) {
        return Malformed("the program header table is said to be elsewhere");
      }
      return {};
    }
    case PT_DYNAMIC:
      if (has_dynamic_) return Malformed("second dynamic table");
      has_dynamic_ = true;
      dynamic_ = header;
      return {};
    case PT_GNU_STACK: {
      Elf64_Phdr expected{};
      expected.p_type = PT_GNU_STACK;
      expected.p_flags = PF_R | PF_W;
      if ((header.p_flags & PF_X) != 0) return Malformed("asks for an executable stack");
      if (std::memcmp(&header, &expected, sizeof(header)) != 0) {
        return Malformed("stack header has contents");
      }
      return {};
    }
    case PT_INTERP:
      return Malformed("names an interpreter");
    case PT_TLS:
      return Malformed("has thread-local storage");
    default:
      return Malformed("type " + Hex(header.p_type) + " is not expected");
  }
}

// Header and program headers start the first segment, and nothing follows the last.
Outcome Parser::FileIsCovered() const {
  const ElfSegment& first = image_->segments.front();
  if (first.offset != 0 || first.address != 0) {
    return Malformed("the first segment does not start with the elf header");
  }
  uint64_t end = 0;
  for (const ElfSegment& segment : image_->segments) {
    end = std::max(end, segment.offset + segment.file_bytes);
  }
  if (end != size_) {
    return Malformed("segments end at " + Hex(end) + ", the blob at " + Hex(size_));
  }
  return {};
}

Outcome Parser::DynamicTag(const Elf64_Dyn& tag) {
  const uint64_t value = tag.d_un.d_val;
  const auto number = static_cast<uint64_t>(tag.d_tag);
  if (number < 64) {
    if ((seen_tags_ >> number) & 1) {
      return Malformed("dynamic tag " + Hex(number) + " is there twice");
    }
    seen_tags_ |= uint64_t{1} << number;
  }
  switch (tag.d_tag) {
    case DT_HASH:
      hash_ = value;
      return {};
    case DT_SYMTAB:
      symtab_ = value;
      return {};
    case DT_STRTAB:
      strtab_ = value;
      return {};
    case DT_STRSZ:
      strtab_bytes_ = value;
      return {};
    case DT_SYMENT:
      return value == sizeof(Elf64_Sym) ? Outcome{} : Malformed("symbol entries of " + Hex(value));
    case DT_RELA:
      rela_ = value;
      return {};
    case DT_RELASZ:
      rela_bytes_ = value;
      return {};
    case DT_RELAENT:
      return value == sizeof(Elf64_Rela) ? Outcome{}
                                         : Malformed("relocation entries of " + Hex(value));
    case DT_RELACOUNT:
      return {};
    case DT_FLAGS:
      if ((value & DF_TEXTREL) != 0) return Malformed("text relocations");
      return value == DF_BIND_NOW ? Outcome{} : Malformed("dynamic flags " + Hex(value));
    case DT_FLAGS_1:
      return value == DF_1_NOW ? Outcome{} : Malformed("dynamic flags-1 " + Hex(value));
    case DT_NEEDED:
      return Malformed("needs another library");
    case DT_TEXTREL:
      return Malformed("text relocations");
    case DT_INIT:
    case DT_INIT_ARRAY:
    case DT_INIT_ARRAYSZ:
    case DT_PREINIT_ARRAY:
    case DT_PREINIT_ARRAYSZ:
      return Malformed("has constructors");
    case DT_FINI:
    case DT_FINI_ARRAY:
    case DT_FINI_ARRAYSZ:
      return Malformed("has destructors");
    case DT_JMPREL:
    case DT_PLTGOT:
    case DT_PLTREL:
    case DT_PLTRELSZ:
      return Malformed("has a procedure linkage table");
    default:
      return Malformed("dynamic tag " + Hex(number) + " is not expected");
  }
}

Outcome Parser::Dynamic() {
  if (!has_dynamic_) return Malformed("elf has no dynamic table");
  const ElfSegment* segment = Find(dynamic_.p_vaddr, dynamic_.p_filesz);
  if (segment == nullptr || dynamic_.p_filesz != dynamic_.p_memsz ||
      dynamic_.p_filesz % sizeof(Elf64_Dyn) != 0 || dynamic_.p_vaddr % 8 != 0 ||
      dynamic_.p_paddr != dynamic_.p_vaddr || dynamic_.p_align != 8 || dynamic_.p_flags != PF_R ||
      dynamic_.p_offset != segment->offset + (dynamic_.p_vaddr - segment->address)) {
    return Malformed("dynamic table at " + Hex(dynamic_.p_vaddr) + "+" + Hex(dynamic_.p_filesz) +
                     " is not in a segment");
  }
  bool ended = false;
  for (uint64_t at = 0; at < dynamic_.p_filesz; at += sizeof(Elf64_Dyn)) {
    Elf64_Dyn tag;
    if (!At(dynamic_.p_vaddr + at, &tag)) return Malformed("dynamic table is cut off");
    if ((ended || tag.d_tag == DT_NULL) && (tag.d_tag != DT_NULL || tag.d_un.d_val != 0)) {
      return Malformed("dynamic table goes on behind its end");
    }
    ended = tag.d_tag == DT_NULL;
    if (!ended) BCTX_RETURN_UNLESS_OK(DynamicTag(tag));
  }
  if (!ended) return Malformed("dynamic table has no end");
  constexpr uint64_t kMust =
      (1 << DT_HASH) | (1 << DT_SYMTAB) | (1 << DT_STRTAB) | (1 << DT_STRSZ) | (1 << DT_SYMENT);
  if ((seen_tags_ & kMust) != kMust) {
    return Malformed("dynamic table lacks hash, symbols or strings");
  }
  constexpr uint64_t kRela = (1 << DT_RELA) | (1 << DT_RELASZ) | (1 << DT_RELAENT);
  if ((seen_tags_ & kRela) != 0 && (seen_tags_ & kRela) != kRela) {
    return Malformed("dynamic table describes relocations in part");
  }
  return {};
}

// The hash table is the only place that says how many symbols there are. Its lookup order is not
// used; it has to name existing symbols all the same.
Outcome Parser::SymbolCount(uint64_t* count) const {
  uint32_t head[2];
  if (hash_ % 4 != 0 || !At(hash_, &head)) {
    return Malformed("hash table at " + Hex(hash_) + " is not in a segment");
  }
  const uint64_t words = uint64_t{2} + head[0] + head[1];
  if (Find(hash_, words * 4) == nullptr) {
    return Malformed("hash table of " + std::to_string(words) + " words is not in a segment");
  }
  if (head[0] == 0 || head[0] > head[1]) {
    return Malformed("hash table has " + std::to_string(head[0]) + " buckets for " +
                     std::to_string(head[1]) + " symbols");
  }
  for (uint64_t i = 2; i < words; ++i) {
    uint32_t symbol = 0;
    if (!At(hash_ + i * 4, &symbol) || symbol >= head[1]) {
      return Malformed("hash table names symbol " + std::to_string(symbol));
    }
  }
  *count = head[1];
  return {};
}

Outcome Parser::SymbolName(const Elf64_Sym& symbol, const char* entry) const {
  const uint64_t bytes = std::strlen(entry) + 1;
  uint64_t end = 0;
  if (!Sum(symbol.st_name, bytes, &end) || end > strtab_bytes_) {
    return Malformed("name of the exported symbol is beyond the strings");
  }
  for (uint64_t i = 0; i < bytes; ++i) {
    char c = 0;
    if (!At(strtab_ + symbol.st_name + i, &c) || c != entry[i]) {
      return Malformed(std::string("the exported symbol is not '") + entry + "'");
    }
  }
  return {};
}

Outcome Parser::Symbols(const char* entry) {
  if (Find(strtab_, strtab_bytes_) == nullptr || strtab_bytes_ == 0) {
    return Malformed("strings at " + Hex(strtab_) + "+" + Hex(strtab_bytes_) +
                     " are not in a segment");
  }
  char first = 1;
  if (!At(strtab_, &first) || first != '\0') return Malformed("strings do not start with none");
  uint64_t count = 0;
  BCTX_RETURN_UNLESS_OK(SymbolCount(&count));
  if (count != 2) {
    return Malformed("elf has " + std::to_string(count) + " symbols, expected one beside the null");
  }
  Elf64_Sym null{}, symbol{};
  if (symtab_ % 8 != 0 || !At(symtab_, &null) || !At(symtab_ + sizeof(null), &symbol)) {
    return Malformed("symbols at " + Hex(symtab_) + " are not in a segment");
  }
  const Elf64_Sym zero{};
  if (std::memcmp(&null, &zero, sizeof(null)) != 0) return Malformed("symbol 0 is not the null");
  if (symbol.st_shndx == SHN_UNDEF) return Malformed("elf imports a symbol");
  if (symbol.st_shndx >= SHN_LORESERVE) return Malformed("the exported symbol has no section");
  if (ELF64_ST_TYPE(symbol.st_info) != STT_OBJECT || ELF64_ST_BIND(symbol.st_info) != STB_GLOBAL) {
    return Malformed("the exported symbol is no global object");
  }
  if (symbol.st_other != STV_DEFAULT && symbol.st_other != STV_PROTECTED) {
    return Malformed("the exported symbol is hidden");
  }
  BCTX_RETURN_UNLESS_OK(SymbolName(symbol, entry));
  const ElfSegment* segment = Find(symbol.st_value, sizeof(KernelTable));
  if (segment == nullptr || segment->write || segment->execute || symbol.st_value % 8 != 0 ||
      symbol.st_size != sizeof(KernelTable)) {
    return Malformed("the table at " + Hex(symbol.st_value) + "+" + Hex(symbol.st_size) +
                     " is not in a read-only segment");
  }
  image_->entry = symbol.st_value;
  return {};
}

// Relative ones only, into writable memory, pointing into the image.
Outcome Parser::Relocations() {
  if (rela_bytes_ == 0) return {};
  if (Find(rela_, rela_bytes_) == nullptr || rela_ % 8 != 0 ||
      rela_bytes_ % sizeof(Elf64_Rela) != 0) {
    return Malformed("relocations at " + Hex(rela_) + "+" + Hex(rela_bytes_) +
                     " are not in a segment");
  }
  const uint32_t relative = image_->machine == EM_X86_64 ? R_X86_64_RELATIVE : R_AARCH64_RELATIVE;
  for (uint64_t at = 0; at < rela_bytes_; at += sizeof(Elf64_Rela)) {
    Elf64_Rela entry;
    if (!At(rela_ + at, &entry)) return Malformed("relocation is not in a segment");
    if (ELF64_R_TYPE(entry.r_info) != relative || ELF64_R_SYM(entry.r_info) != 0) {
      return Malformed("relocation type " + Hex(entry.r_info) + ", expected relative");
    }
    const ElfSegment* target = Find(entry.r_offset, 8);
    if (target == nullptr || !target->write || entry.r_offset % 8 != 0) {
      return Malformed("relocation of " + Hex(entry.r_offset) + ", not in a writable segment");
    }
    const auto addend = static_cast<uint64_t>(entry.r_addend);
    if (addend >= image_->span) {
      return Malformed("relocation to " + Hex(addend) + ", beyond the image");
    }
    image_->relocations.push_back({entry.r_offset, addend});
  }
  return {};
}

Outcome Parser::Table() {
  KernelTable& table = image_->table;
  if (!At(image_->entry, &table)) return Malformed("table is not in a segment");
  BCTX_RETURN_UNLESS_OK(CheckTable(table));
  const bool arm = table.isa == static_cast<uint32_t>(Isa::kAarch64);
  if (arm != (image_->machine == EM_AARCH64)) {
    return Malformed("table: isa " + std::to_string(table.isa) + " in an elf for machine " +
                     std::to_string(image_->machine));
  }
  const uint64_t kernel = image_->entry + static_cast<uint64_t>(table.kernel_offset);
  const ElfSegment* segment = Find(kernel, 4);
  if (segment == nullptr || !segment->execute || (arm && kernel % 4 != 0)) {
    return Malformed("table: kernel at " + Hex(kernel) + " is not in an executable segment");
  }
  image_->kernel = kernel;
  return {};
}

Outcome Parser::Parse(const char* entry) {
  BCTX_RETURN_UNLESS_OK(Header());
  BCTX_RETURN_UNLESS_OK(ProgramHeaders());
  BCTX_RETURN_UNLESS_OK(Dynamic());
  BCTX_RETURN_UNLESS_OK(Symbols(entry));
  BCTX_RETURN_UNLESS_OK(Relocations());
  return Table();
}

}  // namespace

Outcome ParseElf(const uint8_t* blob, size_t size, const char* entry, uint64_t page,
                 ElfImage* image) {
  *image = ElfImage{};
  return Parser(blob, size, page, image).Parse(entry);
}

}  // namespace backendctx::cpu_attention
