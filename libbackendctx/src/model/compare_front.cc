// Both sides are brought to one form and compared. Tensors become their digests. What a node reads
// becomes a text: the value's name, or, for a constant, its type, dims and digest, wherever an
// encoding has put it. Calls are replaced by the nodes of their functions, formals by what the call
// passes. Then nodes are compared by their keys, and what is left over on either side is a
// difference, unless it is one of the few things that an encoding adds: then it must say the same
// as what it stands for.
#include "model/compare_front.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <map>
#include <unordered_map>

#include "model/canonical.h"
#include "model/compare_fields.h"
#include "model/constants.h"
#include "model/digest_form.h"
#include "model/guard.h"
#include "model/state.h"
#include "model/visit.h"

namespace backendctx::model {
namespace {

using onnx::FunctionProto;
using onnx::GraphProto;
using onnx::ModelProto;
using onnx::NodeProto;
using onnx::TensorProto;

// ---- names -------------------------------------------------------------------------------------

// What names stand for in one graph or body, and in those around it.
struct Scope {
  const Scope* parent = nullptr;
  std::unordered_map<std::string, std::string> texts;

  const std::string& Resolve(const std::string& name) const {
    for (const Scope* scope = this; scope; scope = scope->parent) {
      if (const auto found = scope->texts.find(name); found != scope->texts.end()) {
        return found->second;
      }
    }
    return name;
  }
};

// A node as the flat graph would have it: reads are texts, outputs are names.
struct FlatNode {
  NodeProto node;
  const NodeProto* original = nullptr;  // its subgraphs
  const Scope* scope = nullptr;         // in which its subgraphs read
  bool in_body = false;
};

// A call of a legalised body, which must be the stored one.
struct LegalCall {
  const StoredBody* legal = nullptr;
  std::vector<std::string> inputs, outputs;  // texts
};

// One graph of one side.
struct Side {
  const GraphProto* graph = nullptr;
  Scope* scope = nullptr;
  std::vector<FlatNode> nodes;
  std::vector<LegalCall> legal;
  std::map<std::string, const NodeProto*> constants;  // Constant nodes of the graph, by output
};

class Comparer {
 public:
  Comparer(const FrontTag& tag, const std::set<std::string>& partitions, const StoredBodies& legal)
      : tag_(tag), partitions_(partitions), legal_(legal) {}

  Status Run(ModelProto* stored, ModelProto* front) {
    for (const FunctionProto& function : front->functions()) {
      if (function.domain() == kDomain) functions_[function.name()] = &function;
    }
    BCTX_RETURN_IF_ERROR(CheckFunctions(*stored));
    BCTX_RETURN_IF_ERROR(CountNodes(*stored));
    BCTX_RETURN_IF_ERROR(
        CompareGraphs(stored->graph(), nullptr, front->graph(), nullptr, "the main graph"));
    for (const auto& [name, function] : functions_) {
      if (!called_.count(name))
        return Differs(fmt::format("function \"{}\" that nothing calls", name));
    }
    BCTX_RETURN_IF_ERROR(CompareExtras());
    return CompareModels(domains_, stored, front);
  }

 private:
  // Bodies have no node that the stored graph has not, copies of Constants aside, so that nested
  // calls cannot grow beyond it.
  Status CountNodes(const ModelProto& stored) {
    constexpr uint64_t kCopies = 16;
    return VisitNodes(stored, [this](const NodeProto&) {
      most_inlined_ += kCopies;
      return OkStatus();
    });
  }

  // ---- functions ----

