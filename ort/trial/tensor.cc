#include "trial/tensor.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>

namespace backendctx::ort {
namespace {

enum Type : int32_t {
  kFloat = 1,
  kUint8 = 2,
  kInt8 = 3,
  kUint16 = 4,
  kInt16 = 5,
  kInt32 = 6,
  kInt64 = 7,
  kBool = 9,
  kHalf = 10,
  kDouble = 11,
  kUint32 = 12,
  kUint64 = 13,
  kBfloat16 = 16
};

struct Name {
  int32_t type;
  const char* name;
};
constexpr Name kNames[] = {{kFloat, "float32"}, {kUint8, "uint8"},      {kInt8, "int8"},
                           {kUint16, "uint16"}, {kInt16, "int16"},      {kInt32, "int32"},
                           {kInt64, "int64"},   {8, "string"},          {kBool, "bool"},
                           {kHalf, "float16"},  {kDouble, "float64"},   {kUint32, "uint32"},
                           {kUint64, "uint64"}, {kBfloat16, "bfloat16"}};

float FromHalf(uint16_t bits) {
  const int exponent = (bits >> 10) & 31, fraction = bits & 1023;
  const float sign = (bits & 0x8000) != 0 ? -1.0f : 1.0f;
  if (exponent == 31) {
    return fraction != 0 ? std::numeric_limits<float>::quiet_NaN()
                         : sign * std::numeric_limits<float>::infinity();
  }
  const float magnitude = exponent == 0
                              ? std::ldexp(static_cast<float>(fraction), -24)
                              : std::ldexp(static_cast<float>(fraction + 1024), exponent - 25);
  return sign * magnitude;
}

float FromBfloat16(uint16_t bits) {
  const uint32_t wide = static_cast<uint32_t>(bits) << 16;
  float value = 0;
  std::memcpy(&value, &wide, sizeof(value));
  return value;
}

// Of a value in [-8, 8] that is a multiple of 1/64: every one is exact in both.
uint16_t ToHalf(float value) {
  if (value == 0) return 0;
  int exponent = 0;
  const float fraction = std::frexp(std::abs(value), &exponent);  // in [0.5, 1)
  const auto mantissa = static_cast<int>(fraction * 2048) - 1024;
  return static_cast<uint16_t>((value < 0 ? 0x8000 : 0) | ((exponent + 14) << 10) | mantissa);
}
uint16_t ToBfloat16(float value) {
  uint32_t wide = 0;
  std::memcpy(&wide, &value, sizeof(wide));
  return static_cast<uint16_t>(wide >> 16);
}

template <typename T>
double Load(const uint8_t* at) {
  T value{};
  std::memcpy(&value, at, sizeof(value));
  return static_cast<double>(value);
}
double LoadHalf(const uint8_t* at) {
  uint16_t bits = 0;
  std::memcpy(&bits, at, sizeof(bits));
  return FromHalf(bits);
}
double LoadBfloat16(const uint8_t* at) {
  uint16_t bits = 0;
  std::memcpy(&bits, at, sizeof(bits));
  return FromBfloat16(bits);
}

using Loader = double (*)(const uint8_t*);
Loader LoaderOf(int32_t type) {
  switch (type) {
    case kFloat:
      return Load<float>;
    case kDouble:
      return Load<double>;
    case kHalf:
      return LoadHalf;
    case kBfloat16:
      return LoadBfloat16;
    case kUint8:
    case kBool:
      return Load<uint8_t>;
    case kInt8:
      return Load<int8_t>;
    case kUint16:
      return Load<uint16_t>;
    case kInt16:
      return Load<int16_t>;
    case kInt32:
      return Load<int32_t>;
    case kUint32:
      return Load<uint32_t>;
    case kInt64:
      return Load<int64_t>;
    case kUint64:
      return Load<uint64_t>;
    default:
      return nullptr;
  }
}

template <typename T>
void Append(T value, std::vector<uint8_t>* data) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(&value);
  data->insert(data->end(), bytes, bytes + sizeof(value));
}

bool AppendNumber(int32_t type, float real, int whole, std::vector<uint8_t>* data) {
  const float step = std::round(real * 64) / 64;
  switch (type) {
    case kFloat:
      Append(real, data);
      return true;
    case kDouble:
      Append(static_cast<double>(real), data);
      return true;
    case kHalf:
      Append(ToHalf(step), data);
      return true;
    case kBfloat16:
      Append(ToBfloat16(step), data);
      return true;
    default:
      break;
  }
  const uint64_t size = proof::ElementSize(type);
  const auto wide = static_cast<uint64_t>(whole);  // 0 or 1: little endian in every width
  const auto* bytes = reinterpret_cast<const uint8_t*>(&wide);
  data->insert(data->end(), bytes, bytes + size);
  return size != 0;
}

}  // namespace

