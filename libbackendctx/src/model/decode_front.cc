// Reads a front as found: nobody vouches for it, other tools may have changed it. A call is worth
// what it would run, so the structure digest is computed from the function's body and the operands
// of the call, never taken from an attribute.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <unordered_map>
#include <unordered_set>

#include "base/bytes.h"
#include "model/canonical.h"
#include "model/external_data.h"
#include "model/front.h"
#include "model/front_tag.h"
#include "model/function_digest.h"
#include "model/graph_view_builder.h"
#include "model/guard.h"
#include "model/inline_calls.h"
#include "model/state.h"
#include "model/visit.h"

namespace backendctx::model {
namespace {

using onnx::FunctionProto;
using onnx::GraphProto;
using onnx::ModelProto;
using onnx::NodeProto;
using onnx::TensorProto;

constexpr uint64_t kMaxBodyNodes = 10'000'000;  // of all bodies that are looked at together

Status Malformed(const std::string& text) { return Status(StatusCode::kMalformed, text); }

// `container_file`: see DecodedFront.
Status CheckExternal(ModelProto* model, std::string* container_file) {
  return VisitTensors(model, [&](TensorProto* tensor, const std::string& place) -> Status {
    if (tensor->data_location() != TensorProto::EXTERNAL) return OkStatus();
    const Result<ExternalData> external = ParseExternalData(*tensor);
    if (!external) return external.status().WithContext(place);
    if (external->location.ends_with(".bctx")) *container_file = external->location;
    return OkStatus();
  });
}

Result<std::optional<FrontTag>> FindTag(const ModelProto& model) {
  const std::string* text = nullptr;
  for (const auto& property : model.metadata_props()) {
    if (property.key() != kFrontProperty) continue;
    // Some tools write a property twice; two different ones cannot both be meant.
    if (text && *text != property.value()) {
      return Malformed(fmt::format("property {}: found twice", kFrontProperty));
    }
    text = &property.value();
  }
  if (!text) return std::optional<FrontTag>();
  BCTX_ASSIGN_OR_RETURN(FrontTag tag, ParseTag(*text));
  return std::optional<FrontTag>(std::move(tag));
}

// The functions of our domain.
class Functions {
 public:
  Status Fill(const ModelProto& model, DecodedFront* front) {
    for (const FunctionProto& function : model.functions()) {
      if (function.domain() != kDomain) {
        front->model_functions.push_back(function.domain() + "::" + function.name());
        continue;
      }
      if (!function.overload().empty()) {
        return Malformed(fmt::format("function \"{}\": found an overload", function.name()));
      }
      if (!by_name_.emplace(function.name(), &function).second) {
        return Malformed(fmt::format("function \"{}\": found twice", function.name()));
      }
      front->functions.push_back(function.name());
    }
    BCTX_RETURN_IF_ERROR(CheckForeignCallers(model));
    return CheckRecursion();
  }

  const FunctionProto* Find(const std::string& name) const {
    const auto found = by_name_.find(name);
    return found == by_name_.end() ? nullptr : found->second;
  }

  const FunctionIndex& by_name() const { return by_name_; }

  bool HasCalls(const FunctionProto& function) const {
    std::vector<std::string> called;
    CollectCalls(function.node(), &called);
    return !called.empty();
  }

  // What calls may be replaced by together: more than any nesting of ours, less than a bomb.
  uint64_t MostBytes() const {
    uint64_t bytes = 1u << 20;
    for (const auto& [name, function] : by_name_) bytes += 64 * function->ByteSizeLong();
    return bytes;
  }

 private:
  template <typename Nodes>
  static void CollectCalls(const Nodes& nodes, std::vector<std::string>* called) {
    for (const NodeProto& node : nodes) {
      if (node.domain() == kDomain) called->push_back(node.op_type());
      for (const GraphProto* graph : Subgraphs(node)) CollectCalls(graph->node(), called);
    }
  }

  static Status CheckForeignCallers(const ModelProto& model) {
    for (const FunctionProto& function : model.functions()) {
      if (function.domain() == kDomain) continue;
      std::vector<std::string> called;
      CollectCalls(function.node(), &called);
      if (called.empty()) continue;
      return Malformed(fmt::format("function \"{}\" of domain \"{}\" calls \"{}\"", function.name(),
                                   function.domain(), called[0]));
    }
    return OkStatus();
  }

