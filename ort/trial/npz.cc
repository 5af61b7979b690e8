// The archive is read from its end: the end record points at the central directory, whose records
// name each member's size, method, checksum and local header (APPNOTE.TXT 6.3, sections 4.3.6 to
// 4.3.16). What local headers repeat is not trusted: only their length is used.

#include "trial/npz.h"

#include <zlib.h>

#include <algorithm>
#include <cctype>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>

namespace backendctx::ort {
namespace {

using Bytes = std::span<const uint8_t>;
constexpr uint32_t kEnd = 0x06054b50, kEnd64 = 0x06064b50, kLocator64 = 0x07064b50;
constexpr uint32_t kCentral = 0x02014b50, kLocal = 0x04034b50;
constexpr uint32_t kSeeZip64 = 0xffffffff;
constexpr size_t kEndSize = 22, kCentralSize = 46, kLocalSize = 30, kMaxMembers = 4096;

Status Malformed(const std::string& found, const std::string& expected) {
  return {StatusCode::kMalformed,
          "npz: found " + found + ", expected " + expected,
          {.field = "npz", .found = found, .expected = expected}};
}
Status Malformed(const std::string& found) {
  return Malformed(found, "a file that numpy.savez wrote");
}

// Little-endian number at `at`; nothing beyond the end.
template <typename T>
std::optional<T> Number(Bytes bytes, uint64_t at) {
  if (at > bytes.size() || bytes.size() - at < sizeof(T)) return std::nullopt;
  T value = 0;
  std::memcpy(&value, bytes.data() + at, sizeof(T));
  return value;
}
std::optional<Bytes> Part(Bytes bytes, uint64_t at, uint64_t size) {
  if (at > bytes.size() || bytes.size() - at < size) return std::nullopt;
  return bytes.subspan(static_cast<size_t>(at), static_cast<size_t>(size));
}

struct Member {
  std::string name;
  uint16_t method = 0;
  uint32_t crc = 0;
  uint64_t stored = 0, size = 0, header = 0;
};

struct Directory {
  uint64_t offset = 0, count = 0;
};

Result<Directory> FindDirectory(Bytes file) {
  if (file.size() < kEndSize)
    return Malformed("a file of " + std::to_string(file.size()) + " bytes");
  const size_t lowest = file.size() - std::min<size_t>(file.size(), kEndSize + 0xffff);
  for (size_t at = file.size() - kEndSize + 1; at-- > lowest;) {
    if (*Number<uint32_t>(file, at) != kEnd) continue;
    Directory directory{*Number<uint32_t>(file, at + 16), *Number<uint16_t>(file, at + 10)};
    if (directory.offset != kSeeZip64 && directory.count != 0xffff) return directory;
    if (at < 20 || Number<uint32_t>(file, at - 20) != kLocator64) {
      return Malformed("no ZIP64 locator");
    }
    const uint64_t end64 = *Number<uint64_t>(file, at - 20 + 8);
    const auto mark = Number<uint32_t>(file, end64);
    const auto count = Number<uint64_t>(file, end64 + 32),
               offset = Number<uint64_t>(file, end64 + 48);
    if (!mark || *mark != kEnd64 || !count || !offset) return Malformed("no ZIP64 end record");
    return Directory{*offset, *count};
  }
  return Malformed("no ZIP archive");
}

// Sizes and offset of more than 32 bits stand in the extra field 1, those that need it, in order.
Status ReadZip64(Bytes extra, Member* member) {
  uint64_t at = 0;
  while (at + 4 <= extra.size()) {
    const uint16_t id = *Number<uint16_t>(extra, at), size = *Number<uint16_t>(extra, at + 2);
    const auto field = Part(extra, at + 4, size);
    if (!field) return Malformed("an extra field that is cut off");
    at += 4 + uint64_t{size};
    if (id != 1) continue;
    uint64_t within = 0;
    for (uint64_t* number : {&member->size, &member->stored, &member->header}) {
      if (*number != kSeeZip64) continue;
      const auto wide = Number<uint64_t>(*field, within);
      if (!wide) return Malformed("a ZIP64 field that is cut off");
      *number = *wide;
      within += 8;
    }
  }
  return OkStatus();
}

Result<std::vector<Member>> ReadDirectory(Bytes file) {
  BCTX_ASSIGN_OR_RETURN(const Directory directory, FindDirectory(file));
  if (directory.count > kMaxMembers) {
    return Malformed(std::to_string(directory.count) + " members", "at most 4096");
  }
  std::vector<Member> members;
  uint64_t at = directory.offset;
  for (uint64_t i = 0; i < directory.count; ++i) {
    const auto record = Part(file, at, kCentralSize);
    if (!record || *Number<uint32_t>(*record, 0) != kCentral) {
      return Malformed("no directory record at offset " + std::to_string(at));
    }
    const uint16_t flags = *Number<uint16_t>(*record, 8);
    if ((flags & 1) != 0) return Malformed("an encrypted member");
    Member member{.name = "",
                  .method = *Number<uint16_t>(*record, 10),
                  .crc = *Number<uint32_t>(*record, 16),
                  .stored = *Number<uint32_t>(*record, 20),
                  .size = *Number<uint32_t>(*record, 24),
                  .header = *Number<uint32_t>(*record, 42)};
    const uint16_t name_size = *Number<uint16_t>(*record, 28);
    const uint16_t extra_size = *Number<uint16_t>(*record, 30);
    const uint16_t comment_size = *Number<uint16_t>(*record, 32);
    const auto name = Part(file, at + kCentralSize, name_size);
    const auto extra = Part(file, at + kCentralSize + name_size, extra_size);
    if (!name || !extra) return Malformed("a directory record that is cut off");
    member.name.assign(name->begin(), name->end());
    BCTX_RETURN_IF_ERROR(ReadZip64(*extra, &member));
    members.push_back(std::move(member));
    at += kCentralSize + uint64_t{name_size} + extra_size + comment_size;
  }
  return members;
}

// zlib counts in 32 bits, so large members go through it in pieces.
Status Inflate(Bytes from, std::vector<uint8_t>* to) {
  z_stream stream{};
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) {
    return Status(StatusCode::kResourceExhausted, "npz: zlib has no memory");
  }
  constexpr size_t kPiece = size_t{1} << 30;
  size_t read = 0, written = 0;
  int code = Z_OK;
  while (code == Z_OK) {
    const size_t in = std::min(kPiece, from.size() - read);
    const size_t out = std::min(kPiece, to->size() - written);
    stream.next_in = const_cast<Bytef*>(from.data() + read);  // zlib does not write there
    stream.avail_in = static_cast<uInt>(in);
    stream.next_out = to->data() + written;
    stream.avail_out = static_cast<uInt>(out);
    code = inflate(&stream, Z_NO_FLUSH);
    read += in - stream.avail_in;
    written += out - stream.avail_out;
    if (code == Z_OK && stream.avail_in == in && stream.avail_out == out) code = Z_BUF_ERROR;
  }
  inflateEnd(&stream);
  if (code == Z_STREAM_END && written == to->size()) return OkStatus();
  return Malformed("compressed data that does not give the size it declares");
}

uint32_t Crc(Bytes bytes) { return static_cast<uint32_t>(crc32_z(0, bytes.data(), bytes.size())); }

Result<std::vector<uint8_t>> Unpack(Bytes file, const Member& member) {
  const auto header = Part(file, member.header, kLocalSize);
  if (!header || *Number<uint32_t>(*header, 0) != kLocal)
    return Malformed("no member where one is");
  const uint64_t at =
      member.header + kLocalSize + *Number<uint16_t>(*header, 26) + *Number<uint16_t>(*header, 28);
  const auto stored = Part(file, at, member.stored);
  if (!stored) return Malformed("a member that is cut off");
  std::vector<uint8_t> bytes;
  if (member.method == 0) {
    if (member.stored != member.size) return Malformed("a stored member of two sizes");
    bytes.assign(stored->begin(), stored->end());
  } else if (member.method == 8) {
    // Deflate gives at most 1032 bytes for one: a size beyond that is a lie, and costs nothing.
    if (member.size / 1032 > member.stored) return Malformed("a size that no compression gives");
    bytes.resize(static_cast<size_t>(member.size));
    BCTX_RETURN_IF_ERROR(Inflate(*stored, &bytes));
  } else {
    return Malformed("compression method " + std::to_string(member.method), "stored or deflated");
  }
  if (Crc(bytes) != member.crc) {
    return Status(StatusCode::kCorrupt, "npz: found another checksum than the archive says",
                  {.field = "npz"});
  }
  return bytes;
}

const std::map<std::string, int32_t>& Types() {
  static const auto* const types = new std::map<std::string, int32_t>{
      {"<f4", 1}, {"|u1", 2}, {"|i1", 3},  {"<u2", 4},  {"<i2", 5},  {"<i4", 6},
      {"<i8", 7}, {"|b1", 9}, {"<f2", 10}, {"<f8", 11}, {"<u4", 12}, {"<u8", 13}};
  return *types;
}

// The text behind `'key': ` of a header, which is the dictionary that Python prints.
std::string Value(const std::string& header, const std::string& key) {
  const size_t at = header.find("'" + key + "':");
  if (at == header.npos) return "";
  size_t start = at + key.size() + 3;
  while (start < header.size() && header[start] == ' ') ++start;
  return header.substr(start);
}

Result<std::vector<int64_t>> Shape(const std::string& text) {
  std::vector<int64_t> dims;
  if (text.empty() || text[0] != '(') return Malformed("an array header without a shape");
  uint64_t number = 0;
  bool digits = false;
  for (size_t i = 1; i < text.size(); ++i) {
    const char c = text[i];
    if (std::isdigit(static_cast<unsigned char>(c)) != 0) {
      if (number > (1ull << 40)) return Malformed("an array dimension beyond every memory");
      number = number * 10 + static_cast<uint64_t>(c - '0');
      digits = true;
      continue;
    }
    if (c != ',' && c != ')' && c != ' ') break;
    if (digits && c != ' ') {
      dims.push_back(static_cast<int64_t>(number));
      number = 0;
      digits = false;
    }
    if (c == ')') return dims;
  }
  return Malformed("an array header without a shape");
}

Result<proof::Tensor> ParseNpy(Bytes bytes) {
  constexpr char kMagic[] = "\x93NUMPY";
  if (bytes.size() < 10 || std::memcmp(bytes.data(), kMagic, 6) != 0) return Malformed("no array");
  const uint8_t major = bytes[6];
  const size_t prefix = major == 1 ? 10 : 12;
  const uint64_t size =
      major == 1 ? *Number<uint16_t>(bytes, 8) : Number<uint32_t>(bytes, 8).value_or(kSeeZip64);
  const auto text = Part(bytes, prefix, size);
  if (major < 1 || major > 3 || !text) return Malformed("an array header that is cut off");
  const std::string header(text->begin(), text->end());
  const std::string descr = Value(header, "descr");
  const size_t quote = descr.empty() || descr[0] != '\'' ? descr.npos : descr.find('\'', 1);
  const std::string type_name = quote == descr.npos ? "a record" : descr.substr(1, quote - 1);
  const auto type = Types().find(type_name);
  if (type == Types().end()) {
    return Status(StatusCode::kUnimplemented, "found numpy type " + type_name.substr(0, 16) +
                                                  ", expected a plain little-endian number");
  }
  if (Value(header, "fortran_order").starts_with("True")) {
    return Status(StatusCode::kUnimplemented,
                  "found columns first, expected rows first: numpy.ascontiguousarray");
  }
  proof::Tensor tensor;
  tensor.element_type = type->second;
  BCTX_ASSIGN_OR_RETURN(tensor.dims, Shape(Value(header, "shape")));
  const auto expected =
      proof::TensorBytes(tensor.element_type, tensor.dims.data(), tensor.dims.size());
  const Bytes data = bytes.subspan(prefix + static_cast<size_t>(size));
  if (!expected || *expected != data.size()) {
    return Malformed(std::to_string(data.size()) + " bytes of an array", "those of its shape");
  }
  tensor.data.assign(data.begin(), data.end());
  return tensor;
}

}  // namespace

