// What bctx-inspect run reads and compares: numpy archives, drawn inputs, differences.
#include <catch2/catch.hpp>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "trial/npz.h"
#include "trial/tensor.h"

namespace backendctx::ort {
namespace {

using Bytes = std::vector<uint8_t>;

uint32_t Crc32(const std::string& bytes) {
  uint32_t crc = ~0u;
  for (const char c : bytes) {
    crc ^= static_cast<uint8_t>(c);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (0xedb88320u & (0u - (crc & 1u)));
  }
  return ~crc;
}

template <typename T>
std::string Little(T value) {
  std::string bytes(sizeof(T), '\0');
  std::memcpy(bytes.data(), &value, sizeof(T));
  return bytes;
}

std::string Npy(const std::string& descr, const std::string& shape, const std::string& data,
                const std::string& order = "False") {
  std::string header =
      "{'descr': '" + descr + "', 'fortran_order': " + order + ", 'shape': " + shape + ", }";
  header.resize(118 - 1, ' ');
  header += '\n';
  return std::string("\x93NUMPY\x01\x00", 8) + Little<uint16_t>(118) + header + data;
}

// A ZIP archive of one stored member.
Bytes Archive(const std::string& name, const std::string& member, uint16_t method = 0) {
  const std::string sizes = Little<uint32_t>(Crc32(member)) +
                            Little(static_cast<uint32_t>(member.size())) +
                            Little(static_cast<uint32_t>(member.size())) +
                            Little(static_cast<uint16_t>(name.size())) + Little<uint16_t>(0);
  const std::string common = Little<uint16_t>(0) + Little(method) + Little<uint32_t>(0) + sizes;
  const std::string local = "PK\x03\x04" + Little<uint16_t>(20) + common + name + member;
  const std::string central = "PK\x01\x02" + Little<uint16_t>(20) + Little<uint16_t>(20) + common +
                              Little<uint16_t>(0) + Little<uint16_t>(0) + Little<uint16_t>(0) +
                              Little<uint32_t>(0) + Little<uint32_t>(0) + name;
  const std::string end = "PK\x05\x06" + Little<uint32_t>(0) + Little<uint16_t>(1) +
                          Little<uint16_t>(1) + Little(static_cast<uint32_t>(central.size())) +
                          Little(static_cast<uint32_t>(local.size())) + Little<uint16_t>(0);
  const std::string all = local + central + end;
  return {all.begin(), all.end()};
}

const std::string kFloats = Little(1.5f) + Little(-2.0f) + Little(0.25f) + Little(8.0f);

TEST_CASE("an array of an archive is read with its name, type and shape", "[ort][npz]") {
  const auto arrays = ParseNpz(Archive("x.npy", Npy("<f4", "(2, 2)", kFloats)), kNpzBytes);
  REQUIRE(arrays.has_value());
  REQUIRE(arrays->size() == 1);
  CHECK(arrays->front().name == "x");
  CHECK(arrays->front().tensor.element_type == 1);
  CHECK(arrays->front().tensor.dims == std::vector<int64_t>{2, 2});
  CHECK(Numbers(arrays->front().tensor) == std::vector<double>{1.5, -2.0, 0.25, 8.0});
  const auto scalar = ParseNpz(Archive("s.npy", Npy("<i8", "()", Little<int64_t>(7))), kNpzBytes);
  REQUIRE(scalar.has_value());
  CHECK(scalar->front().tensor.dims.empty());
}

TEST_CASE("what an archive claims and does not have is refused with its code", "[ort][npz]") {
  const auto code = [](const Bytes& file, uint64_t limit = kNpzBytes) {
    return ParseNpz(file, limit).status().code();
  };
  const std::string good = Npy("<f4", "(2, 2)", kFloats);
  CHECK(code(Archive("x.npy", good)) == StatusCode::kOk);
  CHECK(code(Archive("x.npy", good), good.size() - 1) == StatusCode::kResourceExhausted);
  CHECK(code(Archive("x.npy", good), good.size()) == StatusCode::kOk);
  CHECK(code(Archive("x.txt", good)) == StatusCode::kMalformed);
  CHECK(code(Archive("x.npy", good, 12)) == StatusCode::kMalformed);  // bzip2
  CHECK(code(Archive("x.npy", good, 8)) == StatusCode::kMalformed);   // is no deflated data
  CHECK(code(Archive("x.npy", Npy("<f4", "(2, 3)", kFloats))) == StatusCode::kMalformed);
  CHECK(code(Archive("x.npy", Npy("<f4", "(4611686018427387904, 4)", kFloats))) ==
        StatusCode::kMalformed);
  CHECK(code(Archive("x.npy", Npy("<f4", "(2, 2)", kFloats, "True"))) ==
        StatusCode::kUnimplemented);
  CHECK(code(Archive("x.npy", Npy(">f4", "(2, 2)", kFloats))) == StatusCode::kUnimplemented);
  CHECK(code(Archive("x.npy", Npy("|O", "(4,)", kFloats))) == StatusCode::kUnimplemented);
  Bytes flipped = Archive("x.npy", good);
  flipped[flipped.size() / 2] ^= 1;
  CHECK(code(flipped) != StatusCode::kOk);
  CHECK(code({}) == StatusCode::kMalformed);
}

TEST_CASE("every cut and every flipped bit of an archive ends in an answer",
          "[ort][npz][hostile]") {
  const Bytes file = Archive("x.npy", Npy("<f4", "(2, 2)", kFloats));
  size_t refused = 0;
  for (size_t size = 0; size < file.size(); ++size) {
    const Bytes cut(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(size));
    refused += ParseNpz(cut, kNpzBytes).has_value() ? 0 : 1;
  }
  CHECK(refused == file.size());
  size_t accepted = 0;
  for (size_t bit = 0; bit < 8 * file.size(); ++bit) {
    Bytes changed = file;
    changed[bit / 8] ^= static_cast<uint8_t>(1u << (bit % 8));
    const auto arrays = ParseNpz(changed, 1 << 20);
    if (!arrays) continue;
    ++accepted;  // versions, times and attributes of the archive mean nothing here
    REQUIRE(arrays->size() <= 1);
    for (const NamedTensor& array : *arrays) CHECK(array.tensor.data.size() == kFloats.size());
  }
  CHECK(accepted < 4 * file.size());
}

TEST_CASE("drawn inputs are the same for a seed and of every plain type", "[ort]") {
  for (const int32_t type : {1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 16}) {
    CAPTURE(type);
    const auto one = Draw(type, {3, 5}, 7), same = Draw(type, {3, 5}, 7),
               other = Draw(type, {30, 5}, 8);
    REQUIRE((one && same && other));
    CHECK(one->data == same->data);
    const Summary summary = Summarise(*other);
    CHECK(summary.elements == 150);
    CHECK(summary.not_finite == 0);
    CHECK(summary.least >= -2);
    CHECK(summary.largest <= 2);
    CHECK(summary.least < summary.largest);
    const bool real = type == 1 || type == 10 || type == 11 || type == 16;
    if (!real) CHECK((summary.least == 0 && summary.largest == 1 && Numbers(*one)[0] == 1));
  }
  CHECK_FALSE(Draw(8, {1}, 1).has_value());  // strings
  CHECK_FALSE(Draw(1, {-1}, 1).has_value());
}

proof::Tensor Floats(const std::vector<float>& values) {
  proof::Tensor tensor{1, {static_cast<int64_t>(values.size())}, {}};
  tensor.data.resize(values.size() * sizeof(float));
  std::memcpy(tensor.data.data(), values.data(), tensor.data.size());
  return tensor;
}

TEST_CASE("a difference is relative to the scale, and infinite where only one side is finite",
          "[ort]") {
  constexpr float kInf = std::numeric_limits<float>::infinity(),
                  kNan = std::numeric_limits<float>::quiet_NaN();
  constexpr double kInfinite = std::numeric_limits<double>::infinity();
  CHECK(Difference(Floats({1, 2, 4}), Floats({1, 2, 4})) == 0);
  CHECK(Difference(Floats({1, 2, 5}), Floats({1, 2, 4})) == Approx(0.25));
  CHECK(Difference(Floats({kInf, kNan}), Floats({kInf, -kNan})) == 0);
  CHECK(Difference(Floats({kInf, 1}), Floats({1, 1})) == kInfinite);
  CHECK(Difference(Floats({kNan}), Floats({kInf})) == kInfinite);
  CHECK(Difference(Floats({0.0f}), Floats({-0.0f})) == 0);
  CHECK(Difference(Floats({1}), Floats({0})) == kInfinite);
  CHECK(Difference(Floats({1, 1}), Floats({1})) == kInfinite);
}

}  // namespace
}  // namespace backendctx::ort
