#include "plugin/compile.h"

#include <fstream>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "common/blob.h"
#include "common/names.h"
#include "common/options.h"
#include "common/targets.h"
#include "plugin/export_process.h"
#include "plugin/operators.h"

namespace backendctx::openvino {
namespace {

constexpr const char* kArch[] = {"x86_64"};
constexpr const char* kOs[] = {"linux"};
constexpr const char* kVersion[] = {BCTX_OPENVINO_RELEASE};

// Everything that a bctx_blob points to.
struct OwnedBlob {
  std::string bytes, label, note;
  std::vector<bctx_requirement> requirements;
  Pairs record;
  std::vector<bctx_key_value> options;
  bctx_weights weights = BCTX_WEIGHTS_NONE;
};

std::string_view AsText(const bctx_bytes& bytes) {
  return {reinterpret_cast<const char*>(bytes.data), bytes.size};
}

Outcome FromHost(bctx_code code, const bctx_error& error) {
  return code == BCTX_OK ? Outcome{} : Outcome{code, error.message};
}

bctx_error NoError() {
  bctx_error error{};
  error.struct_size = sizeof(error);
  return error;
}

class Compilation {
 public:
  Compilation(const bctx_compile_request& request, const Target& target)
      : request_(request), partition_(*request.partition), target_(target) {}

  Outcome Run(OwnedBlob* out) {
    BCTX_RETURN_UNLESS_OK(Options::Parse(request_.options, request_.option_count,
                                         target_.multiplies_int8, &options_));
    BCTX_RETURN_UNLESS_OK(CheckNodes());
    BCTX_RETURN_UNLESS_OK(MakeRequest());
    BCTX_RETURN_UNLESS_OK(Export(out));
    Describe(out);
    return Dump(*out);
  }

 private:
  Outcome CheckNodes() const {
    const bctx_graph& graph = *partition_.graph;
    const NodeJudge judge(graph);
    for (size_t i = 0; i < graph.node_count; ++i) {
      const std::string why = judge.WhyRefused(i);
      if (!why.empty()) {
        return Unsupported(std::string(graph.nodes[i].op_type) + " '" + graph.nodes[i].name +
                           "': " + why);
      }
    }
    return {};
  }

  Outcome MakeRequest() {
    bctx_error error = NoError();
    bctx_bytes onnx{};
    BCTX_RETURN_UNLESS_OK(FromHost(
        partition_.graph->onnx(partition_.graph, BCTX_ONNX_WEIGHTS, &onnx, &error), error));
    export_.onnx = AsText(onnx);
    export_.isa = target_.isa;
    export_.inputs = partition_.graph->input_count;
    export_.outputs = partition_.output_count;
    export_.properties = options_.Properties();
    if (partition_.weight_count == 0) return {};
    const char* path = nullptr;
    BCTX_RETURN_UNLESS_OK(FromHost(partition_.weight_file(&partition_, &path, &error), error));
    export_.place = std::string(path) + ".onnx";
    export_.shared = !options_.embeds();
    return {};
  }

  // A blob that points at its weights where that is possible, else one that holds them.
  Outcome Export(OwnedBlob* out) {
    BCTX_RETURN_UNLESS_OK(ExportOnce(out));
    if (partition_.weight_count == 0) return {};
    if (!export_.shared) {
      out->weights = BCTX_WEIGHTS_EMBEDDED;
      return {};
    }
    BlobParts parts;
    BCTX_RETURN_UNLESS_OK(ParseBlob(out->bytes, &parts));
    std::vector<WeightPlace> places;
    const Outcome found = FindWeightPlaces(parts.graph, &places);
    const std::string why = found.ok() ? WhyNotShared(places) : found.message;
    if (why.empty()) {
      out->weights = BCTX_WEIGHTS_OFFSET;
      const uint64_t total = WeightBytes();
      // Under a fiftieth of the weights it is what any blob holds: shapes, norms, folded scales.
      if (parts.constants > total / 50) {
        out->note = "the blob holds " + std::to_string(parts.constants) + " bytes of constants, " +
                    std::to_string(total) +
                    " bytes of weights are in the model: OpenVINO re-laid or folded some of them";
      }
      return {};
    }
    export_.shared = false;
    BCTX_RETURN_UNLESS_OK(ExportOnce(out));
    out->weights = BCTX_WEIGHTS_EMBEDDED;
    out->note = "the blob holds its weights: " + why;
    return {};
  }

  Outcome ExportOnce(OwnedBlob* out) const {
    ExportAnswer answer;
    BCTX_RETURN_UNLESS_OK(OfThisMachine());
    const Outcome exported = RunExport(export_, target_.limit, &answer);
    if (exported.code == BCTX_INCOMPATIBLE) Refuse(exported);
    BCTX_RETURN_UNLESS_OK(exported);
    out->bytes = std::move(answer.blob);
    BlobParts parts;
    const Outcome outcome = ParseBlob(out->bytes, &parts);
    if (!outcome.ok()) return Broken("OpenVINO's export: " + outcome.message);
    out->label = parts.label;
    return {};
  }

