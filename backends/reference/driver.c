/* load and run. Nothing in a blob is believed: every count, place and size is checked once, by
 * load, so that run can follow the program without looking. */
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "blob.h"

struct bctx_kernel {
  struct header header;
  struct constant* constants;
  struct instruction* instructions;
  uint32_t* outputs;
  const float** contents; /* of each constant */
  const uint8_t* file;    /* the weight file, where the blob points into it */
  size_t file_size;
  uint8_t blob[]; /* a copy of the blob, of which the lists above are parts */
};

/* ---- load ---------------------------------------------------------------------------------- */

static const bctx_bound_weight* find_weight(const bctx_load_request* request, uint64_t table_offset,
                                            uint64_t size) {
  for (size_t i = 0; i < request->weight_count; ++i) {
    const bctx_bound_weight* weight = &request->weights[i];
    if (weight->offset == table_offset && weight->size == size) return weight;
  }
  return NULL;
}

/* Maps the file of weights; it is there until unload, and so is the mapping. */
static bctx_code map_weights(struct bctx_kernel* k, const char* path, bctx_error* error) {
  const int file = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
  struct stat status;
  if (file >= 0 && fstat(file, &status) == 0 && status.st_size > 0) {
    void* data = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, file, 0);
    if (data != MAP_FAILED) {
      k->file = data;
      k->file_size = (size_t)status.st_size;
    }
  }
  if (file >= 0) close(file);
  if (k->file != NULL) return BCTX_OK;
  return reference_fail(error, BCTX_INCOMPATIBLE, "the weights are in no file that can be mapped");
}

/* Finds the bytes of constant `i`: in the copy of the blob, or in the file of weights. */
static bctx_code bind_constant(struct bctx_kernel* k, uint8_t* blob_data, uint32_t i,
                               const bctx_load_request* request, bctx_error* error) {
  const struct constant* constant = &k->constants[i];
  const uint32_t kind = k->header.weights;
  uint64_t size = 0;
  if (constant->rank > kMaxRank || !reference_bytes(constant->dims, constant->rank, &size)) {
    return reference_fail(error, BCTX_MALFORMED, "constant %u: impossible shape", i);
  }
  if (constant->where > kInTable || (constant->where == kRefit && kind != BCTX_WEIGHTS_REFIT) ||
      (constant->where == kInTable && kind != BCTX_WEIGHTS_OFFSET)) {
    return reference_fail(error, BCTX_MALFORMED, "constant %u: impossible place", i);
  }
  const bctx_bound_weight* weight = find_weight(request, constant->table_offset, size);
  if (constant->where != kInData && weight == NULL) {
    return reference_fail(error, BCTX_MALFORMED, "constant %u: its weight is not in the table", i);
  }
  if (constant->where == kInTable) {
    const uint64_t at = weight->file_offset;
    if (at % sizeof(float) != 0 || at > k->file_size || size > k->file_size - at) {
      return reference_fail(error, BCTX_INCOMPATIBLE, "constant %u: not where it can be read", i);
    }
    k->contents[i] = (const float*)(const void*)(k->file + at);
    return BCTX_OK;
  }
  const uint64_t at = constant->data_offset;
  if (at % sizeof(float) != 0 || at > k->header.data_bytes || size > k->header.data_bytes - at) {
    return reference_fail(error, BCTX_MALFORMED, "constant %u: reaches beyond the data", i);
  }
  if (constant->where == kRefit && size != 0) memcpy(blob_data + at, weight->data, size);
  k->contents[i] = (const float*)(const void*)(blob_data + at);
  return BCTX_OK;
}

