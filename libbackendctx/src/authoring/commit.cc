// Files into place, and old ones away.

#include <algorithm>
#include <filesystem>
#include <set>
#include <system_error>

#include "authoring/write.h"
#include "base/bytes.h"
#include "base/os/file.h"
#include "fmt/format.h"
#include "model/front.h"

namespace backendctx::authoring {
namespace {

constexpr uint64_t kFrontLimit = (1ull << 31) - 1;
constexpr std::string_view kSuffix = ".onnx", kFlatSuffix = ".flat.onnx";

// The container that the front at `path` names, or nothing when it is no front of ours.
std::string ContainerOf(const std::string& path) {
  const Result<std::string> bytes = os::ReadFile(path, kFrontLimit);
  if (!bytes) return "";
  const Result<model::DecodedFront> front =
      model::DecodeFront(base::AsBytes(*bytes), model::LoadLimits{});
  return front && front->tag && front->tag->embedded.empty() ? front->tag->container : "";
}

// Fronts of one package share the stem of its name: x.onnx, x.flat.onnx. True also when the folder
// cannot be read: what may be in use stays.
bool IsNamedByAFront(const std::string& container, const std::string& output) {
  const std::string folder = os::FolderOf(output), stem = StemOf(output);
  const Result<std::vector<std::string>> names = os::ListFolder(folder);
  if (!names) return true;
  return std::any_of(names->begin(), names->end(), [&](const std::string& name) {
    return name.starts_with(stem) && name.ends_with(kSuffix) &&
           ContainerOf(os::Join(folder, name)) == container;
  });
}

// Is there already a complete container of this name? Its head then is the same, and so is the
// rest.
bool IsThere(const std::string& path, const container::Writer& writer) {
  Result<os::File> file = os::File::Open(path);
  if (!file) return false;
  const Result<container::Reader> reader = container::Reader::Open(std::move(*file), {});
  if (!reader || reader->index_digest() != writer.index_digest()) return false;
  const auto& entries = reader->index().entries;
  return reader->CheckGaps().ok() &&
         std::all_of(entries.begin(), entries.end(), [&](const container::Entry& entry) {
           return !container::IsStored(entry.storage) || reader->Check(entry).ok();
         });
}

Status WriteContainer(const Assembled& assembled, const std::string& path) {
  if (IsThere(path, assembled.container)) return OkStatus();
  BCTX_ASSIGN_OR_RETURN(os::AtomicFile file,
                        os::AtomicFile::Create(path, os::AtomicFile::kReplace));
  BCTX_RETURN_IF_ERROR(assembled.container.Write(file.file()));
  return file.Commit();
}

// One front on its way into place: written in full under another name, then renamed, and put back
// as it was when a later one fails.
struct Placing {
  std::string path;
  os::AtomicFile file;
  Result<std::string> before;  // an error: there was none

  static Result<Placing> Prepare(const std::string& path, const std::string& bytes, bool force) {
    Result<std::string> before = os::ReadFile(path, kFrontLimit);
    BCTX_ASSIGN_OR_RETURN(os::AtomicFile file,
                          os::AtomicFile::Create(
                              path, force ? os::AtomicFile::kReplace : os::AtomicFile::kMustBeNew));
    BCTX_RETURN_IF_ERROR(file.Write(bytes));
    return Placing{path, std::move(file), std::move(before)};
  }

