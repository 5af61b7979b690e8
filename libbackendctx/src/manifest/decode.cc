// Protobuf -> structs, with every check that looks at one value only. validate.cc has the rest.
#include <fmt/format.h>
#include <google/protobuf/arena.h>

#include <algorithm>
#include <cmath>

#include "backendctx.pb.h"
#include "base/text.h"
#include "manifest/field.h"
#include "manifest/manifest.h"
#include "manifest/validate.h"
#include "manifest/wire.h"

namespace backendctx::manifest {
namespace {

constexpr size_t kMaxRank = 64;

Status Take(const Field& at, const std::string& from, Digest* to) {
  if (from.size() != to->bytes.size()) {
    return at.Bad(fmt::format("{} bytes", from.size()), "a digest of 32");
  }
  std::copy(from.begin(), from.end(), to->bytes.begin());
  return OkStatus();
}

Status Take(const Field& at, const std::string& from, std::optional<Digest>* to) {
  if (from.empty()) return OkStatus();
  return Take(at, from, &to->emplace());
}

// An enumeration without room for numbers of later versions.
template <typename T>
Status TakeEnum(const Field& at, int from, int last, T* to) {
  if (from <= 0) return at.Bad(fmt::format("{}", from), fmt::format("1 to {}", last));
  if (from > last) {
    return at.Bad(fmt::format("{}", from),
                  fmt::format("1 to {}; a later version may know it", last),
                  StatusCode::kUnsupportedVersion);
  }
  *to = static_cast<T>(from);
  return OkStatus();
}

template <typename List>
std::vector<std::string> Strings(const List& list) {
  return {list.begin(), list.end()};
}

Status Take(const Field& at, const v1::Content& from, Content* to) {
  to->size = from.size();
  if (to->size == 0) return Field(at, "size").Bad("0", "at least 1");
  BCTX_RETURN_IF_ERROR(TakeEnum(Field(at, "kind"), from.kind(), 4, &to->kind));
  return Take(Field(at, "digest"), from.digest(), &to->digest);
}

Status Take(const Field& at, const v1::Variant& from, Variant* to) {
  to->name = from.name();
  BCTX_RETURN_IF_ERROR(Take(Field(at, "graph"), from.graph(), &to->graph));
  return Take(Field(at, "graph_digest"), from.graph_digest(), &to->graph_digest);
}

Status TakeShape(const Field& at, const v1::Shape& from, std::vector<Dim>* to) {
  if (static_cast<size_t>(from.dims_size()) > kMaxRank) {
    return at.Bad(fmt::format("rank {}", from.dims_size()), fmt::format("at most {}", kMaxRank));
  }
  for (int i = 0; i < from.dims_size(); ++i) {
    const v1::Dim& dim = from.dims(i);
    if (dim.has_value() && dim.value() < 0) {
      return Field(at, "dims", static_cast<size_t>(i))
          .Bad(fmt::format("{}", dim.value()), "0 or more, or none");
    }
    to->push_back({dim.has_value() ? dim.value() : -1, dim.symbol()});
  }
  return OkStatus();
}

Status Take(const Field& at, const v1::BoundaryValue& from, BoundaryValue* to) {
  to->name = from.name();
  BCTX_RETURN_IF_ERROR(TakeEnum(Field(at, "role"), from.role(), 3, &to->role));
  to->element_type = from.element_type();
  if (to->element_type < 0) {
    return Field(at, "element_type").Bad(fmt::format("{}", to->element_type), "0 or more");
  }
  to->has_shape = from.has_shape();
  BCTX_RETURN_IF_ERROR(TakeShape(Field(at, "shape"), from.shape(), &to->dims));
  to->equal_values = Strings(from.equal_values());
  return Take(Field(at, "content"), from.content(), &to->content);
}

// Declared for TakeList, which cannot find them by their arguments.
Status Take(const Field& at, const v1::Partition& from, Partition* to);
Status Take(const Field& at, const v1::Requirement& from, Requirement* to);
Status Take(const Field& at, const v1::Option& from, KeyValue* to);
Status Take(const Field& at, const v1::Context& from, Context* to);
Status Take(const Field& at, const v1::Scope& from, Scope* to);
Status Take(const Field& at, const v1::Alias& from, Alias* to);

template <typename From, typename To>
Status TakeList(const Field* parent, const char* name, const From& from, std::vector<To>* to) {
  to->resize(static_cast<size_t>(from.size()));
  for (size_t i = 0; i < to->size(); ++i) {
    const Field at = parent != nullptr ? Field(*parent, name, i) : Field(name, i);
    BCTX_RETURN_IF_ERROR(Take(at, from[static_cast<int>(i)], &(*to)[i]));
  }
  return OkStatus();
}

Status Take(const Field& at, const v1::Partition& from, Partition* to) {
  to->id = from.id();
  to->variant = from.variant();
  to->graph_path = from.graph_path();
  to->nodes = Strings(from.nodes());
  to->function = from.function();
  BCTX_RETURN_IF_ERROR(TakeList(&at, "inputs", from.inputs(), &to->inputs));
  BCTX_RETURN_IF_ERROR(TakeList(&at, "outputs", from.outputs(), &to->outputs));
  BCTX_RETURN_IF_ERROR(
      Take(Field(at, "structure_digest"), from.structure_digest(), &to->structure_digest));
  BCTX_RETURN_IF_ERROR(Take(Field(at, "body"), from.body(), &to->body));
  return Take(Field(at, "body_structure_digest"), from.body_structure_digest(),
              &to->body_structure_digest);
}

Status Take(const Field& at, const v1::Requirement& from, Requirement* to) {
  to->key = from.key();
  to->values = Strings(from.values());
  to->preferred = from.preferred();
  const int predicate = from.predicate();
  to->predicate = static_cast<uint32_t>(predicate);
  if (to->key.empty()) return Field(at, "key").Bad("nothing", "a key of the host profile");
  if (predicate <= 0) {
    return Field(at, "predicate").Bad(fmt::format("{}", predicate), "1 or more");
  }
  if (to->values.empty()) return Field(at, "values").Bad("none", "at least one");
  return OkStatus();
}

Status Take(const Field&, const v1::Option& from, KeyValue* to) {
  *to = {from.key(), from.value()};
  return OkStatus();
}

Status TakeProof(const Field& at, const v1::Context& from, Proof* to) {
  if (from.has_passed() == from.has_not_run()) {
    return at.Bad(from.has_passed() ? "passed and not_run" : "no proof", "passed or not_run");
  }
  to->passed = from.has_passed();
  if (!to->passed) {
    to->reason = from.not_run().reason();
    if (to->reason.empty()) return Field(at, "not_run.reason").Bad("nothing", "a reason");
    return OkStatus();
  }
  to->tolerance = from.passed().tolerance();
  if (!std::isfinite(to->tolerance) || to->tolerance < 0) {
    return Field(at, "passed.tolerance").Bad(fmt::format("{}", to->tolerance), "0 or more");
  }
  return Take(Field(at, "passed.cases"), from.passed().cases(), &to->cases);
}

Status Take(const Field& at, const v1::Context& from, Context* to) {
  to->id = from.id();
  to->partition = from.partition();
  to->backend = from.backend();
  to->target = from.target();
  to->entry = from.entry();
  to->compiler = from.compiler();
  to->compiler_version = from.compiler_version();
  const int weights = from.weights();
  if (weights < 0 || weights > UINT8_MAX) {
    return Field(at, "weights").Bad(fmt::format("{}", weights), "0 to 255");
  }
  to->weights = static_cast<WeightsKind>(weights);
  BCTX_RETURN_IF_ERROR(Take(Field(at, "blob"), from.blob(), &to->blob));
  BCTX_RETURN_IF_ERROR(TakeList(&at, "requirements", from.requirements(), &to->requirements));
  BCTX_RETURN_IF_ERROR(TakeList(&at, "options", from.options(), &to->options));
  BCTX_RETURN_IF_ERROR(TakeList(&at, "weight_digests", from.weight_digests(), &to->weight_digests));
  return TakeProof(at, from, &to->proof);
}

Status Take(const Field&, const v1::Scope& from, Scope* to) {
  *to = {from.name(), from.backend(), from.variant(), Strings(from.contexts())};
  return OkStatus();
}

Status Take(const Field& at, const v1::Alias& from, Alias* to) {
  to->input = from.input();
  to->output = from.output();
  to->axis = from.axis();
  to->index_input = from.index_input();
  to->layout = from.layout();
  if (to->axis < 0) return Field(at, "axis").Bad(fmt::format("{}", to->axis), "0 or more");
  return TakeEnum(Field(at, "mode"), from.mode(), 3, &to->mode);
}

// A later writer may have changed everything else, so that this comes first.
Status CheckVersion(const v1::Manifest& from) {
  const auto later = [&](const char* field, const std::string& found, const std::string& expected) {
    return Field(field).Bad(found,
                            fmt::format("{}; written by \"{}\", which reads it", expected,
                                        base::Printable(from.producer(), 80)),
                            StatusCode::kUnsupportedVersion);
  };
  if (from.format_major() != kFormatMajor) {
    return later("format_major", fmt::format("{}", from.format_major()),
                 fmt::format("{}", kFormatMajor));
  }
  if (from.required_features_size() > 0) {
    return later("required_features", "\"" + base::Printable(from.required_features(0), 80) + "\"",
                 "features of this version, which has none");
  }
  if (from.digest_algorithm() != "sha256") {
    return later("digest_algorithm", "\"" + base::Printable(from.digest_algorithm(), 80) + "\"",
                 "\"sha256\"");
  }
  return OkStatus();
}

}  // namespace

Result<Manifest> Parse(std::span<const uint8_t> bytes, const Limits& limits) {
  // Protobuf counts in int.
  const uint64_t most = std::min<uint64_t>(limits.manifest_bytes, INT32_MAX);
  if (bytes.size() > most) {
    return Field("manifest")
        .Bad(fmt::format("{} bytes", bytes.size()), fmt::format("at most {}", most),
             StatusCode::kResourceExhausted);
  }
  BCTX_RETURN_IF_ERROR(CheckWire(bytes, kManifestRule, limits.items).WithContext("manifest"));
  google::protobuf::Arena arena;  // hundreds of small messages, gone together
  auto& from = *google::protobuf::Arena::CreateMessage<v1::Manifest>(&arena);
  if (!from.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return Field("manifest").Bad("bytes that do not parse", "a manifest");
  }
  BCTX_RETURN_IF_ERROR(CheckVersion(from));
  Manifest to;
  to.format_major = from.format_major();
  to.format_minor = from.format_minor();
  to.name = from.name();
  to.sequence = from.sequence();
  to.producer = from.producer();
  BCTX_RETURN_IF_ERROR(TakeList(nullptr, "contents", from.contents(), &to.contents));
  BCTX_RETURN_IF_ERROR(TakeList(nullptr, "variants", from.variants(), &to.variants));
  BCTX_RETURN_IF_ERROR(TakeList(nullptr, "partitions", from.partitions(), &to.partitions));
  BCTX_RETURN_IF_ERROR(TakeList(nullptr, "contexts", from.contexts(), &to.contexts));
  BCTX_RETURN_IF_ERROR(TakeList(nullptr, "scopes", from.scopes(), &to.scopes));
  BCTX_RETURN_IF_ERROR(TakeList(nullptr, "aliases", from.aliases(), &to.aliases));
  BCTX_RETURN_IF_ERROR(Validate(to));
  return to;
}

}  // namespace backendctx::manifest
