// The rules between the parts of a manifest (docs/format.md, "Manifest", has them by number): ids
// are unique, references resolve, a partition's boundary is in order, a context is bound to weights
// of its partition, a scope is a disjoint cover by one backend of one variant. Rules that need the
// graph (convexity, arity, types) are checked where the graph is.
#include "manifest/validate.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <unordered_set>

#include "base/text.h"
#include "manifest/field.h"

namespace backendctx::manifest {
namespace {

constexpr size_t kMaxId = 128;

std::string Quoted(std::string_view text) { return "\"" + base::Printable(text, 80) + "\""; }

Status NotEmpty(const Field& at, const std::string& text) {
  return text.empty() ? at.Bad("nothing", "a name") : OkStatus();
}

// Ids become call attributes and file names of tools.
Status CheckPartitionId(const Field& at, const std::string& id) {
  const bool clean = std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
  if (clean && !id.empty() && id.size() <= kMaxId) return OkStatus();
  return at.Bad(Quoted(id), "1 to 128 of a-z, 0-9 and -");
}

struct ByNodes {
  bool operator()(const Partition* a, const Partition* b) const {
    return std::tie(a->variant, a->graph_path, a->nodes) <
           std::tie(b->variant, b->graph_path, b->nodes);
  }
};

class Validator {
 public:
  explicit Validator(const Manifest& manifest) : manifest_(manifest) {}

  Status Run() {
    BCTX_RETURN_IF_ERROR(Each("contents", manifest_.contents, &Validator::CheckContent));
    BCTX_RETURN_IF_ERROR(Each("variants", manifest_.variants, &Validator::CheckVariant));
    BCTX_RETURN_IF_ERROR(Each("partitions", manifest_.partitions, &Validator::CheckPartition));
    BCTX_RETURN_IF_ERROR(Each("contexts", manifest_.contexts, &Validator::CheckContext));
    BCTX_RETURN_IF_ERROR(Each("scopes", manifest_.scopes, &Validator::CheckScope));
    return Each("aliases", manifest_.aliases, &Validator::CheckAlias);
  }

 private:
  template <typename T>
  using Check = Status (Validator::*)(const Field&, const T&);

  template <typename T>
  Status Each(const char* name, const std::vector<T>& list, Check<T> check) {
    for (size_t i = 0; i < list.size(); ++i) {
      BCTX_RETURN_IF_ERROR((this->*check)(Field(name, i), list[i]));
    }
    return OkStatus();
  }

  Status CheckContent(const Field& at, const Content& content) {
    if (contents_.insert({content.kind, content.digest}).second) return OkStatus();
    return Field(at, "digest").Bad(content.digest.Hex() + " twice", "each content once");
  }

  Status NeedsContent(const Field& at, ContentKind kind, const Digest& digest) const {
    if (contents_.count({kind, digest}) != 0) return OkStatus();
    static constexpr const char* kNames[] = {"", "graph", "body", "tensor", "blob"};
    return at.Bad(digest.Hex(), fmt::format("the digest of a {} among contents",
                                            kNames[static_cast<size_t>(kind)]));
  }

  Status CheckVariant(const Field& at, const Variant& variant) {
    BCTX_RETURN_IF_ERROR(NotEmpty(Field(at, "name"), variant.name));
    if (!variants_.insert(variant.name).second) {
      return Field(at, "name").Bad(Quoted(variant.name) + " twice", "each variant once");
    }
    return NeedsContent(Field(at, "graph"), ContentKind::kGraph, variant.graph);
  }

  Status NeedsVariant(const Field& at, const std::string& name) const {
    if (variants_.count(name) != 0) return OkStatus();
    return Field(at, "variant").Bad(Quoted(name), "the name of a variant");
  }

  // ---- partitions ----

  Status CheckPartition(const Field& at, const Partition& partition) {
    BCTX_RETURN_IF_ERROR(CheckPartitionId(Field(at, "id"), partition.id));
    if (!partitions_.emplace(partition.id, &partition).second) {
      return Field(at, "id").Bad(Quoted(partition.id) + " twice", "each partition once");
    }
    BCTX_RETURN_IF_ERROR(NeedsVariant(at, partition.variant));
    BCTX_RETURN_IF_ERROR(NotEmpty(Field(at, "function"), partition.function));
    if (!functions_.insert({partition.variant, partition.function}).second) {
      return Field(at, "function")
          .Bad(Quoted(partition.function) + " twice", "a function of its own");
    }
    BCTX_RETURN_IF_ERROR(CheckNodes(at, partition));
    BCTX_RETURN_IF_ERROR(CheckInputs(at, partition));
    BCTX_RETURN_IF_ERROR(CheckOutputs(at, partition));
    return CheckBody(at, partition);
  }

