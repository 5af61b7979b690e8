#include "authoring/cases.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <random>

#include "fmt/format.h"

namespace backendctx::authoring {
namespace {

// Free dimensions of one case. Tails of tiles, single rows and unequal lengths all occur.
struct Dimensions {
  int64_t batch, queries, keys, kv_heads, group;
};
constexpr Dimensions kCases[] = {
    {1, 1, 1, 1, 1}, {2, 5, 7, 2, 2}, {1, 33, 130, 1, 2}, {3, 64, 48, 2, 1}, {1, 129, 129, 2, 2},
};

enum class MaskStyle { kSmooth, kFiniteHoles, kInfiniteHoles };

class CaseMaker {
 public:
  CaseMaker(const PartitionForPlugin& partition, const Region& region, size_t number)
      : partition_(partition),
        region_(region),
        attention_(*region.attention),
        number_(number),
        random_(static_cast<uint32_t>(20260101 + number)) {
    const Dimensions& dims = kCases[number];
    symbols_ = {{"B", dims.batch},
                {"Sq", dims.queries},
                {"Sk", dims.keys},
                {"Hk", dims.kv_heads},
                {"Hq", dims.kv_heads * dims.group}};
  }

  Result<std::vector<proof::Tensor>> Make() {
    std::vector<proof::Tensor> tensors;
    const bctx_partition& partition = partition_.partition();
    for (size_t i = 0; i < partition.input_count; ++i) {
      BCTX_ASSIGN_OR_RETURN(proof::Tensor tensor, MakeInput(i));
      tensors.push_back(std::move(tensor));
    }
    return tensors;
  }

 private:
  Result<proof::Tensor> MakeInput(size_t i) {
    const bctx_value& input = partition_.partition().inputs[i];
    proof::Tensor tensor;
    tensor.element_type = input.element_type;
    if (!partition_.constants()[i].empty() || region_.partition.inputs[i].content) {
      const std::string& bytes = partition_.constants()[i];
      tensor.dims.assign(input.dims, input.dims + input.rank);
      tensor.data.assign(bytes.begin(), bytes.end());
      return tensor;
    }
    const patterns::InputShape* shape = FindShape(input.name);
    if (shape == nullptr) {
      return Status(StatusCode::kInvalidArgument,
                    fmt::format("the shape of '{}' is not known", input.name));
    }
    BCTX_ASSIGN_OR_RETURN(tensor.dims, Resolve(shape->dims));
    const auto bytes =
        proof::TensorBytes(tensor.element_type, tensor.dims.data(), tensor.dims.size());
    if (!bytes) {
      return Status(StatusCode::kInvalidArgument,
                    fmt::format("'{}' has element type {}", input.name, tensor.element_type));
    }
    tensor.data.resize(*bytes);
    BCTX_RETURN_IF_ERROR(Fill(*shape, &tensor));
    return tensor;
  }

  const patterns::InputShape* FindShape(const std::string& name) const {
    for (const patterns::InputShape& shape : attention_.input_shapes) {
      if (shape.value == name) return &shape;
    }
    return nullptr;
  }

  Result<std::vector<int64_t>> Resolve(const std::vector<patterns::Extent>& extents) const {
    std::vector<int64_t> values;
    for (const patterns::Extent& extent : extents) {
      if (extent.symbol.empty()) {
        values.push_back(extent.constant);
      } else if (const auto symbol = symbols_.find(extent.symbol); symbol != symbols_.end()) {
        values.push_back(extent.factor * symbol->second);
      } else {
        return Status(StatusCode::kInvalidArgument,
                      fmt::format("dimension '{}' is not free", extent.symbol));
      }
    }
    return values;
  }

  Status Fill(const patterns::InputShape& shape, proof::Tensor* tensor) {
    if (shape.has_values) return FillValues(shape, tensor);
    if (!shape.floats.empty()) return FillFloats(shape, tensor);
    const patterns::Mask* mask = FindMask(shape.value);
    if (tensor->element_type == kBool) {
      FillBool(mask != nullptr && mask->kind == patterns::Mask::Kind::kDrop, tensor);
    } else if (tensor->element_type == kFloat) {
      mask == nullptr ? FillNormal(tensor) : FillMask(tensor);
    } else {
      return Status(StatusCode::kInvalidArgument,
                    fmt::format("'{}' has element type {}", shape.value, tensor->element_type));
    }
    return OkStatus();
  }

  const patterns::Mask* FindMask(const std::string& name) const {
    for (const patterns::Mask& mask : attention_.masks) {
      if (mask.value == name) return &mask;
    }
    return nullptr;
  }

  Status FillValues(const patterns::InputShape& shape, proof::Tensor* tensor) const {
    BCTX_ASSIGN_OR_RETURN(const std::vector<int64_t> values, Resolve(shape.values));
    const size_t size = proof::ElementSize(tensor->element_type);
    const bool integer = tensor->element_type == kInt64 || tensor->element_type == kInt32;
    if (!integer || values.size() * size != tensor->data.size()) {
      return Status(StatusCode::kInvalidArgument,
                    fmt::format("'{}' has {} known values for {} bytes of type {}", shape.value,
                                values.size(), tensor->data.size(), tensor->element_type));
    }
    for (size_t i = 0; i < values.size(); ++i) {
      std::memcpy(tensor->data.data() + i * size, &values[i], size);  // little endian
    }
    return OkStatus();
  }

