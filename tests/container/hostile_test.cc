// Damaged headers, indexes and entries: each has its code, and the repaired file passes.
#include <unistd.h>

#include <catch2/catch.hpp>

#include "base/mutate.h"
#include "container/build.h"
#include "container/head_format.h"

using namespace backendctx;             // NOLINT: tests read better without
using namespace backendctx::container;  // NOLINT
using namespace std::string_literals;
using test::CodeOf;
using test::MakeItem;
using test::Noise;
using test::With;

namespace {

const std::string& Sample() {
  static const std::string bytes = test::ToBytes(test::SampleItems());
  return bytes;
}

size_t HeadBytes() { return *HeadSize(base::AsBytes(Sample()), Sample().size(), {}); }

// Where the record of entry `i` begins; no sample entry has a detail.
size_t RecordAt(size_t i) { return kHeaderSize + i * kRecordSize; }

// An index that is not what a writer makes: laid out, changed by `change`, then given its bytes.
template <typename Change>
std::string Rebuilt(Change change) {
  const auto writer = Writer::Make(test::SampleItems());
  Index index = writer->index();
  change(&index);
  std::string bytes = *writer->ToBytes();
  const std::string head = EncodeHead(index);
  return head + bytes.substr(head.size());
}

}  // namespace

TEST_CASE("a file without the magic is malformed, and the message says what it looks like",
          "[container][hostile]") {
  REQUIRE(CodeOf(Sample()) == StatusCode::kOk);
  for (size_t i = 0; i < kMagic.size(); ++i) {
    std::string bytes = Sample();
    bytes[i] ^= 1;
    CHECK(CodeOf(bytes) == StatusCode::kMalformed);
  }
  const auto message = [](const std::string& bytes) { return test::CheckAll(bytes).message(); };
  CHECK_THAT(message("PK\x03\x04" + Sample()), Catch::Contains("zip"));
  CHECK_THAT(message("\x7f"
                     "ELF" +
                     Sample()),
             Catch::Contains("ELF"));
  std::string text = Sample();
  text.replace(4, 4, "\n\x1a\n");
  CHECK_THAT(message(text), Catch::Contains("text-mode"));
}

TEST_CASE("something glued before or behind a container is malformed", "[container][hostile]") {
  for (const std::string& other : {"PK\x03\x04zip"s,
                                   "\x7f"
                                   "ELF"s,
                                   "\0"s, "x"s}) {
    CHECK(CodeOf(other + Sample()) == StatusCode::kMalformed);
    CHECK(CodeOf(Sample() + other) == StatusCode::kMalformed);
  }
  CHECK(CodeOf(Sample() + Sample()) == StatusCode::kMalformed);
}

TEST_CASE("a container cut anywhere is malformed", "[container][hostile]") {
  for (size_t size = 0; size < Sample().size(); ++size) {
    INFO(size);
    REQUIRE(CodeOf(Sample().substr(0, size)) == StatusCode::kMalformed);
  }
}

TEST_CASE("a head cut at each field is malformed even when the file is long",
          "[container][hostile]") {
  // The header's size field is made to agree, so that the cut itself is met.
  for (size_t size = 1; size < HeadBytes(); ++size) {
    const Result<Index> index = ParseHead(base::AsBytes(Sample()).first(size), Sample().size(), {});
    INFO(size);
    REQUIRE_FALSE(index);
    REQUIRE(index.error().code() == StatusCode::kMalformed);
  }
  CHECK(ParseHead(base::AsBytes(Sample()).first(HeadBytes()), Sample().size(), {}));
}

TEST_CASE("another major version is unsupported and names the version that reads it",
          "[container][hostile]") {
  const Status status = test::CheckAll(With<uint16_t>(Sample(), kAtMajor, 7));
  CHECK(status.code() == StatusCode::kUnsupportedVersion);
  CHECK_THAT(status.message(), Catch::Contains("backendctx 7.0 or later"));
  CHECK(status.detail().offset == kAtMajor);
}

