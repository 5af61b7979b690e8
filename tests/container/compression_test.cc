// Hostile zstd frames, each with a right stored digest: only the decoder can refuse them.
#include <zstd.h>

#include <catch2/catch.hpp>

#include "container/build.h"

using namespace backendctx;             // NOLINT: tests read better without
using namespace backendctx::container;  // NOLINT
using test::CodeOf;

namespace {

struct FrameOptions {
  bool checksum = true;
  bool content_size = true;
  int window_log = 0;  // 0: as the level says
};

std::string Frame(const std::string& plain, const FrameOptions& options = {}) {
  ZSTD_CCtx* context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, options.checksum ? 1 : 0);
  ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, options.content_size ? 1 : 0);
  if (options.window_log != 0) {
    ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, options.window_log);
  }
  std::string out(ZSTD_compressBound(plain.size()), '\0');
  const size_t size = ZSTD_compress2(context, out.data(), out.size(), plain.data(), plain.size());
  ZSTD_freeCCtx(context);
  REQUIRE_FALSE(ZSTD_isError(size));
  out.resize(size);
  return out;
}

// A container whose second entry is `frame`, said to decode to `size` bytes with this digest.
std::string Holding(const std::string& frame, uint64_t size, const Digest& digest) {
  const std::string manifest = "m";
  Index index;
  index.entries.resize(2);
  index.entries[0].kind = Kind::kManifest;
  index.entries[0].size = index.entries[0].stored_size = manifest.size();
  index.entries[0].digest = index.entries[0].stored_digest = crypto::Sha256(manifest);
  Entry& entry = index.entries[1];
  entry.storage = Storage::kZstd;
  entry.stored_size = frame.size();
  entry.stored_digest = crypto::Sha256(frame);
  entry.size = size;
  entry.digest = digest;
  REQUIRE(LayOut(&index).ok());
  std::string bytes = EncodeHead(index);
  bytes.resize(index.entries[0].offset, '\0');
  bytes += manifest;
  bytes.resize(entry.offset, '\0');
  return bytes + frame;
}

std::string Plain() { return std::string(3000, 'a') + test::Noise(200, 1); }

StatusCode CodeOfFrame(const std::string& frame) {
  return CodeOf(Holding(frame, Plain().size(), crypto::Sha256(Plain())));
}

}  // namespace

TEST_CASE("one frame with size and checksum is what a container holds", "[container][hostile]") {
  CHECK(CodeOfFrame(Frame(Plain())) == StatusCode::kOk);
  CHECK(CodeOfFrame(Frame(Plain(), {.checksum = false})) == StatusCode::kMalformed);
  CHECK(CodeOfFrame(Frame(Plain(), {.content_size = false})) == StatusCode::kMalformed);
}

TEST_CASE("a frame that decodes to more or less than declared is malformed",
          "[container][hostile]") {
  const std::string frame = Frame(Plain());
  for (const uint64_t size : {Plain().size() - 1, Plain().size() + 1, size_t{100000}}) {
    CHECK(CodeOf(Holding(frame, size, crypto::Sha256(Plain()))) == StatusCode::kMalformed);
  }
}

TEST_CASE("a frame whose header lies about its size is malformed", "[container][hostile]") {
  // Single segment, two-byte content size at offset 5 (RFC 8878): claim 10 bytes less, then more.
  std::string frame = Frame(Plain());
  REQUIRE((static_cast<uint8_t>(frame[4]) & 0xe0) == 0x60);
  for (const int change : {-10, 10}) {
    const uint64_t claimed = static_cast<uint64_t>(static_cast<int>(Plain().size()) + change);
    const std::string lying = test::With<uint16_t>(frame, 5, static_cast<uint16_t>(claimed - 256));
    CHECK(CodeOf(Holding(lying, claimed, crypto::Sha256(Plain()))) == StatusCode::kMalformed);
  }
}

TEST_CASE("a bomb of a thousand to one is refused by the index alone", "[container][hostile]") {
  const std::string zeros(1 << 22, '\0');
  const std::string frame = Frame(zeros);
  REQUIRE(zeros.size() / frame.size() > 1000);
  const std::string bytes = Holding(frame, zeros.size(), crypto::Sha256(zeros));
  CHECK(test::Open(bytes).error().code() == StatusCode::kMalformed);
  // The same with a smaller lie stops in the frame's header.
  const std::string small = Holding(frame, frame.size() + 1, crypto::Sha256(zeros));
  REQUIRE(test::Open(small));
  CHECK(CodeOf(small) == StatusCode::kMalformed);
}