  // Targets that this machine cannot make stay so: one process each is enough to know.
  static std::mutex& Lock() {
    static std::mutex mutex;
    return mutex;
  }
  static std::map<const Target*, Outcome>& Refused() {
    static std::map<const Target*, Outcome> refused;
    return refused;
  }
  Outcome OfThisMachine() const {
    const std::lock_guard lock(Lock());
    const auto found = Refused().find(&target_);
    return found == Refused().end() ? Outcome{} : found->second;
  }
  void Refuse(const Outcome& why) const {
    const std::lock_guard lock(Lock());
    Refused().emplace(&target_, why);
  }

  uint64_t WeightBytes() const {
    std::map<uint64_t, uint64_t> places;  // equal weights share theirs
    for (size_t i = 0; i < partition_.weight_count; ++i) {
      places[partition_.weights[i].offset] = partition_.weights[i].size;
    }
    uint64_t total = 0;
    for (const auto& [offset, size] : places) total += size;
    return total;
  }

  std::string WhyNotShared(const std::vector<WeightPlace>& places) const {
    if (places.empty()) return "OpenVINO re-laid or folded all of them";
    std::map<uint64_t, uint64_t> table;
    for (size_t i = 0; i < partition_.weight_count; ++i) {
      table[partition_.weights[i].offset] = partition_.weights[i].size;
    }
    for (const WeightPlace& place : places) {
      const auto entry = table.find(place.offset);
      if (entry == table.end() || entry->second != place.size) {
        return "OpenVINO points at " + std::to_string(place.size) + " bytes at " +
               std::to_string(place.offset) + ", which are no weight";
      }
    }
    return "";
  }

  void Describe(OwnedBlob* out) const {
    // The label, which names release and instruction set, becomes a requirement by itself.
    out->requirements = {
        {"arch", BCTX_EQUALS, kArch, 1, 0},
        {"cpu.features", BCTX_CONTAINS_ALL, target_.cpu_features.data(),
         target_.cpu_features.size(), 0},
        {"library.openvino", BCTX_EQUALS, kVersion, 1, 0},
        {"os", BCTX_EQUALS, kOs, 1, 0},
    };
    Options in_force = options_;
    if (out->weights != BCTX_WEIGHTS_OFFSET) in_force.SetEmbeds();
    out->record = in_force.Record();
    for (const auto& [key, value] : out->record) {
      out->options.push_back({key.c_str(), value.c_str()});
    }
  }

  Outcome Dump(const OwnedBlob& blob) const {
    if (request_.dump_folder == nullptr) return {};
    const std::string stem = std::string(request_.dump_folder) + "/openvino-" + target_.name;
    BlobParts parts;
    BCTX_RETURN_UNLESS_OK(ParseBlob(blob.bytes, &parts));
    BCTX_RETURN_UNLESS_OK(WriteFile(stem + ".onnx", export_.onnx));
    return WriteFile(stem + ".xml", parts.graph);
  }

  static Outcome WriteFile(const std::string& path, std::string_view bytes) {
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    file.close();
    return file ? Outcome{} : Broken("cannot write " + path);
  }

  const bctx_compile_request& request_;
  const bctx_partition& partition_;
  const Target& target_;
  Options options_;
  ExportRequest export_;
};

}  // namespace

Outcome Compile(const bctx_compile_request& request, bctx_blob* blob) {
  if (request.struct_size < sizeof(bctx_compile_request) || blob->struct_size < sizeof(bctx_blob) ||
      request.partition == nullptr || request.target == nullptr ||
      request.partition->struct_size < sizeof(bctx_partition) ||
      request.partition->graph == nullptr) {
    return Invalid("the compile request is shorter than this plug-in expects");
  }
  const Target* target = FindTarget(request.target);
  if (target == nullptr) {
    std::string names;
    for (const Target& known : Targets()) {
      names += names.empty() ? "" : ", ";
      names += known.name;
    }
    return Invalid("target '" + std::string(request.target) + "' is not known, expected " + names);
  }
  auto owned = std::make_unique<OwnedBlob>();
  BCTX_RETURN_UNLESS_OK(Compilation(request, *target).Run(owned.get()));
  blob->bytes = {reinterpret_cast<const uint8_t*>(owned->bytes.data()), owned->bytes.size()};
  blob->entry = kEntry;
  blob->requirements = owned->requirements.data();
  blob->requirement_count = owned->requirements.size();
  blob->options = owned->options.data();
  blob->option_count = owned->options.size();
  blob->weights = owned->weights;
  blob->label = owned->label.c_str();
  blob->note = owned->note.empty() ? nullptr : owned->note.c_str();
  blob->plugin = owned.release();
  return {};
}

void ReleaseBlob(bctx_blob* blob) {
  if (blob == nullptr || blob->plugin == nullptr) return;
  delete static_cast<OwnedBlob*>(blob->plugin);
  const uint32_t size = blob->struct_size;
  *blob = bctx_blob{};
  blob->struct_size = size;
}

}  // namespace backendctx::openvino
