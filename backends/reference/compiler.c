/* offer and compile. Both ask `refusal` about each node, so what is offered compiles. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "blob.h"

/* ---- what can be taken --------------------------------------------------------------------- */

static const struct op* find_op(const bctx_node* node) {
  for (const struct op* op = kReferenceOps; op->name != NULL && node->domain[0] == '\0'; ++op) {
    if (strcmp(op->name, node->op_type) == 0) return op;
  }
  return NULL;
}

/* Why a node whose operator is known is not taken; null: it is. */
static const char* refusal(const bctx_graph* graph, size_t index, const struct op* op) {
  const bctx_node* node = &graph->nodes[index];
  if (node->version < op->since) return "the operator set is older than this backend knows";
  if (node->input_count != op->operands || node->output_count != 1) {
    return "the number of operands is not the operator's";
  }
  for (size_t i = 0; i <= node->input_count; ++i) {
    const int32_t v = i < node->input_count ? node->inputs[i] : node->outputs[0];
    if (v < 0) return "an operand is absent";
    const bctx_value* value = &graph->values[v];
    if (value->element_type != kFloat) return "an operand is not known to be float32";
    if (value->rank > kMaxRank) return "an operand has more than 8 axes";
    if (op->code == kMatMul && value->rank < 2) return "an operand is not known to be a matrix";
    if (op->code == kSoftmax && value->rank < 1) return "the number of axes is not known";
  }
  if (op->code != kSoftmax) return NULL;
  bctx_attribute axis = {.struct_size = sizeof(axis)};
  if (graph->attribute(graph, index, "axis", &axis, NULL) != BCTX_OK) return "axis is not readable";
  if (axis.kind == BCTX_ATTRIBUTE_NONE) return NULL; /* the default, -1 */
  const int64_t last = graph->values[node->inputs[0]].rank - 1;
  const bool is_last = axis.kind == BCTX_ATTRIBUTE_INTS && axis.count == 1 &&
                       (axis.ints[0] == -1 || axis.ints[0] == last);
  return is_last ? NULL : "the softmax is not over the last axis";
}

/* Everything that a bctx_offer points to. */
struct offer {
  bctx_claim claim;
  bctx_refusal* refusals;
  size_t nodes[];
};

bctx_code reference_offer(const bctx_offer_request* request, bctx_offer* offer, bctx_error* error) {
  if (request->struct_size < sizeof(*request) || offer->struct_size < sizeof(*offer)) {
    return reference_fail(error, BCTX_INVALID_ARGUMENT, "the request is shorter than version 1");
  }
  const bctx_graph* graph = request->graph;
  struct offer* made = calloc(1, sizeof(*made) + graph->node_count * sizeof(size_t));
  bctx_refusal* refusals = calloc(graph->node_count + 1, sizeof(*refusals));
  if (made == NULL || refusals == NULL) {
    free(made);
    free(refusals);
    return reference_fail(error, BCTX_INTERNAL, "no memory for the offer");
  }
  size_t refused = 0;
  for (size_t i = 0; i < graph->node_count; ++i) {
    const struct op* op = find_op(&graph->nodes[i]);
    if (op == NULL) continue;
    const char* reason = refusal(graph, i, op);
    if (reason == NULL) {
      made->nodes[made->claim.node_count++] = i;
    } else {
      refusals[refused++] = (bctx_refusal){i, reason};
    }
  }
  /* One claim: the host may take any part of it, and cuts it where a partition must be cut. */
  made->claim.nodes = made->nodes;
  made->refusals = refusals;
  offer->claims = &made->claim;
  offer->claim_count = made->claim.node_count != 0;
  offer->refusals = refusals;
  offer->refusal_count = refused;
  offer->plugin = made;
  return BCTX_OK;
}

void reference_release_offer(bctx_offer* offer) {
  struct offer* made = offer->plugin;
  free(made->refusals);
  free(made);
}

/* ---- options ------------------------------------------------------------------------------- */

struct choices {
  uint32_t target, cpus;
  int32_t weights;
};

static const char* const kWeightWords[] = {NULL, "embedded", "inputs", "refit", "offset"};

