#include "model/digest_form.h"

#include <fmt/format.h>

#include "crypto/sha256.h"
#include "model/constants.h"
#include "model/external_data.h"
#include "model/stored_tensor.h"
#include "model/tensor_bytes.h"

namespace backendctx::model {

using onnx::NodeProto;
using onnx::TensorProto;

void SetDigest(const Digest& digest, TensorProto* tensor) {
  tensor->clear_float_data();
  tensor->clear_int32_data();
  tensor->clear_int64_data();
  tensor->clear_double_data();
  tensor->clear_uint64_data();
  tensor->clear_string_data();
  tensor->clear_external_data();
  tensor->clear_data_location();
  tensor->set_raw_data(digest.bytes.data(), digest.bytes.size());
}

Status DigestInline(TensorProto* tensor) {
  BCTX_ASSIGN_OR_RETURN(const std::string bytes, DecodeInline(*tensor));
  SetDigest(crypto::Sha256(std::string_view(bytes)), tensor);
  return OkStatus();
}

Status DigestStored(TensorProto* tensor) {
  BCTX_ASSIGN_OR_RETURN(const std::optional<Replaced> replaced, ReadReplaced(*tensor));
  if (!replaced) return DigestInline(tensor);
  SetDigest(replaced->digest, tensor);
  return OkStatus();
}

Status DigestOfFront(const std::string& container, const PlaceDigest& places, TensorProto* tensor) {
  if (tensor->data_location() != TensorProto::EXTERNAL) return DigestInline(tensor);
  BCTX_ASSIGN_OR_RETURN(const ExternalData external, ParseExternalData(*tensor));
  std::optional<Digest> digest;
  if (external.location == container && external.length) {
    digest = places({external.offset, *external.length});
  }
  if (!digest) {
    return Status(StatusCode::kCorrupt,
                  "external data that are no tensor of the container: the front was edited",
                  {.field = "external_data"});
  }
  SetDigest(*digest, tensor);
  return OkStatus();
}

std::string TokenOf(const TensorProto& digested) {
  std::string token = fmt::format("{}{}:", kTokenMark, digested.data_type());
  for (const int64_t dim : digested.dims()) token += fmt::format("{},", dim);
  return token + ":" + digested.raw_data();
}

// Of a Constant node that holds a tensor; the lists of numbers are not digested yet.
Result<std::optional<std::string>> ConstantToken(const NodeProto& node) {
  std::optional<TensorProto> tensor = ConstantTensor(node);
  if (!tensor) return std::optional<std::string>();
  if (IsListConstant(node)) BCTX_RETURN_IF_ERROR(DigestInline(&*tensor));
  return std::optional<std::string>(TokenOf(*tensor));
}

bool IsToken(const std::string& text) { return !text.empty() && text[0] == kTokenMark; }

}  // namespace backendctx::model
