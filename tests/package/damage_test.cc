// Every bit and every length of a small package, damaged one at a time: nothing crashes, and
// nothing that was damaged is ever called sound.
#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <map>

#include "package/small_package.h"

namespace backendctx::tests {
namespace {

std::string Read(const std::string& path) { return os::ReadFile(path, 1 << 20).value(); }

// A file whose single bytes are changed in place.
class Patched {
 public:
  explicit Patched(const std::string& path) : fd_(open(path.c_str(), O_WRONLY)) {
    REQUIRE(fd_ >= 0);
  }
  ~Patched() { close(fd_); }
  void Put(size_t offset, char byte) const {
    REQUIRE(pwrite(fd_, &byte, 1, static_cast<off_t>(offset)) == 1);
  }
  void Truncate(size_t size) const { REQUIRE(ftruncate(fd_, static_cast<off_t>(size)) == 0); }
  void Write(const std::string& bytes) const {
    REQUIRE(pwrite(fd_, bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
  }

 private:
  int fd_;
};

// Catch's assertions cost more than the work here: one is made per file.
struct Tally {
  size_t tried = 0, accepted = 0;
  std::string accepted_list;  // the first few
  std::map<std::string, size_t> codes;

  void Count(const Status& status, const std::string& what) {
    ++tried;
    ++codes[StatusCodeName(status.code())];
    if (!status.ok()) return;
    if (accepted++ < 64) accepted_list += what + "; ";
  }
  void Print(const std::string& title) const {
    std::cout << title << ": " << tried << " tried, " << accepted << " accepted;";
    for (const auto& [code, count] : codes) std::cout << " " << code << " " << count;
    std::cout << std::endl;
  }
};

enum class Bits { kAll, kOneOfEachByte };

void FlipBits(const SmallPackage& package, const std::string& path, Bits bits = Bits::kAll) {
  const std::string original = Read(path);
  const Patched file(path);
  Tally tally;
  // A front of another encoder's version is compared field by field, and here is what it should be.
  const std::string version = "\"encoder\":";
  const size_t found = original.find(version);
  const size_t digit = found == std::string::npos ? found : found + version.size();
  size_t versions = 0, skipped = 0;
  for (size_t offset = 0; offset < original.size(); ++offset) {
    for (int bit = 0; bit < 8; ++bit) {
      if (bits == Bits::kOneOfEachByte && bit != static_cast<int>(offset % 8)) {
        ++skipped;
        continue;
      }
      const auto flipped = static_cast<char>(original[offset] ^ (1 << bit));
      if (offset == digit && flipped >= '1' && flipped <= '9') {
        ++versions;
        continue;
      }
      file.Put(offset, flipped);
      tally.Count(package.OpenAndVerify(),
                  "byte " + std::to_string(offset) + " bit " + std::to_string(bit));
    }
    file.Put(offset, original[offset]);
  }
  tally.Print("bit flips of " + os::NameOf(path));
  INFO(tally.accepted_list);
  CHECK(tally.tried + versions + skipped == original.size() * 8);
  if (bits == Bits::kAll) CHECK(versions == (digit == std::string::npos ? 0 : 2));
  CHECK(tally.accepted == 0);
  CHECK(package.OpenAndVerify().ok());  // repaired
}

void TruncateEverywhere(const SmallPackage& package, const std::string& path) {
  const std::string original = Read(path);
  const Patched file(path);
  Tally tally;
  for (size_t size = 0; size < original.size(); ++size) {
    file.Truncate(size);
    tally.Count(package.OpenAndVerify(), std::to_string(size) + " bytes");
    file.Write(original);
  }
  tally.Print("truncations of " + os::NameOf(path));
  INFO(tally.accepted_list);
  CHECK(tally.tried == original.size());
  CHECK(tally.accepted == 0);
  CHECK(package.OpenAndVerify().ok());
}

TEST_CASE("every single-bit flip of a small package is refused", "[package][hostile]") {
  const SmallPackage package;
  const size_t total =
      Read(package.report().front).size() + Read(package.report().container).size();
  REQUIRE(total <= 12 * 1024);
  REQUIRE(package.OpenAndVerify().ok());
  FlipBits(package, package.report().front);
  FlipBits(package, package.report().container);
}

// One bit of every byte; the long run takes them all.
TEST_CASE("single-bit flips of a package in one file are refused", "[package][hostile]") {
  PackOptions options;
  options.embed = true;
  const SmallPackage package(true, "tiny", options);
  REQUIRE(Read(package.report().front).size() <= 16 * 1024);
  REQUIRE(package.OpenAndVerify().ok());
  FlipBits(package, package.report().front,
           std::getenv("BCTX_TEST_LONG") != nullptr ? Bits::kAll : Bits::kOneOfEachByte);
}

TEST_CASE("every truncation of a package in one file is refused", "[package][hostile]") {
  PackOptions options;
  options.embed = true;
  const SmallPackage package(true, "tiny", options);
  TruncateEverywhere(package, package.report().front);
}

TEST_CASE("every single-bit flip of a front in the metadata encoding is refused",
          "[package][hostile]") {
  PackOptions options;
  options.encoding = FrontEncoding::kMetadata;
  const SmallPackage package(true, "tiny", options);
  FlipBits(package, package.report().front);
}

TEST_CASE("every truncation of a small package is refused", "[package][hostile]") {
  const SmallPackage package;
  REQUIRE(package.OpenAndVerify().ok());
  TruncateEverywhere(package, package.report().front);
  TruncateEverywhere(package, package.report().container);
}

TEST_CASE("bytes glued behind a container or a front are refused", "[package][hostile]") {
  const SmallPackage package;
  for (const std::string& path : {package.report().front, package.report().container}) {
    const std::string original = Read(path);
    REQUIRE(os::WriteFile(path, original + '\0', os::AtomicFile::kReplace).ok());
    CHECK_FALSE(package.OpenAndVerify().ok());
    REQUIRE(os::WriteFile(path, original, os::AtomicFile::kReplace).ok());
    CHECK(package.OpenAndVerify().ok());
  }
}

}  // namespace
}  // namespace backendctx::tests