static bctx_code read_options(const bctx_compile_request* request, struct choices* to,
                              bctx_error* error) {
  *to = (struct choices){0, 1, BCTX_WEIGHTS_EMBEDDED};
  while (kReferenceTargets[to->target] != NULL &&
         strcmp(kReferenceTargets[to->target], request->target) != 0) {
    ++to->target;
  }
  if (kReferenceTargets[to->target] == NULL) {
    return reference_fail(error, BCTX_INVALID_ARGUMENT,
                          "target '%.64s' is not known, expected reference or elsewhere",
                          request->target);
  }
  for (size_t i = 0; i < request->option_count; ++i) {
    const char *key = request->options[i].key, *value = request->options[i].value;
    if (strcmp(key, "cpus") == 0) {
      char* end = NULL;
      const long cpus = strtol(value, &end, 10);
      if (*value < '0' || *value > '9' || *end != '\0' || cpus < 1 || cpus > 4096) {
        return reference_fail(error, BCTX_INVALID_ARGUMENT,
                              "option cpus is '%.64s', expected 1 to 4096", value);
      }
      to->cpus = (uint32_t)cpus;
    } else if (strcmp(key, "weights") == 0) {
      for (to->weights = BCTX_WEIGHTS_OFFSET; to->weights > BCTX_WEIGHTS_NONE; --to->weights) {
        if (strcmp(value, kWeightWords[to->weights]) == 0) break;
      }
      if (to->weights == BCTX_WEIGHTS_NONE) {
        return reference_fail(error, BCTX_INVALID_ARGUMENT,
                              "option weights is '%.64s', expected embedded, inputs, refit or "
                              "offset",
                              value);
      }
    } else {
      return reference_fail(error, BCTX_INVALID_ARGUMENT,
                            "option '%.64s' is not known, expected cpus or weights", key);
    }
  }
  return BCTX_OK;
}

/* ---- the program --------------------------------------------------------------------------- */

/* Everything that a bctx_blob points to. */
struct made {
  uint8_t* bytes;
  size_t size;
  char cpus[16], label[128];
  const char* values[3];
  bctx_requirement requirements[3];
  bctx_key_value options[2];
};

struct program {
  const bctx_partition* partition;
  struct header header;
  uint32_t* value_of; /* value of the graph -> value of the blob, kNoValue: none yet */
  struct constant* constants;
  bctx_bytes* contents; /* of each constant */
  struct instruction* instructions;
  uint32_t* outputs;
};

static const uint32_t kNoValue = UINT32_MAX;

static const bctx_weight* weight_of(const bctx_partition* partition, size_t input) {
  for (size_t i = 0; i < partition->weight_count; ++i) {
    if (partition->weights[i].input == input) return &partition->weights[i];
  }
  return NULL;
}

/* The constant that holds graph value `v`, whose bytes are `bytes`; `weight` null: in data. */
static bctx_code add_constant(struct program* p, int32_t v, bctx_bytes bytes,
                              const bctx_weight* weight, bctx_error* error) {
  const bctx_value* value = &p->partition->graph->values[v];
  struct constant* constant = &p->constants[p->header.constants];
  uint64_t size = 0;
  if (value->rank < 0 || value->rank > kMaxRank ||
      !reference_bytes(value->dims, (uint32_t)value->rank, &size) || size != bytes.size) {
    return reference_fail(error, BCTX_UNSUPPORTED, "constant '%.128s' has no plain float32 data",
                          value->name);
  }
  constant->rank = (uint32_t)value->rank;
  if (constant->rank != 0) memcpy(constant->dims, value->dims, constant->rank * sizeof(int64_t));
  const bool is_bound = weight != NULL && p->header.weights >= BCTX_WEIGHTS_REFIT;
  constant->where = !is_bound                                 ? kInData
                    : p->header.weights == BCTX_WEIGHTS_REFIT ? kRefit
                                                              : kInTable;
  if (is_bound) constant->table_offset = weight->offset;
  if (constant->where != kInTable) {
    constant->data_offset = p->header.data_bytes;
    p->header.data_bytes += size;
  }
  if (constant->where == kInData) p->contents[p->header.constants] = bytes;
  p->value_of[v] = p->header.inputs + p->header.constants++;
  return BCTX_OK;
}

