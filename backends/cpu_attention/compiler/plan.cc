#include "compiler/plan.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "compiler/shapes.h"

namespace backendctx::cpu_attention {
namespace {

constexpr int32_t kFloat = 1, kBool = 9;  // onnx TensorProto.DataType
constexpr int kMinHeadSize = 32, kMaxHeadSize = 128, kHeadSizeStep = 8;

std::string Number(int64_t value) { return std::to_string(value); }

Outcome CheckHeadSize(const char* what, int64_t size) {
  if (size < kMinHeadSize || size > kMaxHeadSize || size % kHeadSizeStep != 0) {
    return Unsupported(std::string(what) + " head size " + Number(size) +
                       ", expected 32 to 128 in steps of 8");
  }
  return {};
}

// Rank from the axes alone: a packed tensor has rank 3, any other 4.
Outcome TakeOperand(const char* name, const bctx_attention_operand& from, const bctx_value* values,
                    size_t count, Operand* to) {
  const std::string what = std::string("operand ") + name;
  if (from.index < 0 || static_cast<size_t>(from.index) >= count) {
    return Fail(BCTX_INVALID_ARGUMENT, what + ": index " + Number(from.index) + " of " +
                                           Number(static_cast<int64_t>(count)) + " values");
  }
  to->index = from.index;
  to->rank = from.axis[1] == from.axis[3] ? 3 : 4;
  std::copy(std::begin(from.axis), std::end(from.axis), to->axis);

  bool seen[4] = {};
  for (int i = 0; i < 4; ++i) {
    const int axis = to->axis[i];
    if (axis < 0 || axis >= to->rank) {
      return Unsupported(what + ": axis " + Number(axis) + " in a tensor of rank " +
                         Number(to->rank));
    }
    if (to->rank == 3 && i == 3) continue;  // shares the head's axis
    if (seen[axis]) {
      return Fail(BCTX_INVALID_ARGUMENT, what + ": axis " + Number(axis) + " is named twice");
    }
    seen[axis] = true;
  }
  const bctx_value& value = values[from.index];
  if (value.rank != -1 && value.rank != to->rank) {
    return Fail(BCTX_INVALID_ARGUMENT,
                what + ": rank " + Number(value.rank) + ", expected " + Number(to->rank));
  }
  if (value.element_type != kFloat) {
    return Unsupported(what + ": element type " + Number(value.element_type) +
                       ", expected float32 (1)");
  }
  if (to->rank == 3 && to->axis[3] != 2) {
    return Unsupported(what + ": packed heads on axis " + Number(to->axis[3]) + ", expected 2");
  }
  return {};
}

Outcome TakeMasks(const bctx_partition& partition, const bctx_attention& attention, Plan* plan) {
  if (attention.mask_count < 0 || attention.mask_count > kMaxMasks) {
    return Fail(BCTX_INVALID_ARGUMENT, "mask count " + Number(attention.mask_count) +
                                           ", expected 0 to " + Number(kMaxMasks));
  }
  for (int i = 0; i < attention.mask_count; ++i) {
    const bctx_attention_mask& mask = attention.masks[i];
    const std::string what = "mask " + Number(i);
    if (mask.index < 0 || static_cast<size_t>(mask.index) >= partition.input_count) {
      return Fail(BCTX_INVALID_ARGUMENT, what + ": index " + Number(mask.index) + " is no input");
    }
    const bool is_bool = mask.kind == BCTX_MASK_KEEP || mask.kind == BCTX_MASK_DROP;
    if (mask.kind != BCTX_MASK_ADD && !is_bool) {
      return Unsupported(what + ": kind " + Number(mask.kind) + " is not known");
    }
    const bctx_value& value = partition.inputs[mask.index];
    const int32_t expected = mask.kind == BCTX_MASK_ADD ? kFloat : kBool;
    if (value.element_type != expected) {
      return Unsupported(what + ": element type " + Number(value.element_type) + ", expected " +
                         Number(expected));
    }
    if (value.rank > 4) {
      return Unsupported(what + ": rank " + Number(value.rank) + ", expected at most 4");
    }
    if (is_bool && !(mask.fill < 0)) {
      return Unsupported(what + ": scores become " + std::to_string(mask.fill) +
                         " where it drops keys, expected a negative number");
    }
    plan->masks.push_back({mask.index, is_bool ? BCTX_MASK_KEEP : BCTX_MASK_ADD});
    plan->fills.push_back({mask.kind == BCTX_MASK_DROP, is_bool ? mask.fill : 0});
  }
  return {};
}

void ListSteps(Plan* plan) {
  using Kind = ScoreStep::Kind;
  if (!plan->scale_in_q && plan->scale != 1) plan->steps.push_back({Kind::kScale});
  if (plan->softcap > 0) plan->steps.push_back({Kind::kSoftcap});
  for (size_t i = 0; i < plan->masks.size(); ++i) {
    const bool add = plan->masks[i].kind == BCTX_MASK_ADD;
    plan->steps.push_back({add ? Kind::kAdd : Kind::kKeep, static_cast<int>(i)});
  }
}

bool IsPowerOfTwo(float value) {
  int exponent = 0;
  return std::abs(std::frexp(value, &exponent)) == 0.5F && std::abs(exponent) < 64;
}

// A block of keys stays in the first-level cache while all tiles of the item pass over it; the
// queries and outputs of an item stay in the second-level cache.
void ChooseBlocks(const Tuning& tuning, Plan* plan) {
  const int head_size = std::max(plan->qk_head_size, plan->v_head_size);
  const int kv_block = std::clamp(24 * 1024 / (4 * head_size) / 8 * 8, 64, 128);
  const int rows = 96 * 2;
  plan->kv_block = tuning.kv_block > 0 ? tuning.kv_block : kv_block;
  plan->q_tiles = tuning.q_tiles > 0 ? tuning.q_tiles : std::max(1, rows / plan->q_tile());
}

Outcome CheckHeads(int64_t q_heads, int64_t kv_heads) {
  if (q_heads == 0 || kv_heads == 0 || q_heads < -1 || kv_heads < -1) {
    return Fail(BCTX_INVALID_ARGUMENT,
                "head counts " + Number(q_heads) + " and " + Number(kv_heads));
  }
  if (q_heads > 0 && kv_heads > 0 && q_heads % kv_heads != 0) {
    return Unsupported("query heads " + Number(q_heads) + ", expected a multiple of the kv heads " +
                       Number(kv_heads));
  }
  return {};
}

TableOperand ToTable(const Operand& operand) {
  TableOperand out{operand.index, operand.rank, {}};
  std::copy(std::begin(operand.axis), std::end(operand.axis), out.axis);
  return out;
}

}  // namespace

Outcome MakePlan(const bctx_partition& partition, const Target& target, const Tuning& tuning,
                 Plan* plan) {
  if (partition.attention == nullptr) return Unsupported("no attention in the partition");
  const bctx_attention& attention = *partition.attention;
  if (attention.struct_size < sizeof(bctx_attention)) {
    return Fail(BCTX_INVALID_ARGUMENT, "bctx_attention is shorter than this plug-in expects");
  }
  if (partition.output_count != 1) {
    return Unsupported("outputs " + Number(static_cast<int64_t>(partition.output_count)) +
                       ", expected 1");
  }
  *plan = Plan{};
  plan->target = &target;
  plan->input_count = static_cast<int>(partition.input_count);
  plan->output_count = static_cast<int>(partition.output_count);

  struct Named {
    const char* name;
    const bctx_attention_operand& from;
    Operand* to;
    bool output;
  };
  const Named operands[] = {{"q", attention.q, &plan->q, false},
                            {"k", attention.k, &plan->k, false},
                            {"v", attention.v, &plan->v, false},
                            {"y", attention.y, &plan->y, true}};
  for (const Named& it : operands) {
    Outcome outcome =
        TakeOperand(it.name, it.from, it.output ? partition.outputs : partition.inputs,
                    it.output ? partition.output_count : partition.input_count, it.to);
    if (!outcome.ok()) return outcome;
  }

  Outcome outcome = CheckHeadSize("query and key", attention.qk_head_size);
  if (outcome.ok()) outcome = CheckHeadSize("value", attention.v_head_size);
  if (outcome.ok()) outcome = CheckHeads(attention.q_heads, attention.kv_heads);
  if (outcome.ok()) outcome = TakeMasks(partition, attention, plan);
  if (!outcome.ok()) return outcome;

  if (!std::isfinite(attention.scale)) return Unsupported("scale is not finite");
  if (!(attention.softcap >= 0) || !std::isfinite(attention.softcap)) {
    return Unsupported("softcap is negative or not finite");
  }
  if (attention.masked_row < BCTX_MASKED_ROW_NAN ||
      attention.masked_row > BCTX_MASKED_ROW_ZERO_BIAS) {
    return Unsupported("masked row rule " + Number(attention.masked_row) + " is not known");
  }
  plan->q_heads = attention.q_heads;
  plan->kv_heads = attention.kv_heads;
  plan->qk_head_size = static_cast<int>(attention.qk_head_size);
  plan->v_head_size = static_cast<int>(attention.v_head_size);
  plan->scale = attention.scale;
  plan->scale_in_q = IsPowerOfTwo(attention.scale);
  plan->softcap = attention.softcap;
  plan->causal = attention.causal != 0;
  plan->masked_row = static_cast<bctx_masked_row>(attention.masked_row);
  outcome = CheckShapes(partition, *plan);
  if (!outcome.ok()) return outcome;
  ChooseBlocks(tuning, plan);
  ListSteps(plan);
  return {};
}

ScratchLayout LayOutScratch(const Plan& plan) {
  // A group of micro-kernel rows may reach past the block's end.
  const int64_t keys = plan.kv_block + 8;
  const int64_t tile = plan.q_tile();
  const int64_t tiles = plan.q_tiles;
  ScratchLayout layout;
  auto take = [&layout](int64_t floats) {
    const int64_t at = layout.floats;
    layout.floats += (floats + 15) / 16 * 16;
    return at;
  };
  layout.q = take(tiles * tile * plan.qk_head_size);
  layout.out = take(tiles * tile * plan.v_head_size);
  layout.max = take(tiles * tile);
  layout.sum = take(tiles * tile);
  layout.weights = take(keys * tile);
  for (size_t i = 0; i < plan.masks.size(); ++i) layout.mask[i] = take(keys * tile);
  return layout;
}

KernelTable MakeTable(const Plan& plan) {
  KernelTable table{};
  std::memcpy(table.magic, kTableMagic, sizeof(table.magic));
  table.version = kTableVersion;
  table.table_bytes = sizeof(KernelTable);
  table.isa = static_cast<uint32_t>(plan.target->isa);
  table.args_bytes = sizeof(KernelArgs);
  table.scratch_bytes = static_cast<uint64_t>(LayOutScratch(plan).floats) * sizeof(float);
  table.q_heads = plan.q_heads;
  table.kv_heads = plan.kv_heads;
  table.qk_head_size = plan.qk_head_size;
  table.v_head_size = plan.v_head_size;
  table.q_tile = plan.q_tile();
  table.q_tiles = plan.q_tiles;
  table.kv_block = plan.kv_block;
  table.causal = plan.causal ? 1 : 0;
  table.masked_row = plan.masked_row;
  table.scale = plan.scale;
  table.softcap = plan.softcap;
  table.mask_count = static_cast<int32_t>(plan.masks.size());
  table.input_count = plan.input_count;
  table.output_count = plan.output_count;
  table.q = ToTable(plan.q);
  table.k = ToTable(plan.k);
  table.v = ToTable(plan.v);
  table.y = ToTable(plan.y);
  std::copy(plan.masks.begin(), plan.masks.end(), table.masks);
  return table;
}

std::string Print(const Plan& plan) {
  auto operand = [](const char* name, const Operand& from) {
    std::string line = std::string(name) + ": value " + Number(from.index) + ", axes b" +
                       Number(from.axis[0]) + " h" + Number(from.axis[1]) + " s" +
                       Number(from.axis[2]) + " d" + Number(from.axis[3]) + "\n";
    return line;
  };
  std::string out = "target " + std::string(plan.target->name) + "\n";
  out += "load " + operand("q", plan.q) + "load " + operand("k", plan.k) + "load " +
         operand("v", plan.v);
  out += "score q.k over " + Number(plan.qk_head_size) + " channels";
  out += plan.scale_in_q ? ", scaled in q\n" : "\n";
  for (const ScoreStep& step : plan.steps) {
    switch (step.kind) {
      case ScoreStep::Kind::kScale:
        out += "score *= " + std::to_string(plan.scale) + "\n";
        break;
      case ScoreStep::Kind::kSoftcap:
        out += "score = softcap(score, " + std::to_string(plan.softcap) + ")\n";
        break;
      case ScoreStep::Kind::kAdd:
        out += "score += mask " + Number(step.mask) + "\n";
        break;
      case ScoreStep::Kind::kKeep:
        out += "keep where mask " + Number(step.mask) + "\n";
        break;
    }
  }
  if (plan.causal) out += "keep where key <= query\n";
  out += "softmax, a masked row gives ";
  out += plan.masked_row == BCTX_MASKED_ROW_NAN ? "nan\n" : "zero\n";
  out += "weights.v over " + Number(plan.v_head_size) + " channels\n";
  out += "store " + operand("y", plan.y);
  out += "tile " + Number(plan.q_tile()) + " rows, " + Number(plan.q_tiles) + " tiles, " +
         Number(plan.kv_block) + " keys\n";
  return out;
}

}  // namespace backendctx::cpu_attention
