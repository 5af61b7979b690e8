// Where a user's keys and trust lists are. The library reads no environment; the tools do, here.
//
//   /etc/backendctx/trust.d                  keys that this machine trusts
//   $XDG_CONFIG_HOME/backendctx/trust.d      keys that this user trusts (else ~/.config/backendctx)
//   $XDG_CONFIG_HOME/backendctx/key          the user's own signing key, made when first needed
//
// Threads: functions have no shared state but the environment.
#pragma once

#include <backendctx/status.h>
#include <backendctx/trust.h>

#include <optional>
#include <string>
#include <vector>

namespace backendctx::tools {

// The user's folder; InvalidArgument when neither variable holds an absolute path.
Result<std::string> ConfigFolder();
// The folders that exist or could: the machine's, then the user's if there is one.
std::vector<std::string> TrustFolders();
// The keys of these files and folders; of TrustFolders() when `explicit_paths` is empty.
Result<std::vector<PublicKey>> TrustedKeys(const std::vector<std::string>& explicit_paths);

struct UserKey {
  SigningKey key;
  std::string path;
  bool created = false;
};
// The user's signing key. The first call makes one and adds it to the user's trust list; when that
// cannot be done the message says which flags take its place.
Result<UserKey> UserSigningKey();
bool UserSigningKeyExists();

// Adds a key to the user's trust list; the file that holds it now.
Result<std::string> AddTrustedKey(const PublicKey& key);
// Removes it from the user's list. NotFound when it is not there.
Result<std::string> RemoveTrustedKey(const std::string& id);

}  // namespace backendctx::tools
