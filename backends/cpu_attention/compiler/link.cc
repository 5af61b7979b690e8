// lld, in this process. It reads and writes paths only, so the object comes from an anonymous file
// and the result goes to a pipe (for anything but a regular file lld writes once, from memory, and
// leaves no temporary file and no signal handler behind).
#include <elf.h>
#include <fcntl.h>
#include <lld/Common/Driver.h>
#include <llvm/Support/raw_ostream.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <string>
#include <thread>

#include "compiler/codegen.h"

LLD_HAS_DRIVER(elf)

namespace backendctx::cpu_attention {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  ~Descriptor() { Close(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  void Set(int fd) { fd_ = fd; }
  void Close() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }
  std::string Path() const { return "/proc/self/fd/" + std::to_string(fd_); }

 private:
  int fd_;
};

bool WriteAll(int fd, const std::string& bytes) {
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t n = write(fd, bytes.data() + done, bytes.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    done += static_cast<size_t>(n);
  }
  return true;
}

void ReadAll(int fd, std::vector<uint8_t>* out) {
  uint8_t buffer[16384];
  for (;;) {
    const ssize_t n = read(fd, buffer, sizeof(buffer));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;
    out->insert(out->end(), buffer, buffer + n);
  }
}

// Section headers and what only they reach: the loader reads segments, and a blob has no byte that
// nobody accounts for.
Outcome CutToSegments(std::vector<uint8_t>* blob) {
  Elf64_Ehdr header;
  if (blob->size() < sizeof(header)) return Fail(BCTX_INTERNAL, "lld wrote no elf header");
  std::memcpy(&header, blob->data(), sizeof(header));
  uint64_t end = header.e_phoff + uint64_t{header.e_phnum} * sizeof(Elf64_Phdr);
  if (end > blob->size()) return Fail(BCTX_INTERNAL, "lld wrote no program headers");
  for (int i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr segment;
    std::memcpy(&segment, blob->data() + header.e_phoff + i * sizeof(segment), sizeof(segment));
    if (segment.p_type == PT_LOAD) end = std::max(end, segment.p_offset + segment.p_filesz);
  }
  if (end > blob->size()) return Fail(BCTX_INTERNAL, "lld wrote a segment beyond the file");
  header.e_shoff = 0;
  header.e_shnum = 0;
  header.e_shentsize = 0;
  header.e_shstrndx = 0;
  std::memcpy(blob->data(), &header, sizeof(header));
  blob->resize(end);
  return {};
}

}  // namespace

Outcome Link(const std::string& object, std::vector<uint8_t>* blob) {
  // lld keeps its state in globals; after a crash inside, it cannot run again.
  static std::mutex mutex;
  static bool usable = true;
  const std::lock_guard<std::mutex> lock(mutex);
  if (!usable) return Fail(BCTX_INTERNAL, "lld failed before and cannot run again");

  Descriptor input(memfd_create("bctx-object", MFD_CLOEXEC));
  if (input.get() < 0 || !WriteAll(input.get(), object)) {
    return Fail(BCTX_INTERNAL, "cannot hold the object in memory");
  }
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return Fail(BCTX_INTERNAL, "cannot make a pipe");
  Descriptor from(ends[0]), to(ends[1]);
  const std::string input_path = input.Path(), output_path = to.Path();

  blob->clear();
  std::thread reader([&from, blob] { ReadAll(from.get(), blob); });
  const char* arguments[] = {"ld.lld",
                             "-shared",
                             "-nostdlib",
                             "--no-undefined",
                             "--gc-sections",
                             "--discard-all",
                             "--strip-all",
                             "--build-id=none",
                             "--hash-style=sysv",
                             "-z",
                             "now",
                             "-z",
                             "norelro",
                             "-z",
                             "text",
                             "-z",
                             "rodynamic",
                             "-z",
                             "noexecstack",
                             "-o",
                             output_path.c_str(),
                             input_path.c_str()};
  std::string messages;
  llvm::raw_string_ostream stream(messages);
  const lld::Result result = lld::lldMain(arguments, stream, stream, {{lld::Gnu, &lld::elf::link}});
  to.Close();
  reader.join();
  usable = result.canRunAgain;
  if (result.retCode != 0) {
    return Fail(BCTX_INTERNAL, "lld: " + messages.substr(0, messages.find('\n')));
  }
  return CutToSegments(blob);
}

}  // namespace backendctx::cpu_attention
