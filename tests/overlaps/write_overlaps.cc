// write_overlaps FOLDER FIRST COUNT: for COUNT seeds from FIRST on a folder with a model and a
// signed package of it in both encodings, whose scopes of the backends toy-a, toy-b and toy-c
// overlap; and FOLDER/key.pub. Prints one line for each seed: the seed, "ID GRAPH NODE,NODE ..." of
// each partition and the partitions of each scope, separated by tabs.
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <string>

#include "authoring/write.h"
#include "base/bytes.h"
#include "base/os/file.h"
#include "crypto/sha256.h"
#include "overlaps/toy_model.h"
#include "random_models/covers.h"

namespace backendctx::tests {
namespace {

authoring::Parts PartsOf(const model::FlatModel& flat, uint64_t seed) {
  authoring::Parts parts;
  manifest::Manifest& manifest = parts.manifest;
  manifest = RandomCovers(flat, seed, /*careful=*/true);
  manifest.producer = "tests";
  std::map<std::string, std::string> ids;
  std::set<std::string> blobs;
  for (manifest::Context& context : manifest.contexts) {
    const manifest::Partition& partition = *manifest.FindPartition(context.partition);
    const std::string program = ToyProgram(flat, partition);
    blobs.insert(program);
    context.blob = crypto::Sha256(base::AsBytes(program));
    context.backend = "toy-" + context.backend;
    ids[context.id] = context.partition + "/" + context.backend + "/any";
    context.id = ids[context.id];
    context.compiler_version = "1";
    for (const manifest::BoundaryValue& input : partition.inputs) {
      if (input.role == manifest::ValueRole::kWeight)
        context.weights = manifest::WeightsKind::kInputs;
    }
  }
  for (manifest::Scope& scope : manifest.scopes) {
    scope.name = scope.backend = "toy-" + scope.backend;
    for (std::string& context : scope.contexts) context = ids.at(context);
  }
  parts.blobs.assign(blobs.begin(), blobs.end());
  return parts;
}

void Print(uint64_t seed, const manifest::Manifest& manifest) {
  std::printf("%llu", static_cast<unsigned long long>(seed));
  for (const manifest::Partition& partition : manifest.partitions) {
    std::printf("\tpartition %s %s ", partition.id.c_str(),
                partition.graph_path.empty() ? "/" : partition.graph_path.c_str());
    for (const std::string& node : partition.nodes) std::printf("%s,", node.c_str());
  }
  for (const manifest::Scope& scope : manifest.scopes) {
    std::printf("\tscope %s ", scope.name.c_str());
    for (const std::string& context : scope.contexts) {
      std::printf("%s,", manifest.FindContext(context)->partition.c_str());
    }
  }
  std::printf("\n");
}

Status Write(uint64_t seed, const std::string& folder, const SigningKey& key) {
  std::filesystem::create_directories(folder);
  const std::string model = folder + "/model.onnx";
  BCTX_RETURN_IF_ERROR(
      os::WriteFile(model, ToyModel(seed).SerializeAsString(), os::AtomicFile::kMustBeNew));
  BCTX_ASSIGN_OR_RETURN(const model::FlatModel flat, model::FlatModel::Load(model, {}));
  authoring::Parts parts = PartsOf(flat, seed);
  const manifest::Manifest manifest = parts.manifest;
  PackOptions options;
  options.key = &key;
  options.encoding = FrontEncoding::kBoth;
  BCTX_ASSIGN_OR_RETURN(const authoring::Assembled assembled,
                        authoring::Assemble(flat, std::move(parts), "package", options));
  BCTX_RETURN_IF_ERROR(authoring::Commit(assembled, folder + "/package.onnx", false));
  Print(seed, manifest);
  return OkStatus();
}

int Run(const std::string& folder, uint64_t first, uint64_t count) {
  const SigningKey key = SigningKey::Generate().value();
  if (!key.Save(folder + "/key", "tests").ok()) return 1;
  for (uint64_t seed = first; seed < first + count; ++seed) {
    const Status status = Write(seed, folder + "/" + std::to_string(seed), key);
    if (status.ok()) continue;
    std::fprintf(stderr, "seed %llu: %s\n", static_cast<unsigned long long>(seed),
                 status.message().c_str());
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace backendctx::tests

int main(int count, char** arguments) {
  if (count != 4) return 2;
  return backendctx::tests::Run(arguments[1], std::strtoull(arguments[2], nullptr, 10),
                                std::strtoull(arguments[3], nullptr, 10));
}
