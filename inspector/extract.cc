// bctx-inspect extract: one content of a package as a file of its own, compared with its digest.

#include <backendctx/extract.h>
#include <fmt/format.h>

#include <array>
#include <memory>

#include "inspector/reading.h"
#include "inspector/verbs.h"
#include "tools_common/output_file.h"
#include "tools_common/text.h"

namespace backendctx::tools {
namespace {

struct Flags {
  ReadFlags read;
  std::string context, tensor, graph, variant, output;
  bool manifest = false, force = false;
};

// numpy's names of ONNX element types; "" for those that numpy does not have.
std::string NumpyType(int32_t element_type) {
  static constexpr std::array<const char*, 14> kNames{
      "", "<f4", "|u1", "|i1", "<u2", "<i2", "<i4", "<i8", "", "|b1", "<f2", "<f8", "<u4", "<u8"};
  return element_type > 0 && static_cast<size_t>(element_type) < kNames.size()
             ? kNames[static_cast<size_t>(element_type)]
             : "";
}

// A .npy file (numpy.lib.format, version 1.0) around the tensor's bytes.
Result<std::string> Npy(const TensorValue& tensor) {
  const std::string type = NumpyType(tensor.element_type);
  if (type.empty()) {
    return Status(StatusCode::kInvalidArgument,
                  fmt::format("numpy has no type for element type {}; give another suffix than "
                              ".npy for its bytes alone",
                              tensor.element_type));
  }
  std::string header =
      fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}{}), }}", type,
                  fmt::join(tensor.dims, ", "), tensor.dims.size() == 1 ? "," : "");
  constexpr size_t kPrefix = 10, kAlignment = 64;
  const size_t end = (kPrefix + header.size() + 1 + kAlignment - 1) / kAlignment * kAlignment;
  header.resize(end - kPrefix - 1, ' ');
  header += '\n';
  std::string file("\x93NUMPY\x01\x00", 8);
  file += static_cast<char>(header.size() & 0xff);
  file += static_cast<char>(header.size() >> 8);
  return file + header + tensor.bytes;
}

Result<std::string> Content(const Package& package, const Flags& flags) {
  if (!flags.context.empty()) return package.ContextBytes(flags.context);
  if (!flags.graph.empty()) return ReadGraph(package, flags.graph);
  if (flags.manifest) return ReadManifest(package);
  BCTX_ASSIGN_OR_RETURN(const TensorValue tensor, ReadTensor(package, flags.variant, flags.tensor));
  return flags.output.ends_with(".npy") ? Npy(tensor) : Result<std::string>(tensor.bytes);
}

Result<uint64_t> Extract(const Flags& flags) {
  BCTX_ASSIGN_OR_RETURN(const Package package, OpenPackage(flags.read));
  const std::vector<std::string> inputs{flags.read.package, package.front_path(),
                                        package.container_path()};
  BCTX_RETURN_IF_ERROR(CheckOutputFile(flags.output, inputs, flags.force));
  BCTX_ASSIGN_OR_RETURN(const std::string bytes, Content(package, flags));
  BCTX_RETURN_IF_ERROR(WriteOutputFile(flags.output, bytes, inputs, flags.force));
  return bytes.size();
}

int ExtractVerb(const Flags& flags) {
  const Result<uint64_t> bytes = Extract(flags);
  if (!bytes) return Fail(bytes.error());
  if (flags.read.json) {
    Json json = NewReport();
    json["file"] = flags.read.package;
    json["output"] = flags.output;
    json["bytes"] = *bytes;
    PrintJson(json);
  } else {
    Note(fmt::format("{}: {}, compared with their digest", Escape(flags.output),
                     Plural(*bytes, "byte")));
  }
  return 0;
}

}  // namespace

void AddExtract(CommandLine& line) {
  auto flags = std::make_shared<Flags>();
  CLI::App* verb = line.Verb("extract", "one content of a package, as a file",
                             "bctx-inspect extract package.onnx --manifest -o manifest.pb",
                             [flags] { return ExtractVerb(*flags); });
  AddReadFlags(verb, &flags->read);
  CLI::Option_group* what = verb->add_option_group("what", "one of these");
  what->add_option("--context", flags->context, "the code of a context, by its id")
      ->type_name("NAME");
  what->add_option("--tensor", flags->tensor,
                   "an initializer or Constant, by its name; its bytes, or an array for .npy")
      ->type_name("NAME");
  what->add_flag("--manifest", flags->manifest, "the bytes that signatures cover");
  what->add_option("--graph", flags->graph, "the stored graph of a variant")->type_name("NAME");
  what->require_option(1);
  verb->add_option("--variant", flags->variant, "whose tensor, where there are several")
      ->type_name("NAME");
  verb->add_option("-o,--output", flags->output, "the file to write")
      ->required()
      ->type_name("FILE");
  verb->add_flag("--force", flags->force, "replace an existing output");
}

}  // namespace backendctx::tools
