// schemas/backendctx.proto as a table.
#include "manifest/wire.h"

namespace backendctx::manifest {
namespace {

using enum WireType;
constexpr bool kList = true;

constexpr FieldRule kContentFields[] = {
    {1, "kind", kVarint}, {2, "digest", kBytes}, {3, "size", kVarint}};
constexpr MessageRule kContent{kContentFields};

constexpr FieldRule kVariantFields[] = {
    {1, "name", kText}, {2, "graph", kBytes}, {3, "graph_digest", kBytes}};
constexpr MessageRule kVariant{kVariantFields};

constexpr FieldRule kDimFields[] = {{1, "value", kVarint}, {2, "symbol", kText}};
constexpr MessageRule kDim{kDimFields};
constexpr FieldRule kShapeFields[] = {{1, "dims", kMessage, kList, &kDim}};
constexpr MessageRule kShape{kShapeFields};

constexpr FieldRule kValueFields[] = {
    {1, "name", kText},           {2, "role", kVarint},
    {3, "element_type", kVarint}, {4, "shape", kMessage, false, &kShape},
    {5, "content", kBytes},       {6, "equal_values", kText, kList},
};
constexpr MessageRule kValue{kValueFields};

constexpr FieldRule kPartitionFields[] = {
    {1, "id", kText},
    {2, "variant", kText},
    {3, "graph_path", kText},
    {4, "nodes", kText, kList},
    {5, "inputs", kMessage, kList, &kValue},
    {6, "outputs", kMessage, kList, &kValue},
    {7, "function", kText},
    {8, "structure_digest", kBytes},
    {9, "body", kBytes},
    {10, "body_structure_digest", kBytes},
};
constexpr MessageRule kPartition{kPartitionFields};

constexpr FieldRule kRequirementFields[] = {{1, "key", kText},
                                            {2, "predicate", kVarint},
                                            {3, "values", kText, kList},
                                            {4, "preferred", kVarint}};
constexpr MessageRule kRequirement{kRequirementFields};

constexpr FieldRule kOptionFields[] = {{1, "key", kText}, {2, "value", kText}};
constexpr MessageRule kOption{kOptionFields};

constexpr FieldRule kPassedFields[] = {{1, "cases", kBytes}, {2, "tolerance", kFixed64}};
constexpr MessageRule kPassed{kPassedFields};
constexpr FieldRule kNotRunFields[] = {{1, "reason", kText}};
constexpr MessageRule kNotRun{kNotRunFields};

constexpr FieldRule kContextFields[] = {
    {1, "id", kText},
    {2, "partition", kText},
    {3, "backend", kText},
    {4, "target", kText},
    {5, "blob", kBytes},
    {6, "entry", kText},
    {7, "requirements", kMessage, kList, &kRequirement},
    {8, "options", kMessage, kList, &kOption},
    {9, "compiler", kText},
    {10, "compiler_version", kText},
    {11, "weights", kVarint},
    {12, "weight_digests", kBytes, kList},
    {13, "passed", kMessage, false, &kPassed},
    {14, "not_run", kMessage, false, &kNotRun},
};
constexpr MessageRule kContext{kContextFields};

constexpr FieldRule kScopeFields[] = {{1, "name", kText},
                                      {2, "backend", kText},
                                      {3, "variant", kText},
                                      {4, "contexts", kText, kList}};
constexpr MessageRule kScope{kScopeFields};

constexpr FieldRule kAliasFields[] = {
    {1, "input", kText},  {2, "output", kText},      {3, "axis", kVarint},
    {4, "mode", kVarint}, {5, "index_input", kText}, {6, "layout", kText},
};
constexpr MessageRule kAlias{kAliasFields};

constexpr FieldRule kManifestFields[] = {
    {1, "format_major", kVarint},
    {2, "format_minor", kVarint},
    {3, "required_features", kText, kList},
    {4, "digest_algorithm", kText},
    {5, "name", kText},
    {6, "sequence", kVarint},
    {7, "producer", kText},
    {8, "contents", kMessage, kList, &kContent},
    {9, "variants", kMessage, kList, &kVariant},
    {10, "partitions", kMessage, kList, &kPartition},
    {11, "contexts", kMessage, kList, &kContext},
    {12, "scopes", kMessage, kList, &kScope},
    {13, "aliases", kMessage, kList, &kAlias},
};

constexpr FieldRule kSignatureFields[] = {{1, "key_id", kText},
                                          {2, "algorithm", kText},
                                          {3, "signature", kBytes},
                                          {4, "public_key", kBytes}};
constexpr MessageRule kSignature{kSignatureFields};

constexpr FieldRule kEnvelopeFields[] = {{1, "payload_type", kText},
                                         {2, "signatures", kMessage, kList, &kSignature}};

}  // namespace

constexpr MessageRule kManifestRule{kManifestFields};
constexpr MessageRule kEnvelopeRule{kEnvelopeFields};

}  // namespace backendctx::manifest