TEST_CASE("a newer minor version is accepted, with longer records and reserved bytes in use",
          "[container][hostile]") {
  CHECK(CodeOf(With<uint16_t>(Sample(), kAtMinor, 2)) == StatusCode::kOk);
  std::string reserved = With<uint16_t>(Sample(), kAtMinor, 2);
  reserved[kAtReserved] = 1;
  CHECK(CodeOf(reserved) == StatusCode::kOk);
  CHECK(CodeOf(With<uint16_t>(reserved, kAtMinor, kMinor)) == StatusCode::kMalformed);

  const std::string manifest = "m";
  Index index;
  Entry entry;
  entry.kind = Kind::kManifest;
  entry.size = entry.stored_size = manifest.size();
  entry.digest = entry.stored_digest = crypto::Sha256(manifest);
  index.entries = {entry};
  index.minor = 2;
  std::string head = EncodeHead(index);
  head += "new-data";
  head = With<uint32_t>(head, kHeaderSize + kAtRecordSize, kRecordSize + 8);
  head = With<uint64_t>(head, kAtIndexSize, kRecordSize + 8);
  head = With<uint64_t>(head, kHeaderSize + kAtOffset, 192);
  head = With<uint64_t>(head, kAtFileSize, 193);
  head.resize(192, '\0');
  const std::string newer = head + manifest;
  CHECK(CodeOf(newer) == StatusCode::kOk);
  CHECK(CodeOf(With<uint16_t>(newer, kAtMinor, kMinor)) == StatusCode::kMalformed);
}

TEST_CASE("a required feature that is not known is unsupported", "[container][hostile]") {
  CHECK(CodeOf(With<uint64_t>(Sample(), kAtFeatures, 1)) == StatusCode::kUnsupportedVersion);
  CHECK(CodeOf(With<uint64_t>(Sample(), kAtFeatures, 1ull << 63)) ==
        StatusCode::kUnsupportedVersion);
}

TEST_CASE("each size in the header is checked against the others", "[container][hostile]") {
  const std::string& good = Sample();
  const uint64_t size = good.size();
  CHECK(CodeOf(With<uint32_t>(good, kAtHeaderSize, 65)) == StatusCode::kMalformed);
  CHECK(CodeOf(With<uint64_t>(good, kAtIndexOffset, 72)) == StatusCode::kMalformed);
  for (const uint64_t bad : {uint64_t{0}, size - 1, size + 1, UINT64_MAX}) {
    CHECK(CodeOf(With<uint64_t>(good, kAtFileSize, bad)) == StatusCode::kMalformed);
  }
  for (const uint64_t bad : {uint64_t{0}, uint64_t{7 * kRecordSize - 8},
                             uint64_t{7 * kRecordSize + 8}, size, UINT64_MAX - 63, UINT64_MAX}) {
    CHECK(CodeOf(With<uint64_t>(good, kAtIndexSize, bad)) == StatusCode::kMalformed);
  }
  for (const uint32_t bad : {0u, 6u, 8u, 0x80000000u, 0xffffffffu}) {
    CHECK(CodeOf(With<uint32_t>(good, kAtEntryCount, bad)) == StatusCode::kMalformed);
  }
}

TEST_CASE("the limits of the open options stop an index", "[container][hostile]") {
  OpenOptions options;
  options.head.entries = 6;
  CHECK(CodeOf(Sample(), options) == StatusCode::kResourceExhausted);
  options.head.entries = 7;
  CHECK(CodeOf(Sample(), options) == StatusCode::kOk);
  options.head.index_bytes = 7 * kRecordSize - 1;
  CHECK(CodeOf(Sample(), options) == StatusCode::kResourceExhausted);
  options.head.index_bytes = 7 * kRecordSize;
  options.content_bytes = 100;
  CHECK(CodeOf(Sample(), options) == StatusCode::kResourceExhausted);
}

TEST_CASE("a record whose sizes do not fit is malformed", "[container][hostile]") {
  for (const uint32_t bad : {0u, 8u, 96u, 105u, 112u, 0xfffffff8u, 0xffffffffu}) {
    CHECK(CodeOf(With<uint32_t>(Sample(), RecordAt(2) + kAtRecordSize, bad)) ==
          StatusCode::kMalformed);
  }
  for (const uint32_t bad : {1u, 8u, 0x7fffffffu, 0xffffffffu}) {
    CHECK(CodeOf(With<uint32_t>(Sample(), RecordAt(2) + kAtDetailSize, bad)) ==
          StatusCode::kMalformed);
  }
}

TEST_CASE("kinds and storages that do not go together are refused", "[container][hostile]") {
  const auto with = [](size_t entry, size_t field, uint8_t value) {
    return CodeOf(With<uint8_t>(Sample(), RecordAt(entry) + field, value));
  };
  CHECK(with(2, kAtKind, 0) == StatusCode::kMalformed);
  CHECK(with(2, kAtKind, 7) == StatusCode::kUnsupportedVersion);
  CHECK(with(0, kAtKind, 3) == StatusCode::kMalformed);
  CHECK(with(2, kAtKind, 2) == StatusCode::kMalformed);
  for (const uint8_t storage : std::initializer_list<uint8_t>{2, 3, 4, 5, 8, 255}) {
    CHECK(with(4, kAtStorage, storage) == StatusCode::kUnsupportedVersion);
  }
  CHECK(with(0, kAtStorage, 7) == StatusCode::kMalformed);  // an absent manifest
  CHECK(with(1, kAtStorage, 7) == StatusCode::kMalformed);
  CHECK(with(2, kAtStorage, 1) == StatusCode::kMalformed);  // a compressed graph
  CHECK(with(5, kAtStorage, 6) == StatusCode::kMalformed);  // an inline blob
  CHECK(with(4, kAtStorage, 7) == StatusCode::kMalformed);  // absent, and yet with bytes
}