  Status CheckNodes(const Field& at, const Partition& partition) {
    if (partition.nodes.empty()) return Field(at, "nodes").Bad("none", "at least one");
    std::unordered_set<std::string_view> seen;
    for (size_t i = 0; i < partition.nodes.size(); ++i) {
      const Field node(at, "nodes", i);
      BCTX_RETURN_IF_ERROR(NotEmpty(node, partition.nodes[i]));
      if (!seen.insert(partition.nodes[i]).second) {
        return node.Bad(Quoted(partition.nodes[i]) + " twice", "each node once");
      }
    }
    if (node_sets_.insert(&partition).second) return OkStatus();
    return Field(at, "nodes").Bad("those of another partition", "one partition for a set of nodes");
  }

  Status CheckNames(const Field& at, const char* list, const std::vector<BoundaryValue>& values) {
    std::unordered_set<std::string_view> seen;
    for (size_t i = 0; i < values.size(); ++i) {
      const Field value(at, list, i);
      BCTX_RETURN_IF_ERROR(NotEmpty(Field(value, "name"), values[i].name));
      if (!seen.insert(values[i].name).second) {
        return Field(value, "name").Bad(Quoted(values[i].name) + " twice", "each value once");
      }
    }
    return OkStatus();
  }

  Status CheckInputs(const Field& at, const Partition& partition) {
    BCTX_RETURN_IF_ERROR(CheckNames(at, "inputs", partition.inputs));
    ValueRole last = ValueRole::kActivation;
    for (size_t i = 0; i < partition.inputs.size(); ++i) {
      const BoundaryValue& input = partition.inputs[i];
      const Field field(at, "inputs", i);
      if (input.role < last) {
        return Field(field, "role").Bad("another order", "activations, weights, constants");
      }
      last = input.role;
      const bool constant = input.role != ValueRole::kActivation;
      if (constant != input.content.has_value()) {
        return Field(field, "content")
            .Bad(constant ? "nothing" : "a digest",
                 constant ? "a digest" : "nothing for an activation");
      }
      if (input.role == ValueRole::kWeight) {
        BCTX_RETURN_IF_ERROR(
            NeedsContent(Field(field, "content"), ContentKind::kTensor, *input.content));
      }
    }
    return OkStatus();
  }

  Status CheckOutputs(const Field& at, const Partition& partition) {
    if (partition.outputs.empty()) return Field(at, "outputs").Bad("none", "at least one");
    BCTX_RETURN_IF_ERROR(CheckNames(at, "outputs", partition.outputs));
    for (size_t i = 0; i < partition.outputs.size(); ++i) {
      const BoundaryValue& output = partition.outputs[i];
      if (output.role == ValueRole::kActivation && !output.content) continue;
      return Field(at, "outputs", i).Bad("a constant", "an activation");
    }
    return OkStatus();
  }

  Status CheckBody(const Field& at, const Partition& partition) {
    if (partition.body.has_value() != partition.body_structure_digest.has_value()) {
      return Field(at, "body").Bad("one of body and body_structure_digest", "both or none");
    }
    if (!partition.body) return OkStatus();
    return NeedsContent(Field(at, "body"), ContentKind::kBody, *partition.body);
  }

  // ---- contexts ----

  Status CheckContext(const Field& at, const Context& context) {
    BCTX_RETURN_IF_ERROR(NotEmpty(Field(at, "id"), context.id));
    if (!contexts_.emplace(context.id, &context).second) {
      return Field(at, "id").Bad(Quoted(context.id) + " twice", "each context once");
    }
    const auto partition = partitions_.find(context.partition);
    if (partition == partitions_.end()) {
      return Field(at, "partition").Bad(Quoted(context.partition), "the id of a partition");
    }
    BCTX_RETURN_IF_ERROR(NotEmpty(Field(at, "backend"), context.backend));
    BCTX_RETURN_IF_ERROR(NotEmpty(Field(at, "target"), context.target));
    BCTX_RETURN_IF_ERROR(NotEmpty(Field(at, "entry"), context.entry));
    BCTX_RETURN_IF_ERROR(NotEmpty(Field(at, "compiler"), context.compiler));
    BCTX_RETURN_IF_ERROR(NeedsContent(Field(at, "blob"), ContentKind::kBlob, context.blob));
    BCTX_RETURN_IF_ERROR(CheckOptions(at, context));
    return CheckWeights(at, context, *partition->second);
  }

