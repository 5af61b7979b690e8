#include "model/tensor_bytes.h"

#include <fmt/format.h>

#include <bit>
#include <cstring>

#include "model/graph_view.h"

namespace backendctx::model {
namespace {

using onnx::TensorProto;

static_assert(std::endian::native == std::endian::little, "decoding copies elements as they are");

Status Malformed(const TensorProto& tensor, const std::string& text) {
  return Status(StatusCode::kMalformed, fmt::format("tensor \"{}\": {}", tensor.name(), text));
}

// Bits of one element; 0: no fixed width.
int ElementBits(int32_t type) {
  switch (type) {
    case TensorProto::UINT2:
    case TensorProto::INT2:
      return 2;
    case TensorProto::UINT4:
    case TensorProto::INT4:
    case TensorProto::FLOAT4E2M1:
      return 4;
    case TensorProto::FLOAT6E2M3:
    case TensorProto::FLOAT6E3M2:
      return 6;
    case TensorProto::UINT8:
    case TensorProto::INT8:
    case TensorProto::BOOL:
    case TensorProto::FLOAT8E4M3FN:
    case TensorProto::FLOAT8E4M3FNUZ:
    case TensorProto::FLOAT8E5M2:
    case TensorProto::FLOAT8E5M2FNUZ:
    case TensorProto::FLOAT8E8M0:
      return 8;
    case TensorProto::UINT16:
    case TensorProto::INT16:
    case TensorProto::FLOAT16:
    case TensorProto::BFLOAT16:
      return 16;
    case TensorProto::FLOAT:
    case TensorProto::INT32:
    case TensorProto::UINT32:
      return 32;
    case TensorProto::DOUBLE:
    case TensorProto::INT64:
    case TensorProto::UINT64:
    case TensorProto::COMPLEX64:
      return 64;
    case TensorProto::COMPLEX128:
      return 128;
    default:
      return 0;
  }
}

template <typename T>
std::string Copied(const google::protobuf::RepeatedField<T>& field) {
  std::string bytes(static_cast<size_t>(field.size()) * sizeof(T), '\0');
  if (!bytes.empty()) std::memcpy(bytes.data(), field.data(), bytes.size());
  return bytes;
}

// The low `width` bytes of every entry.
template <typename T>
std::string Narrowed(const google::protobuf::RepeatedField<T>& field, size_t width) {
  std::string bytes(static_cast<size_t>(field.size()) * width, '\0');
  for (int i = 0; i < field.size(); ++i) {
    std::memcpy(bytes.data() + static_cast<size_t>(i) * width, &field.data()[i], width);
  }
  return bytes;
}

// One 6-bit code an entry -> the bit stream of raw data.
std::string PackedSixBits(const google::protobuf::RepeatedField<int32_t>& field) {
  std::string bytes((static_cast<size_t>(field.size()) * 6 + 7) / 8, '\0');
  for (size_t i = 0; i < static_cast<size_t>(field.size()); ++i) {
    const unsigned shifted = (static_cast<unsigned>(field.data()[i]) & 63u) << (i * 6 % 8);
    const size_t at = i * 6 / 8;
    bytes[at] = static_cast<char>(static_cast<unsigned char>(bytes[at]) | (shifted & 255u));
    if (shifted > 255u) bytes[at + 1] = static_cast<char>(shifted >> 8);
  }
  return bytes;
}

std::string TypedField(const TensorProto& tensor, int bits) {
  switch (tensor.data_type()) {
    case TensorProto::FLOAT:
    case TensorProto::COMPLEX64:
      return Copied(tensor.float_data());
    case TensorProto::DOUBLE:
    case TensorProto::COMPLEX128:
      return Copied(tensor.double_data());
    case TensorProto::INT64:
      return Copied(tensor.int64_data());
    case TensorProto::UINT64:
    case TensorProto::UINT32:
      return Narrowed(tensor.uint64_data(), static_cast<size_t>(bits) / 8);
    case TensorProto::FLOAT6E2M3:
    case TensorProto::FLOAT6E3M2:
      return PackedSixBits(tensor.int32_data());
    default:  // 8 to 32 bits: an element an entry; below: a packed byte an entry
      return Narrowed(tensor.int32_data(), bits < 8 ? 1 : static_cast<size_t>(bits) / 8);
  }
}

Result<std::string> DecodeStrings(const TensorProto& tensor) {
  BCTX_ASSIGN_OR_RETURN(const uint64_t count, ElementCount(tensor));
  if (static_cast<uint64_t>(tensor.string_data_size()) != count) {
    return Malformed(tensor, fmt::format("found {} strings, expected {} by its dims",
                                         tensor.string_data_size(), count));
  }
  std::string bytes;
  for (const std::string& element : tensor.string_data()) AppendStringElement(element, &bytes);
  return bytes;
}

}  // namespace

Result<uint64_t> ElementCount(const TensorProto& tensor) {
  uint64_t count = 1;
  for (const int64_t dim : tensor.dims()) {
    if (dim < 0) return Malformed(tensor, fmt::format("found dimension {}", dim));
    if (__builtin_mul_overflow(count, static_cast<uint64_t>(dim), &count)) {
      return Malformed(tensor, "the product of its dims overflows");
    }
  }
  return count;
}

Result<uint64_t> DecodedSize(const TensorProto& tensor) {
  const int bits = ElementBits(tensor.data_type());
  if (bits == 0) {
    return Malformed(
        tensor, fmt::format("found element type {}, which has no fixed width", tensor.data_type()));
  }
  BCTX_ASSIGN_OR_RETURN(const uint64_t count, ElementCount(tensor));
  uint64_t total = 0;
  if (__builtin_mul_overflow(count, static_cast<uint64_t>(bits), &total) ||
      total > UINT64_MAX - 7) {
    return Malformed(tensor, "its size in bits overflows");
  }
  return (total + 7) / 8;
}

Result<std::string> DecodeInline(const TensorProto& tensor) {
  if (tensor.data_location() == TensorProto::EXTERNAL) {
    return Status(StatusCode::kInvalidArgument,
                  fmt::format("tensor \"{}\": its data are external", tensor.name()));
  }
  if (tensor.data_type() == TensorProto::STRING) return DecodeStrings(tensor);
  BCTX_ASSIGN_OR_RETURN(const uint64_t size, DecodedSize(tensor));
  std::string bytes = tensor.has_raw_data() ? tensor.raw_data()
                                            : TypedField(tensor, ElementBits(tensor.data_type()));
  if (bytes.size() != size) {
    return Malformed(tensor,
                     fmt::format("found {} bytes, expected {} by its dims", bytes.size(), size));
  }
  return bytes;
}

}  // namespace backendctx::model