  // Takes away functions that call none of those left, until none is left or all that are wait for
  // each other.
  Status CheckRecursion() const {
    std::unordered_map<std::string, std::vector<std::string>> callers;
    std::unordered_map<std::string, size_t> waits;
    std::vector<std::string> ready;
    for (const auto& [name, function] : by_name_) {
      std::vector<std::string> called;
      CollectCalls(function->node(), &called);
      for (const std::string& callee : called) {
        if (!by_name_.count(callee)) continue;
        callers[callee].push_back(name);
        ++waits[name];
      }
      if (waits[name] == 0) ready.push_back(name);
    }
    size_t done = 0;
    for (; !ready.empty(); ++done) {
      const std::string name = ready.back();
      ready.pop_back();
      for (const std::string& caller : callers[name]) {
        if (--waits[caller] == 0) ready.push_back(caller);
      }
    }
    if (done == by_name_.size()) return OkStatus();
    for (const auto& [name, count] : waits) {
      if (count > 0)
        return Malformed(fmt::format("function \"{}\": is or calls a recursion", name));
    }
    return OkStatus();
  }

  FunctionIndex by_name_;
};

const std::string& TextAttribute(const NodeProto& node, const char* name) {
  static const std::string kNone;
  for (const auto& attribute : node.attribute()) {
    if (attribute.name() == name && attribute.type() == onnx::AttributeProto::STRING) {
      return attribute.s();
    }
  }
  return kNone;
}

class Decoder {
 public:
  explicit Decoder(const LoadLimits& limits) : limits_(limits) {}

  Result<DecodedFront> Run(std::span<const uint8_t> bytes) {
    BCTX_RETURN_IF_ERROR(ParseModel(bytes, limits_, &model_));
    BCTX_RETURN_IF_ERROR(CheckExternal(&model_, &front_.container_file));
    BCTX_ASSIGN_OR_RETURN(front_.tag, FindTag(model_));
    BCTX_RETURN_IF_ERROR(functions_.Fill(model_, &front_));
    inliner_.emplace(functions_.by_name(), functions_.MostBytes());
    for (const FunctionProto& function : model_.functions()) {
      model_functions_.insert(DomainOf(function.domain()) + "::" + function.name());
    }
    BCTX_ASSIGN_OR_RETURN(view_, BuildViewWithoutInference(model_, FrontContents));
    front_.ir_version = model_.ir_version();
    front_.opset = view_.Opset("");
    BCTX_RETURN_IF_ERROR(AddCalls());
    if (front_.tag && !front_.tag->embedded.empty()) BCTX_RETURN_IF_ERROR(TakeContainer());
    if (front_.tag && front_.tag->encoding == Encoding::kMetadata) {
      front_.view = std::make_shared<const ModelView>(std::move(view_));
    }
    if (has_nested_) BCTX_RETURN_IF_ERROR(InlineCalls());
    return std::move(front_);
  }

  // The graphs with every call replaced. Nodes only: functions are still there.
  Status InlineCalls() {
    std::vector<MetCall> inner;
    const Status flattened = inliner_->Flatten(model_.mutable_graph(), &inner);
    if (flattened.code() == StatusCode::kMalformed) {  // stale, and no reason to stop
      front_.inlined = flattened;
      return OkStatus();
    }
    BCTX_RETURN_IF_ERROR(flattened);
    IndexInitializers();
    BCTX_ASSIGN_OR_RETURN(ModelView view, BuildViewWithoutInference(model_, FrontContents));
    std::map<std::string, const GraphView*> graphs;
    for (const GraphView* graph : AllGraphs(view)) graphs.emplace(graph->path, graph);
    for (const MetCall& call : inner) {
      const auto graph = graphs.find(call.graph_path);
      if (graph != graphs.end()) BCTX_RETURN_IF_ERROR(AddCall(call.node, *graph->second));
    }
    if (inliner_->renamed()) {
      front_.inlined = Malformed("functions of the front define a value twice");
    } else {
      front_.inlined = std::make_shared<const ModelView>(std::move(view));
    }
    return OkStatus();
  }

  Result<std::shared_ptr<const ModelView>> TakeInlined() {
    BCTX_RETURN_IF_ERROR(InlineCalls());
    return std::move(front_.inlined);
  }

 private:
  void IndexInitializers() {
    initializers_.clear();
    for (const auto& [path, proto] : GraphsByPath(std::as_const(*model_.mutable_graph()))) {
      for (const TensorProto& tensor : proto->initializer()) {
        initializers_[path][tensor.name()] = &tensor;  // of two the last counts
      }
      initializers_.try_emplace(path);
    }
  }