  // A number that was proved, as a scale that layers share.
  static Status FillFloats(const patterns::InputShape& shape, proof::Tensor* tensor) {
    const size_t size = shape.floats.size() * sizeof(float);
    if (tensor->element_type != kFloat || size != tensor->data.size()) {
      return Status(StatusCode::kInvalidArgument,
                    fmt::format("'{}' has {} known values for {} bytes of type {}", shape.value,
                                shape.floats.size(), tensor->data.size(), tensor->element_type));
    }
    std::memcpy(tensor->data.data(), shape.floats.data(), size);
    return OkStatus();
  }

  // The mask's last axis runs over keys; key 0 stays open, so that no row is empty unless an empty
  // row has a defined answer.
  bool MayClose(size_t element, const proof::Tensor& tensor) {
    const int64_t keys = tensor.dims.empty() ? 1 : tensor.dims.back();
    const bool first_key = keys == 0 || element % static_cast<size_t>(keys) == 0;
    if (first_key && !attention_.zero_masked_rows) return false;
    return Uniform() < 0.3;
  }

  // One row is masked throughout by the finite value: what it then gives differs between forms.
  static bool IsInLastRow(size_t element, const proof::Tensor& tensor) {
    const int64_t keys = tensor.dims.empty() ? 1 : tensor.dims.back();
    const bool has_rows = tensor.dims.size() > 1 && tensor.dims[tensor.dims.size() - 2] > 1;
    return has_rows && element + static_cast<size_t>(keys) >= tensor.data.size() / sizeof(float);
  }

  void FillBool(bool drops, proof::Tensor* tensor) {
    for (size_t i = 0; i < tensor->data.size(); ++i) {
      tensor->data[i] = MayClose(i, *tensor) == drops ? 1 : 0;
    }
  }

  void FillMask(proof::Tensor* tensor) {
    const auto style = static_cast<MaskStyle>(number_ % 3);
    auto* values = reinterpret_cast<float*>(tensor->data.data());
    for (size_t i = 0; i < tensor->data.size() / sizeof(float); ++i) {
      if (style == MaskStyle::kSmooth) {
        values[i] = static_cast<float>(Normal());
      } else if (style == MaskStyle::kFiniteHoles) {
        values[i] = IsInLastRow(i, *tensor) || Uniform() < 0.3
                        ? std::numeric_limits<float>::lowest()
                        : 0.0f;
      } else {
        values[i] = MayClose(i, *tensor) ? -std::numeric_limits<float>::infinity() : 0.0f;
      }
    }
  }

  void FillNormal(proof::Tensor* tensor) {
    auto* values = reinterpret_cast<float*>(tensor->data.data());
    for (size_t i = 0; i < tensor->data.size() / sizeof(float); ++i) {
      values[i] = static_cast<float>(Normal());
    }
  }

  // Written out: the standard's distributions differ between libraries, and cases have a digest.
  double Uniform() { return static_cast<double>(random_() >> 8) / (1 << 24); }
  double Normal() {  // the sum of twelve uniforms: close enough, and the same everywhere
    double sum = -6;
    for (int i = 0; i < 12; ++i) sum += Uniform();
    return sum;
  }

  const PartitionForPlugin& partition_;
  const Region& region_;
  const patterns::Attention& attention_;
  const size_t number_;
  std::mt19937 random_;
  std::map<std::string, int64_t> symbols_;
};

double FloatDifference(const proof::Tensor& found, const proof::Tensor& expected) {
  const auto* a = reinterpret_cast<const float*>(found.data.data());
  const auto* b = reinterpret_cast<const float*>(expected.data.data());
  double scale = 0, largest = 0;
  for (size_t i = 0; i < expected.data.size() / sizeof(float); ++i) {
    if (std::isnan(b[i]) || std::isinf(b[i]) || std::isnan(a[i]) || std::isinf(a[i])) {
      const bool same = std::isnan(b[i]) ? std::isnan(a[i]) : a[i] == b[i];
      if (!same) return std::numeric_limits<double>::infinity();
      continue;
    }
    scale = std::max(scale, std::abs(static_cast<double>(b[i])));
    largest = std::max(largest, std::abs(static_cast<double>(a[i]) - b[i]));
  }
  if (largest == 0) return 0;
  return scale == 0 ? std::numeric_limits<double>::infinity() : largest / scale;
}

}  // namespace

Result<std::vector<std::vector<proof::Tensor>>> MakeCases(const PartitionForPlugin& partition,
                                                          const Region& region) {
  std::vector<std::vector<proof::Tensor>> cases;
  for (size_t i = 0; i < std::size(kCases); ++i) {
    BCTX_ASSIGN_OR_RETURN(std::vector<proof::Tensor> tensors,
                          CaseMaker(partition, region, i).Make());
    cases.push_back(std::move(tensors));
  }
  return cases;
}

double Difference(const std::vector<proof::Tensor>& found,
                  const std::vector<proof::Tensor>& expected) {
  constexpr double kInfinite = std::numeric_limits<double>::infinity();
  if (found.size() != expected.size()) return kInfinite;
  double largest = 0;
  for (size_t i = 0; i < found.size(); ++i) {
    if (found[i].dims != expected[i].dims || found[i].element_type != expected[i].element_type) {
      return kInfinite;
    }
    largest = std::max(largest, expected[i].element_type == kFloat
                                    ? FloatDifference(found[i], expected[i])
                                    : (found[i].data == expected[i].data ? 0 : kInfinite));
  }
  return largest;
}

}  // namespace backendctx::authoring
