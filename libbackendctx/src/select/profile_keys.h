// What a host profile can say, in one place for who reads, writes and detects it.
#pragma once

#include <array>
#include <string_view>
#include <utility>

namespace backendctx::select {

inline constexpr int kProfileVersion = 1;
inline constexpr std::array<std::string_view, 5> kMembers = {"schema_version", "facts", "devices",
                                                             "libraries", "vendor"};

enum class FactKind { kText, kVersion, kCount, kSet };
struct FactRule {
  std::string_view name;
  FactKind kind;
};
inline constexpr FactRule kHostFacts[] = {
    {"arch", FactKind::kText},          {"os", FactKind::kText},
    {"os.version", FactKind::kVersion}, {"cpu.features", FactKind::kSet},
    {"cpu.count", FactKind::kCount},    {"memory", FactKind::kCount}};
inline constexpr FactRule kDeviceFacts[] = {{"model", FactKind::kText},
                                            {"arch", FactKind::kText},
                                            {"driver", FactKind::kVersion},
                                            {"memory", FactKind::kCount},
                                            {"features", FactKind::kSet}};

inline constexpr std::string_view kLibraryPrefix = "library.";
inline constexpr std::string_view kVendorPrefix = "vendor.";
// Keys of requirements that no fact of the host can have, and where they come from.
inline constexpr std::pair<std::string_view, std::string_view> kReservedPrefixes[] = {
    {kLibraryPrefix, "libraries"},
    {kVendorPrefix, "vendor"},
    {"device.", "devices"},
    {"input.", "no profile: the model's types say it"}};

}  // namespace backendctx::select
