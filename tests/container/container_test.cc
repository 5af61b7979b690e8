#include "container/container.h"

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <thread>

#include "container/build.h"
#include "support/scratch.h"

using namespace backendctx;             // NOLINT: tests read better without
using namespace backendctx::container;  // NOLINT
using test::MakeItem;
using test::Noise;

TEST_CASE("what was written is read back, content by content", "[container]") {
  const std::string bytes = test::ToBytes(test::SampleItems());
  const auto reader = test::Open(bytes);
  REQUIRE(reader);
  REQUIRE(reader->index().entries.size() == 7);
  CHECK(*reader->Read(reader->index().entries[0]) == "the manifest");
  CHECK(*reader->Read(reader->index().entries[1]) == "the signatures");
  const std::string tensor = std::string(2000, 'w') + Noise(100, 2);
  const Entry* entry = reader->Find(Kind::kTensor, crypto::Sha256(tensor));
  REQUIRE(entry != nullptr);
  CHECK(entry->storage == Storage::kZstd);
  CHECK(entry->stored_size < 300);
  CHECK(*reader->Read(*entry) == tensor);
  CHECK(reader->Check(*entry).ok());
  CHECK(reader->CheckGaps().ok());
  CHECK(test::CheckAll(bytes).ok());
}

TEST_CASE("a content is found by kind and digest together", "[container]") {
  const auto reader = test::Open(test::ToBytes(test::SampleItems()));
  REQUIRE(reader);
  const Digest blob = crypto::Sha256(Noise(700, 4));
  CHECK(reader->Find(Kind::kBlob, blob) != nullptr);
  CHECK(reader->Find(Kind::kTensor, blob) == nullptr);
  CHECK(reader->Find(Kind::kBlob, crypto::Sha256("other")) == nullptr);
}

TEST_CASE("an absent content keeps its digest and has no bytes", "[container]") {
  const auto reader = test::Open(test::ToBytes(test::SampleItems()));
  REQUIRE(reader);
  const Entry* entry = reader->Find(Kind::kBlob, crypto::Sha256(Noise(800, 5)));
  REQUIRE(entry != nullptr);
  CHECK(entry->size == 800);
  CHECK(entry->offset == 0);
  CHECK(reader->Read(*entry).error().code() == StatusCode::kNotFound);
  CHECK(reader->Check(*entry).code() == StatusCode::kNotFound);
}

TEST_CASE("an inline tensor carries the name of its initializer", "[container]") {
  auto items = test::SampleItems();
  items.push_back(MakeItem(Kind::kTensor, "inline", Storage::kInline));
  items.back().detail = "encoder.layer.0.weight";
  const auto reader = test::Open(test::ToBytes(items));
  REQUIRE(reader);
  const Entry* entry = reader->Find(Kind::kTensor, crypto::Sha256("inline"));
  REQUIRE(entry != nullptr);
  CHECK(entry->detail == "encoder.layer.0.weight");
  CHECK(reader->Read(*entry).error().code() == StatusCode::kNotFound);
}

TEST_CASE("alignment grows with size and costs under one percent", "[container]") {
  CHECK(Alignment(Kind::kTensor, 1) == 64);
  CHECK(Alignment(Kind::kTensor, 64 * 128) == 64);
  CHECK(Alignment(Kind::kTensor, 128 * 128 - 1) == 64);
  CHECK(Alignment(Kind::kTensor, 128 * 128) == 128);
  CHECK(Alignment(Kind::kTensor, 4096 * 128) == 4096);
  CHECK(Alignment(Kind::kTensor, 65536 * 128) == 65536);
  CHECK(Alignment(Kind::kTensor, uint64_t{1} << 50) == 65536);
  CHECK(Alignment(Kind::kBlob, 1) == 4096);
  CHECK(Alignment(Kind::kBlob, 8192 * 128) == 8192);
}

TEST_CASE("entries lie in order at aligned offsets and the file ends with the last",
          "[container]") {
  const auto writer = Writer::Make(test::SampleItems());
  REQUIRE(writer);
  uint64_t end = EncodeHead(writer->index()).size();
  for (const Entry& entry : writer->index().entries) {
    if (!IsStored(entry.storage)) continue;
    const uint64_t alignment = Alignment(entry.kind, entry.stored_size);
    CHECK(entry.offset % alignment == 0);
    CHECK(entry.offset >= end);
    CHECK(entry.offset - end < alignment);
    end = entry.offset + entry.stored_size;
  }
  CHECK(writer->index().file_size == end);
  CHECK(writer->ToBytes()->size() == end);
}

TEST_CASE("the same contents give the same bytes and the same name", "[container]") {
  const auto first = Writer::Make(test::SampleItems());
  const auto second = Writer::Make(test::SampleItems());
  CHECK(*first->ToBytes() == *second->ToBytes());
  const std::string name = first->FileName("model");
  CHECK(name == second->FileName("model"));
  CHECK(name == "model-" + first->index_digest().Hex().substr(0, 12) + ".bctx");
  CHECK(first->index_digest() == test::Open(*first->ToBytes())->index_digest());
  CHECK(first->index_digest() == crypto::Sha256(EncodeHead(first->index())));
}

TEST_CASE("a container written to a file is the one made in memory", "[container]") {
  const test::Scratch scratch;
  const auto writer = Writer::Make(test::SampleItems());
  auto out = os::AtomicFile::Create(scratch / "x.bctx", os::AtomicFile::kMustBeNew);
  REQUIRE(out);
  REQUIRE(writer->Write(out->file()).ok());
  REQUIRE(out->Commit().ok());
  CHECK(*os::ReadFile(scratch / "x.bctx", 1 << 20) == *writer->ToBytes());
}

