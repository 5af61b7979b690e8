#include <array>
#include <cmath>
#include <cstring>
#include <map>
#include <random>

#include "authoring/cases.h"
#include "fmt/format.h"

namespace backendctx::authoring {
namespace {

constexpr int32_t kFloat = 1, kFloat16 = 10, kDouble = 11, kBfloat16 = 16;

// What free dimensions are in one case: equal ones where sizes must agree, then different ones.
struct FreeSizes {
  std::array<int64_t, 4> values;  // by the order in which a symbol is met; the last one repeats
};
constexpr FreeSizes kFreeSizes[] = {{{1, 1, 1, 1}}, {{2, 2, 2, 2}},  {{1, 7, 7, 7}},
                                    {{2, 5, 5, 5}}, {{3, 16, 9, 4}}, {{1, 40, 17, 8}}};

// Round to nearest even; the draws are small and finite.
uint16_t ToFloat16(float value) {
  uint32_t bits = 0;
  std::memcpy(&bits, &value, sizeof(bits));
  const uint32_t sign = bits >> 16 & 0x8000;
  const auto exponent = static_cast<int32_t>(bits >> 23 & 0xff) - 112;
  if (exponent <= 0) return static_cast<uint16_t>(sign);
  const uint32_t half = sign | static_cast<uint32_t>(exponent) << 10 | (bits >> 13 & 0x3ff);
  const uint32_t rest = bits & 0x1fff;
  return static_cast<uint16_t>(half + (rest > 0x1000 || (rest == 0x1000 && (half & 1)) ? 1 : 0));
}

class GeneralCaseMaker {
 public:
  GeneralCaseMaker(const PartitionForPlugin& partition, const Region& region, size_t number)
      : partition_(partition),
        region_(region),
        sizes_(kFreeSizes[number]),
        random_(static_cast<uint32_t>(20260201 + number)) {}

  Result<std::vector<proof::Tensor>> Make() {
    std::vector<proof::Tensor> tensors;
    for (size_t i = 0; i < partition_.partition().input_count; ++i) {
      BCTX_ASSIGN_OR_RETURN(proof::Tensor tensor, MakeInput(i));
      tensors.push_back(std::move(tensor));
    }
    return tensors;
  }

 private:
  Result<proof::Tensor> MakeInput(size_t i) {
    const bctx_value& input = partition_.partition().inputs[i];
    const manifest::BoundaryValue& declared = region_.partition.inputs[i];
    proof::Tensor tensor;
    tensor.element_type = input.element_type;
    if (declared.content) {
      const std::string& bytes = partition_.constants()[i];
      tensor.dims.assign(input.dims, input.dims + input.rank);
      tensor.data.assign(bytes.begin(), bytes.end());
      return tensor;
    }
    if (!declared.has_shape) {
      return Status(StatusCode::kInvalidArgument,
                    fmt::format("the rank of '{}' is not known", declared.name));
    }
    for (const manifest::Dim& dim : declared.dims) {
      tensor.dims.push_back(dim.value >= 0 ? dim.value : SizeOf(dim.symbol));
    }
    const auto bytes =
        proof::TensorBytes(tensor.element_type, tensor.dims.data(), tensor.dims.size());
    if (!bytes || *bytes > (uint64_t{1} << 30)) {
      return Status(StatusCode::kInvalidArgument,
                    fmt::format("no values can be drawn for '{}', of element type {}",
                                declared.name, tensor.element_type));
    }
    tensor.data.resize(*bytes);
    Fill(&tensor);
    return tensor;
  }

  int64_t SizeOf(const std::string& symbol) {
    const std::string name = symbol.empty() ? fmt::format("?{}", symbols_.size()) : symbol;
    const size_t next = std::min(symbols_.size(), sizes_.values.size() - 1);
    return symbols_.emplace(name, sizes_.values[next]).first->second;
  }

  // Integers are zeros and ones: as an index, a mask and a token they are in range nearly anywhere.
  void Fill(proof::Tensor* tensor) {
    const size_t width = proof::ElementSize(tensor->element_type);
    for (size_t at = 0; at < tensor->data.size(); at += width) {
      uint8_t* const to = tensor->data.data() + at;
      const auto value = static_cast<float>(Normal());
      switch (tensor->element_type) {
        case kFloat:
          std::memcpy(to, &value, sizeof(value));
          break;
        case kDouble: {
          const double wide = value;
          std::memcpy(to, &wide, sizeof(wide));
          break;
        }
        case kFloat16: {
          const uint16_t half = ToFloat16(value);
          std::memcpy(to, &half, sizeof(half));
          break;
        }
        case kBfloat16:
          std::memcpy(to, reinterpret_cast<const uint8_t*>(&value) + 2, 2);
          break;
        default:  // little endian; bool too
          to[0] = value > -0.5f ? 1 : 0;
      }
    }
  }

  // The sum of twelve uniforms: close enough, and the same everywhere.
  double Normal() {
    double sum = -6;
    for (int i = 0; i < 12; ++i) sum += static_cast<double>(random_() >> 8) / (1 << 24);
    return sum;
  }

  const PartitionForPlugin& partition_;
  const Region& region_;
  const FreeSizes& sizes_;
  std::mt19937 random_;
  std::map<std::string, int64_t> symbols_;
};

bool HasFreeDimensions(const Region& region) {
  for (const manifest::BoundaryValue& input : region.partition.inputs) {
    for (const manifest::Dim& dim : input.dims) {
      if (dim.value < 0) return true;
    }
  }
  return false;
}

}  // namespace

Result<std::vector<std::vector<proof::Tensor>>> MakeGeneralCases(
    const PartitionForPlugin& partition, const Region& region) {
  const size_t count = HasFreeDimensions(region) ? std::size(kFreeSizes) : 2;
  std::vector<std::vector<proof::Tensor>> cases;
  for (size_t i = 0; i < count; ++i) {
    BCTX_ASSIGN_OR_RETURN(std::vector<proof::Tensor> tensors,
                          GeneralCaseMaker(partition, region, i).Make());
    cases.push_back(std::move(tensors));
  }
  return cases;
}

}  // namespace backendctx::authoring
