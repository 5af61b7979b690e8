// The work item around the tiles, and the table that the driver finds it by.
//
//   for each tile:  transpose queries into scratch, clear the state
//   for each block of keys, as far as any row attends:
//     for each tile:  skip the block if no row of the tile attends, or if a mask closes it and all
//                     rows have met an open key before; else step
//   for each tile:  normalise and store
//
// Keys are the outer loop and tiles the inner one: a block of keys and values is brought into the
// first cache once and serves every tile of the item.

#include "compiler/emit.h"

namespace backendctx::cpu_attention {

using llvm::Value;

namespace {

struct Functions {
  llvm::Function *load, *store;
  std::vector<llvm::Function*> row_mask, tile_mask;
  std::vector<llvm::Function*> step;  // by vectors, from 1
};

struct KernelBody {
  Emitter& e;
  const Functions& call;
  Value *args, *scratch;
  Value *rows, *keys, *causal;

  Value* MaskMember(int mask, size_t offset, bool pointer) {
    const size_t at =
        offsetof(KernelArgs, masks) + sizeof(KernelMask) * static_cast<size_t>(mask) + offset;
    return pointer ? e.Pointer(args, at) : e.Int(args, at);
  }
  bool IsAdd(int mask) { return e.plan.masks[static_cast<size_t>(mask)].kind == BCTX_MASK_ADD; }
  Value* Elements(int mask, Value* data, Value* count) {
    return IsAdd(mask) ? e.ir.AtFloat(data, count) : e.ir.At(data, count);
  }
  Value* TilePart(int64_t floats, Value* tile, int64_t per_tile) {
    return e.ir.AtFloat(e.Scratch(scratch, floats), e.ir.Mul(tile, e.ir.I64(per_tile)));
  }

