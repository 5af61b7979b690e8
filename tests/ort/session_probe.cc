// Opens and runs a session as its arguments say, for session_test.py.
//
//   session_probe MODEL KEY=VALUE ...
//
//   input=NAME:TYPE:DIM,DIM:FILE  bytes of an input      outputs=FOLDER  bytes of each output
//   threads=N  opens and runs N times at once            into=1  outputs into memory of its own
//   memory=FOLDER  the front's bytes, external data there
//   ort, backends, keys, profile, trust_folders, integrity, strict, lower: options of the session
//
// Prints lines of fields with tabs between; "error CODE MESSAGE" when something fails.
#include <backendctx/session.h>

#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace backendctx;

std::vector<std::string> Split(const std::string& text, char by) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, by);) parts.push_back(part);
  return parts;
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

struct Arguments {
  std::string model;
  std::multimap<std::string, std::string> all;

  std::string Get(const std::string& key, const std::string& otherwise = "") const {
    const auto it = all.find(key);
    return it != all.end() ? it->second : otherwise;
  }
  bool Has(const std::string& key) const { return all.contains(key); }
};

struct Input {
  std::string name, bytes;
  int32_t type = 0;
  std::vector<int64_t> dims;
};

std::vector<Input> ReadInputs(const Arguments& arguments) {
  std::vector<Input> inputs;
  const auto [begin, end] = arguments.all.equal_range("input");
  for (auto it = begin; it != end; ++it) {
    const std::vector<std::string> parts = Split(it->second, ':');
    Input input{parts[0], ReadFile(parts[3]), std::stoi(parts[1]), {}};
    for (const std::string& dim : Split(parts[2], ',')) input.dims.push_back(std::stoll(dim));
    inputs.push_back(std::move(input));
  }
  return inputs;
}

Result<SessionOptions> ReadOptions(const Arguments& arguments) {
  SessionOptions options;
  options.runtime = arguments.Get("ort");
  options.policy.backends = Split(arguments.Get("backends"), ',');
  options.policy.assume_stored = arguments.Has("assume_stored");
  options.trust_folders = arguments.Get("trust_folders", "1") == "1";
  options.strict = arguments.Has("strict");
  options.lower = arguments.Get("lower", "1") == "1";
  options.threads = 1;
  if (arguments.Get("integrity") == "full") options.integrity = Integrity::kFull;
  if (arguments.Has("keys")) {
    BCTX_ASSIGN_OR_RETURN(options.trusted_keys, LoadTrustedKeys({arguments.Get("keys")}));
  }
  if (arguments.Has("profile")) {
    BCTX_ASSIGN_OR_RETURN(options.profile,
                          HostProfile::FromJson(ReadFile(arguments.Get("profile"))));
  }
  return options;
}

using Outputs = std::vector<std::pair<std::string, std::string>>;  // name, bytes

Status RunInto(const Session& session, const std::vector<InputTensor>& inputs,
               const std::vector<OutputTensor>& shapes, Outputs* outputs) {
  std::vector<OutputBuffer> buffers;
  outputs->clear();
  for (const OutputTensor& shape : shapes) {
    outputs->emplace_back(shape.name, std::string(shape.tensor.size, '\0'));
  }
  for (size_t i = 0; i < shapes.size(); ++i) {
    const TensorView& view = shapes[i].tensor;
    buffers.push_back(
        {shapes[i].name, view.element_type, view.dims, (*outputs)[i].second.data(), view.size});
  }
  return session.RunInto(inputs, buffers);
}

