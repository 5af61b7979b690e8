#include "manifest/golden.h"

#include "base/bytes.h"
#include "crypto/dsse.h"
#include "crypto/sha256.h"
#include "manifest/envelope.h"
#include "manifest/manifest.h"

namespace backendctx::test {
namespace {

using container::Kind;
using container::Storage;

container::Item ItemOf(Kind kind, const std::string& bytes, Storage storage = Storage::kRaw) {
  container::Item item;
  item.kind = kind;
  item.digest = crypto::Sha256(bytes);
  item.size = bytes.size();
  item.source = container::FromBytes(std::make_shared<const std::string>(bytes));
  item.storage = storage;
  return item;
}

std::string Counting(size_t size) {
  std::string bytes;
  for (size_t i = 0; i < size; ++i) bytes += static_cast<char>(i * 7);
  return bytes;
}

const std::string kGraph = "a flat graph stands here";
const std::string kBlob = "a compiled blob stands here";

manifest::Manifest MakeManifest() {
  using manifest::ContentKind;
  using manifest::ValueRole;
  const Digest weight = crypto::Sha256(Counting(256));
  manifest::Manifest manifest;
  manifest.name = "golden";
  manifest.sequence = 1;
  manifest.producer = "bctx-pack 0.1.0";
  manifest.contents = {{ContentKind::kGraph, crypto::Sha256(kGraph), kGraph.size()},
                       {ContentKind::kTensor, weight, 256},
                       {ContentKind::kBlob, crypto::Sha256(kBlob), kBlob.size()}};
  manifest.variants = {{"default", crypto::Sha256(kGraph), crypto::Sha256("its meaning")}};
  manifest::Partition partition;
  partition.id = "attention-0";
  partition.variant = "default";
  partition.nodes = {"scores", "probabilities", "y"};
  partition.inputs = {
      {"x", ValueRole::kActivation, 1, true, {{-1, "batch"}, {-1, ""}, {8, ""}}, {}, {}},
      {"w", ValueRole::kWeight, 1, true, {{8, ""}, {8, ""}}, weight, {}}};
  partition.outputs = {{"y", ValueRole::kActivation, 1, false, {}, {}, {}}};
  partition.function = "BackendContext_Attention_0";
  partition.structure_digest = crypto::Sha256("its structure");
  manifest.partitions = {partition};
  manifest::Context context;
  context.id = "attention-0/cpu-attention/x86-64-v3";
  context.partition = partition.id;
  context.backend = "cpu-attention";
  context.target = "x86-64-v3";
  context.blob = crypto::Sha256(kBlob);
  context.entry = "attention";
  context.requirements = {{"cpu.features", 3, {"avx2", "fma"}},
                          {"library.glibc", 6, {">=2.31"}, true}};
  context.options = {{"tile", "64"}};
  context.compiler = "cpu-attention";
  context.compiler_version = "0.1.0";
  context.weights = manifest::WeightsKind::kInputs;
  context.proof = {false, {}, 0, "no host at hand"};
  manifest.contexts = {context};
  manifest.scopes = {{"cpu", "cpu-attention", "default", {context.id}}};
  return manifest;
}

Result<SigningKey> GoldenKey() {
  // PKCS #8 is a fixed prefix before the seed (RFC 8410).
  const std::string der = *base::FromHex(
      "302e020100300506032b657004220420"
      "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
  return SigningKey::FromPem("-----BEGIN PRIVATE KEY-----\n" + base::Base64(base::AsBytes(der)) +
                             "\n-----END PRIVATE KEY-----\n");
}

}  // namespace

Result<std::vector<GoldenFile>> MakeGolden() {
  const std::string manifest = manifest::Encode(MakeManifest());
  BCTX_ASSIGN_OR_RETURN(const SigningKey key, GoldenKey());
  crypto::Envelope envelope;
  BCTX_RETURN_IF_ERROR(crypto::AddSignature(key, manifest, &envelope));
  const std::string signatures = manifest::EncodeEnvelope(envelope);
  BCTX_ASSIGN_OR_RETURN(
      const container::Writer writer,
      container::Writer::Make({ItemOf(Kind::kManifest, manifest),
                               ItemOf(Kind::kSignatures, signatures), ItemOf(Kind::kGraph, kGraph),
                               ItemOf(Kind::kTensor, Counting(256)),
                               ItemOf(Kind::kBlob, kBlob, Storage::kAbsent)}));
  BCTX_ASSIGN_OR_RETURN(std::string bytes, writer.ToBytes());
  return std::vector<GoldenFile>{{"manifest.bin", manifest},
                                 {"signatures.bin", signatures},
                                 {"golden.bctx", std::move(bytes)}};
}

Result<GoldenFile> MakeCompressedGolden() {
  const std::string blob = Counting(600) + std::string(600, 'b');
  BCTX_ASSIGN_OR_RETURN(
      const container::Writer writer,
      container::Writer::Make({ItemOf(Kind::kManifest, manifest::Encode(MakeManifest())),
                               ItemOf(Kind::kTensor, blob, Storage::kZstd)}));
  BCTX_ASSIGN_OR_RETURN(std::string bytes, writer.ToBytes());
  return GoldenFile{"compressed.bctx", std::move(bytes)};
}

}  // namespace backendctx::test
