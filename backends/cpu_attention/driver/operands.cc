#include "driver/operands.h"

#include <cstring>

namespace backendctx::cpu_attention {
namespace {

constexpr int32_t kFloat = 1, kBool = 9;  // onnx TensorProto.DataType
// Larger than any tensor; products of a few such numbers and an element's size fit 64 bits.
constexpr int64_t kMaxElements = int64_t{1} << 48;

std::string Shape(const int64_t* dims, int32_t rank) {
  std::string text = "[";
  for (int32_t i = 0; i < rank; ++i) {
    if (i != 0) text += ',';
    text += std::to_string(dims[i]);
  }
  return text + "]";
}

struct Extents {
  int64_t batch, heads, sequence;
};

Outcome CheckSize(const std::string& what, const int64_t* dims, int32_t rank) {
  int64_t elements = 1;
  for (int32_t i = 0; i < rank; ++i) {
    if (dims[i] < 0 || __builtin_mul_overflow(elements, dims[i] == 0 ? 1 : dims[i], &elements) ||
        elements > kMaxElements) {
      return Invalid(what + " has shape " + Shape(dims, rank));
    }
  }
  return {};
}

void DenseStrides(const int64_t* dims, int32_t rank, int64_t* strides) {
  int64_t stride = 1;
  for (int32_t i = rank - 1; i >= 0; --i) {
    strides[i] = stride;
    stride *= dims[i] == 0 ? 1 : dims[i];
  }
}

void SetStrides(const TableOperand& operand, const int64_t* dims, int64_t head_size, View* view) {
  int64_t strides[4];
  DenseStrides(dims, operand.rank, strides);
  view->batch = strides[operand.axis[0]];
  view->sequence = strides[operand.axis[2]];
  view->channel = strides[operand.axis[3]];
  view->head = operand.rank == 3 ? head_size : strides[operand.axis[1]];
}

Outcome ReadOperand(const char* name, const TableOperand& operand, int32_t head_size,
                    const bctx_run& run, View* view, Extents* extents) {
  const std::string what =
      std::string("operand ") + name + " (input " + std::to_string(operand.index) + ")";
  const bctx_tensor& tensor = run.inputs[operand.index];
  if (tensor.element_type != kFloat) {
    return Invalid(what + " has element type " + std::to_string(tensor.element_type) +
                   ", expected float32 (1)");
  }
  if (tensor.rank != operand.rank) {
    return Invalid(what + " has rank " + std::to_string(tensor.rank) + ", expected " +
                   std::to_string(operand.rank));
  }
  BCTX_RETURN_UNLESS_OK(CheckSize(what, tensor.dims, tensor.rank));
  extents->batch = tensor.dims[operand.axis[0]];
  extents->sequence = tensor.dims[operand.axis[2]];
  const int64_t channels = tensor.dims[operand.axis[3]];
  if (operand.rank == 3) {
    if (channels % head_size != 0) {
      return Invalid(what + " has shape " + Shape(tensor.dims, tensor.rank) +
                     ", expected whole heads of " + std::to_string(head_size));
    }
    extents->heads = channels / head_size;
  } else {
    if (channels != head_size) {
      return Invalid(what + " has shape " + Shape(tensor.dims, tensor.rank) + ", expected " +
                     std::to_string(head_size) + " on axis " + std::to_string(operand.axis[3]));
    }
    extents->heads = tensor.dims[operand.axis[1]];
  }
  view->data = static_cast<char*>(tensor.data);
  SetStrides(operand, tensor.dims, head_size, view);
  return {};
}

Outcome Expect(const char* what, int64_t found, int64_t expected) {
  if (found == expected) return {};
  return Invalid(std::string(what) + " is " + std::to_string(found) + ", expected " +
                 std::to_string(expected));
}

Outcome ReadMask(int number, const TableMask& mask, const bctx_run& run, const Call& call,
                 MaskView* view) {
  const std::string what =
      "mask " + std::to_string(number) + " (input " + std::to_string(mask.index) + ")";
  const bctx_tensor& tensor = run.inputs[mask.index];
  const int32_t type = mask.kind == BCTX_MASK_ADD ? kFloat : kBool;
  if (tensor.element_type != type) {
    return Invalid(what + " has element type " + std::to_string(tensor.element_type) +
                   ", expected " + std::to_string(type));
  }
  if (tensor.rank < 0 || tensor.rank > 4) {
    return Invalid(what + " has rank " + std::to_string(tensor.rank) + ", expected at most 4");
  }
  BCTX_RETURN_UNLESS_OK(CheckSize(what, tensor.dims, tensor.rank));
  const int64_t full[4] = {call.batch, call.q_heads, call.queries, call.keys};
  int64_t* out[4] = {&view->batch, &view->head, &view->query, &view->key};
  int64_t strides[4];
  DenseStrides(tensor.dims, tensor.rank, strides);
  for (int32_t i = 0; i < tensor.rank; ++i) {
    const bool is_batch = i == 0 && tensor.rank == 3 && call.q_heads == 1;
    const int32_t axis = is_batch ? 0 : 4 - tensor.rank + i;
    if (tensor.dims[i] != 1 && tensor.dims[i] != full[axis]) {
      return Invalid(what + " has shape " + Shape(tensor.dims, tensor.rank) +
                     ", expected to broadcast to " + Shape(full, 4));
    }
    *out[axis] = tensor.dims[i] == 1 ? 0 : strides[i];
  }
  view->data = static_cast<const char*>(tensor.data);
  view->element_bytes = mask.kind == BCTX_MASK_ADD ? 4 : 1;
  return {};
}

bool RowsAreEqual(const MaskView& view, int64_t batches, int64_t rows, int64_t row_bytes) {
  for (int64_t b = 0; b < (view.batch == 0 ? 1 : batches); ++b) {
    const char* first = view.data + b * view.batch * view.element_bytes;
    for (int64_t row = 1; row < rows; ++row) {
      const char* other = first + row * view.query * view.element_bytes;
      if (std::memcmp(first, other, static_cast<size_t>(row_bytes)) != 0) return false;
    }
  }
  return true;
}

// Exporters write a padding mask out for every query. Comparing the rows costs one pass over the
// mask and ends at the first difference; a mask of one row then costs each head almost nothing,
// where a full one is read again by each.
void FoldEqualRows(const Call& call, MaskView* view) {
  const bool adjacent = view->key == 1 || call.keys == 1;
  if (view->query == 0 || view->head != 0 || call.q_heads < 2 || !adjacent) return;
  if (RowsAreEqual(*view, call.batch, call.queries, call.keys * view->element_bytes)) {
    view->query = 0;
  }
}

void OutputShape(const KernelTable& table, Call* call) {
  const TableOperand& y = table.y;
  call->y_dims[y.axis[0]] = call->batch;
  call->y_dims[y.axis[2]] = call->queries;
  if (y.rank == 3) {
    call->y_dims[y.axis[3]] = call->q_heads * table.v_head_size;
  } else {
    call->y_dims[y.axis[1]] = call->q_heads;
    call->y_dims[y.axis[3]] = table.v_head_size;
  }
  SetStrides(y, call->y_dims, table.v_head_size, &call->y);
}

}  // namespace

Outcome ReadShapes(const KernelTable& table, const bctx_run& run, Call* call) {
  if (run.input_count != static_cast<size_t>(table.input_count) ||
      run.output_count != static_cast<size_t>(table.output_count)) {
    return Invalid("call has " + std::to_string(run.input_count) + " inputs and " +
                   std::to_string(run.output_count) + " outputs, expected " +
                   std::to_string(table.input_count) + " and " +
                   std::to_string(table.output_count));
  }
  Extents q{}, k{}, v{};
  BCTX_RETURN_UNLESS_OK(ReadOperand("q", table.q, table.qk_head_size, run, &call->q, &q));
  BCTX_RETURN_UNLESS_OK(ReadOperand("k", table.k, table.qk_head_size, run, &call->k, &k));
  BCTX_RETURN_UNLESS_OK(ReadOperand("v", table.v, table.v_head_size, run, &call->v, &v));
  BCTX_RETURN_UNLESS_OK(Expect("batch of k", k.batch, q.batch));
  BCTX_RETURN_UNLESS_OK(Expect("batch of v", v.batch, q.batch));
  BCTX_RETURN_UNLESS_OK(Expect("length of v", v.sequence, k.sequence));
  BCTX_RETURN_UNLESS_OK(Expect("head count of v", v.heads, k.heads));
  if (table.q_heads > 0) BCTX_RETURN_UNLESS_OK(Expect("head count of q", q.heads, table.q_heads));
  if (table.kv_heads > 0) BCTX_RETURN_UNLESS_OK(Expect("head count of k", k.heads, table.kv_heads));
  if (q.heads != 0 && (k.heads == 0 || q.heads % k.heads != 0)) {
    return Invalid("head count of q is " + std::to_string(q.heads) +
                   ", expected a multiple of that of k, " + std::to_string(k.heads));
  }
  call->batch = q.batch;
  call->q_heads = q.heads;
  call->kv_heads = k.heads;
  call->queries = q.sequence;
  call->keys = k.sequence;
  for (int i = 0; i < table.mask_count; ++i) {
    BCTX_RETURN_UNLESS_OK(ReadMask(i, table.masks[i], run, *call, &call->masks[i]));
    FoldEqualRows(*call, &call->masks[i]);
  }
  OutputShape(table, call);
  return {};
}

}  // namespace backendctx::cpu_attention
