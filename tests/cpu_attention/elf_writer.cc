#include "cpu_attention/elf_writer.h"

namespace backendctx::cpu_attention::test {

KernelTable SoundTable(uint16_t machine) {
  KernelTable table{};
  std::memcpy(table.magic, kTableMagic, sizeof(table.magic));
  table.version = kTableVersion;
  table.table_bytes = sizeof(KernelTable);
  table.isa = static_cast<uint32_t>(machine == EM_AARCH64 ? Isa::kAarch64 : Isa::kX86V3);
  table.args_bytes = sizeof(KernelArgs);
  table.scratch_bytes = 64 << 10;
  table.q_heads = 4;
  table.kv_heads = 2;
  table.qk_head_size = 64;
  table.v_head_size = 32;
  table.q_tile = 8;
  table.q_tiles = 2;
  table.kv_block = 64;
  table.scale = 0.125F;
  table.mask_count = 1;
  table.input_count = 4;
  table.output_count = 1;
  table.q = {0, 4, {0, 1, 2, 3}};
  table.k = {1, 4, {0, 2, 1, 3}};
  table.v = {2, 3, {0, 2, 1, 2}};
  table.y = {0, 3, {0, 2, 1, 2}};
  table.masks[0] = {3, 0};
  return table;
}

ElfParts::ElfParts(uint16_t the_machine) : table(SoundTable(the_machine)), machine(the_machine) {}

namespace {

class Out {
 public:
  size_t size() const { return bytes_.size(); }
  void Align(size_t to) { bytes_.resize((bytes_.size() + to - 1) / to * to); }
  template <typename T>
  size_t Append(const T& value) {
    return AppendRaw(&value, sizeof(value));
  }
  size_t AppendRaw(const void* data, size_t size) {
    const size_t at = bytes_.size();
    const auto* from = static_cast<const uint8_t*>(data);
    bytes_.insert(bytes_.end(), from, from + size);
    return at;
  }
  std::vector<uint8_t>& bytes() { return bytes_; }

 private:
  std::vector<uint8_t> bytes_;
};

Elf64_Phdr Header(uint32_t type, uint32_t flags, uint64_t offset, uint64_t address,
                  uint64_t file_bytes, uint64_t memory_bytes, uint64_t align) {
  Elf64_Phdr header{};
  header.p_type = type;
  header.p_flags = flags;
  header.p_offset = offset;
  header.p_vaddr = header.p_paddr = address;
  header.p_filesz = file_bytes;
  header.p_memsz = memory_bytes;
  header.p_align = align;
  return header;
}

Elf64_Dyn Tag(int64_t tag, uint64_t value) {
  Elf64_Dyn entry{};
  entry.d_tag = tag;
  entry.d_un.d_val = value;
  return entry;
}

}  // namespace

std::vector<uint8_t> ElfParts::Write() {
  const bool writable = !relocations.empty();
  const uint64_t page = machine == EM_AARCH64 ? 65536 : 4096;
  const size_t header_count = 4 + (writable ? 1U : 0U) + extra_headers.size();
  Out out;
  out.Append(Elf64_Ehdr{});
  headers = out.size();
  for (size_t i = 0; i < header_count; ++i) out.Append(Elf64_Phdr{});

  hash = out.size();
  const uint32_t words[] = {1, 2, 1, 0, 0};  // one bucket, two symbols, no chain
  out.AppendRaw(words, sizeof(words));
  out.Align(8);
  symbols = out.size();
  out.Append(Elf64_Sym{});
  const size_t symbol = out.Append(Elf64_Sym{});
  strings = out.size();
  out.Append('\0');
  out.AppendRaw(name.c_str(), name.size() + 1);
  const size_t string_bytes = out.size() - strings;
  out.Align(8);
  relocations_at = out.size();
  for (const Elf64_Rela& relocation : relocations) out.Append(relocation);
  table_at = out.Append(table);

  dynamic = out.size();
  out.Append(Tag(DT_HASH, hash));
  out.Append(Tag(DT_SYMTAB, symbols));
  out.Append(Tag(DT_STRTAB, strings));
  out.Append(Tag(DT_STRSZ, string_bytes));
  out.Append(Tag(DT_SYMENT, sizeof(Elf64_Sym)));
  if (writable) {
    out.Append(Tag(DT_RELA, relocations_at));
    out.Append(Tag(DT_RELASZ, relocations.size() * sizeof(Elf64_Rela)));
    out.Append(Tag(DT_RELAENT, sizeof(Elf64_Rela)));
  }
  for (const Elf64_Dyn& tag : extra_tags) out.Append(tag);
  out.Append(Tag(DT_NULL, 0));
  const size_t dynamic_bytes = out.size() - dynamic;
  end_of_first = out.size();

  out.Align(16);
  const uint32_t ret = machine == EM_AARCH64 ? 0xd65f03c0 : 0xccccccc3;
  code = out.Append(ret);
  code_address = page + code;
  std::vector<Elf64_Phdr> list{Header(PT_LOAD, PF_R, 0, 0, end_of_first, end_of_first, page),
                               Header(PT_LOAD, PF_R | PF_X, code, code_address, 4, 4, page)};
  if (writable) {
    out.Align(64);
    const size_t data = out.size();
    data_address = 2 * page + data;
    for (int i = 0; i < 8; ++i) out.Append(uint64_t{0});
    list.push_back(Header(PT_LOAD, PF_R | PF_W, data, data_address, 64, 128, page));
  }
  list.push_back(Header(PT_DYNAMIC, PF_R, dynamic, dynamic, dynamic_bytes, dynamic_bytes, 8));
  list.push_back(Header(PT_GNU_STACK, PF_R | PF_W, 0, 0, 0, 0, 0));
  list.insert(list.end(), extra_headers.begin(), extra_headers.end());

  std::vector<uint8_t>& bytes = out.bytes();
  Elf64_Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_ident[EI_VERSION] = EV_CURRENT;
  header.e_type = ET_DYN;
  header.e_machine = machine;
  header.e_version = EV_CURRENT;
  header.e_phoff = sizeof(Elf64_Ehdr);
  header.e_ehsize = sizeof(Elf64_Ehdr);
  header.e_phentsize = sizeof(Elf64_Phdr);
  header.e_phnum = static_cast<uint16_t>(list.size());
  Put(&bytes, 0, header);
  for (size_t i = 0; i < list.size(); ++i) Put(&bytes, headers + i * sizeof(Elf64_Phdr), list[i]);
  Elf64_Sym entry{};
  entry.st_name = 1;
  entry.st_info = ELF64_ST_INFO(STB_GLOBAL, STT_OBJECT);
  entry.st_other = STV_PROTECTED;
  entry.st_shndx = 1;
  entry.st_value = table_at;
  entry.st_size = sizeof(KernelTable);
  Put(&bytes, symbol, entry);
  Put(&bytes, table_at + offsetof(KernelTable, kernel_offset),
      static_cast<int64_t>(code_address - table_at));
  return bytes;
}

}  // namespace backendctx::cpu_attention::test
