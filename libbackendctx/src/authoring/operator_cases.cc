#include "authoring/operator_cases.h"

#include <cstring>
#include <map>
#include <optional>
#include <random>

#include "authoring/cases.h"
#include "authoring/request.h"

namespace backendctx::authoring {
namespace {

using Sizes = std::map<std::string, int64_t>;

// What the free sizes of attention are in the two cases; `T` is what a mask's keys are.
const Sizes kDefaults[] = {
    {{"B", 2}, {"Hq", 4}, {"Hk", 2}, {"Sq", 5}, {"Sk", 7}, {"P", 3}, {"D", 16}, {"Dv", 16}},
    {{"B", 1}, {"Hq", 2}, {"Hk", 2}, {"Sq", 1}, {"Sk", 1}, {"P", 9}, {"D", 16}, {"Dv", 16}},
};

// The roles of the axes of an Attention or FlexAttention operand; empty: none is known.
std::vector<std::string> Roles(const model::Node& node, size_t input, size_t rank) {
  if (node.op_type == "LinearAttention") return {};
  const bool packed = rank == 3 && input <= 2;
  switch (input) {
    case 0:
      return packed ? std::vector<std::string>{"B", "Sq", "Hq*D"}
                    : std::vector<std::string>{"B", "Hq", "Sq", "D"};
    case 1:
      return packed ? std::vector<std::string>{"B", "Sk", "Hk*D"}
                    : std::vector<std::string>{"B", "Hk", "Sk", "D"};
    case 2:
      return packed ? std::vector<std::string>{"B", "Sk", "Hk*Dv"}
                    : std::vector<std::string>{"B", "Hk", "Sk", "Dv"};
    case 3: {
      const std::vector<std::string> all = {"B", "Hq", "Sq", "T"};
      if (rank > all.size() || node.op_type != "Attention") return {};
      return {all.end() - static_cast<std::ptrdiff_t>(rank), all.end()};
    }
    case 4:
      return {"B", "Hk", "P", "D"};
    case 5:
      return {"B", "Hk", "P", "Dv"};
    case 6:
      return {"B"};
    default:
      return {};
  }
}

class CaseDrawer {
 public:
  CaseDrawer(const std::vector<std::string>& constants, const Region& region, size_t number)
      : constants_(constants),
        region_(region),
        node_(region.graph->nodes[region.graph->producer.at(region.partition.nodes.front())]),
        defaults_(kDefaults[number]),
        random_(static_cast<uint32_t>(20260301 + number)) {}

  std::optional<std::vector<proof::Tensor>> Draw() {
    const auto& inputs = region_.partition.inputs;
    for (const auto& input : inputs) NoteFixed(input);
    std::vector<proof::Tensor> tensors;
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (!inputs[i].has_shape) return std::nullopt;
      proof::Tensor tensor;
      tensor.element_type = inputs[i].element_type;
      tensor.dims = DimsOf(inputs[i]);
      const auto bytes =
          proof::TensorBytes(tensor.element_type, tensor.dims.data(), tensor.dims.size());
      if (!bytes || *bytes > kMostBytes) return std::nullopt;
      tensor.data.resize(*bytes);
      if (inputs[i].content) {
        const std::string& constant = constants_[i];
        if (constant.size() != tensor.data.size()) return std::nullopt;
        std::memcpy(tensor.data.data(), constant.data(), constant.size());
      } else if (!Fill(inputs[i], &tensor)) {
        return std::nullopt;
      }
      tensors.push_back(std::move(tensor));
    }
    return tensors;
  }

 private:
  static constexpr uint64_t kMostBytes = 64u << 20;

  size_t InputOf(const std::string& name) const {
    size_t i = 0;
    while (i < node_.inputs.size() && node_.inputs[i] != name) ++i;
    return i;
  }

  void NoteFixed(const manifest::BoundaryValue& input) {
    const std::vector<std::string> roles = Roles(node_, InputOf(input.name), input.dims.size());
    if (roles.size() != input.dims.size()) return;
    for (size_t i = 0; i < roles.size(); ++i) {
      if (input.dims[i].value >= 0 && roles[i] != "T") {
        roles_.emplace(roles[i], input.dims[i].value);
      }
    }
  }