static bctx_code check_program(const struct bctx_kernel* k, bctx_error* error) {
  const uint32_t first = k->header.inputs + k->header.constants;
  for (uint32_t i = 0; i < k->header.instructions; ++i) {
    const struct instruction* instruction = &k->instructions[i];
    if (instruction->code > kErf || instruction->a >= first + i || instruction->b >= first + i) {
      return reference_fail(error, BCTX_MALFORMED, "instruction %u: impossible", i);
    }
  }
  for (uint32_t i = 0; i < k->header.outputs; ++i) {
    bool is_made = k->outputs[i] >= first && k->outputs[i] - first < k->header.instructions;
    for (uint32_t j = 0; j < i; ++j) is_made = is_made && k->outputs[j] != k->outputs[i];
    if (!is_made) return reference_fail(error, BCTX_MALFORMED, "output %u: impossible", i);
  }
  return BCTX_OK;
}

bctx_code reference_load(const bctx_load_request* request, bctx_kernel** kernel,
                         bctx_error* error) {
  if (request->struct_size < sizeof(*request)) {
    return reference_fail(error, BCTX_INVALID_ARGUMENT, "the request is shorter than version 1");
  }
  struct header h;
  bctx_code code = reference_header(&request->blob, &h, error);
  if (code != BCTX_OK) return code;
  if (h.target != 0) {
    return reference_fail(error, BCTX_INCOMPATIBLE, "the blob is for target %s",
                          kReferenceTargets[h.target]);
  }
  if (h.inputs != request->input_count || h.outputs != request->output_count ||
      request->entry == NULL || strcmp(request->entry, REFERENCE_ENTRY) != 0) {
    return reference_fail(error, BCTX_MALFORMED, "the blob is of another partition or entry");
  }
  bctx_kernel* k = malloc(sizeof(*k) + request->blob.size);
  const float** contents = calloc(h.constants + 1, sizeof(*contents));
  if (k == NULL || contents == NULL) {
    free(k);
    free(contents);
    return reference_fail(error, BCTX_INTERNAL, "no memory for the kernel");
  }
  memcpy(k->blob, request->blob.data, request->blob.size);
  k->header = h;
  k->file = NULL;
  k->contents = contents;
  k->constants = (struct constant*)(void*)(k->blob + sizeof(h));
  k->instructions = (struct instruction*)(void*)(k->constants + h.constants);
  k->outputs = (uint32_t*)(void*)(k->instructions + h.instructions);
  if (h.weights == BCTX_WEIGHTS_OFFSET) code = map_weights(k, request->weight_file, error);
  for (uint32_t i = 0; i < h.constants && code == BCTX_OK; ++i) {
    code = bind_constant(k, (uint8_t*)(k->outputs + h.outputs), i, request, error);
  }
  if (code == BCTX_OK) code = check_program(k, error);
  if (code == BCTX_OK) {
    *kernel = k;
  } else {
    reference_unload(k);
  }
  return code;
}

void reference_unload(bctx_kernel* kernel) {
  if (kernel->file != NULL) munmap((void*)(uintptr_t)kernel->file, kernel->file_size);
  free(kernel->contents);
  free(kernel);
}

/* ---- run ----------------------------------------------------------------------------------- */

/* A value of one run. Runs share nothing but the kernel, which they only read. */
struct tensor {
  float* data;
  float* owned; /* what is freed at the end; null: the host's or the kernel's */
  int64_t dims[kMaxRank];
  int32_t rank;
};

/* One instruction, cut into units: elements, rows of a softmax, rows of a product. */
struct job {
  uint32_t code;
  const struct tensor *a, *b, *out;
  int64_t units, chunks;
};

/* Where an operand has the element that broadcasts to element `index` of a result. */
static int64_t broadcast(const int64_t* dims, int32_t rank, const int64_t* to, int32_t to_rank,
                         int64_t index) {
  int64_t at = 0, stride = 1;
  for (int32_t i = 1; i <= rank; ++i) {
    const int64_t extent = to[to_rank - i];
    if (dims[rank - i] != 1) at += index % extent * stride;
    stride *= dims[rank - i];
    index /= extent;
  }
  return at;
}

static float element(uint32_t code, float a, float b) {
  switch (code) {
    case kAdd:
      return a + b;
    case kSub:
      return a - b;
    case kMul:
      return a * b;
    case kDiv:
      return a / b;
    case kRelu:
      return a < 0 ? 0.F : a; /* a NaN stays one */
    case kTanh:
      return tanhf(a);
    case kSigmoid:
      return 1.F / (1.F + expf(-a));
    case kErf:
      return erff(a);
    default:
      return a;
  }
}

