/* The C interface between this project and a backend plug-in, version 1.
 *
 * A plug-in is a shared object that exports one function, bctx_plugin_query, and knows nothing of
 * this project but this header. A backend may be split in two objects: a compiler (compile is set,
 * load is null), which the packager loads, and a driver (load is set, compile is null), which the
 * runtime loads and which need not link the compiler's libraries.
 *
 *   offer     graph                         ->  which of its nodes the backend can take
 *   compile   partition + target + options  ->  blob, entry, requirements
 *   label     blob                          ->  what the vendor's format says that it needs
 *   facts     machine                       ->  what the vendor's library says of it
 *   judge     label                         ->  whether this machine runs it
 *   load      blob (checked and private)    ->  kernel
 *   run       kernel + tensors              ->  tensors, on the host's threads
 *
 * Only compile, or load with run and unload, are needed; a null function is one that the backend
 * does not have.
 *
 * Rules. Strings are UTF-8 and end with NUL. What the host passes lives until the call returns;
 * what a plug-in returns lives until the matching release. Every struct starts with its size, so
 * that members can be appended: a reader uses only the members inside the size that it was given,
 * and takes the others as zero. Elements of arrays have no size and never change. No exception
 * crosses. A call that fails returns a code other than BCTX_OK and fills the error; nothing is
 * released after it.
 *
 * Threads: offer, compile, label, facts and judge may be called from several threads at once; so
 * may load and unload for different kernels; run is re-entrant for one kernel.
 */
#ifndef BACKENDCTX_PLUGIN_ABI_H_
#define BACKENDCTX_PLUGIN_ABI_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BCTX_PLUGIN_ABI_VERSION 1u

/* Result codes; a host maps them to its own. */
typedef enum bctx_code {
  BCTX_OK = 0,
  BCTX_INVALID_ARGUMENT = 1, /* the host's mistake */
  BCTX_UNSUPPORTED = 2,      /* sound, but this backend or target does not take it: the body runs */
  BCTX_MALFORMED = 3,        /* the blob is not what a compiler of this backend writes */
  BCTX_INCOMPATIBLE = 4,     /* the blob is sound, but not for this machine */
  BCTX_INTERNAL = 5          /* the backend's mistake */
} bctx_code;

typedef struct bctx_error {
  uint32_t struct_size;
  char message[500]; /* lower case, no period, NUL-terminated */
} bctx_error;

typedef struct bctx_bytes {
  const uint8_t* data;
  size_t size;
} bctx_bytes;

typedef struct bctx_key_value {
  const char* key;
  const char* value;
} bctx_key_value;

/* Where a call hands over texts, one at a time; each is copied before `add` returns. */
typedef struct bctx_sink {
  uint32_t struct_size;
  void (*add)(struct bctx_sink*, const char* key, const char* value);
  void* host;
} bctx_sink;

/* ---- a graph ------------------------------------------------------------------------------- */

/* A value of a graph, or of the boundary of a partition. element_type: onnx TensorProto.DataType. A
 * dimension of -1 is known only at run time. rank -1: not known. */
typedef struct bctx_value {
  const char* name;
  int32_t element_type;
  int32_t rank;
  const int64_t* dims;
} bctx_value;

/* A node. Inputs and outputs are indices into the graph's values; -1: absent. */
typedef struct bctx_node {
  const char* name;   /* may be empty, and of several nodes */
  const char* domain; /* "": ONNX's own */
  const char* op_type;
  int64_t version; /* of the domain's operator set that the model imports */
  const int32_t* inputs;
  size_t input_count;
  const int32_t* outputs;
  size_t output_count;
  int32_t has_graph; /* 1: If, Loop, Scan and the like, or a function of the model's own */
} bctx_node;