  void ClearTile(Value* tile);
  Ir::Values RowMasks(Value* first_key, Value* block);
  Value* HaveMetKeys(Value* tile, Value* valid);
  bool StaysClosed(int mask) const;
  Ir::Values TileMasks(const Ir::Values& row_masks, Value* first_row, Value* valid,
                       Value* first_key, Value* block, Value* may_skip);
  void Tile(Value* tile, Value* first_key, Value* block, const Ir::Values& row_masks);
  void Step(Value* tile, Value* first_key, Value* valid, Value* attended, Value* limit,
            Value* masks);
  void Emit();
};

void KernelBody::ClearTile(Value* tile) {
  Ir& ir = e.ir;
  const int64_t q_tile = e.plan.q_tile();
  const int64_t size = q_tile * e.plan.v_head_size;
  Value* out = TilePart(e.layout.out, tile, size);
  ir.For(ir.I64(0), ir.I64(size), ir.lanes(),
         [&](Value* i) { ir.StoreVec(ir.VecOf(0.F), ir.AtFloat(out, i)); });
  Value* max = TilePart(e.layout.max, tile, q_tile);
  Value* sum = TilePart(e.layout.sum, tile, q_tile);
  for (int v = 0; v < e.plan.target->vectors; ++v) {
    const int64_t at = int64_t{4} * v * ir.lanes();
    ir.StoreVec(llvm::ConstantFP::getInfinity(ir.vec(), true), ir.At(max, at));
    ir.StoreVec(ir.VecOf(0.F), ir.At(sum, at));
  }
}

// Masks without rows are spread once a block and serve every tile. Returns what each says; for
// masks with rows, kMaskOpen.
Ir::Values KernelBody::RowMasks(Value* first_key, Value* block) {
  Ir& ir = e.ir;
  Ir::Values active;
  for (int i = 0; i < static_cast<int>(e.plan.masks.size()); ++i) {
    Value* row_stride = MaskMember(i, offsetof(KernelMask, q_stride), false);
    Value* no_rows = ir.b().CreateICmpEQ(row_stride, ir.I64(0));
    active.push_back(ir.If(no_rows, {ir.I64(kMaskOpen)}, [&] {
      Value* key_stride = MaskMember(i, offsetof(KernelMask, k_stride), false);
      Value* data = MaskMember(i, offsetof(KernelMask, data), true);
      data = Elements(i, data, ir.Mul(first_key, key_stride));
      return Ir::Values{
          ir.b().CreateCall(call.row_mask[static_cast<size_t>(i)],
                            {e.Scratch(scratch, e.layout.mask[i]), data, key_stride, block})};
    })[0]);
  }
  return active;
}

// Whether every row of the tile has met a key whose score is far above what masks. A closed key
// then has weight e^(s - 2^127 - max), which is zero for any score s that is not itself near the
// end of the range: leaving it out changes nothing.
Value* KernelBody::HaveMetKeys(Value* tile, Value* valid) {
  Ir& ir = e.ir;
  auto& b = ir.b();
  if (e.plan.masks.empty()) return ir.I64(0);
  Value* max = TilePart(e.layout.max, tile, e.plan.q_tile());
  Value* all = b.getTrue();
  for (int v = 0; v < e.plan.target->vectors; ++v) {
    Value* met =
        b.CreateFCmpOGT(ir.LoadVec(ir.At(max, int64_t{4} * v * ir.lanes())), ir.VecOf(-0x1p120F));
    Value* unused = b.CreateICmpSLE(valid, ir.I64(int64_t{v} * ir.lanes()));
    all = b.CreateAnd(all, b.CreateOr(unused, b.CreateAndReduce(met)));
  }
  return b.CreateZExt(all, ir.i64());
}

// Whether what a mask closes no later one opens, by filling scores with a number that has weight.
bool KernelBody::StaysClosed(int mask) const {
  for (size_t i = static_cast<size_t>(mask) + 1; i < e.plan.masks.size(); ++i) {
    if (e.plan.masks[i].kind != BCTX_MASK_ADD && e.plan.fills[i].fill > -0x1p127F) return false;
  }
  return true;
}

// {bits, skip}: one bit for each mask that changes anything in this tile; whether one closes it.
Ir::Values KernelBody::TileMasks(const Ir::Values& row_masks, Value* first_row, Value* valid,
                                 Value* first_key, Value* block, Value* may_skip) {
  Ir& ir = e.ir;
  auto& b = ir.b();
  Value *bits = ir.I64(0), *closed = b.getFalse();
  for (int i = 0; i < static_cast<int>(e.plan.masks.size()); ++i) {
    Value* row_stride = MaskMember(i, offsetof(KernelMask, q_stride), false);
    Value* has_rows = b.CreateICmpNE(row_stride, ir.I64(0));
    Value* says = ir.If(has_rows, {row_masks[static_cast<size_t>(i)]}, [&] {
      Value* key_stride = MaskMember(i, offsetof(KernelMask, k_stride), false);
      Value* data = MaskMember(i, offsetof(KernelMask, data), true);
      Value* skip = ir.Add(ir.Mul(first_key, key_stride), ir.Mul(first_row, row_stride));
      return Ir::Values{b.CreateCall(call.tile_mask[static_cast<size_t>(i)],
                                     {e.Scratch(scratch, e.layout.mask[i]), Elements(i, data, skip),
                                      row_stride, key_stride, valid, block, may_skip})};
    })[0];
    Value* active = b.CreateZExt(b.CreateICmpNE(says, ir.I64(kMaskOpen)), ir.i64());
    bits = b.CreateOr(bits, b.CreateShl(active, static_cast<uint64_t>(i)));
    if (StaysClosed(i)) closed = b.CreateOr(closed, b.CreateICmpEQ(says, ir.I64(kMaskClosed)));
  }
  return {bits, b.CreateAnd(closed, b.CreateICmpNE(may_skip, ir.I64(0)))};
}

void KernelBody::Tile(Value* tile, Value* first_key, Value* block, const Ir::Values& row_masks) {
  Ir& ir = e.ir;
  const Plan& plan = e.plan;
  const int64_t q_tile = plan.q_tile();
  Value* first_row = ir.Mul(tile, ir.I64(q_tile));
  Value* valid = ir.MinI64(ir.Sub(rows, first_row), ir.I64(q_tile));
  Value* limit = ir.I64(0);
  Value* attended = block;
  if (plan.causal) {
    // The tile's last row sees most: what lies beyond it is not computed, and a tile that sees
    // nothing of the block is not visited.
    limit = ir.Sub(ir.Add(first_row, causal), first_key);
    attended = ir.MinI64(block, ir.Add(limit, valid));
  }
  ir.IfDo(ir.b().CreateICmpSGT(attended, ir.I64(0)), [&] {
    const Ir::Values said =
        TileMasks(row_masks, first_row, valid, first_key, attended, HaveMetKeys(tile, valid));
    ir.IfDo(ir.b().CreateNot(said[1]),
            [&] { Step(tile, first_key, valid, attended, limit, said[0]); });
  });
}

void KernelBody::Step(Value* tile, Value* first_key, Value* valid, Value* attended, Value* limit,
                      Value* masks) {
  Ir& ir = e.ir;
  const Plan& plan = e.plan;
  const int64_t q_tile = plan.q_tile();
  Value* k = e.Pointer(args, offsetof(KernelArgs, k));
  Value* v = e.Pointer(args, offsetof(KernelArgs, v));
  Value* k_stride = e.StrideBytes(args, offsetof(KernelArgs, k_stride), plan.k.unit_sequence());
  Value* v_stride = e.StrideBytes(args, offsetof(KernelArgs, v_stride), plan.v.unit_sequence());
  const std::vector<Value*> arguments = {args,
                                         ir.At(k, ir.Mul(first_key, k_stride)),
                                         ir.At(v, ir.Mul(first_key, v_stride)),
                                         TilePart(e.layout.q, tile, q_tile * plan.qk_head_size),
                                         TilePart(e.layout.out, tile, q_tile * plan.v_head_size),
                                         TilePart(e.layout.max, tile, q_tile),
                                         TilePart(e.layout.sum, tile, q_tile),
                                         scratch,
                                         attended,
                                         limit,
                                         masks};
  // The last tile has perhaps fewer rows: it takes only the vectors that it needs.
  const int vectors = plan.target->vectors;
  std::function<void(int)> choose = [&](int n) {
    auto run = [&] { ir.b().CreateCall(call.step[static_cast<size_t>(n - 1)], arguments); };
    if (n == 1) return run();
    Value* wide = ir.b().CreateICmpSGT(valid, ir.I64(int64_t{n - 1} * ir.lanes()));
    ir.IfElse(wide, run, [&] { choose(n - 1); });
  };
  choose(vectors);
}

void KernelBody::Emit() {
  Ir& ir = e.ir;
  const Plan& plan = e.plan;
  const int64_t q_tile = plan.q_tile();
  rows = e.Int(args, offsetof(KernelArgs, rows));
  keys = e.Int(args, offsetof(KernelArgs, keys));
  causal = e.Int(args, offsetof(KernelArgs, causal));
  Value* tiles = ir.b().CreateUDiv(ir.Add(rows, ir.I64(q_tile - 1)), ir.I64(q_tile));
  ir.For(ir.I64(0), tiles, 1, [&](Value* tile) {
    ir.b().CreateCall(call.load, {args, TilePart(e.layout.q, tile, q_tile * plan.qk_head_size),
                                  ir.Mul(tile, ir.I64(q_tile))});
    ClearTile(tile);
  });
  Value* end = plan.causal ? ir.MinI64(keys, ir.Add(rows, causal)) : keys;
  ir.For(ir.I64(0), end, plan.kv_block, [&](Value* first_key) {
    Value* block = ir.MinI64(ir.Sub(end, first_key), ir.I64(plan.kv_block));
    const Ir::Values row_masks = RowMasks(first_key, block);
    ir.For(ir.I64(0), tiles, 1, [&](Value* tile) { Tile(tile, first_key, block, row_masks); });
  });
  ir.For(ir.I64(0), tiles, 1, [&](Value* tile) {
    ir.b().CreateCall(call.store,
                      {args, TilePart(e.layout.out, tile, q_tile * plan.v_head_size),
                       TilePart(e.layout.sum, tile, q_tile), ir.Mul(tile, ir.I64(q_tile))});
  });
  ir.b().CreateRetVoid();
}

// The table's bytes with the kernel's distance in its place: a difference of two addresses of one
// image, which the linker resolves, so the image needs no relocation.
void EmitTable(const Plan& plan, llvm::Module* module, llvm::Function* kernel) {
  llvm::LLVMContext& context = module->getContext();
  const KernelTable table = MakeTable(plan);
  const auto* bytes = reinterpret_cast<const uint8_t*>(&table);
  constexpr size_t kAt = offsetof(KernelTable, kernel_offset);
  constexpr size_t kAfter = kAt + sizeof(table.kernel_offset);
  auto* head = llvm::ConstantDataArray::get(context, llvm::ArrayRef<uint8_t>(bytes, kAt));
  auto* tail = llvm::ConstantDataArray::get(
      context, llvm::ArrayRef<uint8_t>(bytes + kAfter, sizeof(table) - kAfter));
  auto* i64 = llvm::Type::getInt64Ty(context);
  auto* type = llvm::StructType::get(context, {head->getType(), i64, tail->getType()}, true);
  auto* variable = new llvm::GlobalVariable(*module, type, true, llvm::GlobalValue::ExternalLinkage,
                                            nullptr, kEntryName);
  variable->setVisibility(llvm::GlobalValue::ProtectedVisibility);
  variable->setDSOLocal(true);
  variable->setAlignment(llvm::Align(64));
  auto* distance = llvm::ConstantExpr::getSub(llvm::ConstantExpr::getPtrToInt(kernel, i64),
                                              llvm::ConstantExpr::getPtrToInt(variable, i64));
  variable->setInitializer(llvm::ConstantStruct::get(type, {head, distance, tail}));
}

}  // namespace

void EmitKernel(const Plan& plan, llvm::Module* module) {
  Emitter e(plan, module);
  Functions functions;
  functions.load = EmitLoadQueries(e);
  functions.store = EmitStoreOutput(e);
  for (int i = 0; i < static_cast<int>(plan.masks.size()); ++i) {
    functions.row_mask.push_back(EmitRowMask(e, i));
    functions.tile_mask.push_back(EmitTileMask(e, i));
  }
  for (int i = 1; i <= plan.target->vectors; ++i) functions.step.push_back(EmitTileStep(e, i));
  llvm::Function* kernel = e.ir.BeginFunction("kernel", {e.ir.ptr(), e.ir.ptr()});
  KernelBody body{e, functions, kernel->getArg(0), kernel->getArg(1), nullptr, nullptr, nullptr};
  body.Emit();
  EmitTable(plan, module, kernel);
}

}  // namespace backendctx::cpu_attention