static void softmax_row(const float* in, float* out, int64_t n) {
  float most = in[0];
  for (int64_t i = 1; i < n; ++i) most = in[i] > most || in[i] != in[i] ? in[i] : most;
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += out[i] = expf(in[i] - most);
  for (int64_t i = 0; i < n; ++i) out[i] = (float)(out[i] / sum);
}

static void matmul_row(const struct job* job, int64_t unit) {
  const struct tensor *a = job->a, *b = job->b, *out = job->out;
  const int64_t rows = out->dims[out->rank - 2], columns = out->dims[out->rank - 1];
  const int64_t depth = a->dims[a->rank - 1];
  const int64_t batch = unit / rows, row = unit % rows;
  const float* left =
      a->data + depth * row +
      broadcast(a->dims, a->rank - 2, out->dims, out->rank - 2, batch) * rows * depth;
  const float* right =
      b->data + broadcast(b->dims, b->rank - 2, out->dims, out->rank - 2, batch) * depth * columns;
  for (int64_t column = 0; column < columns; ++column) {
    double sum = 0;
    for (int64_t i = 0; i < depth; ++i) sum += (double)left[i] * right[i * columns + column];
    out->data[unit * columns + column] = (float)sum;
  }
}

/* What the host calls for each chunk, from any of its threads. */
static void work(void* argument, size_t chunk) {
  const struct job* job = argument;
  const int64_t step = job->units / job->chunks, rest = job->units % job->chunks;
  const int64_t i = (int64_t)chunk;
  const int64_t begin = i * step + (i < rest ? i : rest);
  const int64_t end = begin + step + (i < rest);
  for (int64_t unit = begin; unit < end; ++unit) {
    if (job->code == kMatMul) {
      matmul_row(job, unit);
    } else if (job->code == kSoftmax) {
      const int64_t n = job->out->dims[job->out->rank - 1];
      softmax_row(job->a->data + unit * n, job->out->data + unit * n, n);
    } else {
      const struct tensor *a = job->a, *b = job->b, *out = job->out;
      out->data[unit] =
          element(job->code, a->data[broadcast(a->dims, a->rank, out->dims, out->rank, unit)],
                  b->data[broadcast(b->dims, b->rank, out->dims, out->rank, unit)]);
    }
  }
}

/* numpy's rule over all but the last `matrix` axes, which are set by the caller. */
static bool broadcast_dims(const struct tensor* a, const struct tensor* b, int32_t matrix,
                           struct tensor* out) {
  out->rank = a->rank > b->rank ? a->rank : b->rank;
  for (int32_t i = 1 + matrix; i <= out->rank; ++i) {
    const int64_t of_a = i <= a->rank ? a->dims[a->rank - i] : 1;
    const int64_t of_b = i <= b->rank ? b->dims[b->rank - i] : 1;
    if (of_a != of_b && of_a != 1 && of_b != 1) return false;
    out->dims[out->rank - i] = of_a == 1 ? of_b : of_a;
  }
  return true;
}

static bool shape_of_result(uint32_t code, const struct tensor* a, const struct tensor* b,
                            struct tensor* out) {
  const bool is_product = code == kMatMul;
  if ((is_product && (a->rank < 2 || b->rank < 2)) || (code == kSoftmax && a->rank < 1))
    return false;
  if (!broadcast_dims(a, b, is_product ? 2 : 0, out)) return false;
  if (!is_product) return true;
  out->dims[out->rank - 2] = a->dims[a->rank - 2];
  out->dims[out->rank - 1] = b->dims[b->rank - 1];
  return a->dims[a->rank - 1] == b->dims[b->rank - 2];
}

