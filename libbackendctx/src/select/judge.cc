// Requirements against what is known: facts of the host, its devices, the declared types of a
// partition's inputs.
//
// Each requirement that is not met gives a verdict of its own, and the worst counts. What the host
// has and what is not enough is unsupported; what the host does not have at all is not applicable:
// code for an NPU on a machine without one is no failure of anybody. A preference never stops.
#include "select/judge.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>

#include "backendctx/selection.h"
#include "base/text.h"
#include "select/predicates.h"

namespace backendctx {
namespace {

using manifest::Partition;
using manifest::Predicate;
using manifest::Requirement;
using Fact = HostProfile::Fact;
using Device = HostProfile::Device;

constexpr std::string_view kDevicePrefix = "device.";
constexpr std::string_view kInputPrefix = "input.";

std::string Show(std::string_view text) { return base::Printable(text, 80); }

int Severity(Verdict verdict) {
  switch (verdict) {
    case Verdict::kOptimal:
      return 0;
    case Verdict::kRecompilePreferred:
      return 1;
    case Verdict::kNotApplicable:
      return 2;
    case Verdict::kUnsupported:
      return 3;
  }
  return 3;
}

// The worst verdict so far and the first reason for it.
class Tally {
 public:
  std::string* lack() { return &lack_; }

  // `lack()` has why. A preference that is not met prefers a new compile, whatever it lacks.
  void Miss(const Requirement& requirement, Verdict verdict) {
    if (requirement.preferred) verdict = Verdict::kRecompilePreferred;
    if (Severity(verdict) <= Severity(verdict_)) return;
    verdict_ = verdict;
    detail_ = requirement.preferred ? "a new compile would be better: " : "";
    detail_ += Show(requirement.key) + ": " + lack_;
  }

  void MissUnknown(const Requirement& requirement) {
    lack_ = "not known of the host, expected " + select::ShowExpected(requirement);
    Miss(requirement, Verdict::kNotApplicable);
  }

  void Note(std::string note) { note_ = std::move(note); }

  void Add(const Tally& other) {
    if (Severity(other.verdict_) <= Severity(verdict_)) return;
    verdict_ = other.verdict_;
    detail_ = other.detail_;
  }

  Verdict verdict() const { return verdict_; }
  bool IsLost() const { return verdict_ == Verdict::kUnsupported; }
  select::Judgement Take() && {
    return {verdict_, detail_.empty() ? std::move(note_) : std::move(detail_)};
  }

