#include "inspector/operator_table.h"

#include <map>
#include <nlohmann/json.hpp>
#include <utility>

namespace backendctx::tools {

extern const char kOperatorsJson[];  // made of schemas/operators.json when building

namespace {

using Levels = std::map<std::pair<std::string, std::string>, OperatorLevel>;

Levels ReadTable() {
  Levels levels;
  const auto table = nlohmann::json::parse(kOperatorsJson);
  for (const auto& row : table.at("operators")) {
    levels[{row.at("domain"), row.at("operator")}] = {row.at("level"), row.at("why")};
  }
  return levels;
}

}  // namespace

OperatorLevel LevelOf(const std::string& domain, const std::string& op_type) {
  static const Levels levels = ReadTable();
  const auto found = levels.find({domain, op_type});
  return found == levels.end() ? OperatorLevel{"unlisted", ""} : found->second;
}

}  // namespace backendctx::tools
