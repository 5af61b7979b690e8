// bctx-pack keygen and trust: the keys that sign, and those whose packages may run code.

#include <backendctx/package.h>
#include <backendctx/trust.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <iostream>
#include <memory>

#include "packager/verbs.h"
#include "tools_common/json.h"
#include "tools_common/text.h"
#include "tools_common/user_files.h"

namespace backendctx::tools {
namespace {

int KeygenVerb(const std::string& path, const std::string& comment) {
  for (const std::string& file : {path, path + ".pub"}) {
    if (access(file.c_str(), F_OK) == 0) {
      return FailUsage(file + ": exists already; a key is never replaced");
    }
  }
  const Result<SigningKey> key = SigningKey::Generate();
  if (!key) return Fail(key.error());
  const Status saved = key->Save(path, comment);
  if (!saved.ok()) return Fail(saved);
  Print(fmt::format("{}\n", key->Public().Id()));
  Note(fmt::format("wrote {} (keep it secret) and {}.pub (give it to those who shall trust it)",
                   Escape(path), Escape(path)));
  return 0;
}

struct AddFlags {
  std::string source;
  bool yes = false;
};

constexpr const char* kExpected = "the public key of a signer (FILE.pub) or a package";

Status NoSource(const std::string& source, const std::string& found) {
  return Status(StatusCode::kMalformed,
                fmt::format("{}: found {}, expected {}", source, found, kExpected),
                {.file = source, .field = "public key", .found = found, .expected = kExpected});
}

// Key files are text, whatever they are called; folders and packages are not.
bool LooksLikeKey(const std::string& source) {
  std::ifstream file(source);
  std::string start(32, '\0');
  file.read(start.data(), static_cast<std::streamsize>(start.size()));
  return start.starts_with("backendctx-ed25519 ") || start.starts_with("-----BEGIN ");
}

Result<Package> OpenSource(const std::string& source) {
  Result<Package> package = Package::Open(source, {});
  if (package && !package->has_container()) return NoSource(source, "a plain ONNX model");
  if (!package && package.error().code() == StatusCode::kMalformed &&
      package.error().detail().field == "model") {
    return NoSource(source, "a file of another kind");
  }
  return package;
}

// A key file has its keys, a package all that signed it.
Result<std::vector<PublicKey>> KeysOf(const std::string& source, bool* from_package) {
  *from_package = !source.ends_with(".pub") && !LooksLikeKey(source);
  if (!*from_package) return TrustedKeys({source});
  BCTX_ASSIGN_OR_RETURN(const Package package, OpenSource(source));
  std::vector<PublicKey> keys;
  for (const Signature& signature : package.trust().signatures) {
    keys.push_back(signature.public_key);
    keys.back().comment = fmt::format("from {}", Escape(source));
  }
  if (!keys.empty()) return keys;
  return Status(
      StatusCode::kUntrusted, fmt::format("{}: nobody signed this package", source),
      {.file = source, .field = "signatures", .found = "no signature", .expected = "a signature"});
}

// A file of a key is a choice already; a key out of a package is confirmed.
Result<bool> Confirmed(const PublicKey& key, const AddFlags& flags, bool from_package) {
  if (flags.yes || !from_package) return true;
  if (isatty(STDIN_FILENO) != 1) {
    return Status(StatusCode::kInvalidArgument,
                  fmt::format("key {} comes out of a package: compare its id with the signer's and "
                              "give --yes",
                              key.Id()));
  }
  std::cerr << fmt::format("run native code of packages signed by key {}? [y/N] ", key.Id());
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "y" || answer == "yes";
}

int TrustAdd(const AddFlags& flags) {
  bool from_package = false;
  const Result<std::vector<PublicKey>> keys = KeysOf(flags.source, &from_package);
  if (!keys) return Fail(keys.error());
  for (const PublicKey& key : *keys) {
    const Result<bool> yes = Confirmed(key, flags, from_package);
    if (!yes) return Fail(yes.error());
    if (!*yes) {
      Note(fmt::format("key {} was not added", key.Id()));
      continue;
    }
    const Result<std::string> path = AddTrustedKey(key);
    if (!path) return Fail(path.error());
    Print(fmt::format("trusted {}\n", key.Id()));
    Verbose(fmt::format("written to {}", Escape(*path)));
  }
  return 0;
}

int TrustList(bool json) {
  Json list = NewReport();
  list["keys"] = Json::array();
  Table table({Align::kLeft, Align::kLeft, Align::kLeft});
  for (const std::string& folder : TrustFolders()) {
    const Result<std::vector<PublicKey>> keys = LoadTrustedKeys({folder});
    if (!keys) return Fail(keys.error());
    for (const PublicKey& key : *keys) {
      list["keys"].push_back({{"key", key.Id()}, {"folder", folder}, {"comment", key.comment}});
      table.Row({key.Id(), Escape(key.comment), Escape(folder)});
    }
  }
  if (json) {
    PrintJson(list);
  } else if (table.empty()) {
    Note("no key is trusted: packages run interpreted");
  } else {
    Print(table.Text(0));
  }
  return 0;
}

int TrustRemove(const std::string& id) {
  const Result<std::string> removed = RemoveTrustedKey(id);
  if (!removed) return Fail(removed.error());
  Print(fmt::format("removed {}\n", Escape(id)));
  return 0;
}

}  // namespace

void AddKeygen(CommandLine& line) {
  auto path = std::make_shared<std::string>();
  auto comment = std::make_shared<std::string>();
  CLI::App* verb = line.Verb("keygen", "makes a signing key: FILE and FILE.pub",
                             "bctx-pack keygen -o release.key --comment \"release 2\"",
                             [path, comment] { return KeygenVerb(*path, *comment); });
  verb->add_option("-o,--output", *path, "the key to write")->required()->type_name("FILE");
  verb->add_option("--comment", *comment, "for people")->type_name("TEXT");
}

void AddTrust(CommandLine& line) {
  CLI::App* group = line.Group("trust", "whose packages may run native code here",
                               "bctx-pack trust add release.key.pub");
  group->require_subcommand(1);
  auto flags = std::make_shared<AddFlags>();
  CLI::App* add = line.SubVerb(group, "add", "trusts a key", "bctx-pack trust add release.key.pub",
                               [flags] { return TrustAdd(*flags); });
  add->add_option("KEY", flags->source, "FILE.pub, or a package whose signers to trust")
      ->required()
      ->type_name("");
  add->add_flag("--yes", flags->yes, "do not ask");
  auto json = std::make_shared<bool>(false);
  CLI::App* list = line.SubVerb(group, "list", "prints the trusted keys", "bctx-pack trust list",
                                [json] { return TrustList(*json); });
  list->add_flag("--json", *json, "print them as JSON");
  auto id = std::make_shared<std::string>();
  CLI::App* remove =
      line.SubVerb(group, "remove", "takes a key off your list",
                   "bctx-pack trust remove 0123456789abcdef", [id] { return TrustRemove(*id); });
  remove->add_option("KEYID", *id, "its id, as list prints it")->required()->type_name("");
}

}  // namespace backendctx::tools