TEST_CASE("what does not shrink, or shrinks too much, is stored raw", "[container]") {
  const std::string zeros(1 << 20, '\0');
  auto items = test::SampleItems();
  items.push_back(MakeItem(Kind::kTensor, Noise(5000, 9), Storage::kZstd));
  items.push_back(MakeItem(Kind::kTensor, zeros, Storage::kZstd));
  const auto reader = test::Open(test::ToBytes(items));
  REQUIRE(reader);
  CHECK(reader->Find(Kind::kTensor, crypto::Sha256(Noise(5000, 9)))->storage == Storage::kRaw);
  CHECK(reader->Find(Kind::kTensor, crypto::Sha256(zeros))->storage == Storage::kRaw);
}

TEST_CASE("contents larger than a piece survive compression", "[container]") {
  std::string large;
  for (uint32_t i = 0; i < 300; ++i) large += Noise(1000, i % 7) + std::string(1000, 'x');
  auto items = test::SampleItems();
  items.push_back(MakeItem(Kind::kBlob, large, Storage::kZstd));
  const auto reader = test::Open(test::ToBytes(items));
  REQUIRE(reader);
  const Entry* entry = reader->Find(Kind::kBlob, crypto::Sha256(large));
  REQUIRE(entry != nullptr);
  CHECK(entry->storage == Storage::kZstd);
  CHECK(*reader->Read(*entry) == large);
}

TEST_CASE("a content is streamed in pieces, and a changed one ends as corrupt", "[container]") {
  const std::string large = Noise(3 << 20, 9) + std::string(1 << 20, 'x');
  for (const Storage storage : {Storage::kRaw, Storage::kZstd}) {
    auto items = test::SampleItems();
    items.push_back(MakeItem(Kind::kTensor, large, storage));
    std::string bytes = test::ToBytes(items);
    const auto reader = test::Open(bytes);
    REQUIRE(reader);
    const Entry entry = *reader->Find(Kind::kTensor, crypto::Sha256(large));
    REQUIRE(entry.storage == storage);
    std::string streamed;
    size_t largest = 0;
    const auto sink = [&](std::span<const uint8_t> piece) {
      streamed += base::AsText(piece);
      largest = std::max(largest, piece.size());
      return OkStatus();
    };
    REQUIRE(reader->Stream(entry, sink).ok());
    CHECK(streamed == large);
    CHECK(largest < large.size() / 2);
    const auto full = [](std::span<const uint8_t>) { return Status(StatusCode::kIo, "full"); };
    CHECK(reader->Stream(entry, full).code() == StatusCode::kIo);
    bytes[entry.offset + entry.stored_size - 1] ^= 1;
    const auto changed = test::Open(bytes);
    REQUIRE(changed);
    CHECK(changed->Stream(entry, sink).code() == StatusCode::kCorrupt);
  }
  const auto reader = test::Open(test::ToBytes(test::SampleItems()));
  REQUIRE(reader);
  const Entry* absent = reader->Find(Kind::kBlob, crypto::Sha256(Noise(800, 5)));
  REQUIRE(absent != nullptr);
  const auto ignore = [](std::span<const uint8_t>) { return OkStatus(); };
  CHECK(reader->Stream(*absent, ignore).code() == StatusCode::kNotFound);
}

TEST_CASE("a source that gives other bytes than it said is corrupt", "[container]") {
  for (const Storage storage : {Storage::kRaw, Storage::kZstd}) {
    auto items = test::SampleItems();
    items.push_back(MakeItem(Kind::kTensor, std::string(1000, 'a'), storage));
    for (const std::string& other :
         {std::string(1000, 'b'), std::string(999, 'a'), std::string(1001, 'a')}) {
      items.back().source = FromBytes(std::make_shared<const std::string>(other));
      const auto writer = Writer::Make(items);
      const Status status = writer ? writer->ToBytes().status() : writer.status();
      CHECK(status.code() == StatusCode::kCorrupt);
    }
  }
}

TEST_CASE("contents that make no container are refused before writing", "[container]") {
  const auto code = [](std::vector<Item> items) {
    return Writer::Make(std::move(items)).status().code();
  };
  CHECK(code({}) == StatusCode::kInvalidArgument);
  CHECK(code({MakeItem(Kind::kTensor, "t")}) == StatusCode::kInvalidArgument);
  const Item manifest = MakeItem(Kind::kManifest, "m");
  CHECK(code({manifest}) == StatusCode::kOk);
  CHECK(code({manifest, MakeItem(Kind::kManifest, "n")}) == StatusCode::kInvalidArgument);
  CHECK(code({manifest, MakeItem(Kind::kTensor, "t"), MakeItem(Kind::kSignatures, "s")}) ==
        StatusCode::kInvalidArgument);
  CHECK(code({manifest, MakeItem(Kind::kTensor, "t"), MakeItem(Kind::kTensor, "t")}) ==
        StatusCode::kInvalidArgument);
  CHECK(code({manifest, MakeItem(Kind::kTensor, "")}) == StatusCode::kInvalidArgument);
  CHECK(code({MakeItem(Kind::kManifest, "m", Storage::kAbsent)}) == StatusCode::kInvalidArgument);
  CHECK(code({manifest, MakeItem(Kind::kBlob, "b", Storage::kInline)}) ==
        StatusCode::kInvalidArgument);
  CHECK(code({manifest, MakeItem(Kind::kBlob, "b", Storage::kView)}) ==
        StatusCode::kInvalidArgument);
}

TEST_CASE("one reader serves several threads", "[container]") {
  const auto reader = test::Open(test::ToBytes(test::SampleItems()));
  REQUIRE(reader);
  std::atomic<int> good{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (const Entry& entry : reader->index().entries) {
        if (IsStored(entry.storage) && reader->Read(entry)) ++good;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(good == 4 * 6);
}