std::string TypeName(int32_t element_type) {
  for (const Name& known : kNames) {
    if (known.type == element_type) return known.name;
  }
  return "type " + std::to_string(element_type);
}

std::vector<double> Numbers(const proof::Tensor& tensor) {
  std::vector<double> numbers;
  const Loader load = LoaderOf(tensor.element_type);
  if (load == nullptr) return numbers;
  const uint64_t size = proof::ElementSize(tensor.element_type);
  for (size_t at = 0; at + size <= tensor.data.size(); at += size) {
    numbers.push_back(load(tensor.data.data() + at));
  }
  return numbers;
}

Summary Summarise(const proof::Tensor& tensor) {
  Summary summary;
  double sum = 0;
  uint64_t finite = 0;
  for (const double number : Numbers(tensor)) {
    ++summary.elements;
    if (!std::isfinite(number)) {
      ++summary.not_finite;
      continue;
    }
    summary.least = finite == 0 ? number : std::min(summary.least, number);
    summary.largest = finite == 0 ? number : std::max(summary.largest, number);
    sum += number;
    ++finite;
  }
  if (finite > 0) summary.mean = sum / static_cast<double>(finite);
  return summary;
}

double Difference(const proof::Tensor& found, const proof::Tensor& expected) {
  constexpr double kInfinite = std::numeric_limits<double>::infinity();
  if (found.element_type != expected.element_type || found.dims != expected.dims) return kInfinite;
  if (found.data == expected.data) return 0;
  const std::vector<double> a = Numbers(found), b = Numbers(expected);
  double scale = 0, largest = 0;
  for (size_t i = 0; i < b.size(); ++i) {
    if (!std::isfinite(a[i]) || !std::isfinite(b[i])) {
      const bool same = std::isnan(b[i]) ? std::isnan(a[i]) : a[i] == b[i];
      if (!same) return kInfinite;
      continue;
    }
    scale = std::max(scale, std::abs(b[i]));
    largest = std::max(largest, std::abs(a[i] - b[i]));
  }
  if (largest == 0) return 0;  // zeros of two signs, NaNs of two kinds
  return scale == 0 ? kInfinite : largest / scale;
}

std::optional<proof::Tensor> Draw(int32_t element_type, const std::vector<int64_t>& dims,
                                  uint32_t seed) {
  const auto bytes = proof::TensorBytes(element_type, dims.data(), dims.size());
  if (!bytes) return std::nullopt;
  proof::Tensor tensor{element_type, dims, {}};
  tensor.data.reserve(*bytes);
  std::mt19937 random(seed);  // the standard fixes its numbers, not those of distributions
  const auto uniform = [&random] { return static_cast<float>(random() >> 8) / (1 << 24); };
  const uint64_t row = dims.empty() || dims.back() == 0 ? 1 : static_cast<uint64_t>(dims.back());
  for (uint64_t i = 0; tensor.data.size() < *bytes; ++i) {
    float real = -2;
    for (int draw = 0; draw < 4; ++draw) real += uniform();  // the sum of four: a bell in [-2, 2]
    const int whole = i % row == 0 || uniform() < 0.8f ? 1 : 0;
    if (!AppendNumber(element_type, real, whole, &tensor.data)) return std::nullopt;
  }
  return tensor;
}

}  // namespace backendctx::ort
