// From compiled parts to files: manifest, container, front, in the order that keeps old files
// whole.
//
// The container is named by its head, so a new one never touches an old one; the front is renamed
// into place last and is the moment at which the package changes; only then is the container
// removed that no front of this package names any more.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "authoring/compile.h"
#include "authoring/regions.h"
#include "backendctx/pack.h"
#include "container/container.h"
#include "model/flat_model.h"

namespace backendctx::authoring {

struct Parts {
  manifest::Manifest manifest;           // contents are filled in by Assemble
  std::map<Digest, std::string> bodies;  // legalised ones
  std::vector<std::string> blobs;        // distinct
};

struct Assembled {
  std::string front;  // bytes
  container::Writer container;
  std::string container_name;
};

// Lays everything out and makes the front. `stem` names the container: the front's name without
// ".onnx". The flat model must outlive the result.
Result<Assembled> Assemble(const model::FlatModel& flat, Parts parts, const std::string& stem,
                           const PackOptions& options);

// InvalidArgument when output and input are one file or the output has no ".onnx"; Io when the
// output exists and may not be replaced, or its folder is not there.
Status CheckOutput(const std::string& input, const std::string& output, bool force);

Status Commit(const Assembled& assembled, const std::string& output, bool force);

}  // namespace backendctx::authoring
