// The location rule: one plain file name, and a file that lies in the package.
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "base/os/beneath.h"
#include "support/scratch.h"

using namespace backendctx;  // NOLINT: tests read better without
using namespace std::string_literals;
using os::Resolver;
using test::Scratch;
namespace fs = std::filesystem;

namespace {

void PutWithin(const std::string& path, const std::string& bytes) {
  fs::create_directories(fs::path(path).parent_path());
  REQUIRE(os::WriteFile(path, bytes, os::AtomicFile::kReplace).ok());
}

// "ok BYTES", or the name of the failure's code.
std::string Outcome(const Result<os::File>& file) {
  if (!file) return StatusCodeName(file.error().code());
  return "ok " + *os::ReadAll(*file, 1000);
}

}  // namespace

TEST_CASE("a location that is not one plain file name is unsafe", "[base][hostile]") {
  const Scratch scratch;
  PutWithin(scratch / "m.onnx", "front");
  PutWithin(scratch / "x", "container");
  for (const std::string& name :
       {"../x"s, "a/../../x"s, "/etc/passwd"s, "C:\\x"s, "C:x"s, "\\\\?\\x"s, "file://x"s, ""s,
        "x\0"s, "a\0b"s, "x\n"s, "x."s, "x "s, "."s, ".."s, "a/b"s, "*/_ORT_MEM_ADDR_/*"s, "\xff"s,
        std::string(256, 'x')}) {
    INFO(name);
    CHECK(os::CheckPlainName(name).code() == StatusCode::kUnsafePath);
    CHECK(Outcome(os::OpenBeside(scratch / "m.onnx", name)) == "unsafe-path");
    CHECK(Outcome(os::OpenBeneath(scratch.path().string(), name)) == "unsafe-path");
  }
  CHECK(Outcome(os::OpenBeside(scratch / "m.onnx", "x")) == "ok container");
  CHECK(os::CheckPlainName("model-0123456789ab.bctx").ok());
  CHECK(os::CheckPlainName("..x").ok());
}

TEST_CASE("a link may lead to a file below the front's folder and not out of it",
          "[base][hostile]") {
  const auto resolver = GENERATE(Resolver::kKernel, Resolver::kChecked);
  const Scratch scratch;
  PutWithin(scratch / "pkg/m.onnx", "front");
  PutWithin(scratch / "pkg/sub/c", "inside");
  PutWithin(scratch / "out/c", "outside");
  PutWithin(scratch / "pkg-not/c", "sibling");
  fs::create_symlink("sub/c", scratch / "pkg/in");
  fs::create_symlink("../out/c", scratch / "pkg/relative");
  fs::create_symlink(scratch / "out/c", scratch / "pkg/absolute");
  fs::create_symlink("../pkg-not/c", scratch / "pkg/prefix");
  fs::create_directory_symlink("../out", scratch / "pkg/folder");
  fs::create_symlink("folder/c", scratch / "pkg/parent");
  fs::create_symlink("loop", scratch / "pkg/loop");
  const auto open = [&](const std::string& name) {
    return Outcome(os::OpenBeside(scratch / "pkg/m.onnx", name, resolver));
  };
  CHECK(open("in") == "ok inside");
  CHECK(open("relative") == "unsafe-path");
  CHECK(open("absolute") == "unsafe-path");
  CHECK(open("prefix") == "unsafe-path");
  CHECK(open("parent") == "unsafe-path");
  CHECK(open("loop") == "io");
  CHECK(open("missing") == "io");
}

TEST_CASE("a model cache of links works when both lead into one folder", "[base]") {
  const auto resolver = GENERATE(Resolver::kKernel, Resolver::kChecked);
  const Scratch scratch;
  PutWithin(scratch / "blobs/aaaa", "front");
  PutWithin(scratch / "blobs/bbbb", "container");
  PutWithin(scratch / "other/c", "elsewhere");
  fs::create_directories(scratch / "snapshots/1");
  fs::create_symlink("../../blobs/aaaa", scratch / "snapshots/1/m.onnx");
  fs::create_symlink("../../blobs/bbbb", scratch / "snapshots/1/m.bctx");
  fs::create_symlink("../../other/c", scratch / "snapshots/1/bad.bctx");
  const auto open = [&](const std::string& name) {
    return Outcome(os::OpenBeside(scratch / "snapshots/1/m.onnx", name, resolver));
  };
  CHECK(open("m.bctx") == "ok container");
  CHECK(open("bad.bctx") == "unsafe-path");
  // Without the front's own link into it the folder of contents is foreign.
  CHECK(Outcome(os::OpenBeneath(scratch / "snapshots/1", "m.bctx", resolver)) == "unsafe-path");
}

TEST_CASE("a FIFO, device, socket or folder where a file belongs is unsafe", "[base][hostile]") {
  const Scratch scratch;
  PutWithin(scratch / "m.onnx", "front");
  REQUIRE(mkfifo((scratch / "fifo").c_str(), 0600) == 0);
  fs::create_directory(scratch / "folder");
  CHECK(Outcome(os::OpenBeside(scratch / "m.onnx", "fifo")) == "unsafe-path");
  CHECK(Outcome(os::OpenBeside(scratch / "m.onnx", "folder")) == "unsafe-path");
  CHECK(Outcome(os::File::Open(scratch / "fifo")) == "unsafe-path");
  CHECK(Outcome(os::File::Open(scratch / "folder")) == "unsafe-path");
  CHECK(Outcome(os::File::Open("/dev/null")) == "unsafe-path");
  CHECK(Outcome(os::OpenBeneath("/dev", "null")) == "unsafe-path");
  CHECK(Outcome(os::File::Open("x\0y"s)) == "unsafe-path");
}

TEST_CASE("a front is not its own container, by name or by link", "[base][hostile]") {
  const Scratch scratch;
  PutWithin(scratch / "m.onnx", "front");
  fs::create_symlink("m.onnx", scratch / "link");
  fs::create_hard_link(scratch / "m.onnx", scratch / "hard");
  CHECK(Outcome(os::OpenBeside(scratch / "m.onnx", "m.onnx")) == "unsafe-path");
  CHECK(Outcome(os::OpenBeside(scratch / "m.onnx", "link")) == "unsafe-path");
  CHECK(Outcome(os::OpenBeside(scratch / "m.onnx", "hard")) == "unsafe-path");
}

TEST_CASE("a hard link is opened and can be reported", "[base][hostile]") {
  const Scratch scratch;
  PutWithin(scratch / "m.onnx", "front");
  PutWithin(scratch / "c", "container");
  fs::create_hard_link(scratch / "c", scratch / "c2");
  const auto file = os::OpenBeside(scratch / "m.onnx", "c2");
  REQUIRE(file);
  CHECK(file->Identity()->hard_links == 2);
}