TEST_CASE("two manifests are malformed", "[container][hostile]") {
  CHECK(CodeOf(Rebuilt([](Index* index) { index->entries[2].kind = Kind::kManifest; })) ==
        StatusCode::kMalformed);
}

TEST_CASE("a content that is listed twice is malformed", "[container][hostile]") {
  const auto twice = [](Kind kind) {
    return CodeOf(Rebuilt([kind](Index* index) {
      Entry& last = index->entries[6];
      last.kind = kind;
      last.digest = index->entries[5].digest;
    }));
  };
  CHECK(twice(Kind::kBlob) == StatusCode::kMalformed);
  CHECK(twice(Kind::kTensor) == StatusCode::kOk);  // another kind is another content
}

TEST_CASE("entries that overlap, leave a hole or leave the file are malformed",
          "[container][hostile]") {
  const auto at = [](size_t entry, uint64_t offset) {
    return CodeOf(Rebuilt([&](Index* index) { index->entries[entry].offset = offset; }));
  };
  const uint64_t right = Writer::Make(test::SampleItems())->index().entries[4].offset;
  REQUIRE(at(4, right) == StatusCode::kOk);
  for (const uint64_t bad : {uint64_t{0}, uint64_t{64}, right - 64, right + 64, right + 1,
                             uint64_t{1} << 40, uint64_t{1} << 63, UINT64_MAX - 63, UINT64_MAX}) {
    INFO(bad);
    CHECK(at(4, bad) == StatusCode::kMalformed);
  }
}

TEST_CASE("stored sizes that run past the file or wrap are malformed", "[container][hostile]") {
  const auto with = [](uint64_t size) {
    return CodeOf(Rebuilt(
        [&](Index* index) { index->entries[4].stored_size = index->entries[4].size = size; }));
  };
  REQUIRE(with(500) == StatusCode::kOk);
  for (const uint64_t bad :
       {uint64_t{0}, uint64_t{1} << 40, uint64_t{1} << 63, UINT64_MAX - 4096, UINT64_MAX}) {
    INFO(bad);
    CHECK(with(bad) == StatusCode::kMalformed);
  }
  // The next entry still lies right, so that only the digest can tell.
  CHECK(with(499) == StatusCode::kCorrupt);
  CHECK(with(501) == StatusCode::kCorrupt);
}

TEST_CASE("a raw content whose two sizes or digests differ is malformed", "[container][hostile]") {
  CHECK(CodeOf(Rebuilt([](Index* index) { index->entries[4].size += 1; })) ==
        StatusCode::kMalformed);
  CHECK(CodeOf(Rebuilt([](Index* index) { index->entries[4].digest.bytes[0] ^= 1; })) ==
        StatusCode::kMalformed);
}

TEST_CASE("an absent content with an offset, bytes, a stored digest or no size is malformed",
          "[container][hostile]") {
  const auto code = [](auto change) {
    return CodeOf(Rebuilt([&](Index* index) { change(&index->entries[6]); }));
  };
  REQUIRE(code([](Entry*) {}) == StatusCode::kOk);
  CHECK(code([](Entry* entry) { entry->offset = 64; }) == StatusCode::kMalformed);
  CHECK(code([](Entry* entry) { entry->stored_size = 1; }) == StatusCode::kMalformed);
  CHECK(code([](Entry* entry) { entry->stored_digest.bytes[31] = 1; }) == StatusCode::kMalformed);
  CHECK(code([](Entry* entry) { entry->size = 0; }) == StatusCode::kMalformed);
}

TEST_CASE("reserved bytes and padding of records are zero", "[container][hostile]") {
  for (size_t i = kAtRecordReserved; i < kAtOffset; ++i) {
    CHECK(CodeOf(With<uint8_t>(Sample(), RecordAt(3) + i, 1)) == StatusCode::kMalformed);
  }
  auto items = test::SampleItems();
  items.push_back(MakeItem(Kind::kTensor, "inline", Storage::kInline));
  items.back().detail = "name";
  const std::string bytes = test::ToBytes(items);
  REQUIRE(CodeOf(bytes) == StatusCode::kOk);
  CHECK(CodeOf(With<uint8_t>(bytes, RecordAt(7) + kRecordSize + 4, 1)) == StatusCode::kMalformed);
  CHECK(CodeOf(With<uint8_t>(bytes, RecordAt(7) + kRecordSize, '\n')) == StatusCode::kMalformed);
}

