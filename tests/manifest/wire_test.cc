// Protobuf bytes that the schema does not allow, and those that would cost more than they weigh.
#include "manifest/wire.h"

#include <catch2/catch.hpp>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "base/mutate.h"
#include "manifest/sample.h"

using namespace backendctx;  // NOLINT: tests read better without
using namespace std::string_literals;
using test::Outcome;

namespace {

std::string Sound() { return manifest::Encode(test::Sample()); }

// Every message of the schema: its fields as "number name [list ]type".
std::map<std::string, std::set<std::string>> Schema() {
  static const std::map<std::string, std::string> kTypes = {
      {"uint32", "varint"}, {"uint64", "varint"}, {"int32", "varint"}, {"int64", "varint"},
      {"bool", "varint"},   {"double", "fixed"},  {"string", "text"},  {"bytes", "bytes"}};
  std::ifstream file(BCTX_TEST_SCHEMA);
  REQUIRE(file);
  std::map<std::string, std::set<std::string>> messages;
  std::string line, message;
  while (std::getline(file, line)) {
    if (line == "}") message.clear();
    std::istringstream words(line);
    std::string label, type, name, equals, number;
    words >> type;
    if (type == "message") words >> message;
    if (message.empty() || !line.starts_with("  ") || type == "//") continue;
    if (type == "repeated" || type == "optional") {
      label = type;
      words >> type;
    }
    words >> name >> equals >> number;  // the number with its semicolon
    REQUIRE(equals == "=");
    const auto known = kTypes.find(type);
    messages[message].insert(number.substr(0, number.find(';')) + " " + name + " " +
                             (label == "repeated" ? "list " : "") +
                             (known != kTypes.end() ? known->second : type));
  }
  return messages;
}

void Compare(const std::string& name, const manifest::MessageRule& rule,
             const std::map<std::string, std::set<std::string>>& schema, size_t* seen) {
  ++*seen;
  INFO(name);
  std::set<std::string> expected = schema.at(name);
  for (const manifest::FieldRule& field : rule.fields) {
    static constexpr const char* kTypes[] = {"varint", "fixed", "text", "bytes", ""};
    const std::string prefix =
        std::to_string(field.number) + " " + field.name + " " + (field.repeated ? "list " : "");
    const auto found = std::find_if(expected.begin(), expected.end(), [&](const std::string& row) {
      return row.starts_with(prefix);
    });
    INFO(prefix);
    REQUIRE(found != expected.end());
    const std::string type = found->substr(prefix.size());
    expected.erase(found);
    if (field.message != nullptr) {
      Compare(type, *field.message, schema, seen);
    } else if (field.type == manifest::WireType::kVarint) {
      CHECK((type == "varint" || type.ends_with("Kind") || type.ends_with("Role") ||
             type.ends_with("Mode") || type == "Predicate"));
    } else {
      CHECK(type == kTypes[static_cast<size_t>(field.type)]);
    }
  }
  CHECK(expected.empty());
  CHECK(rule.fields.size() <= manifest::kMaxFields);
}

}  // namespace

TEST_CASE("the table of fields is the schema", "[manifest]") {
  const auto schema = Schema();
  REQUIRE(schema.size() == 16);
  size_t seen = 0;
  Compare("Manifest", manifest::kManifestRule, schema, &seen);
  Compare("Envelope", manifest::kEnvelopeRule, schema, &seen);
  CHECK(seen == 19);  // BoundaryValue is there twice, with Shape and Dim; each of the rest once
}

TEST_CASE("two manifests behind one another are malformed", "[manifest][hostile]") {
  REQUIRE(Outcome(Sound()) == "ok");
  CHECK(Outcome(Sound() + Sound()).starts_with("malformed"));
  // Even where protobuf would merge them without a trace: a singular field twice.
  CHECK(Outcome(Sound() + "\x2a\x06sample"s) == "malformed name");
}

TEST_CASE("fields of a later version are kept out", "[manifest]") {
  // Field 100 as a number, as bytes, as fixed 4 and 8 bytes.
  for (const std::string& unknown : {"\xa0\x06\x01"s, "\xa2\x06\x03"s + "a\nb"s,
                                     "\xa5\x06"s + "1234"s, "\xa1\x06"s + "12345678"s}) {
    CHECK(Outcome(Sound() + unknown) == "ok");
  }
}

