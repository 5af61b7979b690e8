/* The reference backend: what a plug-in is, in as little C as it takes. Read it in this order: this
 * page (what a blob holds), compiler.c (offer and compile), driver.c (load and run), plugin.c (the
 * table, and what is said of blobs and machines). docs/plugins.md goes through it step by step.
 *
 * A blob is a list of instructions over numbered values. Values are the partition's inputs, then
 * the blob's constants, then the result of each instruction, so an instruction can only read what
 * is there before it and no list can make a cycle. Little endian, nothing between the parts:
 *
 *   header
 *   constant[constants]
 *   instruction[instructions]
 *   uint32_t value[outputs]      the partition's outputs; each is made by an instruction
 *   uint8_t data[data_bytes]     what the constants hold
 *
 * Where the bytes of a weight come from is the user's choice (option `weights`), so that each kind
 * of binding of the interface has one plain example: `embedded` in data, `inputs` of every run,
 * `refit` (zeros in data, which load overwrites in its copy), `offset` (a place in the weight
 * table, read where the host has it). Constants that are in no weight table are always in data. */
#ifndef BACKENDS_REFERENCE_BLOB_H_
#define BACKENDS_REFERENCE_BLOB_H_

#include <stdbool.h>
#include <stdint.h>

#include "backendctx/plugin_abi.h"

#define REFERENCE_MAGIC "BCTXREF1"
#define REFERENCE_ENTRY "main"
enum { kVersion = 1, kMaxRank = 8, kMaxCount = 1 << 20, kFloat = 1 /* onnx TensorProto.FLOAT */ };

struct header {
  char magic[8];
  uint32_t version;
  uint32_t weights; /* bctx_weights */
  uint32_t target;  /* index in kReferenceTargets */
  uint32_t cpus;    /* option `cpus` */
  uint32_t inputs, constants, instructions, outputs;
  uint64_t data_bytes;
};

enum { kInData, kRefit, kInTable }; /* where a constant's bytes are */

struct constant {
  uint32_t where, rank;
  int64_t dims[kMaxRank];
  uint64_t data_offset;  /* of kInData and kRefit */
  uint64_t table_offset; /* of kRefit and kInTable */
};

struct instruction {
  uint32_t code;
  uint32_t a, b; /* values; b is a where there is one operand */
};

enum code { kAdd, kSub, kMul, kDiv, kMatMul, kSoftmax, kRelu, kIdentity, kTanh, kSigmoid, kErf };

struct op {
  const char* name;
  uint32_t code;
  size_t operands;
  int64_t since; /* version of ONNX's operator set that has today's meaning */
};
extern const struct op kReferenceOps[];       /* ends with a null name */
extern const char* const kReferenceTargets[]; /* null-terminated */
extern const char* const kReferenceOptions[]; /* null-terminated */

/* Writes a message where there is room for one, and returns `code`. */
bctx_code reference_fail(bctx_error* error, bctx_code code, const char* format, ...)
    __attribute__((format(printf, 3, 4)));
/* Bytes of a dense float tensor; false when a dimension is negative or there are too many. */
bool reference_bytes(const int64_t* dims, uint32_t rank, uint64_t* bytes);
/* The header, once it and the sizes that it promises were found to be true. */
bctx_code reference_header(const bctx_bytes* blob, struct header* header, bctx_error* error);
/* "reference 1 target=reference cpus=1" */
void reference_label(const struct header* header, char text[128]);

bctx_code reference_offer(const bctx_offer_request*, bctx_offer*, bctx_error*);
void reference_release_offer(bctx_offer*);
bctx_code reference_compile(const bctx_compile_request*, bctx_blob*, bctx_error*);
void reference_release_blob(bctx_blob*);
bctx_code reference_load(const bctx_load_request*, bctx_kernel**, bctx_error*);
bctx_code reference_run(bctx_kernel*, bctx_run*, bctx_error*);
void reference_unload(bctx_kernel*);
const bctx_plugin* reference_plugin(void);

#endif /* BACKENDS_REFERENCE_BLOB_H_ */
