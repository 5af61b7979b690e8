// Blobs made here: what an exporter writes, and everything that is not.
#include "common/blob.h"

#include <catch2/catch.hpp>
#include <cstring>

#include "common/export_request.h"

namespace backendctx::openvino {
namespace {

constexpr char kLabel[] = "meta=1.0;ov=2026.4.1;isa=Intel AVX2";
constexpr size_t kBody = 20 + sizeof(kLabel) - 1;

std::string Number(uint64_t number) {
  return {reinterpret_cast<const char*>(&number), sizeof(number)};
}

std::string Place(uint64_t offset, uint64_t size) {
  return "<attribute name=\"WeightlessCacheAttribute\" version=\"0\" original_dtype=\"FP32\" "
         "bin_offset=\"" +
         std::to_string(offset) + "\" original_size=\"" + std::to_string(size) + "\" />";
}

std::string MakeBlob(const std::string& graph) {
  const std::string custom = "<cnndata />", constants(64, '\x7f');
  std::string blob = "RR_UPCVO";
  blob += std::string("\x01\0\0\0", 4) + Number(sizeof(kLabel) - 1) + kLabel;
  blob += Number(48) + Number(custom.size()) + Number(48 + custom.size());
  blob += Number(constants.size()) + Number(48 + custom.size() + constants.size());
  return blob + Number(graph.size()) + custom + constants + graph;
}

const bctx_bound_weight kWeights[] = {{0, 256, nullptr, 123456}, {256, 512, nullptr, 7}};

Outcome Relocate(const std::string& blob, std::string* out) {
  return RelocateBlob(blob, kWeights, 2, out);
}

TEST_CASE("a blob gives its label, its graph and the size of its constants", "[openvino]") {
  const std::string blob = MakeBlob("<net />");
  BlobParts parts;
  REQUIRE(ParseBlob(blob, &parts).ok());
  CHECK(parts.label == kLabel);
  CHECK(parts.graph == "<net />");
  CHECK(parts.constants == 64);
}

TEST_CASE("a blob that ends early is malformed at every byte", "[openvino][hostile]") {
  const std::string blob = MakeBlob("<net />");
  BlobParts parts;
  for (size_t size = 0; size < blob.size(); ++size) {
    // In memory of its own, so that a sanitizer sees a byte read behind its end.
    const std::string cut(blob.data(), size);
    CHECK(ParseBlob(cut, &parts).code == BCTX_MALFORMED);
  }
  CHECK(ParseBlob(blob + "x", &parts).code == BCTX_MALFORMED);
}

TEST_CASE("every bit of a blob's numbers counts", "[openvino][hostile]") {
  const std::string blob = MakeBlob("<net />");
  BlobParts parts;
  for (size_t byte = 0; byte < kBody + 48; ++byte) {
    if (byte >= 20 && byte < kBody) continue;  // the label is compared as a whole, by OpenVINO
    for (int bit = 0; bit < 8; ++bit) {
      std::string spoiled = blob;
      spoiled[byte] = static_cast<char>(spoiled[byte] ^ (1 << bit));
      INFO("byte " << byte << " bit " << bit);
      CHECK(ParseBlob(spoiled, &parts).code == BCTX_MALFORMED);
    }
  }
}

TEST_CASE("numbers that agree with each other and lead outside are malformed",
          "[openvino][hostile]") {
  const std::string blob = MakeBlob("<net />");
  BlobParts parts;
  for (const uint64_t shift :
       {uint64_t{1}, uint64_t{64}, uint64_t{1} << 32, ~uint64_t{0} - 100, ~uint64_t{0} - 48}) {
    for (size_t first : {1u, 3u}) {
      std::string lie = blob;
      for (size_t number = first; number < 5; ++number) {
        if (number == 3 && first == 1) continue;
        uint64_t value = 0;
        std::memcpy(&value, lie.data() + kBody + 8 * number, 8);
        value += shift;
        std::memcpy(lie.data() + kBody + 8 * number, &value, 8);
      }
      INFO("shift " << shift << " from " << first);
      CHECK(ParseBlob(lie, &parts).code == BCTX_MALFORMED);
    }
  }
}

TEST_CASE("offsets are replaced by where the entries of the weight table are", "[openvino]") {
  const std::string graph = "<net>" + Place(0, 256) + "<b />" + Place(256, 512) + Place(0, 256);
  std::string moved;
  REQUIRE(Relocate(MakeBlob(graph), &moved).ok());
  CHECK(moved ==
        MakeBlob("<net>" + Place(123456, 256) + "<b />" + Place(7, 512) + Place(123456, 256)));
  BlobParts parts;
  CHECK(ParseBlob(moved, &parts).ok());
}

TEST_CASE("an offset that is no whole entry of the table is malformed", "[openvino][hostile]") {
  std::string moved;
  const std::pair<uint64_t, uint64_t> places[] = {{1, 256},   {0, 255},  {0, 512},
                                                  {256, 256}, {768, 64}, {~uint64_t{0}, 256}};
  for (const auto& [offset, size] : places) {
    const Outcome outcome = Relocate(MakeBlob(Place(offset, size)), &moved);
    CHECK(outcome.code == BCTX_MALFORMED);
    CHECK(outcome.message.find("no entry of the weight table") != std::string::npos);
  }
}

TEST_CASE("an offset in another form than the exporter's is malformed", "[openvino][hostile]") {
  const std::string good = Place(0, 256);
  const std::pair<std::string, std::string> changes[] = {
      {"bin_offset=\"0\"", "bin_offset='0'"},
      {"bin_offset=\"0\"", "bin_offset = \"0\""},
      {"bin_offset=\"0\"", "bin_offset=\"-1\""},
      {"bin_offset=\"0\"", "bin_offset=\"\""},
      {"bin_offset=\"0\"", "bin_offset=\"0x0\""},
      {"bin_offset=\"0\"", "bin_offset=\"99999999999999999999\""},
      {"bin_offset=\"0\"", "bin_offset=\"0\" bin_offset=\"5\""},
      {"version=\"0\"", "version=\"1\""},
      {" />", " more=\"1\" />"},
      {"<attribute name=\"", "<attribute other=\"1\" name=\""},
      {"WeightlessCacheAttribute", "Weightless"},
  };
  for (const auto& [from, to] : changes) {
    std::string text = good, moved;
    text.replace(text.find(from), from.size(), to);
    INFO(text);
    CHECK(Relocate(MakeBlob(text), &moved).code == BCTX_MALFORMED);
  }
  for (size_t size = 1; size < good.size(); ++size) {
    std::string moved;
    const Outcome outcome = Relocate(MakeBlob(good.substr(0, size)), &moved);
    const bool names_nothing = good.substr(0, size).find("Attribute") == std::string::npos;
    CHECK(outcome.ok() == names_nothing);
  }
}

TEST_CASE("requests and answers of an export come back as they were sent", "[openvino]") {
  const ExportRequest sent{"onnx\0bytes", "/a/weights.onnx", "Intel AVX2", true, 3, 2,
                           {{"a", "1"}}};
  ExportRequest request;
  REQUIRE(Decode(Encode(sent), &request));
  CHECK(request.onnx == sent.onnx);
  CHECK(request.place == sent.place);
  CHECK(request.shared);
  CHECK((request.inputs == 3 && request.outputs == 2));
  CHECK(request.properties == sent.properties);
  const std::string bytes = Encode(ExportAnswer{BCTX_UNSUPPORTED, "why", "blob"});
  ExportAnswer answer;
  REQUIRE(Decode(bytes, &answer));
  CHECK((answer.code == BCTX_UNSUPPORTED && answer.message == "why" && answer.blob == "blob"));
  for (size_t size = 0; size < bytes.size(); ++size) {
    CHECK_FALSE(Decode(std::string_view(bytes).substr(0, size), &answer));
  }
}

}  // namespace
}  // namespace backendctx::openvino
