// The profile of this machine, and a profile as JSON; profile_json.cc reads it.
#include <sys/utsname.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <string_view>
#include <thread>

#include "backendctx/selection.h"
#include "select/cpu_features.h"
#include "select/profile_keys.h"
#include "select/version.h"

namespace backendctx {
namespace {

using Json = nlohmann::ordered_json;
using Facts = std::map<std::string, HostProfile::Fact>;

void DetectSystem(HostProfile* profile) {
  profile->facts["os"] = "linux";
  utsname names{};
  if (uname(&names) == 0 && select::ParseVersion(names.release)) {
    profile->facts["os.version"] = names.release;
  }
  const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
  if (pages > 0 && page > 0) profile->facts["memory"] = int64_t{pages} * page;
#if defined(_CS_GNU_LIBC_VERSION)
  char libc[64] = {};  // "glibc 2.36"
  constexpr std::string_view kName = "glibc ";
  const size_t size = confstr(_CS_GNU_LIBC_VERSION, libc, sizeof(libc));
  if (size > 0 && size <= sizeof(libc) && std::string_view(libc).starts_with(kName)) {
    profile->facts["library.glibc"] = std::string(libc + kName.size());
  }
#endif
}

void Put(const std::string& key, const HostProfile::Fact& fact, Json* out) {
  std::visit([&](const auto& value) { (*out)[key] = value; }, fact);
}

// Facts whose keys have a prefix, without it.
Json WithPrefix(const Facts& facts, std::string_view prefix) {
  Json out = Json::object();
  for (const auto& [key, fact] : facts) {
    if (key.starts_with(prefix)) Put(key.substr(prefix.size()), fact, &out);
  }
  return out;
}

Json Plain(const Facts& facts) {
  Json out = Json::object();
  for (const auto& [key, fact] : facts) {
    if (key.starts_with(select::kLibraryPrefix) || key.starts_with(select::kVendorPrefix)) continue;
    Put(key, fact, &out);
  }
  return out;
}

}  // namespace

HostProfile HostProfile::Detect() {
  HostProfile profile;
  profile.facts["arch"] = select::CpuArchitecture();
  profile.facts["cpu.features"] = select::CpuFeatures();
  profile.facts["cpu.count"] = int64_t{std::thread::hardware_concurrency()};
  DetectSystem(&profile);
  Device cpu{"cpu", {{"arch", profile.facts["arch"]}}};
  if (const std::string model = select::CpuModel(); !model.empty()) cpu.facts["model"] = model;
  profile.devices.push_back(std::move(cpu));
  return profile;
}

std::string HostProfile::ToJson() const {
  Json document;
  document["schema_version"] = select::kProfileVersion;
  document["facts"] = Plain(facts);
  document["devices"] = Json::array();
  for (const Device& device : devices) {
    Json out = {{"kind", device.kind}};
    for (const auto& [key, fact] : device.facts) Put(key, fact, &out);
    document["devices"].push_back(std::move(out));
  }
  document["libraries"] = WithPrefix(facts, select::kLibraryPrefix);
  document["vendor"] = WithPrefix(facts, select::kVendorPrefix);
  // Facts are clean text; "replace" only keeps a hand-made profile from throwing here.
  return document.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace backendctx
