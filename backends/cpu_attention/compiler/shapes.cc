#include "compiler/shapes.h"

namespace backendctx::cpu_attention {
namespace {

std::string Number(int64_t value) { return std::to_string(value); }

// What the declared shapes say of one extent; -1: nothing yet.
Outcome Learn(const std::string& what, const bctx_value& value, int axis, int64_t* extent) {
  if (value.dims == nullptr || value.rank == -1 || value.dims[axis] == -1) return {};
  const int64_t found = value.dims[axis];
  if (*extent != -1 && *extent != found) {
    return Unsupported(what + " has " + Number(found) + " on axis " + Number(axis) + ", expected " +
                       Number(*extent));
  }
  *extent = found;
  return {};
}

// Batch, query heads, queries, keys as far as they are declared.
struct Extents {
  int64_t batch = -1, heads = -1, queries = -1, keys = -1;
};

Outcome LearnOperand(const char* name, const Operand& operand, const bctx_value& value,
                     int64_t head_size, int64_t* batch, int64_t* heads, int64_t* length) {
  const std::string what = std::string("operand ") + name;
  Outcome outcome = Learn(what, value, operand.axis[0], batch);
  if (outcome.ok()) outcome = Learn(what, value, operand.axis[2], length);
  if (!outcome.ok()) return outcome;
  if (operand.rank == 3) {
    int64_t channels = *heads == -1 ? -1 : *heads * head_size;
    outcome = Learn(what, value, operand.axis[3], &channels);
    if (outcome.ok() && channels != -1) {
      if (channels % head_size != 0) {
        return Unsupported(what + " has " + Number(channels) + " channels, expected heads of " +
                           Number(head_size));
      }
      *heads = channels / head_size;
    }
    return outcome;
  }
  outcome = Learn(what, value, operand.axis[1], heads);
  if (outcome.ok()) outcome = Learn(what, value, operand.axis[3], &head_size);
  return outcome;
}

// A mask dimension is 1 or the whole extent; a declared one that is neither would fail every call.
Outcome CheckMaskShape(int number, const bctx_value& value, const Extents& extents) {
  if (value.dims == nullptr || value.rank == -1) return {};
  const int64_t full[4] = {extents.batch, extents.heads, extents.queries, extents.keys};
  for (int i = 0; i < value.rank; ++i) {
    const bool is_batch = i == 0 && value.rank == 3 && extents.heads == 1;
    const int64_t dim = value.dims[i], whole = full[is_batch ? 0 : 4 - value.rank + i];
    if (dim != -1 && dim != 1 && whole != -1 && dim != whole) {
      return Unsupported("mask " + Number(number) + " has " + Number(dim) + " on axis " +
                         Number(i) + ", expected 1 or " + Number(whole));
    }
  }
  return {};
}

}  // namespace

Outcome CheckShapes(const bctx_partition& partition, const Plan& plan) {
  Extents extents;
  extents.heads = plan.q_heads;
  int64_t kv_heads = plan.kv_heads;
  Outcome outcome = LearnOperand("q", plan.q, partition.inputs[plan.q.index], plan.qk_head_size,
                                 &extents.batch, &extents.heads, &extents.queries);
  if (outcome.ok()) {
    outcome = LearnOperand("k", plan.k, partition.inputs[plan.k.index], plan.qk_head_size,
                           &extents.batch, &kv_heads, &extents.keys);
  }
  if (outcome.ok()) {
    outcome = LearnOperand("v", plan.v, partition.inputs[plan.v.index], plan.v_head_size,
                           &extents.batch, &kv_heads, &extents.keys);
  }
  if (outcome.ok()) {
    outcome = LearnOperand("y", plan.y, partition.outputs[plan.y.index], plan.v_head_size,
                           &extents.batch, &extents.heads, &extents.queries);
  }
  for (size_t i = 0; i < plan.masks.size() && outcome.ok(); ++i) {
    outcome = CheckMaskShape(static_cast<int>(i), partition.inputs[plan.masks[i].index], extents);
  }
  return outcome;
}

}  // namespace backendctx::cpu_attention