  Status AddCalls() {
    IndexInitializers();
    const auto protos = GraphsByPath(std::as_const(*model_.mutable_graph()));
    for (const GraphView* graph : AllGraphs(view_)) {
      front_.nodes += graph->nodes.size();
      for (const NodeProto& node : protos.at(graph->path)->node()) {
        if (node.domain() == kDomain) BCTX_RETURN_IF_ERROR(AddCall(node, *graph));
      }
    }
    if (!front_.calls.empty() && view_.Opset(kDomain) == 0) {
      return Malformed(fmt::format("found calls of domain {}, which is not imported", kDomain));
    }
    for (const auto& [name, function] : functions_.by_name()) {
      has_nested_ |= functions_.HasCalls(*function);
    }
    return OkStatus();
  }

  Status TakeContainer() {
    const std::string& name = front_.tag->embedded;
    for (TensorProto& tensor : *model_.mutable_graph()->mutable_initializer()) {
      if (tensor.name() != name) continue;
      const bool is_bytes = tensor.data_type() == TensorProto::UINT8 && tensor.dims_size() == 1 &&
                            tensor.has_raw_data() &&
                            tensor.data_location() != TensorProto::EXTERNAL;
      if (!is_bytes) break;
      front_.container = std::move(*tensor.mutable_raw_data());
      tensor.clear_raw_data();
      tensor.set_dims(0, 0);
      return OkStatus();
    }
    return Malformed(
        fmt::format("initializer \"{}\": expected the embedded container, as UINT8 in "
                    "raw data: a tool has removed or moved it",
                    name));
  }

  Status AddCall(const NodeProto& node, const GraphView& graph) {
    Call call;
    call.graph_path = graph.path;
    call.node_name = node.name();
    call.function = node.op_type();
    call.partition = TextAttribute(node, "partition");
    call.structure_digest_hex = TextAttribute(node, "structure_digest");
    call.outputs.assign(node.output().begin(), node.output().end());
    for (const std::string& input : node.input()) {
      BCTX_ASSIGN_OR_RETURN(Operand operand, PlacedOperand(input, graph));
      call.operands.push_back(std::move(operand));
    }
    call.structure_digest = DigestOf(call, node);
    if (call.structure_digest.status().code() == StatusCode::kResourceExhausted) {
      return call.structure_digest.status();
    }
    front_.calls.push_back(std::move(call));
    return OkStatus();
  }

  Result<Operand> PlacedOperand(const std::string& name, const GraphView& graph) const {
    Operand operand = OperandOf(name, graph);
    const TensorProto* tensor = Initializer(name, graph);
    if (!operand.is_initializer || !tensor || tensor->data_location() != TensorProto::EXTERNAL) {
      return operand;
    }
    BCTX_ASSIGN_OR_RETURN(const ExternalData external, ParseExternalData(*tensor));
    operand.location = external.location;
    operand.placement = Placement{external.offset, external.length.value_or(operand.size)};
    return operand;
  }

  // The initializer that `name` means in `graph`; null for the output of a Constant node.
  const TensorProto* Initializer(const std::string& name, const GraphView& graph) const {
    for (const GraphView* at = &graph; at; at = at->parent) {
      if (at->producer.count(name)) return nullptr;
      const auto& tensors = initializers_.at(at->path);
      if (const auto found = tensors.find(name); found != tensors.end()) return found->second;
    }
    return nullptr;
  }

  Result<Digest> DigestOf(const Call& call, const NodeProto& node) {
    const FunctionProto* function = functions_.Find(call.function);
    if (!function) {
      return Malformed(
          fmt::format("call \"{}\": no function \"{}\": pack the model again or restore "
                      "it from its container",
                      call.node_name, call.function));
    }
    BCTX_RETURN_IF_ERROR(CheckShape(call, node, *function));
    const std::string key = Signature(call);
    if (const auto known = digests_.find(key); known != digests_.end()) return known->second;
    body_nodes_ += static_cast<uint64_t>(function->node_size());
    if (body_nodes_ > kMaxBodyNodes) {
      return Status(StatusCode::kResourceExhausted,
                    fmt::format("found bodies of more than {} nodes", kMaxBodyNodes));
    }
    Result<Digest> digest = BodyDigest(call, *function);
    if (!digest && digest.status().code() == StatusCode::kInvalidArgument) {
      digest =
          Malformed(fmt::format("function \"{}\": {}", call.function, digest.status().message()));
    }
    digests_.emplace(key, digest);
    return digest;
  }