TEST_CASE("a ratio of 512 is the last that is accepted", "[container][hostile]") {
  const std::string frame = Frame(Plain());
  const auto open = [&](uint64_t size) {
    return test::Open(Holding(frame, size, crypto::Sha256(Plain()))).status().code();
  };
  CHECK(open(frame.size() * 512) == StatusCode::kOk);
  CHECK(open(frame.size() * 512 + 1) == StatusCode::kMalformed);
  CHECK(open(UINT64_MAX) == StatusCode::kMalformed);
  CHECK(open(frame.size()) == StatusCode::kMalformed);
}

TEST_CASE("a window over 8 MiB is refused without allocating it", "[container][hostile]") {
  // A frame with a window descriptor: exponent in the high five bits, 2^31 is 21.
  std::string frame = "\x28\xb5\x2f\xfd";
  frame += '\x44';                             // two-byte content size, checksum, window present
  frame += static_cast<char>((31 - 10) << 3);  // the window
  std::string size(2, '\0');
  frame += test::With<uint16_t>(size, 0, static_cast<uint16_t>(Plain().size() - 256));
  frame += Frame(Plain()).substr(7);
  CHECK(CodeOfFrame(frame) == StatusCode::kMalformed);
  frame[5] = static_cast<char>((23 - 10) << 3);
  CHECK(CodeOfFrame(frame) == StatusCode::kOk);
  frame[5] = static_cast<char>((24 - 10) << 3);
  CHECK(CodeOfFrame(frame) == StatusCode::kMalformed);
}

TEST_CASE("a window of 2^27 made by zstd itself is refused", "[container][hostile]") {
  std::string plain;
  for (uint32_t i = 0; i < 9000; ++i) plain += test::Noise(500, i % 50) + std::string(500, 'x');
  REQUIRE(plain.size() > 8u << 20);
  const std::string frame = Frame(plain, {.window_log = 27});
  REQUIRE(frame.size() * 512 > plain.size());
  CHECK(CodeOf(Holding(frame, plain.size(), crypto::Sha256(plain))) == StatusCode::kMalformed);
}

TEST_CASE("a checksum that is wrong is malformed though the stored digest agrees",
          "[container][hostile]") {
  std::string frame = Frame(Plain());
  frame.back() ^= 1;
  CHECK(CodeOfFrame(frame) == StatusCode::kMalformed);
}

TEST_CASE("frames behind one another, skippable ones too, are malformed", "[container][hostile]") {
  const std::string frame = Frame(Plain());
  CHECK(CodeOfFrame(frame + frame) == StatusCode::kMalformed);
  CHECK(CodeOfFrame(frame + "x") == StatusCode::kMalformed);
  const std::string skippable("\x50\x2a\x4d\x18\x01\0\0\0x", 9);
  CHECK(CodeOfFrame(skippable + frame) == StatusCode::kMalformed);
  CHECK(CodeOfFrame(frame + skippable) == StatusCode::kMalformed);
}

TEST_CASE("a frame that needs a dictionary is malformed", "[container][hostile]") {
  std::string frame = Frame(Plain());
  frame[4] = static_cast<char>(frame[4] | 1);
  frame.insert(5, 1, '\x07');
  CHECK(CodeOfFrame(frame) == StatusCode::kMalformed);
}

TEST_CASE("a frame cut anywhere is malformed, and a flipped bit never gives other bytes",
          "[container][hostile]") {
  const std::string frame = Frame(Plain());
  for (size_t size = 7; size < frame.size(); ++size) {
    INFO(size);
    REQUIRE(CodeOfFrame(frame.substr(0, size)) == StatusCode::kMalformed);
  }
  // A few bits of a compressed block carry nothing: they decode to the same bytes or are refused.
  size_t accepted = 0;
  for (size_t bit = 0; bit < frame.size() * 8; ++bit) {
    std::string flipped = frame;
    flipped[bit / 8] ^= static_cast<char>(1 << bit % 8);
    const auto reader = test::Open(Holding(flipped, Plain().size(), crypto::Sha256(Plain())));
    REQUIRE(reader);
    const auto bytes = reader->Read(reader->index().entries[1]);
    INFO(bit);
    if (bytes) {
      REQUIRE(*bytes == Plain());
      ++accepted;
    } else {
      REQUIRE((bytes.error().code() == StatusCode::kMalformed ||
               bytes.error().code() == StatusCode::kCorrupt));
    }
  }
  CHECK(accepted < 16);
}

TEST_CASE("a sound frame of other bytes is corrupt", "[container][hostile]") {
  std::string other = Plain();
  other[0] = 'b';
  CHECK(CodeOfFrame(Frame(other)) == StatusCode::kCorrupt);
}
