// Leaves a Catch2 (version 2) test case early with a reason that ./dev test counts and prints.
#pragma once

#define BCTX_SKIP(reason)        \
  do {                           \
    WARN("SKIPPED: " << reason); \
    return;                      \
  } while (false)
