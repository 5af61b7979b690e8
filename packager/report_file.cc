#include "packager/report_file.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

#include "tools_common/output_file.h"

namespace backendctx::tools {
namespace {

namespace fs = std::filesystem;

// What a path will be, whether or not something is there already.
fs::path Resolved(const std::string& path) {
  std::error_code error;
  const fs::path absolute = fs::absolute(path, error);
  const fs::path resolved = fs::weakly_canonical(absolute, error);
  return error ? absolute.lexically_normal() : resolved;
}

bool SameFile(const std::string& a, const std::string& b) {
  std::error_code none;
  return Resolved(a) == Resolved(b) || fs::equivalent(a, b, none);
}

// x.flat.onnx and x-<digits>.bctx beside x.onnx; the digits are known only when all is made.
bool IsBesideFront(const std::string& report, const std::string& output) {
  const fs::path mine = Resolved(report), front = Resolved(output);
  const std::string name = mine.filename(), stem = front.stem();
  if (mine.parent_path() != front.parent_path() || !name.starts_with(stem)) return false;
  const std::string rest = name.substr(stem.size());
  return rest == ".flat.onnx" || (rest.starts_with("-") && rest.ends_with(".bctx"));
}

Status CheckWritable(const std::string& report) {
  std::error_code error;
  const bool is_there = fs::exists(report, error);
  const fs::path parent = fs::path(report).parent_path();
  const fs::path place = is_there ? fs::path(report) : parent.empty() ? fs::path(".") : parent;
  std::error_code none;
  if (!error && !is_there && fs::exists(place, none) && !fs::is_directory(place, none)) {
    error = std::make_error_code(std::errc::not_a_directory);
  }
  if (!error && access(place.c_str(), is_there ? W_OK : W_OK | X_OK) != 0) {
    error = {errno, std::generic_category()};
  }
  if (!error) return OkStatus();
  return Status(StatusCode::kIo,
                fmt::format("report '{}': cannot be written: {}", report, error.message()),
                {.file = report});
}

}  // namespace

Status CheckReportFile(const std::string& report, const std::vector<std::string>& in_use,
                       const std::string& output, bool force) {
  if (report.empty()) return OkStatus();
  bool used = IsBesideFront(report, output);
  for (const std::string& other : in_use) {
    used = used || (!other.empty() && SameFile(report, other));
  }
  if (used) {
    return Status(StatusCode::kInvalidArgument,
                  fmt::format("report '{}' is a file that pack uses", report), {.file = report});
  }
  BCTX_RETURN_IF_ERROR(CheckOutputFile(report, {}, force));
  return CheckWritable(report);
}

}  // namespace backendctx::tools
