// The IR comes out of the emitters in the shape that it should keep: explicit vectors, loops tested
// at the bottom, accumulators as phis. So only cleaning passes run; the vectorisers, the unroller
// and the idiom recogniser (which would call memset) do not.
#include <llvm/ADT/SmallVector.h>
#include <llvm/IR/LLVMContext.h>
#include <llvm/IR/LegacyPassManager.h>
#include <llvm/IR/Module.h>
#include <llvm/IR/Verifier.h>
#include <llvm/MC/TargetRegistry.h>
#include <llvm/Passes/PassBuilder.h>
#include <llvm/Support/TargetSelect.h>
#include <llvm/Support/raw_ostream.h>
#include <llvm/Target/TargetMachine.h>
#include <llvm/Target/TargetOptions.h>
#include <llvm/Transforms/Utils/Cloning.h>

#include <memory>
#include <mutex>

#include "compiler/codegen.h"
#include "compiler/emit.h"

namespace backendctx::cpu_attention {
namespace {

constexpr char kPasses[] =
    "function(simplifycfg,early-cse<memssa>,instcombine<no-verify-fixpoint>,loop-mssa(licm),"
    "early-cse,instcombine<no-verify-fixpoint>,loop-mssa(licm),simplifycfg,dce)";

void InitializeTargets() {
  static std::once_flag once;
  std::call_once(once, [] {
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
    LLVMInitializeAArch64TargetInfo();
    LLVMInitializeAArch64Target();
    LLVMInitializeAArch64TargetMC();
    LLVMInitializeAArch64AsmPrinter();
  });
}

std::unique_ptr<llvm::TargetMachine> MakeMachine(const Target& target, std::string* error) {
  const llvm::Target* found = llvm::TargetRegistry::lookupTarget(target.triple, *error);
  if (found == nullptr) return nullptr;
  return std::unique_ptr<llvm::TargetMachine>(found->createTargetMachine(
      target.triple, target.cpu, target.features, llvm::TargetOptions(), llvm::Reloc::PIC_,
      llvm::CodeModel::Small, llvm::CodeGenOptLevel::Default));
}

void SetAttributes(const Target& target, llvm::Module* module) {
  const std::string width = std::to_string(target.vector_bits);
  for (llvm::Function& function : *module) {
    if (function.isDeclaration()) continue;
    function.addFnAttr("target-cpu", target.cpu);
    if (*target.features != '\0') function.addFnAttr("target-features", target.features);
    function.addFnAttr("prefer-vector-width", width);
    function.addFnAttr("min-legal-vector-width", width);
  }
}

bool RunPasses(llvm::TargetMachine* machine, llvm::Module* module) {
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager graphs;
  llvm::ModuleAnalysisManager modules;
  llvm::PassBuilder builder(machine);
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(graphs);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, graphs, modules);
  llvm::ModulePassManager passes;
  if (llvm::Error error = builder.parsePassPipeline(passes, kPasses)) {
    llvm::consumeError(std::move(error));
    return false;
  }
  passes.run(*module, modules);
  return true;
}

bool EmitFile(llvm::TargetMachine* machine, llvm::Module* module, llvm::CodeGenFileType type,
              std::string* out) {
  llvm::SmallVector<char, 0> buffer;
  llvm::raw_svector_ostream stream(buffer);
  llvm::legacy::PassManager passes;
  if (machine->addPassesToEmitFile(passes, stream, nullptr, type)) return false;
  passes.run(*module);
  out->assign(buffer.begin(), buffer.end());
  return true;
}

}  // namespace

Outcome Assemble(const Plan& plan, bool texts, Object* object) {
  InitializeTargets();
  std::string error;
  const std::unique_ptr<llvm::TargetMachine> machine = MakeMachine(*plan.target, &error);
  if (machine == nullptr) return Fail(BCTX_INTERNAL, "llvm: " + error);

  llvm::LLVMContext context;
  llvm::Module module("attention", context);
  module.setTargetTriple(plan.target->triple);
  module.setDataLayout(machine->createDataLayout());
  module.setPICLevel(llvm::PICLevel::SmallPIC);
  EmitKernel(plan, &module);
  SetAttributes(*plan.target, &module);

  llvm::raw_string_ostream problems(error);
  if (llvm::verifyModule(module, &problems)) {
    return Fail(BCTX_INTERNAL, "llvm refuses the kernel: " + error);
  }
  if (!RunPasses(machine.get(), &module)) return Fail(BCTX_INTERNAL, "llvm refuses the passes");
  if (texts) {
    llvm::raw_string_ostream text(object->ir);
    module.print(text, nullptr);
    // Code generation changes the module: the assembly comes from a second run over a copy.
    std::unique_ptr<llvm::Module> copy = llvm::CloneModule(module);
    if (!EmitFile(machine.get(), copy.get(), llvm::CodeGenFileType::AssemblyFile,
                  &object->assembly)) {
      return Fail(BCTX_INTERNAL, "llvm cannot print assembly");
    }
  }
  if (!EmitFile(machine.get(), &module, llvm::CodeGenFileType::ObjectFile, &object->bytes)) {
    return Fail(BCTX_INTERNAL, "llvm cannot emit an object");
  }
  return {};
}

}  // namespace backendctx::cpu_attention
