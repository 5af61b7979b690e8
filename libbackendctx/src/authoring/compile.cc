// Regions are grouped by everything that a compiler can see (structure digest, what was recognised,
// boundary types, constants); one region of a group is compiled for each backend and target, on as
// many threads as the machine has, and every region of the group gets a context on the same blob.

#include "authoring/compile.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>
#include <set>
#include <thread>

#include "authoring/legal_body.h"
#include "authoring/prove.h"
#include "base/bytes.h"
#include "crypto/sha256.h"
#include "fmt/format.h"
#include "package/runtime.h"

namespace backendctx::authoring {
namespace {

struct Group {
  std::vector<size_t> regions;
  std::unique_ptr<PartitionForPlugin> partition;
  std::unique_ptr<Prover> prover;
  std::string refused;  // why nothing that ONNX Runtime runs says what the region computes
  Status status;        // what kept ONNX Runtime from being asked: no disk, no process
};

struct Job {
  size_t group = 0;
  const plugin::Plugin* compiler = nullptr;
  const plugin::Plugin* driver = nullptr;
  const BackendRequest* request = nullptr;
  std::string target;
  // Filled by Run.
  Status status;
  plugin::Blob blob;
  Verdicts verdicts;
  double seconds = 0;
};

void AppendOperand(const patterns::Operand& operand, const manifest::Partition& partition,
                   std::string* key) {
  size_t index = 0;
  while (index < partition.inputs.size() && partition.inputs[index].name != operand.value) ++index;
  *key += fmt::format("|{}:{},{},{},{}", index, operand.axis[0], operand.axis[1], operand.axis[2],
                      operand.axis[3]);
}

void AppendAttention(const Region& region, std::string* key) {
  const patterns::Attention& attention = *region.attention;
  for (const patterns::Operand* operand :
       {&attention.q, &attention.k, &attention.v, &attention.y}) {
    AppendOperand(*operand, region.partition, key);
  }
  for (const patterns::Mask& mask : attention.masks) {
    AppendOperand({mask.value}, region.partition, key);
    *key += fmt::format("{}{:a}", static_cast<int>(mask.kind), mask.fill);
  }
  *key += fmt::format("|{} {} {} {} {:a} {:a} {} {}", attention.q_heads, attention.kv_heads,
                      attention.qk_head_size, attention.v_head_size, attention.scale,
                      attention.softcap, attention.causal, attention.zero_masked_rows);
  *key += attention.lowest_masks ? "|bias" : "";
}

// Equal keys: no compiler can tell the regions apart.
std::string GroupKey(const Region& region) {
  std::string key = region.partition.structure_digest.Hex();
  if (region.attention) AppendAttention(region, &key);
  for (const std::string& backend : region.backends) key += "|for " + backend;
  for (const manifest::BoundaryValue& input : region.partition.inputs) {
    key +=
        fmt::format("|{} {} {}", static_cast<int>(input.role), input.element_type, input.has_shape);
    for (const manifest::Dim& dim : input.dims) key += fmt::format(" {}", dim.value);
    if (input.content) key += " " + input.content->Hex();
  }
  return key;
}

std::vector<std::string> TargetsOf(const plugin::Plugin& compiler) {
  std::vector<std::string> targets;
  for (const char* const* target = compiler.table().targets; target != nullptr && *target;
       ++target) {
    targets.emplace_back(*target);
  }
  return targets;
}

std::string Join(const std::vector<std::string>& words) {
  return fmt::format("{}", fmt::join(words, ", "));
}

class Compiler {
 public:
  Compiler(const model::FlatModel& flat, std::vector<Region>* regions,
           const std::vector<plugin::Plugin>& plugins, const PackOptions& options)
      : flat_(flat), regions_(*regions), plugins_(plugins), options_(options) {}

  Result<Compiled> Run() {
    BCTX_RETURN_IF_ERROR(MakeGroups());
    BCTX_RETURN_IF_ERROR(MakeJobs());
    InParallel(groups_.size(), "trying bodies", [this](size_t i) { MakeProver(&groups_[i]); });
    InParallel(jobs_.size(), "compiling", [this](size_t i) { RunJob(&jobs_[i]); });
    return Collect();
  }

 private:
  Status MakeGroups() {
    std::map<std::string, size_t> by_key;
    for (size_t i = 0; i < regions_.size(); ++i) {
      const auto [place, is_new] = by_key.emplace(GroupKey(regions_[i]), groups_.size());
      if (is_new) {
        groups_.emplace_back();
        BCTX_ASSIGN_OR_RETURN(
            groups_.back().partition,
            PartitionForPlugin::Make(flat_, regions_[i], options_.proof.temporary_folder));
      }
      groups_[place->second].regions.push_back(i);
    }
    return OkStatus();
  }

