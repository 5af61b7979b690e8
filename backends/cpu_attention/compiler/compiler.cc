// The plug-in's edge: options in, blob and requirements out. No exception leaves.
#include <backendctx/plugin_abi.h>

#include <cstdio>
#include <cstring>
#include <exception>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "compiler/codegen.h"
#include "compiler/plan.h"

namespace backendctx::cpu_attention {
namespace {

// Everything that a bctx_blob points to.
struct OwnedBlob {
  std::vector<uint8_t> bytes;
  std::vector<bctx_requirement> requirements;
  std::vector<std::string> texts;  // values of options; reserved, so that they do not move
  std::vector<bctx_key_value> options;
  const char* arch = nullptr;
};

constexpr const char* kLinux[] = {"linux"};
constexpr const char* kOptionKeys[] = {"kv-block", "q-tiles", "target", nullptr};
constexpr const char* kTargetNames[] = {"x86-64-v3", "x86-64-v4", "aarch64", nullptr};

Outcome ParseCount(const bctx_key_value& option, int most, int multiple, int* value) {
  const std::string text = option.value;
  int number = 0;
  const bool digits = !text.empty() && text.size() <= 4 &&
                      text.find_first_not_of("0123456789") == std::string::npos;
  if (digits) number = std::stoi(text);
  if (!digits || number < 1 || number > most || number % multiple != 0) {
    return Fail(BCTX_INVALID_ARGUMENT, "option " + std::string(option.key) + " is '" + text +
                                           "', expected a multiple of " + std::to_string(multiple) +
                                           " up to " + std::to_string(most));
  }
  *value = number;
  return {};
}

Outcome ParseOptions(const bctx_compile_request& request, Tuning* tuning) {
  for (size_t i = 0; i < request.option_count; ++i) {
    const bctx_key_value& option = request.options[i];
    const std::string key = option.key;
    Outcome outcome;
    if (key == "kv-block") {
      outcome = ParseCount(option, 512, 8, &tuning->kv_block);
    } else if (key == "q-tiles") {
      outcome = ParseCount(option, 32, 1, &tuning->q_tiles);
    } else if (key == "target") {
      if (std::strcmp(option.value, request.target) != 0) {
        outcome =
            Fail(BCTX_INVALID_ARGUMENT, "option target is '" + std::string(option.value) +
                                            "', the request's target is '" + request.target + "'");
      }
    } else {
      outcome = Fail(BCTX_INVALID_ARGUMENT,
                     "option '" + key + "' is not known, expected kv-block, q-tiles or target");
    }
    if (!outcome.ok()) return outcome;
  }
  return {};
}

Outcome WriteFile(const std::string& path, const std::string& bytes) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  file.close();
  if (!file) return Fail(BCTX_INTERNAL, "cannot write " + path);
  return {};
}

Outcome Dump(const std::string& folder, const Plan& plan, const Object& object) {
  const std::string stem = folder + "/attention-" + std::string(plan.target->name);
  Outcome outcome = WriteFile(stem + ".plan", Print(plan));
  if (outcome.ok()) outcome = WriteFile(stem + ".ll", object.ir);
  if (outcome.ok()) outcome = WriteFile(stem + ".s", object.assembly);
  if (outcome.ok()) outcome = WriteFile(stem + ".o", object.bytes);
  return outcome;
}

void Describe(const Plan& plan, OwnedBlob* owned, bctx_blob* blob) {
  const Target& target = *plan.target;
  owned->arch = target.arch;
  owned->requirements = {{"arch", BCTX_EQUALS, &owned->arch, 1, 0},
                         {"cpu.features", BCTX_CONTAINS_ALL, target.cpu_features.data(),
                          target.cpu_features.size(), 0},
                         {"os", BCTX_EQUALS, kLinux, 1, 0}};
  owned->texts = {std::to_string(plan.kv_block), std::to_string(plan.q_tiles),
                  std::string(target.name)};
  for (size_t i = 0; i < owned->texts.size(); ++i) {
    owned->options.push_back({kOptionKeys[i], owned->texts[i].c_str()});
  }
  blob->bytes = {owned->bytes.data(), owned->bytes.size()};
  blob->entry = kEntryName;
  blob->requirements = owned->requirements.data();
  blob->requirement_count = owned->requirements.size();
  blob->options = owned->options.data();
  blob->option_count = owned->options.size();
  blob->weights = BCTX_WEIGHTS_NONE;
  blob->plugin = owned;
}

Outcome Compile(const bctx_compile_request& request, bctx_blob* blob) {
  if (request.struct_size < sizeof(bctx_compile_request) || blob->struct_size < sizeof(bctx_blob) ||
      request.partition == nullptr || request.target == nullptr ||
      request.partition->struct_size < sizeof(bctx_partition)) {
    return Fail(BCTX_INVALID_ARGUMENT, "the compile request is shorter than this plug-in expects");
  }
  const Target* target = FindTarget(request.target);
  if (target == nullptr) {
    return Fail(BCTX_INVALID_ARGUMENT, "target '" + std::string(request.target) +
                                           "' is not known, expected x86-64-v3, x86-64-v4 or "
                                           "aarch64");
  }
  Tuning tuning;
  Plan plan;
  Outcome outcome = ParseOptions(request, &tuning);
  if (outcome.ok()) outcome = MakePlan(*request.partition, *target, tuning, &plan);
  if (!outcome.ok()) return outcome;

  Object object;
  outcome = Assemble(plan, request.dump_folder != nullptr, &object);
  if (outcome.ok() && request.dump_folder != nullptr) {
    outcome = Dump(request.dump_folder, plan, object);
  }
  if (!outcome.ok()) return outcome;
  auto owned = std::make_unique<OwnedBlob>();
  outcome = Link(object.bytes, &owned->bytes);
  if (!outcome.ok()) return outcome;
  Describe(plan, owned.get(), blob);
  owned.release();
  return {};
}

bctx_code Report(const Outcome& outcome, bctx_error* error) {
  if (!outcome.ok() && error != nullptr && error->struct_size >= sizeof(bctx_error)) {
    std::snprintf(error->message, sizeof(error->message), "%s", outcome.message.c_str());
  }
  return outcome.code;
}

bctx_code CompileEdge(const bctx_compile_request* request, bctx_blob* blob, bctx_error* error) {
  try {
    if (request == nullptr || blob == nullptr) {
      return Report(Fail(BCTX_INVALID_ARGUMENT, "no request or no place for the blob"), error);
    }
    return Report(Compile(*request, blob), error);
  } catch (const std::exception& exception) {
    return Report(Fail(BCTX_INTERNAL, exception.what()), error);
  }
}

void ReleaseBlob(bctx_blob* blob) {
  if (blob == nullptr || blob->plugin == nullptr) return;
  delete static_cast<OwnedBlob*>(blob->plugin);
  const uint32_t size = blob->struct_size;
  *blob = bctx_blob{};
  blob->struct_size = size;
}

const bctx_plugin kPlugin = [] {
  bctx_plugin table{};
  table.struct_size = sizeof(table);
  table.abi_version = BCTX_PLUGIN_ABI_VERSION;
  table.backend = "cpu-attention";
  table.version = BCTX_CPU_ATTENTION_VERSION;
  table.targets = kTargetNames;
  table.option_keys = kOptionKeys;
  table.compile = CompileEdge;
  table.release_blob = ReleaseBlob;
  table.flags = BCTX_PLUGIN_REPRODUCIBLE;
  return table;
}();

}  // namespace
}  // namespace backendctx::cpu_attention

extern "C" BCTX_PLUGIN_EXPORT const bctx_plugin* bctx_plugin_query(uint32_t max_abi_version) {
  if (max_abi_version < BCTX_PLUGIN_ABI_VERSION) return nullptr;
  return &backendctx::cpu_attention::kPlugin;
}