/* Gives every operand that no node makes its value in the blob: an input or a constant. */
static bctx_code number_operands(struct program* p, bctx_error* error) {
  const bctx_partition* partition = p->partition;
  const bctx_graph* graph = partition->graph;
  for (size_t v = 0; v < graph->value_count; ++v) {
    size_t input = 0;
    bctx_bytes bytes = {NULL, 0};
    while (input < partition->input_count &&
           strcmp(partition->inputs[input].name, graph->values[v].name) != 0) {
      ++input;
    }
    const bool is_input = input < partition->input_count;
    if (is_input) p->value_of[v] = (uint32_t)input;
    if (is_input && p->header.weights == BCTX_WEIGHTS_INPUTS) continue;
    const bctx_code is_constant = is_input ? partition->constant(partition, input, &bytes, NULL)
                                           : graph->constant(graph, v, &bytes, NULL);
    if (is_constant == BCTX_UNSUPPORTED) continue; /* an activation, or made by a node */
    if (is_constant != BCTX_OK) {
      return reference_fail(error, is_constant, "constant '%.128s' cannot be read",
                            graph->values[v].name);
    }
    const bctx_code code =
        add_constant(p, (int32_t)v, bytes, is_input ? weight_of(partition, input) : NULL, error);
    if (code != BCTX_OK) return code;
  }
  return BCTX_OK;
}

static bctx_code translate(struct program* p, bctx_error* error) {
  const bctx_graph* graph = p->partition->graph;
  const uint32_t first = p->header.inputs + p->header.constants;
  for (size_t i = 0; i < graph->node_count; ++i) {
    const bctx_node* node = &graph->nodes[i];
    const struct op* op = find_op(node);
    const char* reason = op == NULL ? "no such operator here" : refusal(graph, i, op);
    if (reason != NULL) {
      return reference_fail(error, BCTX_UNSUPPORTED, "node %zu, %.64s: %s", i, node->op_type,
                            reason);
    }
    const uint32_t a = p->value_of[node->inputs[0]];
    const uint32_t b = op->operands == 2 ? p->value_of[node->inputs[1]] : a;
    if (a == kNoValue || b == kNoValue) {
      return reference_fail(error, BCTX_INVALID_ARGUMENT, "node %zu: reads what nothing makes", i);
    }
    p->instructions[i] = (struct instruction){op->code, a, b};
    p->value_of[node->outputs[0]] = first + p->header.instructions++;
  }
  for (size_t i = 0; i < p->partition->output_count; ++i) {
    for (size_t v = 0; v < graph->value_count; ++v) {
      if (strcmp(graph->values[v].name, p->partition->outputs[i].name) == 0) {
        p->outputs[i] = p->value_of[v];
      }
    }
    if (p->outputs[i] < first || p->outputs[i] >= first + p->header.instructions) {
      return reference_fail(error, BCTX_INVALID_ARGUMENT, "output %zu: no node makes it", i);
    }
  }
  return BCTX_OK;
}

static uint8_t* append(uint8_t* to, const void* from, size_t size) {
  if (size != 0) memcpy(to, from, size);
  return to + size;
}

static bctx_code write_blob(const struct program* p, struct made* made, bctx_error* error) {
  const struct header* h = &p->header;
  made->size = sizeof(*h) + h->constants * sizeof(struct constant) +
               h->instructions * sizeof(struct instruction) + h->outputs * sizeof(uint32_t) +
               h->data_bytes;
  made->bytes = calloc(1, made->size);
  if (made->bytes == NULL) return reference_fail(error, BCTX_INTERNAL, "no memory for the blob");
  uint8_t* to = append(made->bytes, h, sizeof(*h));
  to = append(to, p->constants, h->constants * sizeof(struct constant));
  to = append(to, p->instructions, h->instructions * sizeof(struct instruction));
  to = append(to, p->outputs, h->outputs * sizeof(uint32_t));
  for (uint32_t i = 0; i < h->constants; ++i) {
    append(to + p->constants[i].data_offset, p->contents[i].data, p->contents[i].size);
  }
  return BCTX_OK;
}