  Status CheckFunctions(const ModelProto& stored) {
    std::map<std::string, int64_t> imports;
    for (const auto& import : stored.opset_import()) {
      imports[DomainOf(import.domain())] = import.version();
    }
    for (const auto& [name, function] : functions_) {
      if (legal_.count(name)) {
        for (const auto& import : function->opset_import()) {
          if (!imports.count(DomainOf(import.domain()))) domains_.insert(import.domain());
        }
        continue;
      }
      FunctionProto rest = *function;
      rest.clear_name();
      rest.clear_domain();
      rest.clear_input();
      rest.clear_output();
      rest.clear_node();
      rest.clear_opset_import();
      if (!rest.SerializeAsString().empty()) {
        return Differs(fmt::format("function \"{}\": fields that no encoding adds", name));
      }
      for (const auto& import : function->opset_import()) {
        const auto found = imports.find(DomainOf(import.domain()));
        const bool is_ours = import.domain() == kDomain;
        if (is_ours || (found != imports.end() && found->second == import.version())) continue;
        return Differs(
            fmt::format("function \"{}\": its import of domain \"{}\"", name, import.domain()));
      }
    }
    return OkStatus();
  }

  Scope* NewScope(const Scope* parent) {
    scopes_.emplace_back();
    scopes_.back().parent = parent;
    return &scopes_.back();
  }

  // The nodes of a call's function in the place of the call.
  Status Inline(const NodeProto& call, const Scope* around, Side* side) {
    const auto found = functions_.find(call.op_type());
    if (found == functions_.end() || !call.overload().empty()) {
      return Differs(fmt::format("call \"{}\" of no function", call.name()));
    }
    const FunctionProto& function = *found->second;
    called_.insert(function.name());
    for (const auto& attribute : call.attribute()) {
      if (attribute.name() == "partition" && !partitions_.count(attribute.s())) {
        return Differs(fmt::format("call \"{}\" of partition \"{}\"", call.name(), attribute.s()));
      }
    }
    if (call.input_size() != function.input_size() ||
        call.output_size() != function.output_size()) {
      return Differs(fmt::format("call \"{}\": its count of inputs or outputs", call.name()));
    }
    if (const auto legal = legal_.find(function.name()); legal != legal_.end()) {
      return AddLegal(call, function, legal->second, *around, side);
    }
    inlined_ += static_cast<uint64_t>(function.node_size()) + 1;
    if (inlined_ > most_inlined_) {
      return Differs(
          fmt::format("function \"{}\" has nodes that the stored graph has not", function.name()));
    }
    Scope* scope = NewScope(around);
    for (const NodeProto& node : function.node()) {
      for (const std::string& output : node.output()) scope->texts[output] = output;
    }
    for (int i = 0; i < call.input_size(); ++i) {
      const bool is_container = !tag_.embedded.empty() && call.input(i) == tag_.embedded;
      // Nothing may read the container: what did would differ from every node of the stored graph.
      scope->texts[function.input(i)] =
          is_container ? std::string(1, kTokenMark) : around->Resolve(call.input(i));
    }
    for (int i = 0; i < call.output_size(); ++i) {
      scope->texts[function.output(i)] = around->Resolve(call.output(i));
    }
    return AddNodes(function.node(), scope, true, side);
  }

  Status AddLegal(const NodeProto& call, const FunctionProto& function, const StoredBody& legal,
                  const Scope& around, Side* side) {
    LegalCall found{&legal, {}, {}};
    for (const std::string& input : call.input()) found.inputs.push_back(around.Resolve(input));
    for (const std::string& output : call.output()) found.outputs.push_back(around.Resolve(output));
    if (!tag_.embedded.empty()) found.inputs.pop_back();
    for (const NodeProto& node : function.node()) {
      BCTX_ASSIGN_OR_RETURN(const std::optional<std::string> token, ConstantToken(node));
      if (token) in_legal_.emplace(node.output(0), *token);
    }
    side->legal.push_back(std::move(found));
    return OkStatus();
  }

  // ---- one graph ----

