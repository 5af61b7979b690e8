// The two halves of Judge, for who judges many: one is about the host and the same for every
// partition, the other about a partition and the same for every host.
#pragma once

#include <string>
#include <vector>

#include "backendctx/selection.h"

namespace backendctx::select {

struct Judgement {
  Verdict verdict = Verdict::kOptimal;
  std::string detail;
};

// Every key but "input. ...". `vendor`, if not null, may have the plug-in's answer about the
// vendor's string.
Judgement JudgeHost(const std::vector<manifest::Requirement>& requirements,
                    const HostProfile& profile, const Candidate* vendor);

// Adds what the declared types of `partition` say, null: nothing, where that is worse.
void AddShapes(const std::vector<manifest::Requirement>& requirements,
               const manifest::Partition* partition, Judgement* judgement);

}  // namespace backendctx::select