Result<std::vector<NamedTensor>> ParseNpz(Bytes file, uint64_t limit) {
  BCTX_ASSIGN_OR_RETURN(const std::vector<Member> members, ReadDirectory(file));
  std::vector<NamedTensor> arrays;
  uint64_t total = 0;
  for (const Member& member : members) {
    if (member.size > limit - total) {
      return Status(StatusCode::kResourceExhausted,
                    "npz: found arrays of more than " + std::to_string(limit) + " bytes");
    }
    total += member.size;
    if (!member.name.ends_with(".npy")) return Malformed("a member that is no array");
    const std::string name = member.name.substr(0, member.name.size() - 4);
    BCTX_ASSIGN_OR_RETURN(const std::vector<uint8_t> bytes, Unpack(file, member));
    Result<proof::Tensor> tensor = ParseNpy(bytes);
    if (!tensor) return tensor.status().WithContext("array '" + name + "'");
    arrays.push_back({name, std::move(*tensor), false});
  }
  return arrays;
}

Result<std::vector<NamedTensor>> ReadNpz(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return Status(StatusCode::kIo, path + ": cannot be read", {.file = path});
  const std::vector<char> bytes{std::istreambuf_iterator<char>(in), {}};
  if (in.bad()) return Status(StatusCode::kIo, path + ": cannot be read", {.file = path});
  auto arrays = ParseNpz({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}, kNpzBytes);
  if (!arrays) return arrays.status().InFile(path);
  return arrays;
}

}  // namespace backendctx::ort
