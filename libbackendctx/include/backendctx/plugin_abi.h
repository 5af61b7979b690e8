/* The C interface between this project and a backend plug-in: the draft (version 0) of the ABI.
 *
 * A plug-in is a shared object that exports one function, bctx_plugin_query, and knows nothing of
 * this project but this header. A backend may be split in two objects: a compiler (compile is set,
 * load is null), which the packager loads, and a driver (load is set, compile is null), which the
 * runtime loads and which need not link the compiler's libraries.
 *
 *   compile   partition + target + options  ->  blob, entry, requirements
 *   load      blob (checked and private)    ->  kernel
 *   run       kernel + tensors              ->  tensors, on the host's threads
 *
 * Rules. Strings are UTF-8 and end with NUL. What the host passes lives until the call returns;
 * what a plug-in returns lives until the matching release. Every struct starts with its size, so
 * that members can be appended: a reader uses only the members inside the size that it was given.
 * No exception crosses. A call that fails returns a code other than BCTX_OK and fills the error.
 *
 * Threads: compile may be called from several threads at once; so may load and unload for
 * different kernels; run is re-entrant for one kernel.
 */
#ifndef BACKENDCTX_PLUGIN_ABI_H_
#define BACKENDCTX_PLUGIN_ABI_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BCTX_PLUGIN_ABI_VERSION 0u

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

/* ---- what is compiled --------------------------------------------------------------------- */

/* A boundary value of a partition. element_type: onnx TensorProto.DataType. A dimension of -1 is
 * known only at run time. rank -1: not known. */
typedef struct bctx_value {
  const char* name;
  int32_t element_type;
  int32_t rank;
  const int64_t* dims;
} bctx_value;

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

typedef struct bctx_partition {
  uint32_t struct_size;
  const bctx_value* inputs; /* activations, then weights and constants, as the body takes them */
  size_t input_count;
  const bctx_value* outputs;
  size_t output_count;
  const bctx_attention* attention; /* null: nothing was recognised */
  /* The body as a serialised ModelProto, inputs and outputs in this order; made on request. */
  bctx_code (*onnx)(const struct bctx_partition*, bctx_bytes* model, bctx_error*);
  /* The bytes of the constant input `index`, little endian; BCTX_UNSUPPORTED for an activation. */
  bctx_code (*constant)(const struct bctx_partition*, size_t index, bctx_bytes*, bctx_error*);
  void* host;
} bctx_partition;

/* ---- what comes out ------------------------------------------------------------------------ */

typedef enum bctx_predicate {
  BCTX_EQUALS = 1,       /* the host's value is values[0] */
  BCTX_ONE_OF = 2,       /* the host's value is among values */
  BCTX_CONTAINS_ALL = 3, /* the host's set has every one of values */
  BCTX_AT_LEAST = 4      /* the host's integer is values[0] or more */
} bctx_predicate;

/* What a machine must have. Keys of the host profile: "arch" (x86_64, aarch64), "os" (linux),
 * "cpu.features" (set, names as in the kernel's cpuinfo), "cpu.count" (integer). */
typedef struct bctx_requirement {
  const char* key;
  int32_t predicate; /* bctx_predicate */
  const char* const* values;
  size_t value_count;
} bctx_requirement;

typedef enum bctx_weights {
  BCTX_WEIGHTS_NONE = 0,     /* the partition has none, or they come with every run as inputs */
  BCTX_WEIGHTS_EMBEDDED = 1, /* their values are in the blob */
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
  void* plugin;    /* the plug-in's own, for release_blob */
} bctx_blob;

typedef struct bctx_compile_request {
  uint32_t struct_size;
  const bctx_partition* partition;
  const char* target;
  const bctx_key_value* options; /* what the user asked for */
  size_t option_count;
  const char* dump_folder; /* null, or where to leave intermediate forms for people to read */
} bctx_compile_request;

/* ---- running ------------------------------------------------------------------------------- */

typedef struct bctx_kernel bctx_kernel; /* the plug-in's own */

typedef struct bctx_tensor {
  void* data; /* dense, row major, aligned to its element at least */
  const int64_t* dims;
  int32_t rank;
  int32_t element_type;
} bctx_tensor;

typedef struct bctx_load_request {
  uint32_t struct_size;
  bctx_bytes blob; /* private to this process and already compared with its digest */
  const char* entry;
  const bctx_key_value* options; /* as compile returned them */
  size_t option_count;
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
} bctx_plugin;

/* The plug-in's table, static; null when it needs a host newer than max_abi_version. */
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
