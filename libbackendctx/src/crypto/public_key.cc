#include <fmt/format.h>

#include <algorithm>

#include "backendctx/trust.h"
#include "base/bytes.h"
#include "base/os/file.h"
#include "base/text.h"
#include "crypto/sha256.h"

namespace backendctx {
namespace {

constexpr std::string_view kPrefix = "backendctx-ed25519 ";
constexpr std::string_view kPem = "-----BEGIN ";
constexpr std::string_view kSuffix = ".pub";
constexpr uint64_t kPublicKeyFileLimit = 1 << 20;

Status NotAKey(const std::string& found) {
  return {StatusCode::kMalformed,
          fmt::format("found {}, expected \"backendctx-ed25519 BASE64 COMMENT\"", found),
          {.field = "public key", .found = found, .expected = "backendctx-ed25519 BASE64 COMMENT"}};
}

Status AtLine(const Status& status, const std::string& file, size_t line) {
  Detail detail = status.detail();
  detail.file = file;
  return {status.code(), fmt::format("{}: line {}: {}", file, line, status.message()),
          std::move(detail)};
}

// One key a line; empty lines and lines that start with # are skipped.
Status AppendFile(const std::string& path, std::vector<PublicKey>* keys) {
  BCTX_ASSIGN_OR_RETURN(const std::string text, os::ReadFile(path, kPublicKeyFileLimit));
  size_t count = 0, line = 0;
  for (size_t start = 0; start < text.size();) {
    const size_t end = std::min(text.find('\n', start), text.size());
    const std::string row = text.substr(start, end - start);
    start = end + 1;
    ++line;
    if (row.empty() || row[0] == '#') continue;
    const Result<PublicKey> key = ParsePublicKey(row);
    if (!key) return AtLine(key.status(), path, line);
    keys->push_back(*key);
    ++count;
  }
  if (count == 0) return AtLine(NotAKey("no key"), path, 1);
  return OkStatus();
}

Status AppendFolder(const std::string& path, std::vector<PublicKey>* keys) {
  BCTX_ASSIGN_OR_RETURN(const std::vector<std::string> names, os::ListFolder(path));
  for (const std::string& name : names) {
    if (name.ends_with(kSuffix)) BCTX_RETURN_IF_ERROR(AppendFile(os::Join(path, name), keys));
  }
  return OkStatus();
}

}  // namespace

std::string PublicKey::Id() const { return crypto::Sha256(bytes).Hex().substr(0, 16); }

std::string FormatPublicKey(const PublicKey& key) {
  std::string line(kPrefix);
  line += base::Base64(key.bytes);
  if (!key.comment.empty()) line += " " + base::Printable(key.comment);
  return line;
}

Result<PublicKey> ParsePublicKey(const std::string& text) {
  std::string_view line = text;
  if (line.ends_with('\n')) line.remove_suffix(1);
  if (!base::IsCleanText(line)) return NotAKey("control characters or bytes that are no UTF-8");
  if (line.starts_with(kPem)) {
    const bool secret = line.find("PRIVATE KEY") != line.npos;
    return NotAKey(secret ? "a private key" : "a key or certificate in PEM");
  }
  if (!line.starts_with(kPrefix)) {
    return NotAKey("\"" + base::Printable(line, 40) + "\"");
  }
  line.remove_prefix(kPrefix.size());
  const size_t space = std::min(line.find(' '), line.size());
  const std::optional<std::string> raw = base::FromBase64(line.substr(0, space));
  PublicKey key;
  if (!raw || raw->size() != key.bytes.size()) return NotAKey("no base64 of 32 bytes");
  std::copy(raw->begin(), raw->end(), key.bytes.begin());
  if (space < line.size()) key.comment = line.substr(space + 1);
  return key;
}

Result<std::vector<PublicKey>> LoadTrustedKeys(const std::vector<std::string>& paths) {
  std::vector<PublicKey> keys;
  for (const std::string& path : paths) {
    if (os::IsFolder(path)) {
      BCTX_RETURN_IF_ERROR(AppendFolder(path, &keys));
    } else if (os::Exists(path) || path.ends_with(kSuffix)) {
      BCTX_RETURN_IF_ERROR(AppendFile(path, &keys));
    }
  }
  std::vector<PublicKey> unique;
  for (PublicKey& key : keys) {
    const auto same = [&](const PublicKey& other) { return other.bytes == key.bytes; };
    if (std::none_of(unique.begin(), unique.end(), same)) unique.push_back(std::move(key));
  }
  return unique;
}

}  // namespace backendctx