  template <typename Nodes>
  Status AddNodes(const Nodes& nodes, Scope* scope, bool in_body, Side* side) {
    for (const NodeProto& node : nodes) {
      BCTX_ASSIGN_OR_RETURN(const std::optional<std::string> token, ConstantToken(node));
      if (!token) continue;
      scope->texts[node.output(0)] = *token;
      if (in_body) {
        extras_.emplace(node.output(0), *token);
      } else {
        side->constants[node.output(0)] = &node;
      }
    }
    for (const NodeProto& node : nodes) {
      if (ConstantTensor(node)) continue;
      if (node.domain() == kDomain) {
        BCTX_RETURN_IF_ERROR(Inline(node, scope, side));
        continue;
      }
      FlatNode flat{node, &node, scope, in_body};
      for (std::string& input : *flat.node.mutable_input()) {
        if (!input.empty()) input = scope->Resolve(input);
      }
      for (std::string& output : *flat.node.mutable_output()) {
        if (!output.empty()) output = scope->Resolve(output);
      }
      side->nodes.push_back(std::move(flat));
    }
    return OkStatus();
  }

  Result<Side> MakeSide(const GraphProto& graph, const Scope* around) {
    Side side;
    side.graph = &graph;
    side.scope = NewScope(around);
    for (const TensorProto& tensor : graph.initializer()) {
      side.scope->texts[tensor.name()] = TokenOf(tensor);
    }
    // An initializer that is an input too is a default: its readers read the input.
    for (const auto& input : graph.input()) side.scope->texts[input.name()] = input.name();
    for (const NodeProto& node : graph.node()) {
      for (const std::string& output : node.output()) {
        if (!output.empty()) side.scope->texts[output] = output;
      }
    }
    BCTX_RETURN_IF_ERROR(AddNodes(graph.node(), side.scope, false, &side));
    return side;
  }

  Status CompareGraphs(const GraphProto& stored, const Scope* stored_around,
                       const GraphProto& front, const Scope* front_around,
                       const std::string& place) {
    BCTX_ASSIGN_OR_RETURN(Side ours, MakeSide(stored, stored_around));
    BCTX_ASSIGN_OR_RETURN(Side theirs, MakeSide(front, front_around));
    BCTX_RETURN_IF_ERROR(CompareHeads(stored, front, place));
    BCTX_RETURN_IF_ERROR(CompareAbout(stored, front, ConstantsOf(ours), place));
    BCTX_RETURN_IF_ERROR(CompareInitializers(ours, theirs, place));
    BCTX_RETURN_IF_ERROR(CompareConstants(ours, theirs, place));
    ResolveIdentities(ours, &theirs);
    BCTX_RETURN_IF_ERROR(PutBackLegal(ours, &theirs));
    return CompareNodes(ours, theirs, place);
  }

  static NameSet ConstantsOf(const Side& side) {
    NameSet constants;
    for (const auto& [name, text] : side.scope->texts) {
      if (IsToken(text)) constants.insert(name);
    }
    return constants;
  }

  // A legalised call stands for the nodes of its partition, if it passes what they read.
  Status PutBackLegal(const Side& ours, Side* theirs) const {
    for (const LegalCall& call : theirs->legal) {
      const EncodedPartition& partition = *call.legal->partition;
      const auto same = [&](const std::vector<std::string>& names,
                            const std::vector<std::string>& found) {
        return std::equal(names.begin(), names.end(), found.begin(), found.end(),
                          [&](const std::string& name, const std::string& text) {
                            return ours.scope->Resolve(name) == text;
                          });
      };
      if (!same(call.legal->operands, call.inputs) || !same(partition.outputs, call.outputs)) {
        return Differs(fmt::format("what the call of partition \"{}\" passes", partition.id));
      }
      const std::set<std::string> keys(partition.nodes.begin(), partition.nodes.end());
      for (const FlatNode& flat : ours.nodes) {
        if (keys.count(KeyOf(flat.node))) theirs->nodes.push_back(flat);
      }
    }
    return OkStatus();
  }

  // What remains for a hoisted constant that is an output: Identity, which now is that constant.
  static void ResolveIdentities(const Side& ours, Side* theirs) {
    std::erase_if(theirs->nodes, [&](const FlatNode& flat) {
      if (flat.node.op_type() != "Identity" || flat.node.input_size() != 1 ||
          flat.node.output_size() != 1 || flat.node.attribute_size() != 0) {
        return false;
      }
      const std::string& name = flat.node.output(0);
      const auto own = ours.scope->texts.find(name);
      const bool stands = own != ours.scope->texts.end() && IsToken(own->second) &&
                          own->second == flat.node.input(0);
      if (stands) theirs->scope->texts[name] = own->second;
      return stands;
    });
  }