  Status MakeJobs() {
    std::set<std::string> known, asked;
    for (const BackendRequest& request : options_.backends) {
      const plugin::Plugin* compiler = plugin::FindCompiler(plugins_, request.name);
      if (compiler == nullptr) {
        return Status(StatusCode::kInvalidArgument,
                      fmt::format("no compiler for backend '{}' was found", request.name));
      }
      const std::vector<std::string> targets = TargetsOf(*compiler);
      known.insert(targets.begin(), targets.end());
      for (const std::string& target : targets) {
        if (!Wanted(target)) continue;
        for (size_t group = 0; group < groups_.size(); ++group) {
          if (!IsTakenBy(groups_[group], request.name)) continue;
          jobs_.push_back({group,
                           compiler,
                           plugin::FindDriver(plugins_, request.name),
                           &request,
                           target,
                           {},
                           {},
                           {},
                           0});
        }
      }
    }
    for (const std::string& target : options_.targets) {
      if (target == "all" || target == "host" || known.contains(target)) continue;
      return Status(StatusCode::kInvalidArgument,
                    fmt::format("unknown target '{}'; known are all, host, {}", target,
                                Join({known.begin(), known.end()})));
    }
    return OkStatus();
  }

  bool IsTakenBy(const Group& group, const std::string& backend) const {
    const std::vector<std::string>& takers = regions_[group.regions.front()].backends;
    return std::find(takers.begin(), takers.end(), backend) != takers.end();
  }

  // "host" is decided by what came out: its requirements are judged after compiling.
  bool Wanted(const std::string& target) const {
    return std::any_of(options_.targets.begin(), options_.targets.end(), [&](const auto& wanted) {
      return wanted == "all" || wanted == "host" || wanted == target;
    });
  }
  bool OnlyHost(const std::string& target) const {
    return std::none_of(options_.targets.begin(), options_.targets.end(),
                        [&](const auto& wanted) { return wanted == "all" || wanted == target; });
  }

  void MakeProver(Group* group) {
    if (jobs_.empty()) return;
    const Region& first = regions_[group->regions.front()];
    group->prover = std::make_unique<Prover>(options_.proof, *group->partition, first,
                                             group->partition->body());
    group->status = group->prover->status();
    if (!group->status.ok() || group->prover->refused().empty()) return;
    const std::string why = RefusalOf(group->prover->refused());
    if (!options_.legalize) {
      group->refused = fmt::format("ONNX Runtime does not run it: {}", why);
      return;
    }
    const std::string why_not = Legalize(group);
    if (why_not.empty()) return;
    for (const size_t region : group->regions) regions_[region].DropLegalBody();
    group->refused = WhyUnrunnable(why, why_not);
  }

  // Why there is no decomposition that ONNX Runtime runs; empty: every region of the group has one.
  std::string Legalize(Group* group) {
    for (const size_t region : group->regions) {
      const Status given = GiveLegalBody(flat_, &regions_[region]);
      if (!given.ok()) return given.message();
    }
    const Region& first = regions_[group->regions.front()];
    const Result<std::string> body = BodyModelOf(flat_, first);
    if (!body) return body.error().message();
    group->prover = std::make_unique<Prover>(options_.proof, *group->partition, first, *body);
    group->status = group->prover->status();
    if (group->prover->refused().empty()) return "";
    return RefusalOf(group->prover->refused());
  }

  void RunJob(Job* job) const {
    if (!groups_[job->group].refused.empty() || !groups_[job->group].status.ok()) return;
    const auto start = std::chrono::steady_clock::now();
    job->status = Compile(job);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    job->seconds = took.count();
    std::string why;
    const manifest::Partition& partition = regions_[groups_[job->group].regions.front()].partition;
    if (job->status.ok() && !CanRun(JudgeShapes(job->blob.requirements, partition, &why))) {
      job->status = Status(StatusCode::kUnimplemented,
                           "does not take every shape that the declared types allow: " + why);
    }
    if (job->status.ok() && OnlyHost(job->target) &&
        !CanRun(Judge(job->blob.requirements, package::HostOf(job->driver), &partition, &why))) {
      job->status = Status(StatusCode::kIncompatible, "not for this host: " + why);
    }
    if (!job->status.ok()) return;
    Result<Verdicts> verdicts = groups_[job->group].prover->Prove(job->blob, job->driver);
    if (verdicts) {
      job->verdicts = std::move(*verdicts);
    } else {
      job->status = verdicts.status();
    }
  }