// Opens, runs three times, and keeps the outputs longer than the session.
Status OpenAndRun(const Arguments& arguments, const std::vector<Input>& given,
                  SessionReport* report, Outputs* outputs) {
  BCTX_ASSIGN_OR_RETURN(const SessionOptions options, ReadOptions(arguments));
  std::vector<InputTensor> inputs;
  for (const Input& input : given) {
    inputs.push_back(
        {input.name, {input.type, input.dims, input.bytes.data(), input.bytes.size()}});
  }
  std::vector<OutputTensor> tensors;
  {
    Result<Session> session =
        arguments.Has("memory")
            ? Session::OpenMemory(ReadFile(arguments.model), arguments.Get("memory"), options)
            : Session::Open(arguments.model, options);
    if (!session) return session.status();
    *report = session->report();
    if (given.empty()) return OkStatus();
    const int count = std::stoi(arguments.Get("threads", "1"));
    std::vector<std::vector<OutputTensor>> results(static_cast<size_t>(count));
    std::vector<Status> statuses(static_cast<size_t>(count));
    std::vector<std::thread> threads;
    for (size_t i = 0; i < results.size(); ++i) {
      threads.emplace_back([&, i] {
        for (int round = 0; round < 5; ++round) {
          Result<std::vector<OutputTensor>> made = session->Run(inputs);
          statuses[i] = made.status();
          if (!made) return;
          results[i] = std::move(*made);
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    for (const Status& status : statuses) BCTX_RETURN_IF_ERROR(status);
    for (const auto& result : results) {
      for (size_t i = 0; i < result.size(); ++i) {
        const TensorView &one = result[i].tensor, &other = results[0][i].tensor;
        if (one.size == other.size && std::memcmp(one.data, other.data, one.size) == 0) continue;
        return Status(StatusCode::kInternal, "threads differ in output " + result[i].name);
      }
    }
    tensors = std::move(results[0]);
    if (arguments.Has("into")) return RunInto(*session, inputs, tensors, outputs);
  }
  for (const OutputTensor& tensor : tensors) {
    outputs->emplace_back(
        tensor.name, std::string(static_cast<const char*>(tensor.tensor.data), tensor.tensor.size));
  }
  return OkStatus();
}

void Print(const SessionReport& report) {
  std::printf("calls\t%zu\t%zu\n", report.compiled, report.interpreted);
  std::printf("runtime\t%s\ndeclined\t%s\n", report.runtime.c_str(), report.declined.c_str());
  std::string scopes;
  for (const std::string& scope : report.lowered_for) scopes += (scopes.empty() ? "" : ",") + scope;
  std::printf("lowered\t%s\t%s\n", scopes.c_str(), report.not_lowered.c_str());
  for (const Decision& one : report.decisions) {
    std::printf("decision\t%s\t%s\t%s\t%s\t%s\n", one.partition.c_str(), one.context.c_str(),
                OutcomeName(one.outcome), one.reason.c_str(), one.detail.c_str());
  }
  for (const SessionCall& call : report.calls) {
    std::printf("call\t%s\t%s\t%s\t%s\n", call.partition.c_str(), call.context.c_str(),
                call.reason.c_str(), call.node.c_str());
  }
}

int Main(const Arguments& arguments) {
  const std::vector<Input> inputs = ReadInputs(arguments);
  const size_t count = static_cast<size_t>(std::stoi(arguments.Get("threads", "1")));
  std::vector<Status> statuses(count);
  std::vector<SessionReport> reports(count);
  std::vector<Outputs> outputs(count);
  std::vector<std::thread> threads;
  for (size_t i = 0; i < count; ++i) {
    threads.emplace_back(
        [&, i] { statuses[i] = OpenAndRun(arguments, inputs, &reports[i], &outputs[i]); });
  }
  for (std::thread& thread : threads) thread.join();
  for (size_t i = 0; i < count; ++i) {
    Status status = statuses[i];
    if (status.ok() && outputs[i] != outputs[0]) {
      status = Status(StatusCode::kInternal, "sessions differ");
    }
    if (status.ok()) continue;
    std::printf("error\t%s\t%s\n", StatusCodeName(status.code()), status.message().c_str());
    return 1;
  }
  Print(reports[0]);
  for (const auto& [name, bytes] : outputs[0]) {
    if (!arguments.Has("outputs")) continue;
    std::ofstream(arguments.Get("outputs") + "/" + name, std::ios::binary) << bytes;
  }
  if (arguments.Has("report")) std::ofstream(arguments.Get("report")) << reports[0].json;
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  if (argc < 2) return 2;
  arguments.model = argv[1];
  for (int i = 2; i < argc; ++i) {
    const std::string argument = argv[i];
    const size_t equals = argument.find('=');
    if (equals == std::string::npos) return 2;
    arguments.all.emplace(argument.substr(0, equals), argument.substr(equals + 1));
  }
  return Main(arguments);
}
