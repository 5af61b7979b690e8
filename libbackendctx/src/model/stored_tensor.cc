#include "model/stored_tensor.h"

#include <fmt/format.h>

#include <charconv>
#include <cstring>

#include "base/bytes.h"
#include "model/tensor_bytes.h"

namespace backendctx::model {
namespace {

using onnx::TensorProto;

constexpr char kWas[] = "was:";

const char* HeldName(Held held) {
  switch (held) {
    case Held::kRaw:
      return "raw";
    case Held::kTyped:
      return "typed";
    case Held::kExternal:
      return "external";
  }
  return "";
}

std::optional<Held> HeldFromName(const std::string& name) {
  for (const Held held : {Held::kRaw, Held::kTyped, Held::kExternal}) {
    if (name == HeldName(held)) return held;
  }
  return std::nullopt;
}

void Note(TensorProto* tensor, const std::string& key, const std::string& value) {
  auto* entry = tensor->add_external_data();
  entry->set_key(key);
  entry->set_value(value);
}

void AddHeldAndWas(TensorProto* tensor, Held held,
                   const google::protobuf::RepeatedPtrField<onnx::StringStringEntryProto>& before) {
  Note(tensor, "held", HeldName(held));
  for (const auto& entry : before) {
    auto* kept = tensor->add_external_data();
    *kept = entry;
    kept->set_key(kWas + entry.key());
  }
}

void ClearData(TensorProto* tensor) {
  tensor->clear_raw_data();
  tensor->clear_float_data();
  tensor->clear_int32_data();
  tensor->clear_string_data();
  tensor->clear_int64_data();
  tensor->clear_double_data();
  tensor->clear_uint64_data();
}

Status BadNote(const TensorProto& tensor, const std::string& key) {
  return Status(StatusCode::kMalformed,
                fmt::format("stored tensor \"{}\": found no valid entry \"{}\" where it belongs",
                            tensor.name(), key));
}

// The value of entry `at` when its key is `key`.
const std::string* NoteAt(const TensorProto& tensor, int at, const char* key) {
  if (at >= tensor.external_data_size() || tensor.external_data(at).key() != key) return nullptr;
  return &tensor.external_data(at).value();
}

Status CheckWasEntries(const TensorProto& tensor, int from) {
  for (int i = from; i < tensor.external_data_size(); ++i) {
    if (!tensor.external_data(i).key().starts_with(kWas)) return BadNote(tensor, kWas);
  }
  return OkStatus();
}

std::optional<uint64_t> Decimal(const std::string& text) {
  uint64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || stop != end || std::to_string(number) != text) return std::nullopt;
  return number;
}

template <typename Stored, typename Field>
void Widen(const std::string& bytes, Field* field) {
  const size_t count = bytes.size() / sizeof(Stored);
  field->Reserve(static_cast<int>(count));
  for (size_t i = 0; i < count; ++i) {
    Stored element;
    std::memcpy(&element, bytes.data() + i * sizeof(Stored), sizeof(Stored));
    field->Add(element);
  }
}

Status PutBackStrings(TensorProto* tensor, const std::string& bytes) {
  for (size_t at = 0; at < bytes.size();) {
    if (bytes.size() - at < 8) return BadNote(*tensor, "digest");
    const uint64_t size =
        base::LoadLittle<uint64_t>(reinterpret_cast<const uint8_t*>(bytes.data() + at));
    at += 8;
    if (size > bytes.size() - at) return BadNote(*tensor, "digest");
    tensor->add_string_data(bytes.substr(at, size));
    at += size;
  }
  return OkStatus();
}

// Fills the field that ONNX assigns to the element type. False where there is none.
bool PutBackTyped(TensorProto* tensor, const std::string& bytes) {
  switch (tensor->data_type()) {
    case TensorProto::FLOAT:
    case TensorProto::COMPLEX64:
      Widen<float>(bytes, tensor->mutable_float_data());
      return true;
    case TensorProto::DOUBLE:
    case TensorProto::COMPLEX128:
      Widen<double>(bytes, tensor->mutable_double_data());
      return true;
    case TensorProto::INT64:
      Widen<int64_t>(bytes, tensor->mutable_int64_data());
      return true;
    case TensorProto::UINT64:
      Widen<uint64_t>(bytes, tensor->mutable_uint64_data());
      return true;
    case TensorProto::UINT32:
      Widen<uint32_t>(bytes, tensor->mutable_uint64_data());
      return true;
    case TensorProto::INT32:
      Widen<int32_t>(bytes, tensor->mutable_int32_data());
      return true;
    case TensorProto::INT16:
      Widen<int16_t>(bytes, tensor->mutable_int32_data());
      return true;
    case TensorProto::UINT16:
    case TensorProto::FLOAT16:
    case TensorProto::BFLOAT16:
      Widen<uint16_t>(bytes, tensor->mutable_int32_data());
      return true;
    case TensorProto::INT8:
      Widen<int8_t>(bytes, tensor->mutable_int32_data());
      return true;
    case TensorProto::FLOAT6E2M3:
    case TensorProto::FLOAT6E3M2:
      return false;  // one 6-bit code an entry: raw data say the same
    default:
      Widen<uint8_t>(bytes, tensor->mutable_int32_data());
      return true;
  }
}

// Moves the was:K entries of `tensor` back, from entry `from` on.
void PutBackEntries(TensorProto* tensor, Held held, int from) {
  google::protobuf::RepeatedPtrField<onnx::StringStringEntryProto> notes;
  notes.Swap(tensor->mutable_external_data());
  if (held == Held::kExternal) return;
  for (int i = from; i < notes.size(); ++i) {
    auto* entry = tensor->add_external_data();
    entry->Swap(notes.Mutable(i));
    entry->set_key(entry->key().substr(sizeof kWas - 1));
  }
}

}  // namespace