  Status Compile(Job* job) const {
    std::vector<bctx_key_value> pairs;
    for (const auto& [key, value] : job->request->options) {
      pairs.push_back({key.c_str(), value.c_str()});
    }
    bctx_compile_request request{};
    request.struct_size = sizeof(request);
    request.partition = &groups_[job->group].partition->partition();
    request.target = job->target.c_str();
    request.options = pairs.data();
    request.option_count = pairs.size();
    request.dump_folder = options_.dump_folder.empty() ? nullptr : options_.dump_folder.c_str();
    BCTX_ASSIGN_OR_RETURN(job->blob, plugin::Compile(*job->compiler, request));
    return OkStatus();
  }

  template <typename Work>
  void InParallel(size_t count, const std::string& stage, const Work& work) const {
    std::atomic<size_t> next{0}, done{0};
    const auto loop = [&](bool reports) {
      for (size_t i = next++; i < count; i = next++) {
        work(i);
        const size_t finished = ++done;
        if (reports && options_.progress) options_.progress(stage, finished, count);
      }
    };
    const size_t others = std::min<size_t>(std::thread::hardware_concurrency(), count);
    std::vector<std::thread> threads;
    for (size_t i = 1; i < others; ++i) threads.emplace_back(loop, false);
    loop(true);
    for (std::thread& thread : threads) thread.join();
  }

  Result<Compiled> Collect() {
    Compiled out;
    out.distinct = groups_.size();
    std::map<Digest, const std::string*> blobs;
    std::map<std::pair<std::string, std::string>, manifest::Scope> scopes;
    for (const Group& group : groups_) {
      BCTX_RETURN_IF_ERROR(group.status);
      if (!group.refused.empty()) NotTaken(group, group.refused, &out);
    }
    Refusals refusals;
    const auto wrong = WrongHere();
    for (const Job& job : jobs_) {
      if (!groups_[job.group].refused.empty()) continue;
      if (!job.status.ok()) {
        BCTX_RETURN_IF_ERROR(NoteRefusal(job, &refusals));
        continue;
      }
      if (const std::string why = WhyDropped(job, wrong); !why.empty()) {
        out.dropped.push_back(fmt::format(
            "{} for {}: {}", RegionName(groups_[job.group].regions.front()), job.target, why));
        refusals[job.group].push_back({job.request->name,
                                       fmt::format("{}: {}", job.request->name, why),
                                       {job.target},
                                       Refusal::kInProof});
        continue;
      }
      const Digest digest = crypto::Sha256(base::AsBytes(job.blob.bytes));
      blobs.emplace(digest, &job.blob.bytes);
      bool first = true;
      for (size_t region : groups_[job.group].regions) {
        manifest::Context context = MakeContext(job, regions_[region].partition, digest);
        manifest::Scope& scope = scopes[{job.request->name, job.target}];
        scope.name = job.request->name + "/" + job.target;
        scope.backend = job.request->name;
        scope.variant = regions_[region].partition.variant;
        scope.contexts.push_back(context.id);
        out.report.push_back({context.id, context.partition, context.backend, context.target,
                              job.blob.bytes.size(), first ? job.seconds : 0, context.proof,
                              job.verdicts.largest_error, job.blob.note});
        out.contexts.push_back(std::move(context));
        first = false;
      }
    }
    for (const auto& [digest, bytes] : blobs) out.blobs.push_back(*bytes);
    for (auto& [key, scope] : scopes) out.scopes.push_back(std::move(scope));
    Report(refusals, &out);
    std::sort(out.contexts.begin(), out.contexts.end(),
              [](const auto& a, const auto& b) { return a.id < b.id; });
    return out;
  }

  // Group and backend of code that ran and was wrong, and for which target.
  using Wrong = std::map<std::pair<size_t, std::string>, std::string>;
  Wrong WrongHere() const {
    Wrong wrong;
    for (const Job& job : jobs_) {
      if (job.status.ok() && !job.verdicts.wrong.empty()) {
        wrong.emplace(std::pair(job.group, job.request->name), job.target);
      }
    }
    return wrong;
  }

  // Code that ran and was wrong, and code of the same compiler for it that could not be run here.
  static std::string WhyDropped(const Job& job, const Wrong& wrong) {
    if (!job.verdicts.wrong.empty() || job.verdicts.proof.passed) return job.verdicts.wrong;
    const auto other = wrong.find({job.group, job.request->name});
    if (other == wrong.end()) return "";
    return fmt::format("it could not be run here, and the code for {} was wrong", other->second);
  }

  // Why jobs of a group came to nothing: reason, then the targets for which it holds.
  struct Refusal {
    enum Where { kInCompiler, kOnHost, kInProof };
    std::string backend, reason;
    std::vector<std::string> targets;
    Where where = kInCompiler;  // kOnHost: compiled, and left out for this host
  };
  using Refusals = std::map<size_t, std::vector<Refusal>>;