  Status CompareNodes(const Side& ours, const Side& theirs, const std::string& place) {
    std::map<std::string, std::deque<const FlatNode*>> by_key;
    for (const FlatNode& flat : theirs.nodes) by_key[KeyOf(flat.node)].push_back(&flat);
    for (const FlatNode& flat : ours.nodes) {
      const std::string key = KeyOf(flat.node);
      std::deque<const FlatNode*>& others = by_key[key];
      if (others.empty()) return Differs(fmt::format("{} has no node \"{}\"", place, key));
      const FlatNode& other = *others.front();
      others.pop_front();
      BCTX_RETURN_IF_ERROR(CompareNode(flat, other, place));
    }
    for (const auto& [key, others] : by_key) {
      if (!others.empty()) return Differs(fmt::format("{} has one more node \"{}\"", place, key));
    }
    return OkStatus();
  }

  // Reads again: an Identity may have become a constant since.
  static NodeProto Comparable(const FlatNode& flat, bool without_name) {
    NodeProto node = flat.node;
    for (std::string& input : *node.mutable_input()) {
      if (!input.empty() && !IsToken(input)) input = flat.scope->Resolve(input);
    }
    if (without_name) node.clear_name();
    if (node.domain() == "ai.onnx") node.set_domain("");
    // Present and empty is what absent is.
    if (node.domain().empty()) node.clear_domain();
    for (GraphProto* graph : Subgraphs(&node)) graph->Clear();
    return node;
  }

  Status CompareNode(const FlatNode& ours, const FlatNode& theirs, const std::string& place) {
    const std::string key = KeyOf(ours.node);
    const bool was_named = theirs.in_body && ours.node.name().empty();
    if (Comparable(ours, was_named).SerializeAsString() !=
        Comparable(theirs, was_named).SerializeAsString()) {
      return Differs(fmt::format("node \"{}\" of {}", key, place));
    }
    const auto own = Subgraphs(*ours.original), other = Subgraphs(*theirs.original);
    if (own.size() != other.size()) return Differs(fmt::format("subgraphs of node \"{}\"", key));
    for (size_t i = 0; i < own.size(); ++i) {
      BCTX_RETURN_IF_ERROR(CompareGraphs(*own[i], ours.scope, *other[i], theirs.scope,
                                         fmt::format("subgraph {} of node \"{}\"", i, key)));
    }
    return OkStatus();
  }

  // Constant nodes: the same in the same graph, or an initializer or a copy in a body elsewhere.
  Status CompareConstants(const Side& ours, const Side& theirs, const std::string& place) {
    for (const auto& [name, node] : ours.constants) {
      stored_.emplace(name, ours.scope->texts.at(name));
      const auto other = theirs.constants.find(name);
      if (other == theirs.constants.end()) {
        wanted_.emplace(name, ours.scope->texts.at(name));
      } else if (node->SerializeAsString() != other->second->SerializeAsString()) {
        return Differs(fmt::format("Constant \"{}\" of {}", name, place));
      }
    }
    for (const auto& [name, node] : theirs.constants) {
      if (!ours.constants.count(name)) {
        return Differs(fmt::format("{} has one more Constant \"{}\"", place, name));
      }
    }
    return OkStatus();
  }