  Status CheckOptions(const Field& at, const Context& context) {
    for (size_t i = 0; i < context.options.size(); ++i) {
      const Field key(at, "options", i);
      BCTX_RETURN_IF_ERROR(NotEmpty(key, context.options[i].key));
      if (i > 0 && context.options[i].key <= context.options[i - 1].key) {
        return key.Bad(Quoted(context.options[i].key), "keys in ascending order, each once");
      }
    }
    return OkStatus();
  }

  // A blob that holds or points at weights is bound to them, and to weights of its own partition.
  Status CheckWeights(const Field& at, const Context& context, const Partition& partition) {
    const bool without =
        context.weights == WeightsKind::kNone || context.weights == WeightsKind::kInputs;
    const Field field(at, "weight_digests");
    if (without && !context.weight_digests.empty()) return field.Bad("some", "none");
    if (!without && context.weight_digests.empty()) {
      return field.Bad("none", "those of the weights that the blob is bound to");
    }
    for (size_t i = 0; i < context.weight_digests.size(); ++i) {
      const auto known = [&](const BoundaryValue& input) {
        return input.content == context.weight_digests[i];
      };
      if (std::any_of(partition.inputs.begin(), partition.inputs.end(), known)) continue;
      return Field(at, "weight_digests", i)
          .Bad(context.weight_digests[i].Hex(),
               fmt::format("a weight of partition {}", partition.id));
    }
    return OkStatus();
  }

  // ---- scopes and aliases ----

  Status CheckScope(const Field& at, const Scope& scope) {
    BCTX_RETURN_IF_ERROR(NotEmpty(Field(at, "name"), scope.name));
    BCTX_RETURN_IF_ERROR(NotEmpty(Field(at, "backend"), scope.backend));
    BCTX_RETURN_IF_ERROR(NeedsVariant(at, scope.variant));
    if (!scopes_.insert({scope.variant, scope.name}).second) {
      return Field(at, "name").Bad(Quoted(scope.name) + " twice", "each scope of a variant once");
    }
    std::unordered_set<std::string_view> listed;
    std::set<const Partition*> covered;
    for (size_t i = 0; i < scope.contexts.size(); ++i) {
      const Field field(at, "contexts", i);
      const auto found = contexts_.find(scope.contexts[i]);
      if (found == contexts_.end()) {
        return field.Bad(Quoted(scope.contexts[i]), "the id of a context");
      }
      if (!listed.insert(scope.contexts[i]).second) {
        return field.Bad(Quoted(scope.contexts[i]) + " twice", "each context once");
      }
      const Partition* partition = partitions_.at(found->second->partition);
      if (found->second->backend != scope.backend || partition->variant != scope.variant) {
        return field.Bad(Quoted(scope.contexts[i]), "a context of the scope's backend and variant");
      }
      covered.insert(partition);
    }
    return CheckDisjoint(at, covered);
  }

  Status CheckDisjoint(const Field& at, const std::set<const Partition*>& covered) {
    std::set<std::pair<std::string_view, std::string_view>> nodes;
    for (const Partition* partition : covered) {
      for (const std::string& node : partition->nodes) {
        if (nodes.insert({partition->graph_path, node}).second) continue;
        return Field(at, "contexts")
            .Bad(fmt::format("node {} in two partitions", Quoted(node)), "partitions apart");
      }
    }
    return OkStatus();
  }

  Status CheckAlias(const Field& at, const Alias& alias) {
    BCTX_RETURN_IF_ERROR(NotEmpty(Field(at, "input"), alias.input));
    BCTX_RETURN_IF_ERROR(NotEmpty(Field(at, "output"), alias.output));
    if (!alias_inputs_.insert(alias.input).second) {
      return Field(at, "input").Bad(Quoted(alias.input) + " twice", "one alias of an input");
    }
    if (!alias_outputs_.insert(alias.output).second) {
      return Field(at, "output").Bad(Quoted(alias.output) + " twice", "one alias of an output");
    }
    if (alias.mode != AliasMode::kAppend) {
      return NotEmpty(Field(at, "index_input"), alias.index_input);
    }
    return OkStatus();
  }

  const Manifest& manifest_;
  std::set<std::pair<ContentKind, Digest>> contents_;
  std::unordered_set<std::string_view> variants_, alias_inputs_, alias_outputs_;
  std::unordered_map<std::string_view, const Partition*> partitions_;
  std::unordered_map<std::string_view, const Context*> contexts_;
  std::set<std::pair<std::string_view, std::string_view>> functions_, scopes_;
  std::set<const Partition*, ByNodes> node_sets_;
};

}  // namespace

Status Validate(const Manifest& manifest) { return Validator(manifest).Run(); }

}  // namespace backendctx::manifest
