#include "container/compression.h"

#include <fmt/format.h>
#include <zstd.h>
#include <zstd_errors.h>

#include <algorithm>
#include <bit>
#include <memory>
#include <vector>

#include "base/bytes.h"

namespace backendctx::container {
namespace {

using base::ByteView;

struct ZstdFree {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

Status Malformed(const std::string& found, const std::string& expected) {
  return {StatusCode::kMalformed,
          fmt::format("zstd frame: found {}, expected {}", found, expected),
          {.field = "zstd frame", .found = found, .expected = expected}};
}

Status OutOfMemory() {
  return {StatusCode::kResourceExhausted, "zstd: found no memory for a context"};
}

class Compressor {
 public:
  Compressor(uint64_t size, int level, const Sink& sink)
      : sink_(sink), buffer_(ZSTD_CStreamOutSize()), context_(ZSTD_createCCtx()) {
    ok_ = context_ != nullptr && Set(ZSTD_c_compressionLevel, level) &&
          Set(ZSTD_c_checksumFlag, 1) && Set(ZSTD_c_contentSizeFlag, 1) &&
          !ZSTD_isError(ZSTD_CCtx_setPledgedSrcSize(context_.get(), size));
  }

  bool ok() const { return ok_; }

  Status Feed(ByteView bytes, ZSTD_EndDirective end) {
    ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
    while (true) {
      ZSTD_outBuffer out{buffer_.data(), buffer_.size(), 0};
      const size_t left = ZSTD_compressStream2(context_.get(), &out, &in, end);
      if (ZSTD_isError(left)) {
        return {StatusCode::kInternal, fmt::format("zstd: {}", ZSTD_getErrorName(left))};
      }
      if (out.pos > 0) BCTX_RETURN_IF_ERROR(sink_({buffer_.data(), out.pos}));
      if (end == ZSTD_e_end ? left == 0 : in.pos == in.size) return OkStatus();
    }
  }

 private:
  bool Set(ZSTD_cParameter parameter, int value) {
    return !ZSTD_isError(ZSTD_CCtx_setParameter(context_.get(), parameter, value));
  }

  const Sink& sink_;
  std::vector<uint8_t> buffer_;
  std::unique_ptr<ZSTD_CCtx, ZstdFree> context_;
  bool ok_ = false;
};

// The window that the descriptor asks for, RFC 8878, section 3.1.1.1.2.
uint64_t Window(uint8_t descriptor) {
  const uint64_t base = uint64_t{1} << (10 + (descriptor >> 3));
  return base + base / 8 * (descriptor & 7);
}

// What the frame's header says, RFC 8878, section 3.1.1.1. The window is checked here because zstd
// does not look at it where it can decode in one step.
Status CheckFrameHeader(ByteView frame, uint64_t size) {
  if (frame.size() < 5 || base::LoadLittle<uint32_t>(frame.data()) != 0xfd2fb528u) {
    return Malformed("another start", "the magic of a zstd frame");
  }
  const uint8_t descriptor = frame[4];
  const bool single_segment = (descriptor & 0x20) != 0;
  if ((descriptor & 0x18) != 0) return Malformed("a reserved or unused bit", "none");
  if ((descriptor & 0x04) == 0) return Malformed("no checksum", "one");
  if ((descriptor & 0x03) != 0) return Malformed("a dictionary", "none");
  const size_t at = single_segment ? 5 : 6;
  const size_t width = size_t{1} << (descriptor >> 6);  // 1, 2, 4 or 8 bytes
  if (width == 1 && !single_segment) return Malformed("no content size", "one");
  if (frame.size() < at + width) return Malformed("its end", "a frame header");
  uint64_t declared = width == 2 ? 256 : 0;
  for (size_t i = 0; i < width; ++i) declared += uint64_t{frame[at + i]} << (8 * i);
  if (declared != size) {
    return Malformed(fmt::format("{} bytes decoded", declared), fmt::format("{}", size));
  }
  const uint64_t window = single_segment ? size : Window(frame[5]);
  if (window > kMaxWindow) {
    return Malformed(fmt::format("a window of {} bytes", window),
                     fmt::format("at most {}", kMaxWindow));
  }
  return OkStatus();
}

class Decompressor {
 public:
  Decompressor(uint64_t size, const Sink& sink)
      : size_(size), sink_(sink), buffer_(ZSTD_DStreamOutSize()), context_(ZSTD_createDCtx()) {
    ok_ = context_ != nullptr &&
          !ZSTD_isError(ZSTD_DCtx_setParameter(context_.get(), ZSTD_d_windowLogMax,
                                               std::countr_zero(kMaxWindow)));
  }

  bool ok() const { return ok_; }

  Status Feed(ByteView bytes) {
    if (bytes.empty()) return OkStatus();
    if (!started_) BCTX_RETURN_IF_ERROR(CheckFrameHeader(bytes, size_));
    started_ = true;
    ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
    bool full = true;
    while (in.pos < in.size || full) {
      if (ended_) {
        return in.pos == in.size ? OkStatus() : Malformed("bytes behind the frame", "none");
      }
      ZSTD_outBuffer out{buffer_.data(), buffer_.size(), 0};
      const size_t hint = ZSTD_decompressStream(context_.get(), &out, &in);
      if (ZSTD_isError(hint)) return Malformed(ZSTD_getErrorName(hint), "a sound frame");
      BCTX_RETURN_IF_ERROR(Emit(out.pos));
      ended_ = hint == 0;
      full = out.pos == out.size;
    }
    return OkStatus();
  }

  Status Finish() const {
    if (!ended_) return Malformed("its end", "more of the frame");
    if (done_ != size_) {
      return Malformed(fmt::format("{} bytes decoded", done_), fmt::format("{}", size_));
    }
    return OkStatus();
  }

 private:
  Status Emit(size_t count) {
    if (count > size_ - done_) {
      return Malformed("more bytes decoded", fmt::format("{}", size_));
    }
    done_ += count;
    return count == 0 ? OkStatus() : sink_({buffer_.data(), count});
  }

  uint64_t size_, done_ = 0;
  const Sink& sink_;
  std::vector<uint8_t> buffer_;
  std::unique_ptr<ZSTD_DCtx, ZstdFree> context_;
  bool ok_ = false, started_ = false, ended_ = false;
};

}  // namespace

Status Compress(const Source& source, uint64_t size, int level, const Sink& sink) {
  // Levels over 19 take windows that readers need not accept.
  Compressor compressor(size, std::clamp(level, 1, 19), sink);
  if (!compressor.ok()) return OutOfMemory();
  BCTX_RETURN_IF_ERROR(
      source([&](ByteView bytes) { return compressor.Feed(bytes, ZSTD_e_continue); }));
  return compressor.Feed({}, ZSTD_e_end);
}

Status Decompress(const Source& source, uint64_t size, const Sink& sink) {
  Decompressor decompressor(size, sink);
  if (!decompressor.ok()) return OutOfMemory();
  BCTX_RETURN_IF_ERROR(source([&](ByteView bytes) { return decompressor.Feed(bytes); }));
  return decompressor.Finish();
}

}  // namespace backendctx::container
