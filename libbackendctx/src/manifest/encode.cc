#include <google/protobuf/stubs/logging.h>

#include "backendctx.pb.h"
#include "base/bytes.h"
#include "manifest/manifest.h"

namespace backendctx::manifest {
namespace {

std::string Bytes(const Digest& digest) { return std::string(base::AsText(digest.bytes)); }

void To(const Content& from, v1::Content* to) {
  to->set_kind(static_cast<v1::ContentKind>(from.kind));
  to->set_digest(Bytes(from.digest));
  to->set_size(from.size);
}

void To(const Variant& from, v1::Variant* to) {
  to->set_name(from.name);
  to->set_graph(Bytes(from.graph));
  to->set_graph_digest(Bytes(from.graph_digest));
}

void To(const BoundaryValue& from, v1::BoundaryValue* to) {
  to->set_name(from.name);
  to->set_role(static_cast<v1::ValueRole>(from.role));
  to->set_element_type(from.element_type);
  if (from.has_shape) {
    v1::Shape* shape = to->mutable_shape();
    for (const Dim& dim : from.dims) {
      v1::Dim* added = shape->add_dims();
      if (dim.value >= 0) added->set_value(dim.value);
      added->set_symbol(dim.symbol);
    }
  }
  if (from.content) to->set_content(Bytes(*from.content));
  for (const std::string& value : from.equal_values) to->add_equal_values(value);
}

void To(const Partition& from, v1::Partition* to) {
  to->set_id(from.id);
  to->set_variant(from.variant);
  to->set_graph_path(from.graph_path);
  for (const std::string& node : from.nodes) to->add_nodes(node);
  for (const BoundaryValue& input : from.inputs) To(input, to->add_inputs());
  for (const BoundaryValue& output : from.outputs) To(output, to->add_outputs());
  to->set_function(from.function);
  to->set_structure_digest(Bytes(from.structure_digest));
  if (from.body) to->set_body(Bytes(*from.body));
  if (from.body_structure_digest) {
    to->set_body_structure_digest(Bytes(*from.body_structure_digest));
  }
}

void To(const Requirement& from, v1::Requirement* to) {
  to->set_key(from.key);
  to->set_predicate(static_cast<v1::Predicate>(from.predicate));
  for (const std::string& value : from.values) to->add_values(value);
  to->set_preferred(from.preferred);
}

void To(const Context& from, v1::Context* to) {
  to->set_id(from.id);
  to->set_partition(from.partition);
  to->set_backend(from.backend);
  to->set_target(from.target);
  to->set_blob(Bytes(from.blob));
  to->set_entry(from.entry);
  for (const Requirement& requirement : from.requirements) To(requirement, to->add_requirements());
  for (const KeyValue& option : from.options) {
    v1::Option* added = to->add_options();
    added->set_key(option.key);
    added->set_value(option.value);
  }
  to->set_compiler(from.compiler);
  to->set_compiler_version(from.compiler_version);
  to->set_weights(static_cast<v1::WeightsKind>(from.weights));
  for (const Digest& digest : from.weight_digests) to->add_weight_digests(Bytes(digest));
  if (from.proof.passed) {
    to->mutable_passed()->set_cases(Bytes(from.proof.cases));
    to->mutable_passed()->set_tolerance(from.proof.tolerance);
  } else {
    to->mutable_not_run()->set_reason(from.proof.reason);
  }
}

void To(const Scope& from, v1::Scope* to) {
  to->set_name(from.name);
  to->set_backend(from.backend);
  to->set_variant(from.variant);
  for (const std::string& context : from.contexts) to->add_contexts(context);
}

void To(const Alias& from, v1::Alias* to) {
  to->set_input(from.input);
  to->set_output(from.output);
  to->set_axis(from.axis);
  to->set_mode(static_cast<v1::AliasMode>(from.mode));
  to->set_index_input(from.index_input);
  to->set_layout(from.layout);
}

}  // namespace

std::string Encode(const Manifest& from) {
  v1::Manifest to;
  to.set_format_major(from.format_major);
  to.set_format_minor(from.format_minor);
  for (const std::string& feature : from.required_features) to.add_required_features(feature);
  to.set_digest_algorithm("sha256");
  to.set_name(from.name);
  to.set_sequence(from.sequence);
  to.set_producer(from.producer);
  for (const Content& content : from.contents) To(content, to.add_contents());
  for (const Variant& variant : from.variants) To(variant, to.add_variants());
  for (const Partition& partition : from.partitions) To(partition, to.add_partitions());
  for (const Context& context : from.contexts) To(context, to.add_contexts());
  for (const Scope& scope : from.scopes) To(scope, to.add_scopes());
  for (const Alias& alias : from.aliases) To(alias, to.add_aliases());
  // A name that is no UTF-8 is written as it is, for Parse to refuse, and not reported to stderr.
  const google::protobuf::LogSilencer quiet;
  return to.SerializeAsString();
}

}  // namespace backendctx::manifest