  static Status CheckShape(const Call& call, const NodeProto& node, const FunctionProto& function) {
    const auto fail = [&call](const std::string& text) {
      return Malformed(fmt::format("call \"{}\": {}", call.node_name, text));
    };
    if (!node.overload().empty()) return fail("found an overload");
    if (node.input_size() != function.input_size()) {
      return fail(
          fmt::format("found {} inputs, expected {}", node.input_size(), function.input_size()));
    }
    if (node.output_size() != function.output_size()) {
      return fail(
          fmt::format("found {} outputs, expected {}", node.output_size(), function.output_size()));
    }
    for (const std::string& input : node.input()) {
      if (input.empty()) return fail("found an absent input");
    }
    return OkStatus();
  }

  // What a structure digest depends on besides the function.
  static std::string Signature(const Call& call) {
    std::string key = call.function;
    for (const Operand& operand : call.operands) {
      key += '\0';
      if (!operand.is_initializer) continue;
      base::AppendLittle(static_cast<uint64_t>(operand.element_type), &key);
      base::AppendLittle(uint64_t{operand.dims.size()}, &key);
      for (const int64_t dim : operand.dims) base::AppendLittle(static_cast<uint64_t>(dim), &key);
      base::AppendLittle(uint64_t{operand.bytes.size()}, &key);
      key += operand.bytes;
    }
    return key;
  }

  Status CheckNodes(const FunctionProto& function) const {
    ModelProto scratch;  // VisitNodes takes a model
    *scratch.add_functions() = function;
    return VisitNodes(scratch, [this](const NodeProto& node) -> Status {
      if (node.domain() == kDomain ||
          model_functions_.count(DomainOf(node.domain()) + "::" + node.op_type())) {
        return Status(StatusCode::kUnimplemented,
                      fmt::format("node \"{}\" is a call inside a body", KeyOf(node)));
      }
      if (!node.overload().empty()) {
        return Malformed(fmt::format("node \"{}\": found an overload", KeyOf(node)));
      }
      for (const auto& attribute : node.attribute()) {
        if (attribute.ref_attr_name().empty()) continue;
        return Malformed(fmt::format("node \"{}\": found a reference to attribute \"{}\"",
                                     KeyOf(node), attribute.ref_attr_name()));
      }
      return OkStatus();
    });
  }

  Result<Digest> BodyDigest(const Call& call, const FunctionProto& function) {
    if (!functions_.HasCalls(function)) return FlatDigest(call, function);
    BCTX_ASSIGN_OR_RETURN(const FunctionProto flat, inliner_->Flatten(function));
    return FlatDigest(call, flat);
  }

  Result<Digest> FlatDigest(const Call& call, const FunctionProto& function) const {
    BCTX_RETURN_IF_ERROR(CheckNodes(function));
    return FunctionDigest(function, call.operands, front_.tag ? front_.tag->embedded : "");
  }

  const LoadLimits limits_;
  ModelProto model_;
  ModelView view_;
  std::map<std::string, std::unordered_map<std::string, const TensorProto*>> initializers_;
  Functions functions_;
  std::optional<CallInliner> inliner_;
  bool has_nested_ = false;                          // a function of ours calls another
  std::unordered_set<std::string> model_functions_;  // what an operator may mean instead
  DecodedFront front_;
  std::unordered_map<std::string, Result<Digest>> digests_;
  uint64_t body_nodes_ = 0;
};

}  // namespace

Result<DecodedFront> DecodeFront(std::span<const uint8_t> front, const LoadLimits& limits) {
  return Guarded("reading a front", [&] { return Decoder(limits).Run(front); });
}

Result<std::shared_ptr<const ModelView>> InlinedFront(std::span<const uint8_t> front,
                                                      const LoadLimits& limits) {
  return Guarded("reading a front", [&]() -> Result<std::shared_ptr<const ModelView>> {
    Decoder decoder(limits);
    BCTX_ASSIGN_OR_RETURN(const DecodedFront decoded, decoder.Run(front));
    if (decoded.inlined.has_value()) return decoded.inlined;
    return decoder.TakeInlined();
  });
}

}  // namespace backendctx::model