typedef enum bctx_attribute_kind {
  BCTX_ATTRIBUTE_NONE = 0, /* not there: the operator's default holds */
  BCTX_ATTRIBUTE_FLOATS = 1,
  BCTX_ATTRIBUTE_INTS = 2,
  BCTX_ATTRIBUTE_STRINGS = 3,
  BCTX_ATTRIBUTE_OTHER = 4 /* a tensor, graph or type: see the ONNX form */
} bctx_attribute_kind;

/* One attribute; a single number is a list of one. Lives as long as the graph. */
typedef struct bctx_attribute {
  uint32_t struct_size;
  int32_t kind; /* bctx_attribute_kind */
  size_t count;
  const float* floats;
  const int64_t* ints;
  const char* const* strings;
} bctx_attribute;

typedef enum bctx_onnx_form {
  BCTX_ONNX_OPERANDS = 0, /* weights and constants are inputs of the graph, as run passes them */
  BCTX_ONNX_WEIGHTS = 1   /* they are initializers; those of the weight table are external data at
                             their offset in the file that weight_file names */
} bctx_onnx_form;

/* A graph to read: a whole one, to say what can be taken of it, or a partition's own nodes. Nodes
 * are in topological order. Shapes are as far as inference came. */
typedef struct bctx_graph {
  uint32_t struct_size;
  const bctx_value* values;
  size_t value_count;
  const bctx_node* nodes;
  size_t node_count;
  const int32_t* inputs; /* indices of values; activations only */
  size_t input_count;
  const int32_t* outputs;
  size_t output_count;
  /* Attribute `name` of node `node`; kind BCTX_ATTRIBUTE_NONE when it has none. */
  bctx_code (*attribute)(const struct bctx_graph*, size_t node, const char* name, bctx_attribute*,
                         bctx_error*);
  /* The decoded bytes of a value that is constant, little endian; BCTX_UNSUPPORTED for others. */
  bctx_code (*constant)(const struct bctx_graph*, size_t value, bctx_bytes*, bctx_error*);
  /* The graph as a serialised ModelProto that stands alone, in `form` (bctx_onnx_form). Of a whole
   * graph the weights are left out: initializers of 128 bytes and more have no data but a place in
   * a file that is not there. */
  bctx_code (*onnx)(const struct bctx_graph*, int32_t form, bctx_bytes* model, bctx_error*);
  void* host;
} bctx_graph;

/* A set of nodes that the backend can take. */
typedef struct bctx_claim {
  const size_t* nodes; /* indices, each once */
  size_t node_count;
  int32_t whole; /* 1: these nodes as one partition or not at all; 0: any of them, and the host
                    makes the fewest partitions that are legal */
} bctx_claim;

/* Why a node that looks like the backend's work is not claimed. */
typedef struct bctx_refusal {
  size_t node;
  const char* reason; /* as error messages */
} bctx_refusal;

typedef struct bctx_offer_request {
  uint32_t struct_size;
  const bctx_graph* graph;
  const bctx_key_value* options; /* what the user asked for */
  size_t option_count;
} bctx_offer_request;

/* Claims may not share nodes. What is claimed and illegal (not convex, a cycle when contracted) is
 * reported and not compiled. */
typedef struct bctx_offer {
  uint32_t struct_size;
  const bctx_claim* claims;
  size_t claim_count;
  const bctx_refusal* refusals;
  size_t refusal_count;
  void* plugin; /* the plug-in's own, for release_offer */
} bctx_offer;

/* ---- what is compiled --------------------------------------------------------------------- */

/* How attention reads or writes one boundary tensor: axis[i] is the tensor's axis that holds batch
 * (0), head (1), sequence (2) and channel (3). Rank 3 tensors are packed: head and channel share
 * an axis, head outermost. index: position among the partition's inputs (for y: outputs); -1: none.
 */
typedef struct bctx_attention_operand {
  int32_t index;
  int32_t axis[4];
} bctx_attention_operand;