TEST_CASE("every bit of the head is covered by its structure or by the container's name",
          "[container][hostile]") {
  const auto good = test::Open(Sample());
  REQUIRE(good);
  for (size_t bit = 0; bit < HeadBytes() * 8; ++bit) {
    std::string bytes = Sample();
    bytes[bit / 8] ^= static_cast<char>(1 << bit % 8);
    const auto reader = test::Open(bytes);
    INFO("bit " << bit);
    if (reader) {
      REQUIRE(reader->index_digest() != good->index_digest());
    } else {
      const StatusCode code = reader.error().code();
      REQUIRE((code == StatusCode::kMalformed || code == StatusCode::kUnsupportedVersion));
    }
  }
}

TEST_CASE("every bit behind the head is covered by a digest or is a zero of a gap",
          "[container][hostile]") {
  std::vector<bool> stored(Sample().size(), false);
  const auto good = test::Open(Sample());
  REQUIRE(good);
  for (const Entry& entry : good->index().entries) {
    for (uint64_t i = 0; i < entry.stored_size; ++i) stored[entry.offset + i] = true;
  }
  for (size_t at = HeadBytes(); at < Sample().size(); ++at) {
    std::string bytes = Sample();
    bytes[at] ^= static_cast<char>(1 << at % 8);
    INFO("byte " << at);
    REQUIRE(CodeOf(bytes) == (stored[at] ? StatusCode::kCorrupt : StatusCode::kMalformed));
  }
}

TEST_CASE("a byte in a gap is named by its offset", "[container][hostile]") {
  std::string bytes = Sample();
  bytes[HeadBytes()] = 'x';
  const Status status = test::CheckAll(bytes);
  CHECK(status.code() == StatusCode::kMalformed);
  CHECK(status.detail().offset == HeadBytes());
}

TEST_CASE("a container that shrinks or changes after it was opened is an error",
          "[container][hostile]") {
  const auto reader = test::Open(Sample());
  REQUIRE(reader);
  const Entry& entry = reader->index().entries[4];
  REQUIRE(reader->Check(entry).ok());
  const int fd = reader->file().fd();
  REQUIRE(pwrite(fd, "x", 1, static_cast<off_t>(entry.offset)) == 1);
  CHECK(reader->Read(entry).error().code() == StatusCode::kCorrupt);
  REQUIRE(ftruncate(fd, static_cast<off_t>(entry.offset)) == 0);
  CHECK(reader->Read(entry).error().code() == StatusCode::kIo);
  CHECK(reader->Check(entry).code() == StatusCode::kIo);
}

TEST_CASE("random edits of a container are never taken for the container", "[container][hostile]") {
  const Digest name = test::Open(Sample())->index_digest();
  test::Mutator mutate(2);
  const size_t count = test::Repetitions(3000, 300000);
  for (size_t i = 0; i < count; ++i) {
    const std::string bytes = mutate(Sample());
    if (bytes == Sample()) continue;
    const auto reader = test::Open(bytes);
    INFO(i);
    if (reader && reader->index_digest() == name) {
      const StatusCode code = CodeOf(bytes);
      REQUIRE((code == StatusCode::kCorrupt || code == StatusCode::kMalformed));
    } else if (!reader) {
      const StatusCode code = reader.error().code();
      REQUIRE((code == StatusCode::kMalformed || code == StatusCode::kUnsupportedVersion));
    }
  }
}

TEST_CASE("random edits of a head alone never make a reader leave the file",
          "[container][hostile]") {
  const std::string head = Sample().substr(0, HeadBytes());
  test::Mutator mutate(3);
  size_t refused = 0;
  const size_t count = test::Repetitions(3000, 300000);
  for (size_t i = 0; i < count; ++i) {
    const std::string bytes = mutate(head);
    const Result<Index> index = ParseHead(base::AsBytes(bytes), Sample().size(), {});
    if (!index) {
      ++refused;
      continue;
    }
    for (const Entry& entry : index->entries) {
      REQUIRE(entry.offset <= Sample().size());
      REQUIRE(entry.stored_size <= Sample().size() - entry.offset);
    }
  }
  CHECK(refused > count / 2);
  CHECK(refused < count);
}
