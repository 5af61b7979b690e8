// Proofs: a blob runs in a fresh process on seeded inputs, beside its body in ONNX Runtime.
//
// One exit from here is not an opinion: passed means that the compiled code and the body gave the
// same numbers on these cases on a machine (or its emulator) of the target; not-run says why nobody
// looked; and a blob that ran and differed is no context at all.
#pragma once

#include <string>
#include <vector>

#include "authoring/request.h"
#include "backendctx/pack.h"
#include "backendctx/selection.h"
#include "plugin/plugin.h"
#include "proof/proof_file.h"

namespace backendctx::authoring {

struct Verdicts {
  manifest::Proof proof;
  double largest_error = 0;  // relative to the output's scale
  std::string wrong;         // how the blob differed or failed; empty unless it ran and was wrong
};

// The cases of one region: made once, run for every target. The body's answers are kept.
class Prover {
 public:
  // The partition must outlive it. Never fails: without what it takes, every proof is "not-run"
  // with the reason. `body` is the model that the front's function will run.
  Prover(const ProofTools& tools, const PartitionForPlugin& partition, const Region& region,
         const std::string& body);

  // In ONNX Runtime's words, why it does not run the body; empty when it does, and when nobody
  // could ask it.
  const std::string& refused() const { return refused_; }
  // What kept us from asking: Io and the like, of this machine and not of the body.
  const Status& status() const { return status_; }

  Result<Verdicts> Prove(const plugin::Blob& blob, const plugin::Plugin* driver) const;

 private:
  Status MakeRequest(const PartitionForPlugin& partition, const Region& region,
                     const std::string& body);
  Status KeepWhatRuns(const std::string& body, proof::Request* request) const;
  void RunTheBody(const std::string& body);
  Status BindWeights(const plugin::Blob& blob, proof::Request* request) const;
  Result<std::vector<std::string>> Command(const plugin::Blob& blob,
                                           const plugin::Plugin* driver) const;

  ProofTools tools_;
  manifest::Partition partition_;
  const PartitionForPlugin& shown_;
  std::string not_run_;  // why no case could be made or answered
  std::string refused_;
  Status status_;
  std::string request_;   // encoded cases, without a blob
  std::string response_;  // the body's answers
  Digest cases_;
};

}  // namespace backendctx::authoring
