// The bytes of this version, fixed: a difference here is a change of the format.
#include "manifest/golden.h"

#include <catch2/catch.hpp>

#include "base/bytes.h"
#include "manifest/envelope.h"
#include "manifest/manifest.h"

using namespace backendctx;  // NOLINT: tests read better without
using container::Kind;

namespace {

std::string Stored(const std::string& name) {
  const auto bytes = os::ReadFile(os::Join(BCTX_TEST_GOLDEN, name), 1 << 20);
  REQUIRE(bytes);
  return *bytes;
}

Result<container::Reader> OpenStored(const std::string& name) {
  BCTX_ASSIGN_OR_RETURN(os::File file, os::File::Open(os::Join(BCTX_TEST_GOLDEN, name)));
  return container::Reader::Open(std::move(file), {});
}

}  // namespace

TEST_CASE("golden files made anew are the stored ones, byte for byte", "[manifest][golden]") {
  const auto files = test::MakeGolden();
  REQUIRE(files);
  REQUIRE(files->size() == 3);
  for (const test::GoldenFile& file : *files) {
    INFO(file.name << ": run scripts/golden when the format was changed on purpose");
    CHECK(base::Hex(base::AsBytes(file.bytes)) == base::Hex(base::AsBytes(Stored(file.name))));
  }
}

TEST_CASE("the golden container is sound and signed over its manifest", "[manifest][golden]") {
  const auto reader = OpenStored("golden.bctx");
  REQUIRE(reader);
  const auto& entries = reader->index().entries;
  REQUIRE(entries.size() == 5);
  for (const auto& entry : entries) {
    if (container::IsStored(entry.storage)) CHECK(reader->Check(entry).ok());
  }
  CHECK(reader->CheckGaps().ok());
  const auto manifest = reader->Read(entries[0]);
  const auto signatures = reader->Read(entries[1]);
  CHECK(*manifest == Stored("manifest.bin"));
  CHECK(*signatures == Stored("signatures.bin"));
  const auto parsed = manifest::Parse(base::AsBytes(*manifest), {});
  REQUIRE(parsed);
  CHECK(parsed->name == "golden");
  for (const manifest::Content& content : parsed->contents) {
    const Kind kind = content.kind == manifest::ContentKind::kGraph    ? Kind::kGraph
                      : content.kind == manifest::ContentKind::kTensor ? Kind::kTensor
                                                                       : Kind::kBlob;
    CHECK(reader->Find(kind, content.digest) != nullptr);
  }
  const auto envelope = manifest::ParseEnvelope(base::AsBytes(*signatures));
  REQUIRE(envelope);
  const auto judged = crypto::Verify(*envelope, *manifest, {});
  REQUIRE(judged);
  CHECK(judged->front().key_id == "21fe31dfa154a261");
}

TEST_CASE("a container that another zstd compressed is read", "[manifest][golden]") {
  const auto reader = OpenStored("compressed.bctx");
  REQUIRE(reader);
  const container::Entry& entry = reader->index().entries[1];
  CHECK(entry.storage == container::Storage::kZstd);
  const auto bytes = reader->Read(entry);
  REQUIRE(bytes);
  CHECK(bytes->size() == 1200);
  CHECK(bytes->substr(600) == std::string(600, 'b'));
}
