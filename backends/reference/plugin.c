/* The table, and what is said of blobs and of this machine. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "blob.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "blobs hold host integers and floats");

const struct op kReferenceOps[] = {
    {"Add", kAdd, 2, 7},         {"Sub", kSub, 2, 7},           {"Mul", kMul, 2, 7},
    {"Div", kDiv, 2, 7},         {"MatMul", kMatMul, 2, 1},     {"Softmax", kSoftmax, 1, 13},
    {"Relu", kRelu, 1, 6},       {"Identity", kIdentity, 1, 1}, {"Tanh", kTanh, 1, 6},
    {"Sigmoid", kSigmoid, 1, 6}, {"Erf", kErf, 1, 9},           {NULL, 0, 0, 0},
};
/* `elsewhere` makes blobs that no machine takes: for tests of what happens then. */
const char* const kReferenceTargets[] = {"reference", "elsewhere", NULL};
const char* const kReferenceOptions[] = {"cpus", "weights", NULL};

bctx_code reference_fail(bctx_error* error, bctx_code code, const char* format, ...) {
  const size_t head = offsetof(bctx_error, message);
  if (error == NULL || error->struct_size <= head) return code;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(error->message, error->struct_size - head, format, arguments);
  va_end(arguments);
  return code;
}

bool reference_bytes(const int64_t* dims, uint32_t rank, uint64_t* bytes) {
  const uint64_t most = UINT64_C(1) << 40;
  bool is_empty = false;
  uint64_t size = sizeof(float);
  for (uint32_t i = 0; i < rank; ++i) {
    if (dims[i] < 0) return false;
    const uint64_t extent = dims[i] == 0 ? 1 : (uint64_t)dims[i];
    if (extent > most / size) return false;
    is_empty = is_empty || dims[i] == 0;
    size *= extent;
  }
  *bytes = is_empty ? 0 : size;
  return true;
}

bctx_code reference_header(const bctx_bytes* blob, struct header* h, bctx_error* error) {
  if (blob->data == NULL || blob->size < sizeof(*h)) {
    return reference_fail(error, BCTX_MALFORMED, "the blob is shorter than a header");
  }
  memcpy(h, blob->data, sizeof(*h));
  if (memcmp(h->magic, REFERENCE_MAGIC, sizeof(h->magic)) != 0 || h->version != kVersion) {
    return reference_fail(error, BCTX_MALFORMED, "no blob of version %d", (int)kVersion);
  }
  if (h->weights > BCTX_WEIGHTS_OFFSET || h->target > 1 || h->cpus < 1 || h->cpus > 4096 ||
      h->inputs > kMaxCount || h->constants > kMaxCount || h->instructions > kMaxCount ||
      h->outputs > kMaxCount || h->data_bytes > blob->size) {
    return reference_fail(error, BCTX_MALFORMED, "the header has impossible numbers");
  }
  const uint64_t size = sizeof(*h) + h->constants * (uint64_t)sizeof(struct constant) +
                        h->instructions * (uint64_t)sizeof(struct instruction) +
                        h->outputs * (uint64_t)sizeof(uint32_t) + h->data_bytes;
  if (size != blob->size) {
    return reference_fail(error, BCTX_MALFORMED, "found %zu bytes, expected %llu", blob->size,
                          (unsigned long long)size);
  }
  return BCTX_OK;
}

void reference_label(const struct header* h, char text[128]) {
  snprintf(text, 128, "reference %u target=%s cpus=%u", h->version, kReferenceTargets[h->target],
           h->cpus);
}

static bctx_code label(const bctx_bytes* blob, bctx_sink* sink, bctx_error* error) {
  struct header h;
  char text[128];
  const bctx_code code = reference_header(blob, &h, error);
  if (code != BCTX_OK) return code;
  reference_label(&h, text);
  sink->add(sink, "label", text);
  return BCTX_OK;
}

static bctx_code facts(bctx_sink* sink, bctx_error* error) {
  (void)error;
  char text[128];
  const struct header here = {.version = kVersion, .cpus = 1};
  reference_label(&here, text);
  sink->add(sink, "vendor.reference", text);
  sink->add(sink, "library.reference", BCTX_REFERENCE_VERSION);
  return BCTX_OK;
}

static bctx_code judge(const char* text, bctx_judgement* judgement, bctx_error* error) {
  unsigned version = 0, cpus = 0;
  char target[16];
  if (judgement->struct_size < sizeof(*judgement)) {
    return reference_fail(error, BCTX_INVALID_ARGUMENT, "the judgement is shorter than version 1");
  }
  const size_t room = sizeof(judgement->reason);
  const long have = sysconf(_SC_NPROCESSORS_ONLN);
  judgement->verdict = BCTX_OPTIMAL;
  judgement->reason[0] = '\0';
  if (sscanf(text, "reference %u target=%15s cpus=%u", &version, target, &cpus) != 3) {
    judgement->verdict = BCTX_NOT_APPLICABLE;
    snprintf(judgement->reason, room, "the label is not one of this backend");
  } else if (version != kVersion || strcmp(target, kReferenceTargets[0]) != 0) {
    judgement->verdict = BCTX_UNSUPPORTED_HERE;
    snprintf(judgement->reason, room, "version %u for %s, this machine takes version %d for %s",
             version, target, (int)kVersion, kReferenceTargets[0]);
  } else if (have > 0 && cpus > (unsigned long)have) {
    judgement->verdict = BCTX_PREFER_RECOMPILATION;
    snprintf(judgement->reason, room, "made for %u processors or more, this machine has %ld", cpus,
             have);
  }
  return BCTX_OK;
}

static const char* const kNoOptions[] = {NULL};

static const bctx_plugin kPlugin = {
    .struct_size = sizeof(bctx_plugin),
    .abi_version = BCTX_PLUGIN_ABI_VERSION,
    .backend = "reference",
    .version = BCTX_REFERENCE_VERSION,
    .targets = kReferenceTargets,
    .option_keys = kReferenceOptions,
    .compile = reference_compile,
    .release_blob = reference_release_blob,
    .load = reference_load,
    .run = reference_run,
    .unload = reference_unload,
    .flags = BCTX_PLUGIN_REPRODUCIBLE,
    .load_keys = kNoOptions,
    .offer = reference_offer,
    .release_offer = reference_release_offer,
    .label = label,
    .facts = facts,
    .judge = judge,
};

const bctx_plugin* reference_plugin(void) { return &kPlugin; }
