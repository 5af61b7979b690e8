#include "compiler/ir.h"

#include <llvm/IR/Intrinsics.h>

namespace backendctx::cpu_attention {

using llvm::BasicBlock;
using llvm::Value;

Ir::Ir(llvm::Module* module, int lanes)
    : module_(module), builder_(module->getContext()), lanes_(lanes) {
  llvm::LLVMContext& context = module->getContext();
  f32_ = llvm::Type::getFloatTy(context);
  i8_ = llvm::Type::getInt8Ty(context);
  i32_ = llvm::Type::getInt32Ty(context);
  i64_ = llvm::Type::getInt64Ty(context);
  ptr_ = llvm::PointerType::get(context, 0);
  vec_ = llvm::FixedVectorType::get(f32_, static_cast<unsigned>(lanes));
  ivec_ = llvm::FixedVectorType::get(i32_, static_cast<unsigned>(lanes));
}

Value* Ir::I64(int64_t value) const { return llvm::ConstantInt::getSigned(i64_, value); }
Value* Ir::I32(int32_t value) const { return llvm::ConstantInt::getSigned(i32_, value); }
Value* Ir::F32(float value) const {
  return llvm::ConstantFP::get(module_->getContext(), llvm::APFloat(value));
}
Value* Ir::VecOf(float value) const {
  return llvm::ConstantVector::getSplat(llvm::ElementCount::getFixed(static_cast<unsigned>(lanes_)),
                                        llvm::cast<llvm::Constant>(F32(value)));
}

llvm::Function* Ir::BeginFunction(const std::string& name, const std::vector<llvm::Type*>& types,
                                  llvm::Type* result) {
  llvm::LLVMContext& context = module_->getContext();
  auto* type = llvm::FunctionType::get(result == nullptr ? llvm::Type::getVoidTy(context) : result,
                                       types, false);
  auto* function = llvm::Function::Create(type, llvm::Function::InternalLinkage, name, module_);
  function->addFnAttr(llvm::Attribute::NoUnwind);
  function->addFnAttr(llvm::Attribute::NoInline);
  function->addFnAttr("no-builtins");
  function->setDSOLocal(true);
  builder_.SetInsertPoint(BasicBlock::Create(context, "entry", function));
  return function;
}

Value* Ir::At(Value* base, Value* bytes) { return builder_.CreateGEP(i8_, base, bytes); }
Value* Ir::At(Value* base, int64_t bytes) { return At(base, I64(bytes)); }
Value* Ir::AtFloat(Value* base, Value* floats) { return builder_.CreateGEP(f32_, base, floats); }

Value* Ir::LoadFloat(Value* at) { return builder_.CreateAlignedLoad(f32_, at, llvm::Align(4)); }
void Ir::StoreFloat(Value* value, Value* at) {
  builder_.CreateAlignedStore(value, at, llvm::Align(4));
}
Value* Ir::LoadVec(Value* at) {
  return builder_.CreateAlignedLoad(vec_, at, llvm::Align(static_cast<uint64_t>(lanes_) * 4));
}
void Ir::StoreVec(Value* value, Value* at) {
  builder_.CreateAlignedStore(value, at, llvm::Align(static_cast<uint64_t>(lanes_) * 4));
}
Value* Ir::LoadUnaligned(llvm::Type* type, Value* at) {
  return builder_.CreateAlignedLoad(type, at, llvm::Align(type->getScalarSizeInBits() / 8));
}
void Ir::StoreUnaligned(Value* value, Value* at) {
  builder_.CreateAlignedStore(value, at, llvm::Align(4));
}

Value* Ir::Splat(Value* scalar) { return SplatTo(lanes_, scalar); }

Value* Ir::SplatTo(int lanes, Value* scalar) {
  // Poison, not zero, beside the scalar: a zero there leaves an extra operation in inner loops.
  auto* type = llvm::FixedVectorType::get(scalar->getType(), static_cast<unsigned>(lanes));
  Value* one = builder_.CreateInsertElement(llvm::PoisonValue::get(type), scalar, uint64_t{0});
  const llvm::SmallVector<int, 16> zeros(static_cast<size_t>(lanes), 0);
  return builder_.CreateShuffleVector(one, zeros);
}

Value* Ir::Fma(Value* x, Value* y, Value* z) {
  return builder_.CreateIntrinsic(llvm::Intrinsic::fma, {x->getType()}, {x, y, z});
}

Value* Ir::Max(Value* x, Value* y) {
  return builder_.CreateSelect(builder_.CreateFCmpOGT(x, y), x, y);
}
Value* Ir::MinI64(Value* x, Value* y) {
  return builder_.CreateSelect(builder_.CreateICmpSLT(x, y), x, y);
}
Value* Ir::MaxI64(Value* x, Value* y) {
  return builder_.CreateSelect(builder_.CreateICmpSGT(x, y), x, y);
}

BasicBlock* Ir::NewBlock(const char* name) {
  return BasicBlock::Create(module_->getContext(), name, function());
}

// Tested at the bottom, with a guard in front: the shape that code generation wants.
Ir::Values Ir::Loop(Value* begin, Value* end, int64_t step, const Values& init, bool runs,
                    const Body& body) {
  BasicBlock* before = builder_.GetInsertBlock();
  BasicBlock* loop = NewBlock("loop");
  BasicBlock* after = NewBlock("after");
  if (runs) {
    builder_.CreateBr(loop);
  } else {
    builder_.CreateCondBr(builder_.CreateICmpSLT(begin, end), loop, after);
  }
  builder_.SetInsertPoint(loop);
  llvm::PHINode* i = builder_.CreatePHI(begin->getType(), 2);
  i->addIncoming(begin, before);
  std::vector<llvm::PHINode*> phis;
  Values carried;
  for (Value* value : init) {
    llvm::PHINode* phi = builder_.CreatePHI(value->getType(), 2);
    phi->addIncoming(value, before);
    phis.push_back(phi);
    carried.push_back(phi);
  }
  const Values results = body(i, carried);
  Value* next = Add(i, llvm::ConstantInt::getSigned(begin->getType(), step));
  BasicBlock* latch = builder_.GetInsertBlock();
  builder_.CreateCondBr(builder_.CreateICmpSLT(next, end), loop, after);
  i->addIncoming(next, latch);
  for (size_t k = 0; k < phis.size(); ++k) phis[k]->addIncoming(results[k], latch);

  builder_.SetInsertPoint(after);
  if (runs) return results;
  Values merged;
  for (size_t k = 0; k < init.size(); ++k) {
    llvm::PHINode* phi = builder_.CreatePHI(init[k]->getType(), 2);
    phi->addIncoming(init[k], before);
    phi->addIncoming(results[k], latch);
    merged.push_back(phi);
  }
  return merged;
}

void Ir::For(Value* begin, Value* end, int64_t step, const std::function<void(Value*)>& body) {
  Loop(begin, end, step, {}, false, [&body](Value* i, const Values&) {
    body(i);
    return Values{};
  });
}

Ir::Values Ir::If(Value* condition, const Values& otherwise, const std::function<Values()>& then) {
  BasicBlock* before = builder_.GetInsertBlock();
  BasicBlock* yes = NewBlock("then");
  BasicBlock* after = NewBlock("after");
  builder_.CreateCondBr(condition, yes, after);
  builder_.SetInsertPoint(yes);
  const Values results = then();
  BasicBlock* end = builder_.GetInsertBlock();
  builder_.CreateBr(after);
  builder_.SetInsertPoint(after);
  Values merged;
  for (size_t k = 0; k < otherwise.size(); ++k) {
    llvm::PHINode* phi = builder_.CreatePHI(otherwise[k]->getType(), 2);
    phi->addIncoming(otherwise[k], before);
    phi->addIncoming(results[k], end);
    merged.push_back(phi);
  }
  return merged;
}

void Ir::IfDo(Value* condition, const std::function<void()>& then) {
  If(condition, {}, [&then] {
    then();
    return Values{};
  });
}

void Ir::IfElse(Value* condition, const std::function<void()>& then,
                const std::function<void()>& otherwise) {
  BasicBlock* yes = NewBlock("then");
  BasicBlock* no = NewBlock("else");
  BasicBlock* after = NewBlock("after");
  builder_.CreateCondBr(condition, yes, no);
  builder_.SetInsertPoint(yes);
  then();
  builder_.CreateBr(after);
  builder_.SetInsertPoint(no);
  otherwise();
  builder_.CreateBr(after);
  builder_.SetInsertPoint(after);
}

}  // namespace backendctx::cpu_attention