void Replace(TensorProto* tensor, Held held, const Digest& digest, uint64_t size) {
  google::protobuf::RepeatedPtrField<onnx::StringStringEntryProto> before;
  before.Swap(tensor->mutable_external_data());
  ClearData(tensor);
  tensor->set_data_location(TensorProto::EXTERNAL);
  Note(tensor, "digest", digest.Hex());
  Note(tensor, "size", std::to_string(size));
  AddHeldAndWas(tensor, held, before);
}

void MakeInline(TensorProto* tensor, Held held, std::string small) {
  google::protobuf::RepeatedPtrField<onnx::StringStringEntryProto> before;
  before.Swap(tensor->mutable_external_data());
  if (held == Held::kExternal) {
    ClearData(tensor);
    tensor->clear_data_location();
    tensor->set_raw_data(std::move(small));
  }
  AddHeldAndWas(tensor, held, before);
}

Result<std::optional<Replaced>> ReadReplaced(const TensorProto& tensor) {
  if (tensor.data_location() != TensorProto::EXTERNAL) {
    if (tensor.external_data_size() == 0) return std::optional<Replaced>();
    const std::string* held = NoteAt(tensor, 0, "held");
    if (!held || !HeldFromName(*held)) return BadNote(tensor, "held");
    BCTX_RETURN_IF_ERROR(CheckWasEntries(tensor, 1));
    return std::optional<Replaced>();
  }
  Replaced replaced;
  const std::string* text = NoteAt(tensor, 0, "digest");
  const std::optional<Digest> digest = text ? Digest::FromHex(*text) : std::nullopt;
  if (!digest) return BadNote(tensor, "digest");
  replaced.digest = *digest;
  text = NoteAt(tensor, 1, "size");
  const std::optional<uint64_t> size = text ? Decimal(*text) : std::nullopt;
  if (!size || *size < kInlineLimit) return BadNote(tensor, "size");
  replaced.size = *size;
  text = NoteAt(tensor, 2, "held");
  const std::optional<Held> held = text ? HeldFromName(*text) : std::nullopt;
  if (!held) return BadNote(tensor, "held");
  replaced.held = *held;
  BCTX_RETURN_IF_ERROR(CheckWasEntries(tensor, 3));
  if (tensor.data_type() != TensorProto::STRING) {
    BCTX_ASSIGN_OR_RETURN(const uint64_t expected, DecodedSize(tensor));
    if (replaced.size != expected) return BadNote(tensor, "size");
  }
  return std::optional<Replaced>(replaced);
}

Result<TensorContents> StoredContents(const TensorProto& tensor) {
  BCTX_ASSIGN_OR_RETURN(const std::optional<Replaced> replaced, ReadReplaced(tensor));
  if (!replaced) return InlineContents(tensor);
  TensorContents contents;
  contents.size = replaced->size;
  contents.digest = std::string(base::AsText(replaced->digest.bytes));
  return contents;
}

Status PutBack(TensorProto* tensor, std::string bytes) {
  BCTX_ASSIGN_OR_RETURN(const std::optional<Replaced> replaced, ReadReplaced(*tensor));
  if (!replaced) {
    RemoveNotes(tensor);
    return OkStatus();
  }
  if (bytes.size() != replaced->size) {
    return Status(StatusCode::kCorrupt,
                  fmt::format("tensor \"{}\": found {} bytes under its digest, expected {}",
                              tensor->name(), bytes.size(), replaced->size));
  }
  PutBackEntries(tensor, replaced->held, 3);
  tensor->clear_data_location();
  if (tensor->data_type() == TensorProto::STRING) return PutBackStrings(tensor, bytes);
  if (replaced->held != Held::kTyped || !PutBackTyped(tensor, bytes)) {
    tensor->set_raw_data(std::move(bytes));
  }
  return OkStatus();
}

void RemoveNotes(TensorProto* tensor) {
  const std::string* held = NoteAt(*tensor, 0, "held");
  if (tensor->data_location() == TensorProto::EXTERNAL || !held) return;
  PutBackEntries(tensor, HeldFromName(*held).value_or(Held::kExternal), 1);
}

void PointAt(const std::string& location, uint64_t offset, uint64_t size,
             onnx::TensorProto* tensor) {
  tensor->clear_external_data();
  tensor->set_data_location(onnx::TensorProto::EXTERNAL);
  const std::pair<const char*, std::string> entries[] = {
      {"location", location}, {"offset", std::to_string(offset)}, {"length", std::to_string(size)}};
  for (const auto& [key, value] : entries) {
    auto* entry = tensor->add_external_data();
    entry->set_key(key);
    entry->set_value(value);
  }
}

}  // namespace backendctx::model