typedef enum bctx_mask_kind {
  BCTX_MASK_ADD = 0,  /* floating point, added to the scaled score */
  BCTX_MASK_KEEP = 1, /* bool, true = attend; false gives the score `fill` */
  BCTX_MASK_DROP = 2  /* bool, false = attend; true gives the score `fill` */
} bctx_mask_kind;

/* A mask tensor broadcasts to (batch, head, query, key) from the right, as numpy does; where there
 * is one head, one of rank 3 is (batch, query, key). */
typedef struct bctx_attention_mask {
  int32_t index;
  int32_t kind;
  float fill; /* of bool masks: minus infinity, or what the model writes instead */
} bctx_attention_mask;

/* What a row gives whose every key is masked with minus infinity. */
typedef enum bctx_masked_row {
  BCTX_MASKED_ROW_NAN = 0,      /* plain softmax */
  BCTX_MASKED_ROW_ZERO = 1,     /* exporters that guard with IsNaN: where a score is NaN or plus
                                   infinity too, the weights are zeros, which multiply V */
  BCTX_MASKED_ROW_ZERO_BIAS = 2 /* the Attention operator: zero, and an additive mask of the lowest
                                   finite value or less masks its key as minus infinity does */
} bctx_masked_row;

#define BCTX_MAX_MASKS 2

/* Attention as recognised in a partition:
 *   s = scale * (q . k); softcap > 0: s = softcap * tanh(s / softcap); s += masks; causal: key j of
 *   query i only if j <= i; y = softmax over keys (s) . v
 * One kv head serves q_heads / kv_heads consecutive query heads. */
typedef struct bctx_attention {
  uint32_t struct_size;
  bctx_attention_operand q, k, v, y;
  int64_t q_heads, kv_heads;         /* -1: known only at run time, from a rank 4 operand */
  int64_t qk_head_size, v_head_size; /* static */
  float scale;
  float softcap;      /* 0: none */
  int32_t causal;     /* 0 or 1 */
  int32_t masked_row; /* bctx_masked_row */
  int32_t mask_count;
  bctx_attention_mask masks[BCTX_MAX_MASKS];
} bctx_attention;

/* One entry of a partition's weight table: the constant inputs of 128 bytes and more, in input
 * order, each at the next multiple of 64; equal ones share their place. A blob that points at
 * weights (BCTX_WEIGHTS_OFFSET) names positions in this table, which is the same in every package;
 * where the bytes lie in a file is known only when it is loaded. */
typedef struct bctx_weight {
  size_t input; /* among the partition's inputs */
  uint64_t offset, size;
  uint8_t digest[32]; /* SHA-256 of the decoded bytes */
} bctx_weight;

typedef struct bctx_partition {
  uint32_t struct_size;
  const bctx_value* inputs; /* activations, then weights and constants, as run passes them */
  size_t input_count;
  const bctx_value* outputs;
  size_t output_count;
  const bctx_attention* attention; /* null: nothing was recognised */
  /* The partition's nodes. Its ONNX form has inputs and outputs in the order above. */
  const bctx_graph* graph;
  /* The bytes of the constant input `index`, little endian; BCTX_UNSUPPORTED for an activation. */
  bctx_code (*constant)(const struct bctx_partition*, size_t index, bctx_bytes*, bctx_error*);
  const bctx_weight* weights;
  size_t weight_count;
  /* A file that holds the weight table, written when it is first asked for; it is there until
   * compile returns. BCTX_UNSUPPORTED when the table is empty. */
  bctx_code (*weight_file)(const struct bctx_partition*, const char** path, bctx_error*);
  void* host;
} bctx_partition;

/* ---- what comes out ------------------------------------------------------------------------ */

