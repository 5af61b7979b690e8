// The limits of this machine, measured beside every table: what the kernels are judged by.
#pragma once

#include <cstddef>

namespace backendctx::bench {

// Seconds of processor time of this thread, so that other processes' time slices do not count.
double ThreadSeconds();

// Multiply-adds of float vectors in registers, 10^9 operations a second (2 each lane); 0 when this
// machine has no such vectors. Best of `reps` runs of a few milliseconds.
double FmaPeak256(int reps);
double FmaPeak512(int reps);

// Reading `bytes` again and again with one thread, 10^9 bytes a second.
double ReadBandwidth(size_t bytes, int reps);

}  // namespace backendctx::bench
