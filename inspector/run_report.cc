#include "inspector/run_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>

#include "tools_common/terminal.h"
#include "tools_common/text.h"

namespace backendctx::tools {
namespace {

constexpr size_t kIndent = 14;

std::string Line(const std::string& label, const std::string& text) {
  const std::string wrapped = Wrap(text, kIndent);
  return "  " + Paint(Style::kDim, fmt::format("{:<12}", label)) +
         (wrapped.size() > kIndent ? wrapped.substr(kIndent) : "\n");
}

std::string Shape(const Json& tensor) {
  std::vector<std::string> dims;
  for (const Json& dim : tensor["dims"]) dims.push_back(dim.dump());
  return fmt::format("{} {}[{}]", Escape(tensor["name"].get<std::string>()),
                     tensor["type"].get<std::string>(), Join(dims, ", "));
}

std::string Outputs(const Json& json) {
  std::string text;
  for (const Json& output : json["outputs"]) {
    text +=
        Line("output", fmt::format("{}: from {:.4g} to {:.4g}, mean {:.4g}", Shape(output),
                                   output["least"].get<double>(), output["largest"].get<double>(),
                                   output["mean"].get<double>()));
    if (const auto count = output["not_finite"].get<uint64_t>(); count > 0) {
      text += Line("", fmt::format("{} infinite or not a number", Plural(count, "element")));
    }
    if (!output.contains("difference")) continue;
    const Json& difference = output["difference"];
    text += Line("", difference.is_null()
                         ? "differs from the interpreted run in shape, infinities or NaNs"
                         : fmt::format("differs from the interpreted run by {:.1e} of its scale",
                                       difference.get<double>()));
  }
  return text;
}

// How much ran compiled, and for the rest why not, reasons alike counted once.
std::string Ran(const Json& json) {
  if (json["report"].is_null()) return Line("ran", "interpreted: the model has no contexts");
  const Json& observed = json["report"]["observed"];
  std::string text =
      Line("ran", fmt::format("{} compiled, {} interpreted", observed["compiled"].get<uint64_t>(),
                              observed["interpreted"].get<uint64_t>()));
  if (observed.contains("declined")) {
    text += Line("", Escape(observed["declined"].get<std::string>()));
  }
  std::map<std::string, uint64_t> reasons;
  for (const Json& call : observed["calls"]) {
    if (call.value("ran", "") == "interpreted") ++reasons[call.value("reason", "")];
  }
  for (const auto& [reason, count] : reasons) {
    text += Line("", fmt::format("{}: {}", count, Escape(reason)));
  }
  return text;
}

std::string Milliseconds(const Json& side, const char* key) {
  return fmt::format("{:.2f} ms", side[key].get<double>());
}

std::string Times(const Json& json) {
  const Json& times = json["times"];
  std::string load, run;
  for (const auto& [name, side] : times.items()) {
    const std::string separator = load.empty() ? "" : ", ";
    load += separator + name + " " + Milliseconds(side, "load_ms");
    if (side.contains("median_ms")) {
      run += fmt::format("{}{} {} (least {})", separator, name, Milliseconds(side, "median_ms"),
                         Milliseconds(side, "least_ms"));
    }
  }
  if (run.empty()) return "";
  std::string text = Line("load", load) + Line("median", run);
  if (times.size() == 2) {
    const double compiled = times["compiled"]["median_ms"].get<double>();
    const double interpreted = times["interpreted"]["median_ms"].get<double>();
    text += Line("", fmt::format("compiled is {:.2f} x as fast",
                                 compiled > 0 ? interpreted / compiled : 0.0));
  }
  return text;
}

}  // namespace

Json RunReportJson(const std::string& file, Json answer, Json report) {
  Json json = NewReport();
  json["file"] = file;
  for (auto& [key, value] : answer.items()) json[key] = std::move(value);
  json["report"] = std::move(report);
  return json;
}

std::string RunReportText(const Json& json) {
  std::string text = fmt::format("{}  in ONNX Runtime {}\n",
                                 Paint(Style::kBold, Escape(json["file"].get<std::string>())),
                                 json["runtime_version"].get<std::string>());
  text += Ran(json);
  for (const Json& input : json["inputs"]) {
    text += Line("input", Shape(input) + (input["drawn"].get<bool>() ? ": drawn" : ": given"));
  }
  return text + Outputs(json) + Times(json);
}

double LargestDifference(const Json& json) {
  double largest = 0;
  for (const Json& output : json["outputs"]) {
    if (!output.contains("difference")) continue;
    const Json& difference = output["difference"];
    if (difference.is_null()) return std::numeric_limits<double>::infinity();
    largest = std::max(largest, difference.get<double>());
  }
  return largest;
}

}  // namespace backendctx::tools
