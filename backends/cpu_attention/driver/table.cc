#include "driver/table.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace backendctx::cpu_attention {
namespace {

Outcome CheckOperand(const char* name, const TableOperand& operand, int32_t count) {
  const std::string what = std::string("table: operand ") + name;
  if (operand.index < 0 || operand.index >= count) {
    return Malformed(what + " has index " + std::to_string(operand.index));
  }
  if (operand.rank != 3 && operand.rank != 4) {
    return Malformed(what + " has rank " + std::to_string(operand.rank));
  }
  uint32_t seen = 0;
  for (int axis : operand.axis) {
    if (axis < 0 || axis >= operand.rank) {
      return Malformed(what + " has axis " + std::to_string(axis));
    }
    seen |= 1U << axis;
  }
  const bool packed = operand.axis[1] == operand.axis[3];
  if (seen != (1U << operand.rank) - 1 || packed != (operand.rank == 3) ||
      (packed && operand.axis[3] != 2)) {
    return Malformed(what + " has axes that name no layout");
  }
  return {};
}

}  // namespace

Outcome CheckTable(const KernelTable& table) {
  if (std::memcmp(table.magic, kTableMagic, sizeof(kTableMagic)) != 0) {
    return Malformed("table: no magic");
  }
  if (table.version != kTableVersion) {
    return Malformed("table: version " + std::to_string(table.version) + ", expected " +
                     std::to_string(kTableVersion));
  }
  if (table.table_bytes != sizeof(KernelTable) || table.args_bytes != sizeof(KernelArgs)) {
    return Malformed("table: sizes of another driver");
  }
  if (table.isa < static_cast<uint32_t>(Isa::kX86V3) ||
      table.isa > static_cast<uint32_t>(Isa::kAarch64)) {
    return Malformed("table: isa " + std::to_string(table.isa));
  }
  auto head_size = [](int32_t size) { return size > 0 && size <= 1024; };
  if (!head_size(table.qk_head_size) || !head_size(table.v_head_size)) {
    return Malformed("table: head sizes " + std::to_string(table.qk_head_size) + " and " +
                     std::to_string(table.v_head_size));
  }
  auto heads = [](int64_t count) { return count == -1 || (count > 0 && count <= 65536); };
  if (!heads(table.q_heads) || !heads(table.kv_heads) ||
      (table.q_heads > 0 && table.kv_heads > 0 && table.q_heads % table.kv_heads != 0)) {
    return Malformed("table: head counts " + std::to_string(table.q_heads) + " and " +
                     std::to_string(table.kv_heads));
  }
  if (table.q_tile < 1 || table.q_tile > 256 || table.q_tiles < 1 || table.q_tiles > 256 ||
      table.kv_block < 1 || table.kv_block > 4096) {
    return Malformed("table: tile sizes");
  }
  const int64_t tile = table.q_tile, tiles = table.q_tiles;
  const int64_t least =
      4 * (tile * tiles * (table.qk_head_size + table.v_head_size + 2) +
           tile * table.kv_block * (1 + std::clamp(table.mask_count, 0, kMaxMasks)));
  if (table.scratch_bytes < static_cast<uint64_t>(least) || table.scratch_bytes > (64 << 20) ||
      table.scratch_bytes % 64 != 0) {
    return Malformed("table: scratch of " + std::to_string(table.scratch_bytes) + " bytes");
  }
  if ((table.causal != 0 && table.causal != 1) || table.masked_row < BCTX_MASKED_ROW_NAN ||
      table.masked_row > BCTX_MASKED_ROW_ZERO_BIAS) {
    return Malformed("table: flags");
  }
  if (!std::isfinite(table.scale) || !std::isfinite(table.softcap) || table.softcap < 0) {
    return Malformed("table: scale or softcap");
  }
  if (table.input_count < 1 || table.input_count > 65536 || table.output_count != 1 ||
      table.mask_count < 0 || table.mask_count > kMaxMasks) {
    return Malformed("table: counts");
  }
  for (int i = 0; i < kMaxMasks; ++i) {
    const TableMask& mask = table.masks[i];
    const bool used = i < table.mask_count;
    if (used ? mask.index < 0 || mask.index >= table.input_count || mask.kind < BCTX_MASK_ADD ||
                   mask.kind > BCTX_MASK_KEEP
             : mask.index != 0 || mask.kind != 0) {
      return Malformed("table: mask " + std::to_string(i));
    }
  }
  BCTX_RETURN_UNLESS_OK(CheckOperand("q", table.q, table.input_count));
  BCTX_RETURN_UNLESS_OK(CheckOperand("k", table.k, table.input_count));
  BCTX_RETURN_UNLESS_OK(CheckOperand("v", table.v, table.input_count));
  return CheckOperand("y", table.y, table.output_count);
}

}  // namespace backendctx::cpu_attention