  void Undo() const {
    if (before) {
      (void)os::WriteFile(path, *before, os::AtomicFile::kReplace);
    } else {
      (void)os::RemoveFile(path);
    }
  }
};

// All or none; the first, which the caller named, is renamed last.
Status PlaceFronts(const std::vector<FrontFile>& fronts, const std::string& folder, bool force) {
  std::vector<Placing> placing;
  for (const FrontFile& front : fronts) {
    BCTX_ASSIGN_OR_RETURN(Placing one,
                          Placing::Prepare(os::Join(folder, front.name), front.bytes, force));
    placing.push_back(std::move(one));
  }
  for (size_t i = placing.size(); i-- > 0;) {
    const Status status = placing[i].file.Commit();
    if (status.ok()) continue;
    for (size_t done = i + 1; done < placing.size(); ++done) placing[done].Undo();
    return status;
  }
  return OkStatus();
}

// A symbolic link without a file behind it is there and would be in the way.
Status CheckNoLink(const std::string& output) {
  std::error_code none;
  if (!std::filesystem::is_symlink(output, none)) return OkStatus();
  return Status(
      StatusCode::kInvalidArgument,
      fmt::format("{}: is a symbolic link that leads nowhere; --force replaces the link", output),
      {.file = output});
}

Status CheckPath(const std::string& input, const std::string& output, bool force) {
  const std::string name = os::NameOf(output);
  if (!name.ends_with(kSuffix) || name == kSuffix) {
    return Status(StatusCode::kInvalidArgument,
                  fmt::format("output '{}' must be named NAME.onnx", output));
  }
  BCTX_RETURN_IF_ERROR(os::CheckPlainName(name).WithContext("output"));
  const std::string folder = os::FolderOf(output);
  if (!os::IsFolder(folder)) {
    return Status(StatusCode::kIo, fmt::format("{}: no such folder", folder), {.file = folder});
  }
  if (!os::Exists(output)) return force ? OkStatus() : CheckNoLink(output);
  const Result<std::string> from = os::RealPath(input), to = os::RealPath(output);
  if (from && to && *from == *to) {
    return Status(StatusCode::kInvalidArgument,
                  fmt::format("output '{}' is the input; an input file is never modified", output));
  }
  if (force) return OkStatus();
  return Status(StatusCode::kInvalidArgument,
                fmt::format("{}: exists already; --force replaces it", output), {.file = output});
}

}  // namespace

std::string StemOf(const std::string& output) {
  const std::string name = os::NameOf(output);
  return name.substr(0, name.size() - kSuffix.size());
}

std::string Beside(const std::string& output, const std::string& name) {
  return output.substr(0, output.size() - os::NameOf(output).size()) + name;
}

std::vector<std::string> FrontPaths(const std::string& output, FrontEncoding encoding) {
  std::vector<std::string> paths = {output};
  if (encoding == FrontEncoding::kBoth && output.ends_with(kSuffix)) {
    paths.push_back(output.substr(0, output.size() - kSuffix.size()) + std::string(kFlatSuffix));
  }
  return paths;
}

Status CheckOutput(const std::string& input, const std::string& output, FrontEncoding encoding,
                   bool force) {
  for (const std::string& path : FrontPaths(output, encoding)) {
    BCTX_RETURN_IF_ERROR(CheckPath(input, path, force));
  }
  return OkStatus();
}

Status Commit(const Assembled& assembled, const std::string& output, bool force) {
  const std::string folder = os::FolderOf(output);
  std::set<std::string> old;
  for (const FrontFile& front : assembled.fronts) {
    if (force) old.insert(ContainerOf(os::Join(folder, front.name)));
  }
  const bool is_embedded = assembled.container_name.empty();
  const std::string path = os::Join(folder, assembled.container_name);
  const bool was_there = os::Exists(path);
  if (!is_embedded) BCTX_RETURN_IF_ERROR(WriteContainer(assembled, path));
  const Status placed = PlaceFronts(assembled.fronts, folder, force);
  if (!placed.ok()) {
    // A failure leaves nothing behind.
    if (!is_embedded && !was_there) (void)os::RemoveFile(path);
    return placed;
  }
  for (const std::string& name : old) {
    // Only what this package has written: its stem is the output's.
    if (!os::CheckPlainName(name).ok() || !name.ends_with(".bctx") ||
        !name.starts_with(StemOf(output) + "-") || IsNamedByAFront(name, output)) {
      continue;
    }
    BCTX_RETURN_IF_ERROR(os::RemoveFile(os::Join(folder, name)));
  }
  return OkStatus();
}

}  // namespace backendctx::authoring
