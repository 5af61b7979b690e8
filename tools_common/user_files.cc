#include "tools_common/user_files.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <system_error>

namespace backendctx::tools {
namespace {

namespace fs = std::filesystem;
constexpr const char* kMachineTrust = "/etc/backendctx/trust.d";
constexpr const char* kInstead =
    "give --key FILE or --key-env VAR, or --no-sign for a package whose code nobody runs";

std::string AbsoluteVariable(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && *value == '/' ? value : "";
}

Status MakeFolder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (!error) return OkStatus();
  return Status(StatusCode::kIo,
                fmt::format("{}: cannot be made: {}", folder.string(), error.message()));
}

std::string HostComment() {
  char host[256] = {};
  const char* user = std::getenv("USER");
  gethostname(host, sizeof(host) - 1);
  return fmt::format("{}@{}", user != nullptr ? user : "user", host);
}

Status WithInstead(const Status& status) {
  return Status(
      StatusCode::kInvalidArgument,
      fmt::format("no signing key of yours could be made: {}; {}", status.message(), kInstead));
}

// Two first uses at once: who loses takes the winner's key.
Result<UserKey> CreateUserKey(const std::string& path) {
  BCTX_ASSIGN_OR_RETURN(SigningKey key, SigningKey::Generate());
  if (const Status saved = key.Save(path, HostComment()); !saved.ok()) {
    Result<SigningKey> other = SigningKey::Load(path);
    if (!other) return saved;
    return UserKey{std::move(other).value(), path, false};
  }
  PublicKey trusted = key.Public();
  trusted.comment = HostComment();
  BCTX_RETURN_IF_ERROR(AddTrustedKey(trusted).status());
  return UserKey{std::move(key), path, true};
}

}  // namespace

Result<std::string> ConfigFolder() {
  if (std::string base = AbsoluteVariable("XDG_CONFIG_HOME"); !base.empty())
    return base + "/backendctx";
  if (std::string home = AbsoluteVariable("HOME"); !home.empty())
    return home + "/.config/backendctx";
  return Status(StatusCode::kInvalidArgument, "neither HOME nor XDG_CONFIG_HOME names a folder");
}

std::vector<std::string> TrustFolders() {
  std::vector<std::string> folders{kMachineTrust};
  if (const Result<std::string> config = ConfigFolder()) folders.push_back(*config + "/trust.d");
  return folders;
}

Result<std::vector<PublicKey>> TrustedKeys(const std::vector<std::string>& explicit_paths) {
  if (explicit_paths.empty()) return LoadTrustedKeys(TrustFolders());
  for (const std::string& path : explicit_paths) {
    if (!fs::exists(path)) {
      return Status(StatusCode::kIo, fmt::format("{}: found no such file or folder of keys", path));
    }
  }
  return LoadTrustedKeys(explicit_paths);
}

bool UserSigningKeyExists() {
  const Result<std::string> config = ConfigFolder();
  return config && fs::exists(*config + "/key");
}

Result<UserKey> UserSigningKey() {
  const Result<std::string> config = ConfigFolder();
  if (!config) return WithInstead(config.status());
  const std::string path = *config + "/key";
  std::error_code error;
  if (fs::exists(path, error)) {
    BCTX_ASSIGN_OR_RETURN(SigningKey key, SigningKey::Load(path));
    return UserKey{std::move(key), path, false};
  }
  if (const Status made = MakeFolder(*config); !made.ok()) return WithInstead(made);
  Result<UserKey> created = CreateUserKey(path);
  if (!created) return WithInstead(created.status());
  return created;
}

Result<std::string> AddTrustedKey(const PublicKey& key) {
  BCTX_ASSIGN_OR_RETURN(const std::string config, ConfigFolder());
  const fs::path folder = fs::path(config) / "trust.d";
  BCTX_RETURN_IF_ERROR(MakeFolder(folder));
  const fs::path path = folder / (key.Id() + ".pub");
  const fs::path draft = folder / fmt::format(".{}.{}", key.Id(), getpid());
  std::ofstream file(draft);
  file << FormatPublicKey(key) << "\n";
  file.close();
  std::error_code error;
  if (file) fs::rename(draft, path, error);
  if (!file || error) {
    std::error_code ignored;
    fs::remove(draft, ignored);
    return Status(StatusCode::kIo, fmt::format("{}: cannot be written", path.string()));
  }
  return path.string();
}

Result<std::string> RemoveTrustedKey(const std::string& id) {
  BCTX_ASSIGN_OR_RETURN(const std::string config, ConfigFolder());
  const std::string folder = config + "/trust.d";
  std::error_code error;
  std::string removed;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (entry.path().extension() != ".pub") continue;
    const Result<std::vector<PublicKey>> keys = LoadTrustedKeys({entry.path().string()});
    if (!keys || keys->size() != 1 || keys->front().Id() != id) continue;
    if (!fs::remove(entry.path(), error) || error) {
      return Status(StatusCode::kIo, fmt::format("{}: cannot be removed: {}", entry.path().string(),
                                                 error.message()));
    }
    removed = entry.path().string();
  }
  if (!removed.empty()) return removed;
  return Status(StatusCode::kNotFound, fmt::format("{}: found no key {}", folder, id));
}

}  // namespace backendctx::tools
