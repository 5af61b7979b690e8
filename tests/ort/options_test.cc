#include "provider/options.h"

#include <catch2/catch.hpp>
#include <map>

namespace backendctx::ort {
namespace {

TEST_CASE("entries of this provider are told from those of others", "[ort]") {
  const KeyValues entries = {{"ep.somethingexecutionprovider.strict", "1"},
                             {"session.intra_op.allow_spinning", "0"},
                             {"ep.backendcontextexecutionprovider.strict", "1"},
                             {"ep.BackendContextExecutionProvider.report", "r.json"}};
  CHECK(OwnEntries(entries, "BackendContextExecutionProvider") ==
        KeyValues{{"strict", "1"}, {"report", "r.json"}});
}

TEST_CASE("every option of the documentation is taken", "[ort]") {
  const auto options = ParseOptions({{"backends", "b, a ,c"},
                                     {"trusted_keys", "/k.pub,/folder"},
                                     {"strict", "1"},
                                     {"require-proof", "true"},
                                     {"integrity", "full"},
                                     {"aliases", "in-place"},
                                     {"report", "out.json"},
                                     {"cpu-attention.speed", "high"}});
  REQUIRE(options);
  CHECK(options->backends == std::vector<std::string>{"b", "a", "c"});
  CHECK(options->trusted_keys == std::vector<std::string>{"/k.pub", "/folder"});
  CHECK(options->strict);
  CHECK(options->require_proof);
  CHECK(options->full_integrity);
  CHECK(options->in_place_aliases);
  CHECK(options->report == "out.json");
  CHECK(options->backend_options.at("cpu-attention").at("speed") == "high");
}

TEST_CASE("without options nothing is strict", "[ort]") {
  const auto options = ParseOptions({});
  REQUIRE(options);
  CHECK_FALSE(options->strict);
  CHECK_FALSE(options->require_proof);
  CHECK_FALSE(options->full_integrity);
  CHECK(options->report.empty());
}

TEST_CASE("an unknown option names the known ones", "[ort]") {
  for (const char* key : {"stict", "", ".", "a.", ".b", "Strict"}) {
    const Status status = ParseOptions({{key, "1"}}).status();
    INFO(key);
    CHECK(status.code() == StatusCode::kInvalidArgument);
    CHECK(
        status.message().ends_with("is not known; known are aliases, backends, integrity, report, "
                                   "require-proof, strict, trusted_keys, <backend>.<key>"));
  }
}

TEST_CASE("a value that is none says what was expected", "[ort]") {
  const std::map<std::string, std::string> rows = {
      {"strict", "maybe"}, {"require-proof", ""}, {"integrity", "some"}, {"aliases", "copy"},
      {"report", ""},      {"backends", " , "},   {"trusted_keys", ""}};
  for (const auto& [key, value] : rows) {
    const Status status = ParseOptions({{key, value}}).status();
    INFO(status.message());
    CHECK(status.code() == StatusCode::kInvalidArgument);
    CHECK(status.message().starts_with("provider option " + key + ": found '" + value +
                                       "', expected"));
  }
}

std::map<std::string, std::string> environment;
std::string Variable(const char* name) { return environment[name]; }

TEST_CASE("trust folders follow the XDG rules", "[ort]") {
  const std::string system = "/etc/backendctx/trust.d";
  using Folders = std::vector<std::string>;
  environment = {{"HOME", "/home/u"}};
  CHECK(TrustFolders(Variable) == Folders{system, "/home/u/.config/backendctx/trust.d"});
  environment = {{"HOME", "/home/u"}, {"XDG_CONFIG_HOME", "/conf"}};
  CHECK(TrustFolders(Variable) == Folders{system, "/conf/backendctx/trust.d"});
  environment = {{"HOME", "/home/u"}, {"XDG_CONFIG_HOME", "relative"}};
  CHECK(TrustFolders(Variable) == Folders{system, "/home/u/.config/backendctx/trust.d"});
  environment = {};
  CHECK(TrustFolders(Variable) == Folders{system});
}

}  // namespace
}  // namespace backendctx::ort
