#include "base/os/file.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <csignal>
#include <filesystem>

#include "base/bytes.h"
#include "base/os/library.h"
#include "support/scratch.h"

using namespace backendctx;  // NOLINT: tests read better without
using test::Scratch;

namespace {

void Put(const std::string& path, const std::string& bytes) {
  REQUIRE(os::WriteFile(path, bytes, os::AtomicFile::kReplace).ok());
}

size_t FilesIn(const Scratch& scratch) { return os::ListFolder(scratch.path().string())->size(); }

}  // namespace

TEST_CASE("a file is read exactly or not at all", "[base]") {
  const Scratch scratch;
  Put(scratch / "f", "0123456789");
  const auto file = os::File::Open(scratch / "f");
  REQUIRE(file);
  CHECK(*file->Size() == 10);
  std::array<uint8_t, 4> bytes{};
  REQUIRE(file->ReadExact(6, bytes).ok());
  CHECK(base::AsText(bytes) == "6789");
  const Status past = file->ReadExact(7, bytes);
  CHECK(past.code() == StatusCode::kIo);
  CHECK(past.detail().offset == 10);
  CHECK(file->ReadExact(UINT64_MAX, bytes).code() == StatusCode::kIo);
}

TEST_CASE("reading a whole file stops at the limit", "[base][hostile]") {
  const Scratch scratch;
  Put(scratch / "f", "0123456789");
  CHECK(*os::ReadFile(scratch / "f", 10) == "0123456789");
  CHECK(os::ReadFile(scratch / "f", 9).error().code() == StatusCode::kResourceExhausted);
  CHECK(os::ReadFile(scratch / "missing", 9).error().code() == StatusCode::kIo);
}

TEST_CASE("a file that shrinks under a reader is an error and no fault", "[base][hostile]") {
  const Scratch scratch;
  Put(scratch / "f", std::string(100000, 'x'));
  const auto file = os::File::Open(scratch / "f");
  REQUIRE(truncate((scratch / "f").c_str(), 10) == 0);
  std::string bytes(100000, '\0');
  CHECK(file->ReadExact(0, {reinterpret_cast<uint8_t*>(bytes.data()), bytes.size()}).code() ==
        StatusCode::kIo);
}

TEST_CASE("an atomic file appears complete or not at all", "[base]") {
  const Scratch scratch;
  {
    auto out = os::AtomicFile::Create(scratch / "f", os::AtomicFile::kMustBeNew);
    REQUIRE(out);
    REQUIRE(out->Write("half").ok());
    CHECK_FALSE(os::Exists(scratch / "f"));
  }
  CHECK(FilesIn(scratch) == 0);
  {
    auto out = os::AtomicFile::Create(scratch / "f", os::AtomicFile::kMustBeNew);
    REQUIRE(out->Write("whole").ok());
    REQUIRE(out->Commit().ok());
  }
  CHECK(*os::ReadFile(scratch / "f", 100) == "whole");
  CHECK(FilesIn(scratch) == 1);
}

TEST_CASE("an existing file is replaced only on request", "[base]") {
  const Scratch scratch;
  Put(scratch / "f", "old");
  const Status refused = os::WriteFile(scratch / "f", "new", os::AtomicFile::kMustBeNew);
  CHECK(refused.code() == StatusCode::kIo);
  CHECK(*os::ReadFile(scratch / "f", 100) == "old");
  CHECK(os::WriteFile(scratch / "f", "new", os::AtomicFile::kReplace).ok());
  CHECK(*os::ReadFile(scratch / "f", 100) == "new");
}

TEST_CASE("of two writers of one new name one wins and the file is whole", "[base][hostile]") {
  const Scratch scratch;
  auto first = os::AtomicFile::Create(scratch / "f", os::AtomicFile::kMustBeNew);
  auto second = os::AtomicFile::Create(scratch / "f", os::AtomicFile::kMustBeNew);
  REQUIRE(first->Write("first").ok());
  REQUIRE(second->Write("second").ok());
  CHECK(first->Commit().ok());
  CHECK(second->Commit().code() == StatusCode::kIo);
  {
    const auto gone = std::move(second);
  }
  CHECK(*os::ReadFile(scratch / "f", 100) == "first");
  CHECK(FilesIn(scratch) == 1);
}

