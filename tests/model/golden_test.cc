#include <sstream>

#include "model/models.h"

namespace backendctx::model {
namespace {

std::vector<std::string> Split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);) parts.push_back(part);
  return parts;
}

// Compares the digests in golden/NAME.digests, which digest_reference.py wrote; tells how many.
size_t CheckGolden(const std::string& name) {
  const std::string stem = std::string(BCTX_GOLDEN_FOLDER) + "/" + name;
  const FlatModel flat = Value(FlatModel::Load(stem + ".onnx", {}));
  size_t checked = 0;
  for (const std::string& line : Split(ReadBytes(stem + ".digests"), '\n')) {
    INFO(line);
    if (line.starts_with("graph ")) {
      CHECK(flat.graph_digest().Hex() == line.substr(6));
    } else {
      const std::vector<std::string> fields = Split(line, '|');
      REQUIRE(fields.size() == 8);
      const GraphView& graph = GraphAt(flat.view(), fields[1]);
      Region region{{},
                    Split(fields[3], ','),
                    Split(fields[4], ','),
                    Split(fields[5], ','),
                    Split(fields[6], ',')};
      for (const std::string& key : Split(fields[2], ',')) {
        region.nodes.push_back(graph.producer.at(key));
      }
      std::sort(region.nodes.begin(), region.nodes.end());
      CHECK(Value(StructureDigest(flat.view(), graph, region)).Hex() == fields[7]);
    }
    ++checked;
  }
  return checked;
}

}  // namespace

TEST_CASE("digests are those of a second implementation", "[model]") {
  CHECK(CheckGolden("branches") == 5);
  CHECK(CheckGolden("types") == 2);
}

}  // namespace backendctx::model