/* docs/format.md, "Requirements", is the standard. */
typedef enum bctx_predicate {
  BCTX_EQUALS = 1,           /* the host's value is values[0] */
  BCTX_ONE_OF = 2,           /* the host's value is among values */
  BCTX_CONTAINS_ALL = 3,     /* the host's set has every one of values */
  BCTX_AT_LEAST = 4,         /* the host's integer is values[0] or more */
  BCTX_IN_RANGE = 5,         /* the integer keeps every one of values: ">=1", "<=512" */
  BCTX_VERSION_IN_RANGE = 6, /* the version keeps every one of values: ">=2026.4", "<2026.5" */
  BCTX_MULTIPLE_OF = 7       /* the integer is a multiple of values[0] */
} bctx_predicate;

/* What a machine must have. Keys of the host profile: "arch" (x86_64, aarch64), "os" (linux),
 * "cpu.features" (set, names as in the kernel's cpuinfo), "cpu.count", "memory" (integers),
 * "library.NAME" (a version), "device.KIND.FACT"; and "input.NAME.dim.N" for the shapes that the
 * code takes. The blob's label becomes a requirement by itself. */
typedef struct bctx_requirement {
  const char* key;
  int32_t predicate; /* bctx_predicate */
  const char* const* values;
  size_t value_count;
  int32_t preferred; /* 1: it runs without, and another blob would be better */
} bctx_requirement;

typedef enum bctx_weights {
  BCTX_WEIGHTS_NONE = 0,     /* the partition has none */
  BCTX_WEIGHTS_EMBEDDED = 1, /* their values are in the blob */
  BCTX_WEIGHTS_INPUTS = 2,   /* they are read from the operands of every run */
  BCTX_WEIGHTS_REFIT = 3,    /* load puts them into the blob, from memory */
  BCTX_WEIGHTS_OFFSET = 4    /* the blob points at them by their offset in the weight table */
} bctx_weights;

typedef struct bctx_blob {
  uint32_t struct_size;
  bctx_bytes bytes;
  const char* entry; /* name of the compiled function inside */
  const bctx_requirement* requirements;
  size_t requirement_count;
  const bctx_key_value* options; /* the whole option map in force, sorted by key */
  size_t option_count;
  int32_t weights; /* bctx_weights */
  /* The label, as the plug-in's function of this name reads it from the bytes; null: none. */
  const char* label;
  /* What a person should know of this blob, such as why it holds its weights; null: nothing. */
  const char* note;
  void* plugin; /* the plug-in's own, for release_blob */
} bctx_blob;

typedef struct bctx_compile_request {
  uint32_t struct_size;
  const bctx_partition* partition;
  const char* target;
  const bctx_key_value* options; /* what the user asked for */
  size_t option_count;
  const char* dump_folder; /* null, or where to leave intermediate forms for people to read */
} bctx_compile_request;

/* As in ONNX Runtime's OrtCompiledModelCompatibility. */
typedef enum bctx_verdict {
  BCTX_NOT_APPLICABLE = 0, /* cannot be told: no label, or not one of this backend */
  BCTX_OPTIMAL = 1,
  BCTX_PREFER_RECOMPILATION = 2,
  BCTX_UNSUPPORTED_HERE = 3
} bctx_verdict;

typedef struct bctx_judgement {
  uint32_t struct_size;
  int32_t verdict;  /* bctx_verdict */
  char reason[500]; /* in the vendor's words; empty when optimal */
} bctx_judgement;

/* ---- running ------------------------------------------------------------------------------- */

typedef struct bctx_kernel bctx_kernel; /* the plug-in's own */

typedef struct bctx_tensor {
  void* data; /* dense, row major, aligned to its element at least */
  const int64_t* dims;
  int32_t rank;
  int32_t element_type;
} bctx_tensor;

/* A weight of the partition, where it is now. A blob that refits gets the bytes, which were
 * compared with their digest; one that points at weights gets their place in the file, which is not
 * read for it unless the session asks for full integrity. */
typedef struct bctx_bound_weight {
  uint64_t offset, size; /* in the weight table, as compile saw it */
  const uint8_t* data;   /* BCTX_WEIGHTS_REFIT: there until unload; else perhaps null */
  uint64_t file_offset;  /* BCTX_WEIGHTS_OFFSET: in weight_file */
} bctx_bound_weight;

