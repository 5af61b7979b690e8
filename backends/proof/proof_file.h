// The two files between the packager and the process in which a compiled blob is proved.
//
// A proof runs a blob as a runtime would: in a fresh process that holds the driver and nothing of
// the compiler, perhaps under an emulator of another machine. The packager writes one request (the
// blob and several cases of inputs), starts `bctx-run REQUEST RESPONSE`, and reads one response
// (the outputs of each case, in order). Exit code 0: the response is complete. Else: there is no
// response, and stderr says why in one line.
//
// Encoding: little endian, no padding; u32/i32/i64/u64 are fixed; str and bytes are a u64 length
// and that many bytes; list<T> is a u32 count and the elements.
//
//   request  = "BCTXPRQ2" bytes(blob) str(entry) list<str key, str value>(options) u32(threads)
//              str(file of the weight table) list<u64 offset, u64 size>(its entries)
//              list<i32>(element type of each output) list<list<tensor>>(inputs of each case)
//   response = "BCTXPRS1" list<list<tensor>>(outputs of each case)
//   tensor   = i32(element type, onnx TensorProto.DataType) list<i64>(dims) bytes(data, row major)
//
// Every read is bounds-checked: a damaged file is an error text, never a crash. No byte may be left
// over. The files are written and read by one version of this project on one machine.
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace backendctx::proof {

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the files hold host integers");

struct Tensor {
  int32_t element_type = 0;
  std::vector<int64_t> dims;
  std::vector<uint8_t> data;
};

struct Request {
  std::vector<uint8_t> blob;
  std::string entry;
  std::vector<std::pair<std::string, std::string>> options;
  uint32_t threads = 1;
  std::string weight_file;  // "": the blob does not ask for weights when it is loaded
  std::vector<std::pair<uint64_t, uint64_t>> weights;
  std::vector<int32_t> output_types;
  std::vector<std::vector<Tensor>> cases;
};

struct Response {
  std::vector<std::vector<Tensor>> cases;
};

// Bytes of one element; 0 for a type that a proof cannot carry (strings, sub-byte types).
constexpr uint64_t ElementSize(int32_t element_type) {
  switch (element_type) {
    case 2:
    case 3:
    case 9:
      return 1;  // uint8, int8, bool
    case 4:
    case 5:
    case 10:
    case 16:
      return 2;  // uint16, int16, float16, bfloat16
    case 1:
    case 6:
    case 12:
      return 4;  // float, int32, uint32
    case 7:
    case 11:
    case 13:
      return 8;  // int64, double, uint64
    default:
      return 0;
  }
}

// Bytes of a dense tensor; nothing when a dimension is negative, the product wraps or the type has
// no size.
inline std::optional<uint64_t> TensorBytes(int32_t element_type, const int64_t* dims, size_t rank) {
  uint64_t bytes = ElementSize(element_type);
  if (bytes == 0) return std::nullopt;
  for (size_t i = 0; i < rank; ++i) {
    if (dims[i] < 0) return std::nullopt;
    if (__builtin_mul_overflow(bytes, static_cast<uint64_t>(dims[i]), &bytes)) return std::nullopt;
  }
  return bytes;
}

namespace internal {

inline constexpr std::string_view kRequestMagic = "BCTXPRQ2";
inline constexpr std::string_view kResponseMagic = "BCTXPRS1";

class Writer {
 public:
  template <typename T>
  void Integer(T value) {
    Raw(&value, sizeof(value));
  }
  void Raw(const void* data, size_t size) {
    const auto* bytes = static_cast<const uint8_t*>(data);
    out_.insert(out_.end(), bytes, bytes + size);
  }
  void Bytes(const void* data, size_t size) {
    Integer(static_cast<uint64_t>(size));
    Raw(data, size);
  }
  void Count(size_t count) { Integer(static_cast<uint32_t>(count)); }
  void Cases(const std::vector<std::vector<Tensor>>& cases) {
    Count(cases.size());
    for (const std::vector<Tensor>& tensors : cases) {
      Count(tensors.size());
      for (const Tensor& tensor : tensors) {
        Integer(tensor.element_type);
        Count(tensor.dims.size());
        for (int64_t dim : tensor.dims) Integer(dim);
        Bytes(tensor.data.data(), tensor.data.size());
      }
    }
  }
  std::vector<uint8_t> Take() { return std::move(out_); }

 private:
  std::vector<uint8_t> out_;
};

// Reads from the front; after the first failure every read gives zero or nothing.
class Reader {
 public:
  Reader(const uint8_t* data, size_t size) : data_(data), left_(size) {}

  template <typename T>
  T Integer() {
    T value{};
    Raw(&value, sizeof(value));
    return value;
  }
  void Raw(void* to, size_t size) {
    if (!ok_ || size > left_) {
      ok_ = false;
      return;
    }
    if (size != 0) std::memcpy(to, data_, size);
    data_ += size;
    left_ -= size;
  }
  template <typename Container>
  void Bytes(Container* to) {
    const auto size = Integer<uint64_t>();
    if (!ok_ || size > left_) {
      ok_ = false;
      return;
    }
    to->resize(static_cast<size_t>(size));
    Raw(to->data(), to->size());
  }
  // A count of things that take at least `least` bytes each, so that it cannot ask for more memory
  // than the file is long.
  size_t Count(size_t least) {
    const size_t count = Integer<uint32_t>();
    if (!ok_ || count > left_ / least) {
      ok_ = false;
      return 0;
    }
    return count;
  }
  void Cases(std::vector<std::vector<Tensor>>* cases) {
    cases->resize(Count(4));
    for (std::vector<Tensor>& tensors : *cases) {
      tensors.resize(Count(16));
      for (Tensor& tensor : tensors) ReadTensor(&tensor);
    }
  }
  void Expect(std::string_view magic) {
    char found[8] = {};
    Raw(found, sizeof(found));
    if (std::string_view(found, sizeof(found)) != magic) ok_ = false;
  }
  bool Complete() const { return ok_ && left_ == 0; }

 private:
  void ReadTensor(Tensor* tensor) {
    tensor->element_type = Integer<int32_t>();
    tensor->dims.resize(Count(8));
    for (int64_t& dim : tensor->dims) dim = Integer<int64_t>();
    Bytes(&tensor->data);
    const auto bytes = TensorBytes(tensor->element_type, tensor->dims.data(), tensor->dims.size());
    if (!bytes || *bytes != tensor->data.size()) ok_ = false;
  }

  const uint8_t* data_;
  size_t left_;
  bool ok_ = true;
};

}  // namespace internal

inline std::vector<uint8_t> Encode(const Request& request) {
  internal::Writer out;
  out.Raw(internal::kRequestMagic.data(), internal::kRequestMagic.size());
  out.Bytes(request.blob.data(), request.blob.size());
  out.Bytes(request.entry.data(), request.entry.size());
  out.Count(request.options.size());
  for (const auto& [key, value] : request.options) {
    out.Bytes(key.data(), key.size());
    out.Bytes(value.data(), value.size());
  }
  out.Integer(request.threads);
  out.Bytes(request.weight_file.data(), request.weight_file.size());
  out.Count(request.weights.size());
  for (const auto& [offset, size] : request.weights) {
    out.Integer(offset);
    out.Integer(size);
  }
  out.Count(request.output_types.size());
  for (int32_t type : request.output_types) out.Integer(type);
  out.Cases(request.cases);
  return out.Take();
}

inline std::vector<uint8_t> Encode(const Response& response) {
  internal::Writer out;
  out.Raw(internal::kResponseMagic.data(), internal::kResponseMagic.size());
  out.Cases(response.cases);
  return out.Take();
}

// Nothing: the bytes are not one complete request.
inline std::optional<Request> DecodeRequest(const uint8_t* data, size_t size) {
  internal::Reader in(data, size);
  Request request;
  in.Expect(internal::kRequestMagic);
  in.Bytes(&request.blob);
  in.Bytes(&request.entry);
  request.options.resize(in.Count(16));
  for (auto& [key, value] : request.options) {
    in.Bytes(&key);
    in.Bytes(&value);
  }
  request.threads = in.Integer<uint32_t>();
  in.Bytes(&request.weight_file);
  request.weights.resize(in.Count(16));
  for (auto& weight : request.weights) {
    weight.first = in.Integer<uint64_t>();
    weight.second = in.Integer<uint64_t>();
  }
  request.output_types.resize(in.Count(4));
  for (int32_t& type : request.output_types) type = in.Integer<int32_t>();
  in.Cases(&request.cases);
  if (!in.Complete()) return std::nullopt;
  return request;
}

// Nothing: the bytes are not one complete response.
inline std::optional<Response> DecodeResponse(const uint8_t* data, size_t size) {
  internal::Reader in(data, size);
  Response response;
  in.Expect(internal::kResponseMagic);
  in.Cases(&response.cases);
  if (!in.Complete()) return std::nullopt;
  return response;
}

}  // namespace backendctx::proof
