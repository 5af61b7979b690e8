// The options of this backend: as a user gives them, as a blob records them, as OpenVINO takes
// them.
//
// What changes results is not in OpenVINO's blob, so every option is recorded and given back when
// the blob is imported.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "common/outcome.h"

namespace backendctx::openvino {

using Pairs = std::vector<std::pair<std::string, std::string>>;

// Keys that compile takes, null-terminated.
const char* const* OptionKeys();

class Options {
 public:
  // InvalidArgument: an unknown key, or a value that is not one of its own. `multiplies_int8`: the
  // target has exact sums of products of 8-bit integers, and so uses them where it is not told.
  static Outcome Parse(const bctx_key_value* pairs, size_t count, bool multiplies_int8,
                       Options* options);
  // The same of a blob's record, which has every key.
  static Outcome ParseRecord(const bctx_key_value* pairs, size_t count, Options* options);

  const std::string& Get(const std::string& key) const;
  bool embeds() const { return Get("weights") == "embedded"; }
  // What came out, where it is not what was asked for.
  void SetEmbeds() { values_["weights"] = "embedded"; }
  // Every key, sorted.
  Pairs Record() const { return {values_.begin(), values_.end()}; }
  // For compiling and importing: those of the user, and those that never change.
  Pairs Properties() const;

 private:
  std::map<std::string, std::string> values_;
};

}  // namespace backendctx::openvino
