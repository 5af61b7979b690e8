#include "trial/trial.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <optional>
#include <set>

#include "trial/npz.h"
#include "trial/session.h"

namespace backendctx::ort {
namespace {

using Json = nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;
using Tensors = std::vector<NamedTensor>;

double MillisecondsSince(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

// What a model leaves open: one row where it can be a batch, and short sequences.
int64_t DefaultSize(size_t axis) { return axis == 0 ? 1 : 16; }

class Trial {
 public:
  explicit Trial(const nlohmann::json& request) : request_(request) {}

  Result<Json> Run() {
    BCTX_ASSIGN_OR_RETURN(const Runtime runtime, Runtime::Open(Text("runtime")));
    const auto silent = [](void*, OrtLoggingLevel, const char*, const char*, const char*,
                           const char*) {};
    BCTX_RETURN_IF_ERROR(runtime.Make(
        runtime.api().CreateEnvWithCustomLogger, &env_, static_cast<OrtLoggingFunction>(+silent),
        static_cast<void*>(nullptr), ORT_LOGGING_LEVEL_ERROR, static_cast<const char*>("bctx")));
    answer_["runtime_version"] = runtime.version();
    BCTX_RETURN_IF_ERROR(MakeSessions(runtime, env_.get()));
    BCTX_RETURN_IF_ERROR(MakeInputs());
    BCTX_RETURN_IF_ERROR(RunOnce());
    BCTX_RETURN_IF_ERROR(TakeTimes());
    answer_["times"] = times_;
    return std::move(answer_);
  }

 private:
  struct Side {
    std::string name;
    TrialSession session;
    Tensors outputs;
    std::vector<double> milliseconds;
  };

  std::string Text(const char* key) const { return request_.value(key, std::string()); }
  bool Compares() const { return request_.value("compare", false); }

  Status MakeSessions(const Runtime& runtime, OrtEnv* env) {
    SessionSettings settings{Text("model"), Text("provider"), {}, request_.value("threads", 0)};
    if (const auto options = request_.find("options"); options != request_.end()) {
      settings.options = options->get<std::map<std::string, std::string>>();
    }
    if (!settings.provider.empty()) {
      BCTX_RETURN_IF_ERROR(MakeSession(runtime, env, settings, "compiled"));
      if (!Compares()) return OkStatus();
      settings.provider.clear();
    }
    return MakeSession(runtime, env, settings, "interpreted");
  }

  Status MakeSession(const Runtime& runtime, OrtEnv* env, const SessionSettings& settings,
                     const std::string& name) {
    const Clock::time_point start = Clock::now();
    Result<TrialSession> session = TrialSession::Make(runtime, env, settings);
    if (!session) return session.status();
    times_[name]["load_ms"] = MillisecondsSince(start);
    sides_.push_back({name, std::move(*session), {}, {}});
    return OkStatus();
  }

  Status MakeInputs() {
    BCTX_ASSIGN_OR_RETURN(const std::vector<ValueInfo> declared, sides_.front().session.Inputs());
    if (const std::string file = Text("inputs"); !file.empty()) {
      BCTX_ASSIGN_OR_RETURN(inputs_, ReadNpz(file));
      BCTX_RETURN_IF_ERROR(CheckNames(declared, file));
      TakeSizes(declared);
    }
    std::set<std::string> unused;
    if (const auto dims = request_.find("dims"); dims != request_.end()) {
      for (const auto& [symbol, size] : dims->items()) unused.insert(symbol);
    }
    const auto seed = request_.value("seed", uint32_t{1});
    for (const ValueInfo& input : declared) {
      const bool given = std::any_of(inputs_.begin(), inputs_.end(), [&](const NamedTensor& one) {
        return one.name == input.name;
      });
      for (const std::string& symbol : input.symbols) unused.erase(symbol);
      if (given) continue;  // and its sizes hold for drawn inputs: see Sizes
      std::optional<proof::Tensor> tensor =
          Draw(input.element_type, Sizes(input), seed + static_cast<uint32_t>(inputs_.size()));
      if (!tensor) {
        return Status(StatusCode::kUnimplemented, "input '" + input.name + "' is of " +
                                                      TypeName(input.element_type) +
                                                      ", which cannot be drawn");
      }
      inputs_.push_back({input.name, std::move(*tensor), true});
    }
    if (!unused.empty()) {
      return Status(StatusCode::kInvalidArgument,
                    "no input has a dimension named '" + *unused.begin() + "'");
    }
    Describe();
    return OkStatus();
  }

  Status CheckNames(const std::vector<ValueInfo>& declared, const std::string& file) const {
    for (const NamedTensor& input : inputs_) {
      const bool known = std::any_of(declared.begin(), declared.end(),
                                     [&](const ValueInfo& one) { return one.name == input.name; });
      if (known) continue;
      std::string names;
      for (const ValueInfo& one : declared) names += (names.empty() ? "" : ", ") + one.name;
      return Status(
          StatusCode::kInvalidArgument,
          file + ": found an array '" + input.name + "', expected inputs of the model: " + names,
          {.file = file, .field = "inputs", .found = input.name, .expected = names});
    }
    return OkStatus();
  }

  // Symbols of given inputs have the sizes of those arrays.
  void TakeSizes(const std::vector<ValueInfo>& declared) {
    for (const NamedTensor& given : inputs_) {
      for (const ValueInfo& input : declared) {
        const std::vector<int64_t>& dims = given.tensor.dims;
        if (input.name != given.name || input.symbols.size() != dims.size()) continue;
        for (size_t axis = 0; axis < dims.size(); ++axis) {
          if (!input.symbols[axis].empty()) given_sizes_[input.symbols[axis]] = dims[axis];
        }
      }
    }
  }

  std::vector<int64_t> Sizes(const ValueInfo& input) const {
    std::vector<int64_t> sizes = input.dims;
    for (size_t axis = 0; axis < sizes.size(); ++axis) {
      if (sizes[axis] >= 0) continue;
      sizes[axis] = DefaultSize(axis);
      const std::string& symbol = input.symbols[axis];
      if (symbol.empty()) continue;
      if (const auto known = given_sizes_.find(symbol); known != given_sizes_.end()) {
        sizes[axis] = known->second;
      }
      const auto dims = request_.find("dims");
      if (dims != request_.end()) sizes[axis] = dims->value(symbol, sizes[axis]);
    }
    return sizes;
  }

  void Describe() {
    answer_["inputs"] = Json::array();
    for (const NamedTensor& input : inputs_) {
      answer_["inputs"].push_back({{"name", input.name},
                                   {"type", TypeName(input.tensor.element_type)},
                                   {"dims", input.tensor.dims},
                                   {"drawn", input.drawn}});
    }
  }

  Status RunOnce() {
    for (Side& side : sides_) {
      const Clock::time_point start = Clock::now();
      Result<Tensors> outputs = side.session.Run(inputs_);
      if (!outputs) {
        const Status& status = outputs.error();
        return Status(status.code(), side.name + ": " + status.message(), {.field = "inputs"});
      }
      times_[side.name]["first_ms"] = MillisecondsSince(start);
      side.outputs = std::move(*outputs);
    }
    answer_["outputs"] = Json::array();
    for (size_t i = 0; i < sides_.front().outputs.size(); ++i) {
      const NamedTensor& output = sides_.front().outputs[i];
      const Summary summary = Summarise(output.tensor);
      Json json = {{"name", output.name},        {"type", TypeName(output.tensor.element_type)},
                   {"dims", output.tensor.dims}, {"elements", summary.elements},
                   {"least", summary.least},     {"largest", summary.largest},
                   {"mean", summary.mean},       {"not_finite", summary.not_finite}};
      if (sides_.size() == 2) {
        const double difference = Difference(output.tensor, sides_.back().outputs[i].tensor);
        json["difference"] = std::isfinite(difference) ? Json(difference) : Json();
      }
      answer_["outputs"].push_back(std::move(json));
    }
    return OkStatus();
  }

  // The sides take turns, so that what slows the machine slows both.
  Status TakeTimes() {
    const int runs = request_.value("runs", 0);
    for (int run = 0; run < runs; ++run) {
      for (Side& side : sides_) {
        const Clock::time_point start = Clock::now();
        BCTX_RETURN_IF_ERROR(side.session.Run(inputs_).status());
        side.milliseconds.push_back(MillisecondsSince(start));
      }
    }
    for (Side& side : sides_) {
      if (side.milliseconds.empty()) continue;
      std::sort(side.milliseconds.begin(), side.milliseconds.end());
      times_[side.name]["least_ms"] = side.milliseconds.front();
      times_[side.name]["median_ms"] = side.milliseconds[side.milliseconds.size() / 2];
    }
    return OkStatus();
  }

  const nlohmann::json& request_;
  Json answer_, times_ = Json::object();
  Env env_;  // goes after the sessions
  std::vector<Side> sides_;
  Tensors inputs_;
  std::map<std::string, int64_t> given_sizes_;  // by symbol
};

}  // namespace

Result<Json> RunTrial(const nlohmann::json& request) { return Trial(request).Run(); }

}  // namespace backendctx::ort