TEST_CASE("groups, broken tags, lengths and numbers are malformed", "[manifest][hostile]") {
  for (const std::string& bad :
       {"\xa3\x06\xa4\x06"s,                                  // a group
        "\x00"s,                                              // field 0
        "\x2a"s, "\x2a\x05"s + "abcd"s,                       // a length past the end
        "\x2a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"s,      // 2^64 - 1
        "\xa0\x06\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"s,  // a number of more than 64 bits
        "\xa0\x06\x80"s,                                      // a number without end
        "\xff\xff\xff\xff\xff\x01"s,                          // a tag of more than 32 bits
        "\xa5\x06"s + "123"s, "\xa6\x06"s, "\xa7\x06"s}) {
    const std::string bytes = manifest::Encode({}) + bad;
    INFO(base::Hex(base::AsBytes(bad)));
    CHECK(Outcome(bytes).starts_with("malformed"));
  }
}

TEST_CASE("a known field of another wire type is malformed", "[manifest][hostile]") {
  CHECK(Outcome("\x28\x01"s) == "malformed name");           // a number for a string
  CHECK(Outcome("\x0a\x01x"s) == "malformed format_major");  // a string for a number
  CHECK(Outcome("\x40\x01"s) == "malformed contents[0]");    // a number for a message
}

TEST_CASE("nesting of a hundred thousand is refused at once", "[manifest][hostile]") {
  // Messages inside messages, as far as the schema goes: the rest is no field.
  std::string nested;
  for (int i = 0; i < 100000; ++i) nested += "\xa3\x06"s;
  CHECK(Outcome(nested).starts_with("malformed"));
  std::string unknown = "x";
  for (int i = 0; i < 200; ++i) {
    unknown = "\xa2\x06"s + static_cast<char>(0x80 | (unknown.size() & 0x7f)) +
              static_cast<char>(unknown.size() >> 7) + unknown;
  }
  CHECK(Outcome(manifest::Encode({}) + unknown) == "ok");  // unknown bytes are never looked into
}

TEST_CASE("empty messages are counted before protobuf makes them", "[manifest][hostile]") {
  std::string bytes = manifest::Encode({});
  for (int i = 0; i < 1000; ++i) bytes += "\x52\x00"s;  // an empty partition
  const auto outcome = [&](uint64_t items) {
    return manifest::Parse(base::AsBytes(bytes), {.items = items}).error().code();
  };
  CHECK(outcome(999) == StatusCode::kResourceExhausted);
  CHECK(outcome(1000) == StatusCode::kMalformed);  // they are no partitions either
}

TEST_CASE("list elements count as well", "[manifest][hostile]") {
  manifest::Manifest sample = test::Sample();
  sample.contexts[0].requirements[0].values.assign(500, "");
  const std::string bytes = manifest::Encode(sample);
  CHECK(manifest::Parse(base::AsBytes(bytes), {.items = 500}).error().code() ==
        StatusCode::kResourceExhausted);
  CHECK(manifest::Parse(base::AsBytes(bytes), {.items = 1000}));
}

TEST_CASE("a manifest over the limit is refused by its size alone", "[manifest][hostile]") {
  const std::string bytes = Sound();
  CHECK(manifest::Parse(base::AsBytes(bytes), {.manifest_bytes = bytes.size()}));
  CHECK(
      manifest::Parse(base::AsBytes(bytes), {.manifest_bytes = bytes.size() - 1}).error().code() ==
      StatusCode::kResourceExhausted);
  // A gigabyte that is never touched.
  const std::span<const uint8_t> gigabyte(base::AsBytes(bytes).data(), size_t{1} << 30);
  CHECK(manifest::Parse(gigabyte, {}).error().code() == StatusCode::kResourceExhausted);
}

TEST_CASE("random edits of a manifest are sound or refused with a code for it",
          "[manifest][hostile]") {
  const std::string good = Sound();
  test::Mutator mutate(1);
  size_t refused = 0;
  const size_t count = test::Repetitions(5000, 500000);
  for (size_t i = 0; i < count; ++i) {
    const auto parsed = test::Parse(mutate(good));
    if (parsed) continue;
    ++refused;
    INFO(i << ": " << parsed.error().message());
    REQUIRE((parsed.error().code() == StatusCode::kMalformed ||
             parsed.error().code() == StatusCode::kUnsupportedVersion));
  }
  CHECK(refused > count / 2);
}
