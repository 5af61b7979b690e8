// A thin layer over LLVM's builder: the vector operations and structured loops that the emitters
// speak in. Everything that a kernel needs from LLVM's changing C++ interface is behind this file.
#pragma once

#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/Module.h>

#include <functional>
#include <vector>

namespace backendctx::cpu_attention {

class Ir {
 public:
  using Values = std::vector<llvm::Value*>;

  Ir(llvm::Module* module, int lanes);

  llvm::Module& module() { return *module_; }
  llvm::IRBuilder<>& b() { return builder_; }
  int lanes() const { return lanes_; }

  llvm::Type* f32() const { return f32_; }
  llvm::Type* i8() const { return i8_; }
  llvm::Type* i32() const { return i32_; }
  llvm::Type* i64() const { return i64_; }
  llvm::Type* ptr() const { return ptr_; }
  llvm::Type* vec() const { return vec_; }    // lanes x float
  llvm::Type* ivec() const { return ivec_; }  // lanes x i32

  llvm::Value* I64(int64_t value) const;
  llvm::Value* I32(int32_t value) const;
  llvm::Value* F32(float value) const;
  llvm::Value* VecOf(float value) const;

  // Starts the body of an internal function; returns its arguments.
  llvm::Function* BeginFunction(const std::string& name, const std::vector<llvm::Type*>& types,
                                llvm::Type* result = nullptr);

  // ---- addresses: bytes from a pointer
  llvm::Value* At(llvm::Value* base, llvm::Value* bytes);
  llvm::Value* At(llvm::Value* base, int64_t bytes);
  llvm::Value* AtFloat(llvm::Value* base, llvm::Value* floats);

  // ---- memory; vectors in scratch are aligned to their size, all others to a float
  llvm::Value* LoadFloat(llvm::Value* at);
  void StoreFloat(llvm::Value* value, llvm::Value* at);
  llvm::Value* LoadVec(llvm::Value* at);
  void StoreVec(llvm::Value* value, llvm::Value* at);
  llvm::Value* LoadUnaligned(llvm::Type* type, llvm::Value* at);
  void StoreUnaligned(llvm::Value* value, llvm::Value* at);

  // ---- arithmetic
  llvm::Value* Splat(llvm::Value* scalar);
  llvm::Value* SplatTo(int lanes, llvm::Value* scalar);
  llvm::Value* Fma(llvm::Value* x, llvm::Value* y, llvm::Value* z);
  // The larger; where the first is NaN, the second.
  llvm::Value* Max(llvm::Value* x, llvm::Value* y);
  llvm::Value* MinI64(llvm::Value* x, llvm::Value* y);
  llvm::Value* MaxI64(llvm::Value* x, llvm::Value* y);
  llvm::Value* Mul(llvm::Value* x, llvm::Value* y) { return builder_.CreateNSWMul(x, y); }
  llvm::Value* Add(llvm::Value* x, llvm::Value* y) { return builder_.CreateNSWAdd(x, y); }
  llvm::Value* Sub(llvm::Value* x, llvm::Value* y) { return builder_.CreateNSWSub(x, y); }

  // ---- control
  // for (i = begin; i < end; i += step) carried = body(i, carried); `runs`: known to run once.
  using Body = std::function<Values(llvm::Value* i, const Values& carried)>;
  Values Loop(llvm::Value* begin, llvm::Value* end, int64_t step, const Values& init, bool runs,
              const Body& body);
  void For(llvm::Value* begin, llvm::Value* end, int64_t step,
           const std::function<void(llvm::Value* i)>& body);
  // condition ? then() : otherwise
  Values If(llvm::Value* condition, const Values& otherwise, const std::function<Values()>& then);
  void IfDo(llvm::Value* condition, const std::function<void()>& then);
  void IfElse(llvm::Value* condition, const std::function<void()>& then,
              const std::function<void()>& otherwise);

  llvm::Function* function() { return builder_.GetInsertBlock()->getParent(); }

 private:
  llvm::BasicBlock* NewBlock(const char* name);

  llvm::Module* module_;
  llvm::IRBuilder<> builder_;
  int lanes_;
  llvm::Type *f32_, *i8_, *i32_, *i64_, *ptr_, *vec_, *ivec_;
};

}  // namespace backendctx::cpu_attention