static void describe(const struct program* p, const struct choices* choices, struct made* made,
                     bctx_blob* blob) {
  static const char* const linux_only[] = {"linux"};
  static const char* const little_endian[] = {"x86_64", "aarch64"};
  static const char* const elsewhere[] = {"elsewhere"};
  const bool is_here = choices->target == 0;
  snprintf(made->cpus, sizeof(made->cpus), "%u", choices->cpus);
  made->values[0] = made->cpus;
  made->requirements[0] = is_here ? (bctx_requirement){"arch", BCTX_ONE_OF, little_endian, 2, 0}
                                  : (bctx_requirement){"arch", BCTX_EQUALS, elsewhere, 1, 0};
  made->requirements[1] = (bctx_requirement){"cpu.count", BCTX_AT_LEAST, made->values, 1, 1};
  made->requirements[2] = (bctx_requirement){"os", BCTX_EQUALS, linux_only, 1, 0};
  made->options[0] = (bctx_key_value){"cpus", made->cpus};
  made->options[1] = (bctx_key_value){"weights", kWeightWords[choices->weights]};
  reference_label(&p->header, made->label);
  blob->bytes = (bctx_bytes){made->bytes, made->size};
  blob->entry = REFERENCE_ENTRY;
  blob->requirements = made->requirements;
  blob->requirement_count = 3;
  blob->options = made->options;
  blob->option_count = 2;
  blob->weights = (int32_t)p->header.weights;
  blob->label = made->label;
  blob->note = p->header.weights == BCTX_WEIGHTS_EMBEDDED ? "it holds a copy of its weights" : NULL;
  blob->plugin = made;
}

bctx_code reference_compile(const bctx_compile_request* request, bctx_blob* blob,
                            bctx_error* error) {
  if (request->struct_size < sizeof(*request) || blob->struct_size < sizeof(*blob)) {
    return reference_fail(error, BCTX_INVALID_ARGUMENT, "the request is shorter than version 1");
  }
  struct choices choices;
  bctx_code code = read_options(request, &choices, error);
  if (code != BCTX_OK) return code;
  const bctx_partition* partition = request->partition;
  const bctx_graph* graph = partition->graph;
  if (graph->node_count > kMaxCount || graph->value_count > kMaxCount) {
    return reference_fail(error, BCTX_UNSUPPORTED, "the partition has more than %d nodes or values",
                          (int)kMaxCount);
  }
  struct program p = {.partition = partition};
  memcpy(p.header.magic, REFERENCE_MAGIC, sizeof(p.header.magic));
  p.header.version = kVersion;
  p.header.weights = (uint32_t)(partition->weight_count == 0 ? BCTX_WEIGHTS_NONE : choices.weights);
  p.header.target = choices.target;
  p.header.cpus = choices.cpus;
  p.header.inputs = (uint32_t)partition->input_count;
  p.header.outputs = (uint32_t)partition->output_count;
  p.value_of = malloc((graph->value_count + 1) * sizeof(uint32_t));
  p.constants = calloc(graph->value_count + 1, sizeof(struct constant));
  p.contents = calloc(graph->value_count + 1, sizeof(bctx_bytes));
  p.instructions = calloc(graph->node_count + 1, sizeof(struct instruction));
  p.outputs = calloc(partition->output_count + 1, sizeof(uint32_t));
  struct made* made = calloc(1, sizeof(*made));
  if (p.value_of == NULL || p.constants == NULL || p.contents == NULL || p.instructions == NULL ||
      p.outputs == NULL || made == NULL) {
    code = reference_fail(error, BCTX_INTERNAL, "no memory for the program");
  }
  if (code == BCTX_OK) {
    for (size_t v = 0; v < graph->value_count; ++v) p.value_of[v] = kNoValue;
    code = number_operands(&p, error);
  }
  if (code == BCTX_OK) code = translate(&p, error);
  if (code == BCTX_OK) code = write_blob(&p, made, error);
  if (code == BCTX_OK) {
    describe(&p, &choices, made, blob);
  } else {
    free(made);
  }
  free(p.value_of);
  free(p.constants);
  free(p.contents);
  free(p.instructions);
  free(p.outputs);
  return code;
}

void reference_release_blob(bctx_blob* blob) {
  struct made* made = blob->plugin;
  free(made->bytes);
  free(made);
}