static bctx_code execute(const bctx_kernel* k, uint32_t i, struct tensor* values, bctx_run* run,
                         bctx_error* error) {
  const struct instruction* instruction = &k->instructions[i];
  const uint32_t value = k->header.inputs + k->header.constants + i;
  struct tensor* out = &values[value];
  struct job job = {instruction->code, &values[instruction->a], &values[instruction->b], out, 0, 1};
  uint64_t bytes = 0;
  if (!shape_of_result(job.code, job.a, job.b, out) ||
      !reference_bytes(out->dims, (uint32_t)out->rank, &bytes)) {
    return reference_fail(error, BCTX_INVALID_ARGUMENT, "instruction %u: the shapes do not fit", i);
  }
  uint32_t output = 0;
  while (output < k->header.outputs && k->outputs[output] != value) ++output;
  if (output < k->header.outputs) {
    out->data = run->output(run, output, out->dims, out->rank);
  } else {
    out->data = out->owned = malloc(bytes + 1);
  }
  if (bytes == 0) return BCTX_OK;
  if (out->data == NULL) return reference_fail(error, BCTX_INTERNAL, "no memory for a result");
  job.units = (int64_t)(bytes / sizeof(float));
  if (job.code == kMatMul || job.code == kSoftmax) job.units /= out->dims[out->rank - 1];
  job.chunks = 1 + (int64_t)(bytes >> 16); /* less is not worth another thread */
  if (job.chunks > job.units) job.chunks = job.units;
  if (job.chunks > (int64_t)run->threads) job.chunks = (int64_t)run->threads;
  if (job.chunks <= 1 || run->parallel == NULL) {
    job.chunks = 1;
    work(&job, 0);
  } else {
    run->parallel(run, (size_t)job.chunks, work, &job);
  }
  return BCTX_OK;
}

static bctx_code take_inputs(const bctx_kernel* k, const bctx_run* run, struct tensor* values,
                             bctx_error* error) {
  if (run->input_count != k->header.inputs || run->output_count != k->header.outputs) {
    return reference_fail(error, BCTX_INVALID_ARGUMENT, "found %zu inputs and %zu outputs",
                          run->input_count, run->output_count);
  }
  for (uint32_t i = 0; i < k->header.inputs; ++i) {
    const bctx_tensor* input = &run->inputs[i];
    uint64_t bytes = 0;
    if (input->element_type != kFloat || input->rank < 0 || input->rank > kMaxRank ||
        !reference_bytes(input->dims, (uint32_t)input->rank, &bytes)) {
      return reference_fail(error, BCTX_INVALID_ARGUMENT,
                            "input %u: element type %d and rank %d, expected float32 of at most 8 "
                            "axes",
                            i, input->element_type, input->rank);
    }
    values[i].data = input->data;
    values[i].rank = input->rank;
    if (input->rank > 0) memcpy(values[i].dims, input->dims, (size_t)input->rank * sizeof(int64_t));
  }
  for (uint32_t i = 0; i < k->header.constants; ++i) {
    struct tensor* value = &values[k->header.inputs + i];
    value->data = (float*)(uintptr_t)k->contents[i]; /* only read */
    value->rank = (int32_t)k->constants[i].rank;
    memcpy(value->dims, k->constants[i].dims, sizeof(value->dims));
  }
  return BCTX_OK;
}

bctx_code reference_run(bctx_kernel* k, bctx_run* run, bctx_error* error) {
  if (run->struct_size < sizeof(*run)) {
    return reference_fail(error, BCTX_INVALID_ARGUMENT, "the run is shorter than version 1");
  }
  const size_t count = (size_t)k->header.inputs + k->header.constants + k->header.instructions;
  struct tensor* values = calloc(count + 1, sizeof(*values));
  if (values == NULL) return reference_fail(error, BCTX_INTERNAL, "no memory for the values");
  bctx_code code = take_inputs(k, run, values, error);
  for (uint32_t i = 0; i < k->header.instructions && code == BCTX_OK; ++i) {
    code = execute(k, i, values, run, error);
  }
  for (size_t i = 0; i < count; ++i) free(values[i].owned);
  free(values);
  return code;
}
