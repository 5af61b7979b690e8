#include "authoring/describe.h"

#include <array>

#include "fmt/format.h"

namespace backendctx::authoring {
namespace {

std::string TypeName(int32_t type) {
  static constexpr std::array<const char*, 17> kNames{
      "",       "float32", "uint8",     "int8",       "uint16",  "int16",
      "int32",  "int64",   "string",    "bool",       "float16", "float64",
      "uint32", "uint64",  "complex64", "complex128", "bfloat16"};
  if (type <= 0) return "of any type";
  return static_cast<size_t>(type) < kNames.size() ? kNames[static_cast<size_t>(type)]
                                                   : fmt::format("type {}", type);
}

std::string Heads(int64_t count) { return count < 0 ? "any number of" : fmt::format("{}", count); }

}  // namespace

std::string DescribeAttention(const patterns::Attention& attention) {
  std::string text =
      fmt::format("{} heads of {}", Heads(attention.q_heads), attention.qk_head_size);
  if (attention.kv_heads != attention.q_heads) {
    text += fmt::format(", {} for keys and values", Heads(attention.kv_heads));
  }
  if (attention.v_head_size != attention.qk_head_size) {
    text += fmt::format(", values of {}", attention.v_head_size);
  }
  text += fmt::format(", scale {:.4g}", attention.scale);
  if (attention.softcap != 0) text += fmt::format(", softcap {:.4g}", attention.softcap);
  if (attention.causal) text += ", causal";
  for (const patterns::Mask& mask : attention.masks) {
    const bool added = mask.kind == patterns::Mask::Kind::kAdd;
    text += fmt::format(", {} {}", added ? "added" : "kept where", mask.value);
  }
  return text;
}

std::vector<std::string> DescribeValues(const std::vector<manifest::BoundaryValue>& values) {
  std::vector<std::string> texts;
  for (const manifest::BoundaryValue& value : values) {
    std::vector<std::string> dims;
    for (const manifest::Dim& dim : value.dims) {
      if (dim.value >= 0) {
        dims.push_back(fmt::format("{}", dim.value));
      } else {
        dims.push_back(dim.symbol.empty() ? "?" : dim.symbol);
      }
    }
    const std::string shape = value.has_shape ? fmt::format("[{}]", fmt::join(dims, ", ")) : "";
    texts.push_back(fmt::format("{} {}{}", value.name, TypeName(value.element_type), shape));
  }
  return texts;
}

}  // namespace backendctx::authoring
