// From compiled parts to files: manifest, container, fronts, in the order that keeps old files
// whole.
//
// The container is named by its head, so a new one never touches an old one; the fronts are renamed
// into place last, the one that the caller named at the very end: the moment at which the package
// changes. Only then is a container removed that no front of this package names any more.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "authoring/compile.h"
#include "authoring/regions.h"
#include "backendctx/pack.h"
#include "container/container.h"
#include "model/flat_model.h"

namespace backendctx::authoring {

// What manifests name as their producer.
extern const char kProducer[];

struct Parts {
  manifest::Manifest manifest;           // contents are filled in by Assemble
  std::map<Digest, std::string> bodies;  // legalised ones
  std::vector<std::string> blobs;        // distinct
};

struct FrontFile {
  std::string name;  // plain: "x.onnx", "x.flat.onnx"
  std::string bytes;
};

struct Assembled {
  std::vector<FrontFile> fronts;  // the one that the caller named first
  container::Writer container;
  std::string container_name;  // empty: it is inside the front

  uint64_t FrontBytes() const;
};

// Lays everything out and makes the fronts. `stem` names the files: the output's name without
// ".onnx". The flat model must outlive the result.
Result<Assembled> Assemble(const model::FlatModel& flat, Parts parts, const std::string& stem,
                           const PackOptions& options);

// What is written and how, of contents that are there.
struct Form {
  FrontEncoding encoding = FrontEncoding::kFunction;
  bool embed = false;
  std::optional<Compression> compression;  // nothing: as the items have it
  std::vector<std::string> prefer;
  std::string variant = "default";
};

// InvalidArgument: a form that no package has.
Status CheckForm(FrontEncoding encoding, bool embed);

// The same from contents that are there: `items` begin with the manifest whose structs are
// `manifest`, and its signatures; how they are stored is decided here.
Result<Assembled> Assemble(const model::FlatModel& flat, const manifest::Manifest& manifest,
                           std::vector<container::Item> items, const std::string& stem,
                           const Form& form);

// The name of an output without its ".onnx".
std::string StemOf(const std::string& output);

// The file `name` in the folder of an output, written as the output is: "b.onnx" gives "NAME", and
// "./b.onnx" gives "./NAME".
std::string Beside(const std::string& output, const std::string& name);

// The files that an output stands for: itself, and with both encodings the flat front beside it.
std::vector<std::string> FrontPaths(const std::string& output, FrontEncoding encoding);

// For each of FrontPaths: InvalidArgument when output and input are one file or the output has no
// ".onnx"; Io when the output exists and may not be replaced, or its folder is not there.
Status CheckOutput(const std::string& input, const std::string& output, FrontEncoding encoding,
                   bool force);

Status Commit(const Assembled& assembled, const std::string& output, bool force);

}  // namespace backendctx::authoring