TEST_CASE("a file size limit leaves the old file as it was", "[base][hostile]") {
  const Scratch scratch;
  Put(scratch / "f", "old");
  rlimit before{};
  REQUIRE(getrlimit(RLIMIT_FSIZE, &before) == 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{4096, before.rlim_max};
  REQUIRE(setrlimit(RLIMIT_FSIZE, &small) == 0);
  const Status status =
      os::WriteFile(scratch / "f", std::string(10000, 'x'), os::AtomicFile::kReplace);
  REQUIRE(setrlimit(RLIMIT_FSIZE, &before) == 0);
  std::signal(SIGXFSZ, handler);
  CHECK(status.code() == StatusCode::kIo);
  CHECK(*os::ReadFile(scratch / "f", 100) == "old");
  CHECK(FilesIn(scratch) == 1);
}

TEST_CASE("a writer that is killed at any point leaves the old file or the new one",
          "[base][hostile]") {
  const Scratch scratch;
  const std::string old_bytes(300000, 'a'), new_bytes(200000, 'b');
  Put(scratch / "f", old_bytes);
  for (int i = 0; i < 40; ++i) {
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      for (int turn = 0;; ++turn) {
        const Status status = os::WriteFile(scratch / "f", turn % 2 == 0 ? new_bytes : old_bytes,
                                            os::AtomicFile::kReplace);
        if (!status.ok()) _exit(1);
      }
    }
    usleep(static_cast<useconds_t>(200 * i));
    kill(child, SIGKILL);
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    REQUIRE(WIFSIGNALED(status));
    const auto bytes = os::ReadFile(scratch / "f", 1 << 20);
    REQUIRE(bytes);
    REQUIRE((*bytes == old_bytes || *bytes == new_bytes));
  }
}

TEST_CASE("a folder that is missing or in the way is said before anything is written", "[base]") {
  const Scratch scratch;
  CHECK(os::WriteFile(scratch / "no/f", "x", os::AtomicFile::kReplace).code() == StatusCode::kIo);
  REQUIRE(os::MakeFolders(scratch / "a/b").ok());
  CHECK(os::IsFolder(scratch / "a/b"));
  CHECK(os::WriteFile(scratch / "a", "x", os::AtomicFile::kReplace).code() == StatusCode::kIo);
  CHECK(*os::ListFolder(scratch / "a") == std::vector<std::string>{"b"});
}

TEST_CASE("private files are made with their mode", "[base]") {
  const Scratch scratch;
  REQUIRE(os::WriteFile(scratch / "key", "x", os::AtomicFile::kMustBeNew, 0600).ok());
  struct stat info{};
  REQUIRE(stat((scratch / "key").c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);
}

TEST_CASE("paths come apart at the last separator", "[base]") {
  CHECK(os::FolderOf("a/b/c.onnx") == "a/b");
  CHECK(os::FolderOf("c.onnx") == ".");
  CHECK(os::FolderOf("/c.onnx") == "/");
  CHECK(os::NameOf("a/b/c.onnx") == "c.onnx");
  CHECK(os::Join("a", "b") == "a/b");
  CHECK(os::Join("/", "b") == "/b");
}

TEST_CASE("a shared object is loaded by path and its symbols are found", "[base]") {
  const auto library = os::Library::Open(BCTX_TEST_MODULE);
  REQUIRE(library);
  const auto answer = library->FunctionAt<int (*)()>("BaseTestAnswer");
  REQUIRE(answer);
  CHECK((*answer)() == 42);
  CHECK(library->Symbol("Missing").error().code() == StatusCode::kNotFound);
}

TEST_CASE("what is no shared object is refused with the loader's reason", "[base][hostile]") {
  const Scratch scratch;
  Put(scratch / "x.so", "no ELF");
  const auto library = os::Library::Open(scratch / "x.so");
  REQUIRE_FALSE(library);
  CHECK(library.error().code() == StatusCode::kIo);
  CHECK(os::Library::Open("libc.so.6").error().code() == StatusCode::kInvalidArgument);
}

TEST_CASE("the folder of the running code is known", "[base]") {
  CHECK(*os::CurrentModuleFolder() == *os::RealPath(BCTX_TEST_FOLDER));
}