 private:
  Verdict verdict_ = Verdict::kOptimal;
  std::string lack_, detail_, note_;
};

void Check(const Requirement& requirement, const Fact& fact, Tally* tally) {
  if (!select::Meets(requirement, fact, tally->lack())) {
    tally->Miss(requirement, Verdict::kUnsupported);
  }
}

const Fact* Find(const std::map<std::string, Fact>& facts, const std::string& key) {
  const auto fact = facts.find(key);
  return fact == facts.end() ? nullptr : &fact->second;
}

// ---- facts of the host ----

void CheckVendor(const Requirement& requirement, const Candidate& vendor, Tally* tally) {
  if (*vendor.vendor_verdict == Verdict::kOptimal) return;
  *tally->lack() = "the vendor's plug-in says: " + base::Printable(vendor.vendor_reason, 300);
  tally->Miss(requirement, *vendor.vendor_verdict);
}

void CheckHost(const Requirement& requirement, const HostProfile& profile, const Candidate* vendor,
               Tally* tally) {
  const bool is_vendors = requirement.predicate == static_cast<uint32_t>(Predicate::kVendorString);
  if (is_vendors && vendor != nullptr && vendor->vendor_verdict) {
    CheckVendor(requirement, *vendor, tally);
  } else if (const Fact* fact = Find(profile.facts, requirement.key)) {
    Check(requirement, *fact, tally);
  } else if (!is_vendors) {
    tally->MissUnknown(requirement);
  } else {
    tally->Note(fmt::format("{}: only the vendor's plug-in reads \"{}\"", Show(requirement.key),
                            Show(requirement.values.empty() ? "" : requirement.values[0])));
  }
}

// ---- devices ----

// "device.npu.driver" -> "npu", "driver". Kinds have no dots.
std::string_view KindOf(const std::string& key) {
  std::string_view rest = std::string_view(key).substr(kDevicePrefix.size());
  return rest.substr(0, rest.find('.'));
}

std::string FactOf(const std::string& key) {
  const size_t dot = key.find('.', kDevicePrefix.size());
  return dot == std::string::npos ? "" : key.substr(dot + 1);
}

bool IsOfKind(const Requirement& requirement, std::string_view kind) {
  return requirement.key.starts_with(kDevicePrefix) && KindOf(requirement.key) == kind;
}

void CheckDevice(const std::vector<Requirement>& requirements, const Device& device, Tally* tally) {
  for (const Requirement& requirement : requirements) {
    if (!IsOfKind(requirement, device.kind)) continue;
    if (const Fact* fact = Find(device.facts, FactOf(requirement.key))) {
      Check(requirement, *fact, tally);
    } else {
      tally->MissUnknown(requirement);
    }
    if (tally->IsLost()) return;
  }
}

// All requirements on one kind of device, by the device that meets them best.
void CheckKind(const std::vector<Requirement>& requirements, std::string_view kind,
               const HostProfile& profile, Tally* tally) {
  std::optional<Tally> best;
  for (const Device& device : profile.devices) {
    if (device.kind != kind) continue;
    Tally found;
    CheckDevice(requirements, device, &found);
    if (!best || Severity(found.verdict()) < Severity(best->verdict())) best.emplace(found);
  }
  if (best) return tally->Add(*best);
  for (const Requirement& requirement : requirements) {
    if (!IsOfKind(requirement, kind)) continue;
    *tally->lack() = fmt::format("the host has no device of kind {}", Show(kind));
    tally->Miss(requirement, Verdict::kNotApplicable);
  }
}

void CheckDevices(const std::vector<Requirement>& requirements, const HostProfile& profile,
                  Tally* tally) {
  std::vector<std::string_view> kinds;
  for (const Requirement& requirement : requirements) {
    if (!requirement.key.starts_with(kDevicePrefix)) continue;
    const std::string_view kind = KindOf(requirement.key);
    if (std::find(kinds.begin(), kinds.end(), kind) != kinds.end()) continue;
    kinds.push_back(kind);
    CheckKind(requirements, kind, profile, tally);
  }
}

// ---- shapes of the inputs ----

// "2.dim.1" -> 2, "dim.1".
std::optional<size_t> TakeIndex(std::string_view* text) {
  size_t index = 0;
  const auto [stop, error] = std::from_chars(text->data(), text->data() + text->size(), index);
  if (error != std::errc()) return std::nullopt;
  text->remove_prefix(static_cast<size_t>(stop - text->data()));
  return index;
}

// "input.2.dim.1": dimension 1 of input 2; "input.2.rank": how many there are.
struct ShapeKey {
  size_t input = 0;
  std::optional<size_t> axis;  // nothing: the rank
};

std::optional<ShapeKey> ParseShapeKey(std::string_view key) {
  key.remove_prefix(kInputPrefix.size());
  const std::optional<size_t> input = TakeIndex(&key);
  if (!input) return std::nullopt;
  if (key == ".rank") return ShapeKey{*input, std::nullopt};
  if (!key.starts_with(".dim.")) return std::nullopt;
  key.remove_prefix(5);
  const std::optional<size_t> axis = TakeIndex(&key);
  if (!axis || !key.empty()) return std::nullopt;
  return ShapeKey{*input, axis};
}

// What is declared; nothing when it is known at run time only.
std::optional<int64_t> Declared(const manifest::BoundaryValue& input, const ShapeKey& key) {
  if (!input.has_shape) return std::nullopt;
  if (!key.axis) return static_cast<int64_t>(input.dims.size());
  const int64_t dim = input.dims[*key.axis].value;
  return dim < 0 ? std::nullopt : std::optional<int64_t>(dim);
}

// Whether the declared type of an input meets it; if not, `lack` says what it is.
bool MeetsShape(const Requirement& requirement, const Partition& partition, std::string* lack) {
  const auto fail = [lack](std::string why) {
    *lack = std::move(why);
    return false;
  };
  const std::optional<ShapeKey> key = ParseShapeKey(requirement.key);
  if (!key) return fail("is no property of an input");
  if (key->input >= partition.inputs.size()) {
    return fail(fmt::format("the partition has {} inputs", partition.inputs.size()));
  }
  const manifest::BoundaryValue& input = partition.inputs[key->input];
  if (input.has_shape && key->axis && *key->axis >= input.dims.size()) {
    return fail(fmt::format("{} has {} dimensions", Show(input.name), input.dims.size()));
  }
  const std::optional<int64_t> declared = Declared(input, *key);
  if (declared ? select::Meets(requirement, Fact(*declared), nullptr)
               : select::MeetsAlways(requirement)) {
    return true;
  }
  const std::string what =
      key->axis ? fmt::format("dimension {}", *key->axis) : std::string("the rank");
  const std::string found =
      declared ? fmt::format("{}", *declared) : std::string("known at run time only");
  return fail(fmt::format("{} of {} is {}, the code takes {}", what, Show(input.name), found,
                          select::ShowExpected(requirement)));
}

void CheckShape(const Requirement& requirement, const Partition& partition, Tally* tally) {
  if (!MeetsShape(requirement, partition, tally->lack())) {
    tally->Miss(requirement, Verdict::kUnsupported);
  }
}

// A later version's predicate, a preference too, may say anything.
bool RefuseUnknown(const Requirement& requirement, Tally* tally) {
  if (select::IsKnown(requirement.predicate)) return false;
  Requirement hard = requirement;
  hard.preferred = false;
  (void)select::Meets(hard, Fact(int64_t{0}), tally->lack());
  tally->Miss(hard, Verdict::kUnsupported);
  return true;
}

}  // namespace

const char* VerdictName(Verdict verdict) {
  switch (verdict) {
    case Verdict::kNotApplicable:
      return "not-applicable";
    case Verdict::kOptimal:
      return "optimal";
    case Verdict::kRecompilePreferred:
      return "recompile-preferred";
    case Verdict::kUnsupported:
      return "unsupported";
  }
  return "unsupported";
}

const char* OutcomeName(Outcome outcome) {
  switch (outcome) {
    case Outcome::kChosen:
      return "chosen";
    case Outcome::kRejected:
      return "rejected";
    case Outcome::kStale:
      return "stale";
    case Outcome::kAbsent:
      return "absent";
  }
  return "rejected";
}

select::Judgement select::JudgeHost(const std::vector<Requirement>& requirements,
                                    const HostProfile& profile, const Candidate* vendor) {
  Tally tally;
  bool has_devices = false;
  for (const Requirement& requirement : requirements) {
    if (RefuseUnknown(requirement, &tally)) {
      break;
    } else if (requirement.key.starts_with(kDevicePrefix)) {
      has_devices = true;
    } else if (!requirement.key.starts_with(kInputPrefix)) {
      CheckHost(requirement, profile, vendor, &tally);
    }
    if (tally.IsLost()) break;
  }
  if (has_devices && !tally.IsLost()) CheckDevices(requirements, profile, &tally);
  return std::move(tally).Take();
}

void select::AddShapes(const std::vector<Requirement>& requirements, const Partition* partition,
                       Judgement* judgement) {
  Tally tally;
  for (const Requirement& requirement : requirements) {
    if (!requirement.key.starts_with(kInputPrefix)) continue;
    if (RefuseUnknown(requirement, &tally)) break;
    if (partition != nullptr) {
      CheckShape(requirement, *partition, &tally);
    } else {
      tally.MissUnknown(requirement);
    }
  }
  if (Severity(tally.verdict()) > Severity(judgement->verdict))
    *judgement = std::move(tally).Take();
}

Verdict Judge(const std::vector<Requirement>& requirements, const HostProfile& profile,
              const Partition* partition, std::string* detail) {
  select::Judgement judgement = select::JudgeHost(requirements, profile, nullptr);
  select::AddShapes(requirements, partition, &judgement);
  if (detail != nullptr) *detail = std::move(judgement.detail);
  return judgement.verdict;
}

Verdict JudgeShapes(const std::vector<Requirement>& requirements, const Partition& partition,
                    std::string* detail) {
  select::Judgement judgement;
  select::AddShapes(requirements, &partition, &judgement);
  if (detail != nullptr) *detail = std::move(judgement.detail);
  return judgement.verdict;
}

}  // namespace backendctx
