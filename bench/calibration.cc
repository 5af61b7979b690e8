#include "calibration.h"

#include <time.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace backendctx::bench {

double ThreadSeconds() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

namespace {

constexpr int kChains = 12;  // more than latency times throughput of any machine seen
constexpr int64_t kRounds = 500000;

#if defined(__x86_64__)

// Assembly, so that the compiler neither removes nor reorders what is counted.
__attribute__((target("avx2,fma"))) float Multiply256() {
  __m256 a[kChains];
  const __m256 x = _mm256_set1_ps(1.0000001F), y = _mm256_set1_ps(1e-9F);
#pragma GCC unroll 12
  for (int i = 0; i < kChains; ++i) a[i] = _mm256_set1_ps(static_cast<float>(i));
  for (int64_t k = 0; k < kRounds; ++k) {
    __asm__ volatile(
        "vfmadd213ps %13, %12, %0\n vfmadd213ps %13, %12, %1\n vfmadd213ps %13, %12, %2\n"
        "vfmadd213ps %13, %12, %3\n vfmadd213ps %13, %12, %4\n vfmadd213ps %13, %12, %5\n"
        "vfmadd213ps %13, %12, %6\n vfmadd213ps %13, %12, %7\n vfmadd213ps %13, %12, %8\n"
        "vfmadd213ps %13, %12, %9\n vfmadd213ps %13, %12, %10\n vfmadd213ps %13, %12, %11\n"
        : "+x"(a[0]), "+x"(a[1]), "+x"(a[2]), "+x"(a[3]), "+x"(a[4]), "+x"(a[5]), "+x"(a[6]),
          "+x"(a[7]), "+x"(a[8]), "+x"(a[9]), "+x"(a[10]), "+x"(a[11])
        : "x"(x), "x"(y));
  }
  __m256 sum = a[0];
#pragma GCC unroll 12
  for (int i = 1; i < kChains; ++i) sum = _mm256_add_ps(sum, a[i]);
  return _mm256_cvtss_f32(sum);
}

__attribute__((target("avx512f"))) float Multiply512() {
  __m512 a[kChains];
  const __m512 x = _mm512_set1_ps(1.0000001F), y = _mm512_set1_ps(1e-9F);
#pragma GCC unroll 12
  for (int i = 0; i < kChains; ++i) a[i] = _mm512_set1_ps(static_cast<float>(i));
  for (int64_t k = 0; k < kRounds; ++k) {
    __asm__ volatile(
        "vfmadd213ps %13, %12, %0\n vfmadd213ps %13, %12, %1\n vfmadd213ps %13, %12, %2\n"
        "vfmadd213ps %13, %12, %3\n vfmadd213ps %13, %12, %4\n vfmadd213ps %13, %12, %5\n"
        "vfmadd213ps %13, %12, %6\n vfmadd213ps %13, %12, %7\n vfmadd213ps %13, %12, %8\n"
        "vfmadd213ps %13, %12, %9\n vfmadd213ps %13, %12, %10\n vfmadd213ps %13, %12, %11\n"
        : "+v"(a[0]), "+v"(a[1]), "+v"(a[2]), "+v"(a[3]), "+v"(a[4]), "+v"(a[5]), "+v"(a[6]),
          "+v"(a[7]), "+v"(a[8]), "+v"(a[9]), "+v"(a[10]), "+v"(a[11])
        : "v"(x), "v"(y));
  }
  __m512 sum = a[0];
#pragma GCC unroll 12
  for (int i = 1; i < kChains; ++i) sum = _mm512_add_ps(sum, a[i]);
  return _mm512_cvtss_f32(sum);
}

#endif

volatile float sink;

template <typename Work>
double Best(int reps, double amount, Work work) {
  double best = 0;
  for (int i = 0; i < reps; ++i) {
    const double start = ThreadSeconds();
    sink = work();
    best = std::max(best, amount / (ThreadSeconds() - start) * 1e-9);
  }
  return best;
}

}  // namespace

double FmaPeak256([[maybe_unused]] int reps) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    return Best(reps, 2.0 * 8 * kChains * kRounds, Multiply256);
  }
#endif
  return 0;
}

double FmaPeak512([[maybe_unused]] int reps) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) {
    return Best(reps, 2.0 * 16 * kChains * kRounds, Multiply512);
  }
#endif
  return 0;
}

namespace {

float Read(const std::vector<uint64_t>& words) {
  uint64_t all = 0;
  for (uint64_t word : words) all |= word;
  return static_cast<float>(all);
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) float Read256(const std::vector<uint64_t>& words) {
  const auto* at = reinterpret_cast<const float*>(words.data());
  const size_t floats = words.size() * 2;
  __m256 sums[4];
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) sums[i] = _mm256_setzero_ps();
  for (size_t i = 0; i + 64 <= floats; i += 64) {
#pragma GCC unroll 8
    for (size_t j = 0; j < 8; ++j) {
      sums[j & 3] = _mm256_or_ps(sums[j & 3], _mm256_loadu_ps(at + i + 8 * j));
    }
  }
  const __m256 all = _mm256_or_ps(_mm256_or_ps(sums[0], sums[1]), _mm256_or_ps(sums[2], sums[3]));
  return _mm256_cvtss_f32(all);
}
#endif

}  // namespace

double ReadBandwidth(size_t bytes, int reps) {
  const std::vector<uint64_t> words(bytes / 8, 1);
  // Small ranges several times in one measurement, so that the clock does not count.
  const int rounds = static_cast<int>(std::max<size_t>(1, (8 << 20) / bytes));
  return Best(reps, static_cast<double>(bytes) * rounds, [&words, rounds] {
    float all = 0;
    for (int i = 0; i < rounds; ++i) {
#if defined(__x86_64__)
      if (__builtin_cpu_supports("avx2")) {
        all += Read256(words);
        continue;
      }
#endif
      all += Read(words);
    }
    return all;
  });
}

}  // namespace backendctx::bench
