#include "common/targets.h"

namespace backendctx::openvino {

// cpu_features say less than the names: which of them OpenVINO takes on a machine is its choice.
const std::vector<Target>& Targets() {
  static const std::vector<Target> targets = {
      {"avx", "AVX", "Intel AVX", false, {"avx"}},
      {"avx2", "AVX2", "Intel AVX2", false, {"avx2", "fma"}},
      {"avx2-vnni",
       "AVX2_VNNI",
       "Intel AVX2 with Intel DL Boost",
       true,
       {"avx2", "avx_vnni", "fma"}},
      {"avx512",
       "AVX512_CORE",
       "Intel AVX-512 with AVX512BW, AVX512VL, and AVX512DQ extensions",
       false,
       {"avx512bw", "avx512dq", "avx512f", "avx512vl"}},
      {"avx512-vnni",
       "AVX512_CORE_VNNI",
       "Intel AVX-512 with Intel DL Boost",
       true,
       {"avx512_vnni", "avx512bw", "avx512dq", "avx512f", "avx512vl"}},
      {"avx512-bf16",
       "AVX512_CORE_BF16",
       "Intel AVX-512 with Intel DL Boost and bfloat16 support",
       true,
       {"avx512_bf16", "avx512_vnni", "avx512bw", "avx512dq", "avx512f", "avx512vl"}},
      {"avx10",
       "AVX512_CORE_FP16",
       "Intel AVX 10.1",
       true,
       {"avx512_bf16", "avx512_fp16", "avx512_vnni", "avx512bw", "avx512dq", "avx512f",
        "avx512vl"}},
      {"amx",
       "AVX512_CORE_AMX",
       "Intel AVX10.1 and Intel AMX with bfloat16 and 8-bit integer support",
       true,
       {"amx_bf16", "amx_int8", "amx_tile", "avx512_bf16", "avx512_fp16", "avx512_vnni", "avx512bw",
        "avx512dq", "avx512f", "avx512vl"}},
      {"amx-fp16",
       "AVX512_CORE_AMX_FP16",
       "Intel AVX10.1 and Intel AMX with bfloat16, float16 and 8-bit integer support",
       true,
       {"amx_bf16", "amx_fp16", "amx_int8", "amx_tile", "avx512_bf16", "avx512_fp16", "avx512_vnni",
        "avx512bw", "avx512dq", "avx512f", "avx512vl"}},
  };
  return targets;
}

const Target* FindTarget(const std::string& name) {
  for (const Target& target : Targets()) {
    if (name == target.name) return &target;
  }
  return nullptr;
}

const char* const* TargetNames() {
  static const std::vector<const char*> names = [] {
    std::vector<const char*> list;
    for (const Target& target : Targets()) list.push_back(target.name);
    list.push_back(nullptr);
    return list;
  }();
  return names.data();
}

}  // namespace backendctx::openvino
