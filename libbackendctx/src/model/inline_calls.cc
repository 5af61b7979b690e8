#include "model/inline_calls.h"

#include <fmt/format.h>

#include <algorithm>

#include "model/canonical.h"
#include "model/constants.h"
#include "model/front.h"
#include "model/graph_view.h"

namespace backendctx::model {
namespace {

using onnx::FunctionProto;
using onnx::GraphProto;
using onnx::NodeProto;

Status MalformedCall(const std::string& text) { return Status(StatusCode::kMalformed, text); }

// Names that the subgraphs of a node define, at any depth.
void CollectDefinitions(const NodeProto& node, NameSet* names) {
  for (const GraphProto* graph : Subgraphs(node)) {
    names->merge(Definitions(*graph));
    for (const NodeProto& inner : graph->node()) CollectDefinitions(inner, names);
  }
}

// What a Constant node holds, whatever it is called itself.
std::string ConstantText(NodeProto node) {
  node.clear_name();
  node.clear_domain();
  return node.SerializeAsString();
}

// What a callee imports under another version than its caller cannot stand in the caller's body.
Status UniteImports(const FunctionProto& callee, FunctionProto* caller) {
  for (const auto& import : callee.opset_import()) {
    if (import.domain() == kDomain) continue;
    const auto& known = caller->opset_import();
    const auto found = std::find_if(known.begin(), known.end(), [&import](const auto& other) {
      return DomainOf(other.domain()) == DomainOf(import.domain());
    });
    if (found == known.end()) {
      *caller->add_opset_import() = import;
    } else if (found->version() != import.version()) {
      return MalformedCall(
          fmt::format("function \"{}\" imports version {} of domain \"{}\", its caller "
                      "{}",
                      callee.name(), import.version(), import.domain(), found->version()));
    }
  }
  return OkStatus();
}

}  // namespace

const FunctionProto* Callee(const FunctionIndex& functions, const NodeProto& node) {
  if (node.domain() != kDomain || !node.overload().empty()) return nullptr;
  const auto found = functions.find(node.op_type());
  if (found == functions.end() || found->second->input_size() != node.input_size() ||
      found->second->output_size() != node.output_size()) {
    return nullptr;
  }
  const bool has_absent = std::any_of(node.input().begin(), node.input().end(),
                                      [](const std::string& input) { return input.empty(); });
  return has_absent ? nullptr : found->second;
}

Result<FunctionProto> CallInliner::Flatten(const FunctionProto& function) {
  FunctionProto flat = function;
  Level level;
  level.in_body = true;
  level.defined.insert(flat.input().begin(), flat.input().end());
  for (const NodeProto& node : flat.node()) {
    level.defined.insert(node.output().begin(), node.output().end());
  }
  constants_.clear();
  std::vector<MetCall> inner;
  BCTX_RETURN_IF_ERROR(FlattenNodes(flat.mutable_node(), &level, &inner));
  for (const MetCall& call : inner) {
    BCTX_RETURN_IF_ERROR(UniteImports(*Callee(functions_, call.node), &flat));
  }
  return flat;
}

Status CallInliner::Flatten(GraphProto* graph, std::vector<MetCall>* inner) {
  constants_.clear();
  return FlattenGraph(graph, Level{}, inner);
}

Status CallInliner::FlattenGraph(GraphProto* graph, Level level, std::vector<MetCall>* inner) {
  if (level.depth > kMaxGraphDepth) {
    return Status(StatusCode::kResourceExhausted,
                  fmt::format("functions nest graphs more than {} deep", kMaxGraphDepth));
  }
  level.defined = Definitions(*graph);
  return FlattenNodes(graph->mutable_node(), &level, inner);
}

Status CallInliner::FlattenNodes(google::protobuf::RepeatedPtrField<NodeProto>* nodes, Level* level,
                                 std::vector<MetCall>* inner) {
  std::vector<Open> open;  // the last one is next
  for (int i = nodes->size(); i-- > 0;) {
    if (ConstantTensor(nodes->Get(i))) NoteConstant(nodes->Get(i), *level);
    open.push_back({{}, level->in_body});
    open.back().node.Swap(nodes->Mutable(i));
  }
  nodes->Clear();
  while (!open.empty()) {
    Open next = std::move(open.back());
    open.pop_back();
    if (const FunctionProto* function = Callee(functions_, next.node)) {
      if (next.in_body) inner->push_back({next.node, level->path});
      BCTX_RETURN_IF_ERROR(Expand(next.node, *function, level, &open));
      continue;
    }
    NodeProto* node = nodes->Add();
    node->Swap(&next.node);
    for (auto& attribute : *node->mutable_attribute()) {
      if (!attribute.has_g()) continue;
      Level below;
      below.path = level->path + "/" + KeyOf(*node) + "." + attribute.name();
      below.depth = level->depth + 1;
      below.in_body = next.in_body;
      BCTX_RETURN_IF_ERROR(FlattenGraph(attribute.mutable_g(), std::move(below), inner));
    }
  }
  return OkStatus();
}

Status CallInliner::Expand(const NodeProto& call, const FunctionProto& function, Level* level,
                           std::vector<Open>* open) {
  BCTX_RETURN_IF_ERROR(Spend(function));
  Renames renames;
  NameSet passed(call.input().begin(), call.input().end());
  passed.insert(call.output().begin(), call.output().end());
  for (int i = 0; i < call.input_size(); ++i) renames[function.input(i)] = call.input(i);
  for (int i = 0; i < call.output_size(); ++i) {
    if (!call.output(i).empty()) renames[function.output(i)] = call.output(i);
  }
  std::vector<Open> body;
  for (const NodeProto& original : function.node()) {
    NodeProto node = original;
    NameSet below;
    CollectDefinitions(node, &below);
    for (const std::string& name : passed) {
      if (!below.count(name)) continue;
      return MalformedCall(
          fmt::format("function \"{}\": value \"{}\" is defined in a graph inside it "
                      "and passed to it",
                      function.name(), name));
    }
    if (ConstantTensor(node) && !renames.count(node.output(0))) {
      if (!NoteConstant(node, *level)) continue;  // copied into several bodies
    }
    for (const std::string& output : node.output()) {
      if (output.empty() || renames.count(output)) continue;
      if (level->defined.insert(output).second) continue;
      renamed_ = true;
      std::string name;
      do {
        name = fmt::format("{}_{}", output, fresh_++);
      } while (!level->defined.insert(name).second);
      renames[output] = name;
    }
    body.push_back({std::move(node), true});
  }
  for (Open& item : body) {
    RenameReads(renames, &item.node);
    for (std::string& output : *item.node.mutable_output()) {
      if (const auto name = renames.find(output); name != renames.end()) output = name->second;
    }
  }
  std::reverse(body.begin(), body.end());
  std::move(body.begin(), body.end(), std::back_inserter(*open));
  return OkStatus();
}

bool CallInliner::NoteConstant(const NodeProto& node, const Level& level) {
  const auto [known, is_new] =
      constants_.emplace(level.path + '\n' + node.output(0), ConstantText(node));
  return is_new || known->second != ConstantText(node);
}

Status CallInliner::Spend(const FunctionProto& function) {
  const uint64_t bytes = function.ByteSizeLong();
  if (bytes > left_) {
    return Status(StatusCode::kResourceExhausted,
                  "found functions that call functions beyond the size of their model");
  }
  left_ -= bytes;
  return OkStatus();
}

}  // namespace backendctx::model