  std::vector<int64_t> DimsOf(const manifest::BoundaryValue& input) {
    const std::vector<std::string> roles = Roles(node_, InputOf(input.name), input.dims.size());
    std::vector<int64_t> dims;
    for (size_t i = 0; i < input.dims.size(); ++i) {
      const manifest::Dim& dim = input.dims[i];
      const bool has_role = roles.size() == input.dims.size();
      int64_t value = dim.value;
      if (value < 0) value = has_role ? SizeOf(roles[i], dim.symbol) : Named(dim.symbol, 2);
      dims.push_back(value);
    }
    return dims;
  }

  int64_t Named(const std::string& symbol, int64_t otherwise) {
    return symbol.empty() ? otherwise : symbols_.emplace(symbol, otherwise).first->second;
  }

  int64_t SizeOf(const std::string& role, const std::string& symbol) {
    if (role == "T") return Named(symbol, SizeOf("Sk", "") + (HasPast() ? SizeOf("P", "") : 0));
    if (const size_t star = role.find('*'); star != std::string::npos) {
      const bool is_q = role.starts_with("Hq");
      const int64_t heads = node_.Int(is_q ? "q_num_heads" : "kv_num_heads", 2);
      return Named(symbol, heads * SizeOf(role.substr(star + 1), ""));
    }
    if (const auto known = roles_.find(role); known != roles_.end()) {
      return Named(symbol, known->second);
    }
    return roles_.emplace(role, Named(symbol, defaults_.at(role))).first->second;
  }

  bool HasPast() const { return node_.inputs.size() > 4 && !node_.inputs[4].empty(); }

  bool Fill(const manifest::BoundaryValue& input, proof::Tensor* tensor) {
    const size_t size = proof::ElementSize(tensor->element_type);
    const bool is_length = node_.op_type == "Attention" && InputOf(input.name) == 6;
    for (size_t at = 0; at < tensor->data.size(); at += size) {
      if (!FillOne(tensor->element_type, is_length, tensor->data.data() + at)) return false;
    }
    return true;
  }

  // Numbers that every floating point type holds exactly.
  bool FillOne(int32_t type, bool is_length, uint8_t* to) {
    static constexpr float kFloats[] = {0, 0.5f, -0.5f, 1, -1};
    static constexpr uint16_t kHalves[] = {0, 0x3800, 0xB800, 0x3C00, 0xBC00};
    static constexpr uint16_t kBrains[] = {0, 0x3F00, 0xBF00, 0x3F80, 0xBF80};
    const size_t pick = (random_() >> 8) % std::size(kFloats);
    const int64_t integer = is_length ? SizeOf("Sk", "") : static_cast<int64_t>(pick % 2);
    const auto put = [to](auto value) { std::memcpy(to, &value, sizeof value); };
    switch (type) {
      case kFloat:
        put(kFloats[pick]);
        return true;
      case kDouble:
        put(static_cast<double>(kFloats[pick]));
        return true;
      case kFloat16:
        put(kHalves[pick]);
        return true;
      case kBfloat16:
        put(kBrains[pick]);
        return true;
      case kInt64:
        put(integer);
        return true;
      case kInt32:
        put(static_cast<int32_t>(integer));
        return true;
      case kBool:
        *to = pick != 0;
        return true;
      default:
        return false;
    }
  }

  const std::vector<std::string>& constants_;
  const Region& region_;
  const model::Node& node_;
  const Sizes& defaults_;
  Sizes roles_, symbols_;
  std::mt19937 random_;
};

}  // namespace

std::vector<std::vector<proof::Tensor>> OperatorCases(const model::FlatModel& flat,
                                                      const Region& region) {
  std::vector<std::vector<proof::Tensor>> cases;
  const Result<std::vector<std::string>> constants = ConstantsOf(flat, region);
  if (!constants) return cases;
  for (size_t i = 0; i < std::size(kDefaults); ++i) {
    auto tensors = CaseDrawer(*constants, region, i).Draw();
    if (!tensors) return {};
    cases.push_back(std::move(*tensors));
  }
  return cases;
}

}  // namespace backendctx::authoring