  Status CompareInitializers(const Side& ours, const Side& theirs, const std::string& place) {
    std::map<std::string, const TensorProto*> others;
    for (const TensorProto& tensor : theirs.graph->initializer()) {
      if (!others.emplace(tensor.name(), &tensor).second) {
        return Differs(fmt::format("initializer \"{}\" twice in {}", tensor.name(), place));
      }
    }
    for (const TensorProto& tensor : ours.graph->initializer()) {
      const auto other = others.find(tensor.name());
      if (other == others.end()) {
        wanted_.emplace(tensor.name(), TokenOf(tensor));
        continue;
      }
      if (tensor.SerializeAsString() != other->second->SerializeAsString()) {
        return Differs(fmt::format("initializer \"{}\" of {}", tensor.name(), place));
      }
      others.erase(other);
    }
    for (const auto& [name, tensor] : others) {
      if (name == tag_.embedded && !tag_.embedded.empty()) continue;
      added_.emplace(name, TokenOf(*tensor));
    }
    return OkStatus();
  }

  // Every constant that has left its place is somewhere, and every one that is new is one of them:
  // under its name, or with "_" and a number behind it.
  Status CompareExtras() const {
    const auto stands_for = [](const std::string& fresh, const std::string& name) {
      return fresh == name || fresh.starts_with(name + "_");
    };
    const auto find = [&](const auto& list, const std::string& token, const auto& fits) {
      for (const auto& [name, other] : list) {
        if (other == token && fits(name)) return true;
      }
      return false;
    };
    for (const auto& [name, token] : wanted_) {
      const auto fits = [&, &wanted = name](const std::string& other) {
        return stands_for(other, wanted);
      };
      if (!find(added_, token, fits) && !find(extras_, token, fits) &&
          !find(in_legal_, token, fits)) {
        return Differs(fmt::format("constant \"{}\" is not there, or has another value", name));
      }
    }
    for (const auto& extra : extras_) {
      if (!stored_.count(extra)) {
        return Differs(fmt::format("Constant \"{}\" in a function", extra.first));
      }
    }
    for (const auto& [name, token] : added_) {
      const auto fits = [&, &added = name](const std::string& other) {
        return stands_for(added, other);
      };
      if (!find(wanted_, token, fits)) {
        return Differs(fmt::format("one more initializer \"{}\"", name));
      }
    }
    return OkStatus();
  }

  const FrontTag& tag_;
  const std::set<std::string>& partitions_;
  const StoredBodies& legal_;
  NameSet domains_;  // that legalised bodies import and the model does not
  std::map<std::string, const FunctionProto*> functions_;
  std::set<std::string> called_;
  uint64_t inlined_ = 0, most_inlined_ = 1024;
  std::deque<Scope> scopes_;
  // Constants that left the stored graph's places, initializers that the front has besides, copies
  // in bodies, and all Constant nodes of the stored graphs: name and token.
  std::set<std::pair<std::string, std::string>> wanted_, added_, extras_, stored_, in_legal_;
};

Status Compare(const FlatModel& flat, std::span<const uint8_t> bytes, const FrontTag& tag,
               const std::set<std::string>& partitions,
               const std::vector<EncodedPartition>& legalised, const PlaceDigest& places) {
  BCTX_ASSIGN_OR_RETURN(const StoredBodies legal, ReadStoredBodies(flat, legalised));
  ModelProto stored = flat.state().stored, front;
  BCTX_RETURN_IF_ERROR(ParseModel(bytes, LoadLimits{}, &front));
  BCTX_RETURN_IF_ERROR(CompareBodies(legal, !tag.embedded.empty(), front));
  BCTX_RETURN_IF_ERROR(VisitTensors(&stored, [](TensorProto* tensor, const std::string& place) {
    return DigestStored(tensor).WithContext(place);
  }));
  BCTX_RETURN_IF_ERROR(VisitTensors(&front, [&](TensorProto* tensor, const std::string& place) {
    return DigestOfFront(tag.container, places, tensor).WithContext(place);
  }));
  return Comparer(tag, partitions, legal).Run(&stored, &front);
}

}  // namespace

Status CompareFront(const FlatModel& flat, std::span<const uint8_t> front, const FrontTag& tag,
                    const std::set<std::string>& partitions, const PlaceDigest& places,
                    const std::vector<EncodedPartition>& legalised) {
  return Guarded("comparing a front",
                 [&] { return Compare(flat, front, tag, partitions, legalised, places); });
}

}  // namespace backendctx::model
