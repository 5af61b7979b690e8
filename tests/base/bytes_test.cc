#include "base/bytes.h"

#include <backendctx/digest.h>

#include <catch2/catch.hpp>
#include <limits>

#include "base/checked.h"
#include "base/text.h"

using namespace backendctx;  // NOLINT: tests read better without
using namespace std::string_literals;

TEST_CASE("sums and products that would wrap give nothing", "[base]") {
  constexpr uint64_t kMax = std::numeric_limits<uint64_t>::max();
  CHECK(base::CheckedAdd<uint64_t>(kMax - 1, 1) == kMax);
  CHECK_FALSE(base::CheckedAdd<uint64_t>(kMax, 1));
  CHECK(base::CheckedMul<uint64_t>(1ull << 32, (1ull << 32) - 1));
  CHECK_FALSE(base::CheckedMul<uint64_t>(1ull << 32, 1ull << 32));
  CHECK(base::CheckedAlign<uint64_t>(65, 64) == 128);
  CHECK(base::CheckedAlign<uint64_t>(64, 64) == 64);
  CHECK_FALSE(base::CheckedAlign<uint64_t>(kMax - 3, 64));
  CHECK_FALSE(base::CheckedMul<int64_t>(std::numeric_limits<int64_t>::min(), -1));
}

TEST_CASE("numbers are stored little-endian on every machine", "[base]") {
  std::string out;
  base::AppendLittle<uint32_t>(0x01020304u, &out);
  base::AppendLittle<uint16_t>(0xfffe, &out);
  CHECK(out == "\x04\x03\x02\x01\xfe\xff"s);
  CHECK(base::LoadLittle<uint32_t>(base::AsBytes(out).data()) == 0x01020304u);
  CHECK(base::LoadLittle<uint16_t>(base::AsBytes(out).data() + 4) == 0xfffe);
}

TEST_CASE("hexadecimal and base64 have one spelling for one value", "[base][hostile]") {
  CHECK(base::Hex(base::AsBytes("\x00\xff\x10"s)) == "00ff10");
  CHECK(base::FromHex("00ff10") == "\x00\xff\x10"s);
  CHECK_FALSE(base::FromHex("00FF10"));
  CHECK_FALSE(base::FromHex("00f"));
  CHECK_FALSE(base::FromHex("0g"));
  // RFC 4648, section 10
  const std::pair<const char*, const char*> vectors[] = {{"", ""},
                                                         {"f", "Zg=="},
                                                         {"fo", "Zm8="},
                                                         {"foo", "Zm9v"},
                                                         {"foob", "Zm9vYg=="},
                                                         {"fooba", "Zm9vYmE="},
                                                         {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, coded] : vectors) {
    CHECK(base::Base64(base::AsBytes(plain)) == coded);
    CHECK(base::FromBase64(coded) == std::string(plain));
  }
  for (const char* bad :
       {"Zg", "Zg=", "Zh==", "Zm9=", "Z===", "====", "Zg==Zg==", "Zm 8", "Zm9v\n"}) {
    INFO(bad);
    CHECK_FALSE(base::FromBase64(bad));
  }
}

TEST_CASE("a digest is 64 lower-case digits and nothing else", "[base][hostile]") {
  const std::string hex(64, 'a');
  REQUIRE(Digest::FromHex(hex));
  CHECK(Digest::FromHex(hex)->Hex() == hex);
  CHECK_FALSE(Digest::FromHex(std::string(64, 'A')));
  CHECK_FALSE(Digest::FromHex(std::string(63, 'a')));
  CHECK_FALSE(Digest::FromHex(std::string(66, 'a')));
  CHECK_FALSE(Digest::FromHex("none"));
  CHECK_FALSE(Digest::FromHex(""));
}

TEST_CASE("text that is no UTF-8 or holds control characters is not clean", "[base][hostile]") {
  CHECK(base::IsCleanText("/encoder/layer.0/MatMul_output_0"));
  CHECK(base::IsCleanText("caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"));
  for (const std::string& bad :
       {"a\nb"s, "a\0b"s, "\x7f"s, "\xc2\x85"s, "\xc0\xaf"s, "\xe0\x80\xaf"s, "\xed\xa0\x80"s,
        "\xf4\x90\x80\x80"s, "\xff"s, "\xc3"s, "\x80"s, "\xf0\x9f\x98"s}) {
    INFO(base::Printable(bad));
    CHECK_FALSE(base::IsCleanText(bad));
  }
  CHECK(base::IsUtf8("a\nb"));
  CHECK_FALSE(base::IsUtf8("\xed\xa0\x80"));
}

TEST_CASE("names from files are printed with control characters escaped", "[base]") {
  CHECK(base::Printable("a\x1b[31m\xff b") == "a\\x1b[31m\\xff b");
  CHECK(base::Printable("caf\xc3\xa9") == "caf\xc3\xa9");
  CHECK(base::Printable(std::string(1000, 'x'), 10) == "xxxxxxxxxx...");
}
