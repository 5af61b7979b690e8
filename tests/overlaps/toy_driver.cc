// A driver for tests, of the backend that TOY_BACKEND names. A blob is a program in text, one
// instruction a line, over registers that hold float tensors of one shape or single numbers:
//   in N                registers 0 to N-1 are the inputs
//   const R VALUE       add R A B, sub, mul; neg R A, abs, relu, copy
//   if R C              C is a bool; then lines, "yield A", "else", lines, "yield A", "end"
//   out A               the next output
#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "plugin_abi.h"

struct bctx_kernel {
  std::vector<std::vector<std::string>> lines;
};

namespace {

using Register = std::vector<float>;

class Machine {
 public:
  Machine(const bctx_kernel& program, bctx_run* run) : lines_(program.lines), run_(*run) {}

  bool Run() {
    for (size_t i = 0; i < run_.input_count; ++i) {
      if (!Load(run_.inputs[i], &registers_[static_cast<int>(i)])) return false;
    }
    size_t at = 0;
    return Block(&at, true) && next_output_ == run_.output_count;
  }

 private:
  bool Load(const bctx_tensor& tensor, Register* out) {
    if (tensor.data == nullptr) return true;
    size_t count = 1;
    for (int32_t i = 0; i < tensor.rank; ++i) count *= static_cast<size_t>(tensor.dims[i]);
    if (tensor.element_type == 9) {
      out->assign(1, *static_cast<const bool*>(tensor.data) ? 1.0f : 0.0f);
      return true;
    }
    if (tensor.element_type != 1) return false;
    const auto* data = static_cast<const float*>(tensor.data);
    out->assign(data, data + count);
    if (tensor.rank > 0) dims_.assign(tensor.dims, tensor.dims + tensor.rank);
    return true;
  }

  // Up to "yield", whose register is then in yielded_, or to the end of the program.
  bool Block(size_t* at, bool live) {
    while (*at < lines_.size()) {
      const std::vector<std::string>& line = lines_[(*at)++];
      if (line[0] == "yield") {
        if (live) yielded_ = registers_[Number(line[1])];
        return true;
      }
      if (line[0] == "if") {
        const bool taken = live && registers_[Number(line[2])].at(0) != 0.0f;
        if (!Block(at, live && taken)) return false;
        ++*at;  // else
        const Register first = yielded_;
        if (!Block(at, live && !taken)) return false;
        ++*at;  // end
        if (live) registers_[Number(line[1])] = taken ? first : yielded_;
      } else if (live && !Step(line)) {
        return false;
      }
    }
    return true;
  }

  static int Number(const std::string& text) { return std::stoi(text); }

  bool Step(const std::vector<std::string>& line) {
    if (line[0] == "in") return true;
    if (line[0] == "out") return Output(registers_[Number(line[1])]);
    Register& result = registers_[Number(line[1])];
    if (line[0] == "const") {
      result.assign(1, std::stof(line[2]));
      return true;
    }
    const Register a = registers_[Number(line[2])];
    const Register b = line.size() > 3 ? registers_[Number(line[3])] : a;
    if (a.empty() || b.empty()) return false;
    Register made(std::max(a.size(), b.size()));
    for (size_t i = 0; i < made.size(); ++i) {
      made[i] = One(line[0], a[a.size() == 1 ? 0 : i], b[b.size() == 1 ? 0 : i]);
    }
    result = std::move(made);
    return true;
  }

  static float One(const std::string& op, float a, float b) {
    if (op == "add") return a + b;
    if (op == "sub") return a - b;
    if (op == "mul") return a * b;
    if (op == "neg") return -a;
    if (op == "abs") return std::fabs(a);
    if (op == "relu") return a > 0 ? a : 0;
    return a;  // copy
  }

  bool Output(const Register& value) {
    void* memory =
        run_.output(&run_, next_output_++, dims_.data(), static_cast<int32_t>(dims_.size()));
    if (memory == nullptr) return false;
    std::memcpy(memory, value.data(), value.size() * sizeof(float));
    return true;
  }

  const std::vector<std::vector<std::string>>& lines_;
  bctx_run& run_;
  std::map<int, Register> registers_;
  Register yielded_;
  std::vector<int64_t> dims_;
  size_t next_output_ = 0;
};

bctx_code Load(const bctx_load_request* request, bctx_kernel** kernel, bctx_error*) {
  std::istringstream text(
      std::string(reinterpret_cast<const char*>(request->blob.data), request->blob.size));
  auto* made = new bctx_kernel;
  for (std::string line; std::getline(text, line);) {
    std::istringstream words(line);
    std::vector<std::string> split;
    for (std::string word; words >> word;) split.push_back(word);
    if (!split.empty()) made->lines.push_back(std::move(split));
  }
  *kernel = made;
  return BCTX_OK;
}

void Unload(bctx_kernel* kernel) { delete kernel; }

bctx_code Run(bctx_kernel* kernel, bctx_run* run, bctx_error* error) {
  if (Machine(*kernel, run).Run()) return BCTX_OK;
  std::strncpy(error->message, "the program does not run", sizeof(error->message) - 1);
  return BCTX_INTERNAL;
}

}  // namespace

extern "C" BCTX_PLUGIN_EXPORT const bctx_plugin* bctx_plugin_query(uint32_t) {
  static const char* const kNone[] = {nullptr};
  static const bctx_plugin table = [] {
    bctx_plugin made{};
    made.struct_size = sizeof(made);
    made.abi_version = BCTX_PLUGIN_ABI_VERSION;
    made.backend = TOY_BACKEND;
    made.version = "1";
    made.targets = kNone;
    made.option_keys = kNone;
    made.load = Load;
    made.run = Run;
    made.unload = Unload;
    return made;
  }();
  return &table;
}
