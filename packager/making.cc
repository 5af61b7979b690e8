#include "packager/making.h"

#include <backendctx/plugins.h>
#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>

#include "tools_common/installation.h"
#include "tools_common/text.h"
#include "tools_common/user_files.h"

namespace backendctx::tools {
namespace {

Result<SigningKey> KeyFromVariable(const std::string& variable) {
  const char* value = std::getenv(variable.c_str());
  if (value == nullptr) {
    return Status(StatusCode::kInvalidArgument,
                  fmt::format("--key-env: found no environment variable {}", variable));
  }
  return SigningKey::FromPem(value);
}

}  // namespace

Result<std::optional<SigningKey>> ChooseKey(const KeyFlags& flags, bool writes_nothing) {
  if (flags.no_sign) return std::optional<SigningKey>();
  if (!flags.file.empty()) {
    BCTX_ASSIGN_OR_RETURN(SigningKey key, SigningKey::Load(flags.file));
    return std::optional<SigningKey>(std::move(key));
  }
  if (!flags.variable.empty()) {
    BCTX_ASSIGN_OR_RETURN(SigningKey key, KeyFromVariable(flags.variable));
    return std::optional<SigningKey>(std::move(key));
  }
  if (writes_nothing && !UserSigningKeyExists()) return std::optional<SigningKey>();
  BCTX_ASSIGN_OR_RETURN(UserKey user, UserSigningKey());
  if (user.created) {
    Note(fmt::format("made your signing key {} and put it on your trust list: {}",
                     user.key.Public().Id(), Escape(user.path)));
  }
  return std::optional<SigningKey>(std::move(user.key));
}

void AddKeyFlags(CLI::App* verb, KeyFlags* flags) {
  auto* key = verb->add_option("--key", flags->file, "sign with this key")->type_name("FILE");
  auto* env = verb->add_option("--key-env", flags->variable, "sign with the key in this variable")
                  ->type_name("VAR");
  auto* none = verb->add_flag("--no-sign", flags->no_sign, "do not sign; nobody runs the code");
  key->excludes(env)->excludes(none);
  env->excludes(none);
}

bool MayChange(const std::vector<std::string>& packages, const OpenOptions& open,
               bool allow_unsigned) {
  for (const std::string& path : packages) {
    const Result<Package> package = Package::Open(path, open);
    if (!package || !package->has_container()) return false;
    const Trust& trust = package->trust();
    if (!trust.trusted && !(allow_unsigned && trust.signatures.empty())) return false;
  }
  return true;
}

Status CheckPlugins(const std::vector<std::string>& files) {
  if (files.empty()) return OkStatus();
  for (const std::string& left_out : ListPlugins({}, files).left_out) {
    for (const std::string& file : files) {
      if (left_out.rfind(file + ":", 0) == 0) {
        return Status(StatusCode::kInvalidArgument, "--plugin " + left_out, {.file = file});
      }
    }
    Warn("plug-in left out: " + Escape(left_out));
  }
  return OkStatus();
}

Status FindProofTools(ProofTools* tools) {
  std::string& library = tools->ort_library;
  std::error_code error;
  if (library == "none") {
    library.clear();
  } else if (library.empty()) {
    library = FindRuntimeLibrary();
    if (library.empty()) {
      Warn(
          "found no ONNX Runtime library beside libbackendctx.so: contexts stay unproved; "
          "give --ort FILE");
    }
  } else if (!std::filesystem::exists(library, error)) {
    return Status(StatusCode::kIo, fmt::format("--ort {}: no such file", library),
                  {.file = library});
  }
  tools->folder = ProgramFolder();
  tools->emulators = FindEmulators();
  tools->temporary_folder = TemporaryFolder();
  return OkStatus();
}

std::string SignedWords(const std::string& signer) {
  return signer.empty() ? "no: nobody will run its code" : "by key " + signer;
}

void AddWritten(const Written& written, const std::string& signer, Json* report) {
  (*report)["front"] = written.front;
  (*report)["container"] = written.container.empty() ? Json() : Json(written.container);
  (*report)["signed_by"] = signer.empty() ? Json() : Json(signer);
}

void AddChangeFlags(CLI::App* verb, std::string* output, bool* force, bool* json) {
  verb->add_option("-o,--output", *output, "the package to write")->required()->type_name("FILE");
  verb->add_flag("--force", *force, "replace an existing output");
  verb->add_flag("--json", *json, "print the report as JSON");
}

}  // namespace backendctx::tools