  // What a backend does not take and what it does by mistake leave its code out and are reported;
  // what the user asked wrongly, or the machine could not do, stops the packing.
  static Status NoteRefusal(const Job& job, Refusals* refusals) {
    const StatusCode code = job.status.code();
    constexpr StatusCode kReported[] = {StatusCode::kIncompatible, StatusCode::kUnimplemented,
                                        StatusCode::kMalformed, StatusCode::kInternal};
    if (std::find(std::begin(kReported), std::end(kReported), code) == std::end(kReported)) {
      return job.status.WithContext(fmt::format("{} for {}", job.request->name, job.target));
    }
    for (Refusal& refusal : (*refusals)[job.group]) {
      if (refusal.backend != job.request->name || refusal.reason != job.status.message()) continue;
      refusal.targets.push_back(job.target);
      return OkStatus();
    }
    (*refusals)[job.group].push_back(
        {job.request->name,
         job.status.message(),
         {job.target},
         code == StatusCode::kIncompatible ? Refusal::kOnHost : Refusal::kInCompiler});
    return OkStatus();
  }

  // A region without any context is not taken, and each reason is said once; of one that has some,
  // it is said for which targets it has none.
  void Report(const Refusals& refusals, Compiled* out) const {
    std::set<std::string> compiled;
    for (const manifest::Context& context : out->contexts) compiled.insert(context.partition);
    for (const auto& [group, reasons] : refusals) {
      for (const size_t region : groups_[group].regions) {
        const bool has_context = compiled.contains(RegionName(region));
        std::vector<std::string> parts;
        const auto of_host =
            static_cast<size_t>(std::count_if(reasons.begin(), reasons.end(), [](const Refusal& r) {
              return r.where == Refusal::kOnHost;
            }));
        for (const Refusal& refusal : reasons) {
          // What was dropped is listed already; that other targets are of other hosts says little.
          if (has_context && refusal.where != Refusal::kInCompiler) continue;
          if (refusal.where == Refusal::kOnHost && of_host != reasons.size()) continue;
          const bool always = reasons.size() == 1 && !has_context;
          // The reason begins with the backend's name.
          parts.push_back(always ? refusal.reason
                                 : fmt::format("{}: {}", Join(refusal.targets), refusal.reason));
        }
        if (parts.empty()) continue;
        const std::string text = fmt::format("{}", fmt::join(parts, "; "));
        if (has_context) {
          out->dropped.push_back(fmt::format("{}: {}", RegionName(region), text));
        } else {
          NotTaken(region, text, out);
        }
      }
    }
  }

  void NotTaken(const Group& group, const std::string& reason, Compiled* out) const {
    for (const size_t region : group.regions) NotTaken(region, reason, out);
  }

  void NotTaken(size_t region, const std::string& reason, Compiled* out) const {
    const Region& refused = regions_[region];
    const model::Node& node =
        refused.graph
            ->nodes[refused.attention ? refused.attention->nodes.back() : refused.nodes.front()];
    out->not_taken.push_back(
        {refused.graph->path, node.name.empty() ? node.Key() : node.name, node.op_type, reason});
  }

  static manifest::Context MakeContext(const Job& job, const manifest::Partition& partition,
                                       const Digest& blob) {
    manifest::Context context;
    context.id = fmt::format("{}/{}/{}", partition.id, job.request->name, job.target);
    context.partition = partition.id;
    context.backend = job.request->name;
    context.target = job.target;
    context.blob = blob;
    context.entry = job.blob.entry;
    context.requirements = job.blob.requirements;
    context.options = job.blob.options;
    context.compiler = job.compiler->backend();
    context.compiler_version = job.compiler->version();
    context.weights = job.blob.weights;
    if (context.weights != manifest::WeightsKind::kNone &&
        context.weights != manifest::WeightsKind::kInputs) {
      for (const manifest::BoundaryValue& input : partition.inputs) {
        if (input.content) context.weight_digests.push_back(*input.content);
      }
    }
    context.proof = job.verdicts.proof;
    return context;
  }

  const std::string& RegionName(size_t region) const { return regions_[region].partition.id; }

  const model::FlatModel& flat_;
  std::vector<Region>& regions_;
  const std::vector<plugin::Plugin>& plugins_;
  const PackOptions& options_;
  std::vector<Group> groups_;
  std::vector<Job> jobs_;
};

}  // namespace

Result<Compiled> CompileRegions(const model::FlatModel& flat, std::vector<Region>* regions,
                                const std::vector<plugin::Plugin>& plugins,
                                const PackOptions& options) {
  return Compiler(flat, regions, plugins, options).Run();
}

}  // namespace backendctx::authoring
