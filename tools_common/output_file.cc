#include "tools_common/output_file.h"

#include <backendctx/cleanup.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <system_error>

namespace backendctx::tools {
namespace {

namespace fs = std::filesystem;

Status Exists(const std::string& path) {
  return Status(StatusCode::kInvalidArgument,
                fmt::format("{}: exists already; --force replaces it", path), {.file = path});
}

Status CannotWrite(const std::string& path, int error) {
  return Status(
      StatusCode::kIo,
      fmt::format("{}: cannot be written: {}", path, std::generic_category().message(error)),
      {.file = path});
}

}  // namespace

Status CheckOutputFile(const std::string& path, const std::vector<std::string>& inputs,
                       bool force) {
  std::error_code none;
  if (!fs::exists(fs::symlink_status(path, none))) return OkStatus();
  for (const std::string& input : inputs) {
    if (input.empty() || !fs::equivalent(path, input, none)) continue;
    return Status(StatusCode::kInvalidArgument,
                  fmt::format("output '{}' is an input; an input file is never modified", path),
                  {.file = path});
  }
  if (!fs::is_regular_file(path, none)) {
    const char* found = fs::is_directory(path, none) ? "a folder"
                        : fs::exists(path, none)     ? "no regular file"
                                                     : "a symbolic link that leads nowhere";
    return Status(StatusCode::kUnsafePath,
                  fmt::format("{}: found {}, expected a regular file or none", path, found),
                  {.file = path, .found = found, .expected = "a regular file or none"});
  }
  return force ? OkStatus() : Exists(path);
}

Status WriteOutputFile(const std::string& path, const std::string& bytes,
                       const std::vector<std::string>& inputs, bool force) {
  BCTX_RETURN_IF_ERROR(CheckOutputFile(path, inputs, force));
  const std::string draft = fmt::format("{}.{}.part", path, getpid());
  const TemporaryPath registered(draft);
  std::ofstream file(draft, std::ios::binary | std::ios::trunc);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  file.close();
  int error = errno;
  bool done = static_cast<bool>(file);
  if (done && force) done = std::rename(draft.c_str(), path.c_str()) == 0;
  // Without force a file that came meanwhile stays: a link never replaces anything.
  if (done && !force) done = link(draft.c_str(), path.c_str()) == 0;
  if (!done) error = errno;
  if (!done || !force) unlink(draft.c_str());
  if (done) return OkStatus();
  return error == EEXIST ? Exists(path) : CannotWrite(path, error);
}

}  // namespace backendctx::tools