typedef struct bctx_load_request {
  uint32_t struct_size;
  bctx_bytes blob; /* private to this process, compared with its digest, there until unload */
  const char* entry;
  const bctx_key_value* options; /* as compile returned them */
  size_t option_count;
  const bctx_bound_weight* weights; /* of blobs that refit or point at weights */
  size_t weight_count;
  const char* weight_file; /* one file that holds them all, there until unload; or null */
  size_t threads; /* that a run may use; at least 1; for backends with threads of their own */
  size_t input_count, output_count; /* of the partition: what run passes */
} bctx_load_request;

typedef struct bctx_run {
  uint32_t struct_size;
  const bctx_tensor* inputs;
  size_t input_count;
  size_t output_count;
  /* Memory for output `index` of this shape, owned by the host; null when there is none to be had.
   */
  void* (*output)(struct bctx_run*, size_t index, const int64_t* dims, int32_t rank);
  /* Calls work(argument, i) for i in [0, count), perhaps at the same time, and waits for all. */
  void (*parallel)(struct bctx_run*, size_t count, void (*work)(void* argument, size_t i),
                   void* argument);
  size_t threads; /* how many calls of parallel's work can run at once, at most; at least 1 */
  void* host;
} bctx_run;

/* ---- the table ------------------------------------------------------------------------------ */

typedef enum bctx_plugin_flags {
  BCTX_PLUGIN_REPRODUCIBLE = 1, /* the same request gives the same bytes, in any process */
  BCTX_PLUGIN_FRAGILE = 2       /* load can end the process: it is tried in another one when packing
                                   and proving */
} bctx_plugin_flags;

typedef struct bctx_plugin {
  uint32_t struct_size;
  uint32_t abi_version;
  const char* backend;            /* "cpu-attention" */
  const char* version;            /* of the backend; recorded with every blob */
  const char* const* targets;     /* names that compile takes; null-terminated */
  const char* const* option_keys; /* names that compile takes; null-terminated */

  bctx_code (*compile)(const bctx_compile_request*, bctx_blob* blob, bctx_error*);
  void (*release_blob)(bctx_blob*);

  bctx_code (*load)(const bctx_load_request*, bctx_kernel** kernel, bctx_error*);
  bctx_code (*run)(bctx_kernel*, bctx_run*, bctx_error*);
  void (*unload)(bctx_kernel*);

  uint64_t flags; /* bctx_plugin_flags */
  const char* const*
      load_keys; /* options that load takes, from the user of a session; null: none */
  /* Null: the backend takes attention as the host recognises it, and nothing else. */
  bctx_code (*offer)(const bctx_offer_request*, bctx_offer*, bctx_error*);
  void (*release_offer)(bctx_offer*);
  /* The label inside a blob, as the vendor's own format has it: added under the key "label", or
   * nothing. Needs no device. */
  bctx_code (*label)(const bctx_bytes* blob, bctx_sink*, bctx_error*);
  /* What the vendor's library says of this machine, as host profile entries: "library.NAME" is a
   * version, "vendor.<backend>" the label of a blob made here. Those keys and no others. */
  bctx_code (*facts)(bctx_sink*, bctx_error*);
  bctx_code (*judge)(const char* label, bctx_judgement*, bctx_error*);
} bctx_plugin;

/* The plug-in's table, static, of a version up to max_abi_version; null when it has none: it needs
 * a newer host. */
typedef const bctx_plugin* (*bctx_plugin_query_fn)(uint32_t max_abi_version);

#if defined(__GNUC__)
#define BCTX_PLUGIN_EXPORT __attribute__((visibility("default")))
#else
#define BCTX_PLUGIN_EXPORT
#endif

#ifdef __cplusplus
}
#endif

#endif /* BACKENDCTX_PLUGIN_ABI_H_ */
