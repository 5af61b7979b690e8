#include "tools_common/hints.h"

#include <string_view>

namespace backendctx::tools {
namespace {

struct Rule {
  StatusCode code;
  std::string_view field;  // of the failure, or how it starts; empty: any
  std::string_view found;  // how what was found starts; empty: anything
  const char* next;
};

// The first that fits. Fields are those that the library names in Detail::field.
constexpr Rule kRules[] = {
    {StatusCode::kCorrupt, "front", "",
     "bctx-pack restore gives back the model that was packed; pack that again"},
    {StatusCode::kCorrupt, "backendctx.front", "",
     "fetch the front again, or pack the original model; what is left still runs as ONNX"},
    {StatusCode::kCorrupt, "head", "",
     "fetch front and container again, together, and keep the container's name"},
    {StatusCode::kCorrupt, "", "",
     "fetch the package again from where it came; do not use this copy"},
    {StatusCode::kUntrusted, "signatures", "no signature",
     "ask its maker for a signed package; --allow-unsigned checks everything else"},
    {StatusCode::kUntrusted, "signatures", "",
     "if you trust the signer: bctx-pack trust add KEY.pub, or the package itself"},
    {StatusCode::kUnsafePath, "", "a folder", "give the path of a file in it"},
    {StatusCode::kUnsafePath, "", "a FIFO", "give the path of a regular file"},
    {StatusCode::kUnsafePath, "", "a socket", "give the path of a regular file"},
    {StatusCode::kUnsafePath, "", "a device", "give the path of a regular file"},
    {StatusCode::kUnsafePath, "", "",
     "keep files that belong together in one folder, under plain names"},
    {StatusCode::kUnsupportedVersion, "", "", "use a newer version of this tool"},
    {StatusCode::kIncompatible, "contexts", "",
     "the same command without --require-context and with --explain says what was not taken"},
    {StatusCode::kIncompatible, "proof", "",
     "bctx-pack prove runs the missing proofs on a machine of the target"},
    {StatusCode::kIncompatible, "target", "", "bctx-inspect show lists the targets that it has"},
    {StatusCode::kUnimplemented, "backendctx.front", "",
     "bctx-pack restore gives back the model that was packed; pack that"},
    {StatusCode::kUnimplemented, "", "",
     "the model is as it was; this version cannot package that construct"},
    {StatusCode::kInternal, "inputs", "",
     "these are ONNX Runtime's words; --inputs and --dim choose what the model is fed"},
    {StatusCode::kInternal, "", "",
     "this is a defect; please report it with the output of the same command under -v"},
    {StatusCode::kIo, "stdout", "", "check what the output is piped into, and the disk's space"},
    {StatusCode::kIo, "", "", "check that the path is right and that you may read and write there"},
    {StatusCode::kMalformed, "public key", "",
     "give the .pub file that bctx-pack keygen wrote beside the key"},
    {StatusCode::kMalformed, "private key", "", "bctx-pack keygen -o FILE makes one"},
    {StatusCode::kMalformed, "host profile", "",
     "bctx-inspect host --json prints a profile as it should be"},
    {StatusCode::kMalformed, "package", "", "bctx-pack pack makes a package out of a model"},
    {StatusCode::kMalformed, "", "",
     "check that the file is whole and of the kind that was expected"},
};

}  // namespace

std::string NextStep(const Status& status) {
  const Detail& detail = status.detail();
  for (const Rule& rule : kRules) {
    if (rule.code != status.code()) continue;
    if (detail.field.starts_with(rule.field) && detail.found.starts_with(rule.found)) {
      return rule.next;
    }
  }
  return "";
}

}  // namespace backendctx::tools
