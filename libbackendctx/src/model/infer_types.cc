// onnx's inference is made for models that its checker accepts. So that others get types as well,
// the copy is what the runtime would take the model for: every domain imported once, nodes in
// topological order (and back in the model's order afterwards, where callers look for them).
#include "model/infer_types.h"

#include <algorithm>
#include <exception>
#include <memory>
#include <numeric>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "model/canonical.h"
#include "model/order.h"
#include "model/visit.h"
#include "onnx/defs/schema.h"
#include "onnx/shape_inference/implementation.h"

namespace backendctx::model {
namespace {

using onnx::TensorProto;

void CopyWithoutWeights(const TensorProto& from, const TensorSource& source, TensorProto* to) {
  to->set_name(from.name());
  to->set_data_type(from.data_type());
  *to->mutable_dims() = from.dims();
  if (from.data_type() == TensorProto::STRING) return;
  Result<TensorContents> contents = source(from);
  if (contents && contents->size < kInlineLimit) to->set_raw_data(contents->bytes);
}

using Opsets = std::unordered_map<std::string, int>;

// A graph of the copy whose nodes stand in another order: node i of the copy is node order[i].
using Moved = std::pair<onnx::GraphProto*, std::vector<size_t>>;

// What is copied, and what for.
struct Copying {
  const TensorSource& source;
  Opsets opsets;
  std::vector<Moved> moved;
};

void CopyGraph(const onnx::GraphProto& from, Copying* copying, onnx::GraphProto* to);

void CopyNode(const onnx::NodeProto& from, Copying* copying, onnx::NodeProto* to) {
  to->set_name(from.name());
  to->set_op_type(from.op_type());
  to->set_domain(from.domain());
  if (from.has_overload()) to->set_overload(from.overload());
  *to->mutable_input() = from.input();
  *to->mutable_output() = from.output();
  for (const onnx::AttributeProto& attribute : from.attribute()) {
    onnx::AttributeProto* copy = to->add_attribute();
    const bool has_tensor = attribute.has_t(), has_graph = attribute.has_g();
    if (!has_tensor && !has_graph) {
      *copy = attribute;
      continue;
    }
    copy->set_name(attribute.name());
    copy->set_type(attribute.type());
    if (has_tensor) CopyWithoutWeights(attribute.t(), copying->source, copy->mutable_t());
    if (has_graph) CopyGraph(attribute.g(), copying, copy->mutable_g());
  }
}

// Declared types of inner values are kept only where inference has nothing of its own: for values
// of operators that onnx does not know. Elsewhere they may be stale (people edit a model's inputs
// and forget the rest), and inference would believe them.
void CopyValueInfo(const onnx::GraphProto& from, const Copying& copying, onnx::GraphProto* to) {
  std::unordered_set<std::string> unknown;
  for (const onnx::NodeProto& node : from.node()) {
    const std::string& domain = DomainOf(node.domain());
    const auto opset = copying.opsets.find(domain);
    const bool known = opset != copying.opsets.end() &&
                       onnx::OpSchemaRegistry::Schema(node.op_type(), opset->second, domain);
    if (!known) unknown.insert(node.output().begin(), node.output().end());
  }
  for (const onnx::ValueInfoProto& info : from.value_info()) {
    if (unknown.count(info.name())) *to->add_value_info() = info;
  }
}

// A topological order of the nodes, the model's own where that is one and where there is none.
std::vector<size_t> SortedOrder(const onnx::GraphProto& graph) {
  const std::vector<std::vector<size_t>> after = NodesAfter(graph.node());
  std::vector<size_t> order(after.size());
  std::iota(order.begin(), order.end(), size_t{0});
  if (IsInOrder(after)) return order;
  return StableOrder(after).value_or(std::move(order));
}

void CopyGraph(const onnx::GraphProto& from, Copying* copying, onnx::GraphProto* to) {
  to->set_name(from.name());
  *to->mutable_input() = from.input();
  *to->mutable_output() = from.output();
  CopyValueInfo(from, *copying, to);
  for (const TensorProto& tensor : from.initializer()) {
    CopyWithoutWeights(tensor, copying->source, to->add_initializer());
  }
  for (const auto& sparse : from.sparse_initializer()) {
    onnx::SparseTensorProto* copy = to->add_sparse_initializer();
    *copy->mutable_dims() = sparse.dims();
    copy->mutable_values()->set_name(sparse.values().name());
    copy->mutable_values()->set_data_type(sparse.values().data_type());
  }
  const std::vector<size_t> order = SortedOrder(from);
  for (const size_t i : order) {
    CopyNode(from.node(static_cast<int>(i)), copying, to->add_node());
  }
  if (!std::is_sorted(order.begin(), order.end())) copying->moved.emplace_back(to, order);
}

// Puts the nodes of a copied graph where the model has them. Elements are swapped and not copied:
// pointers to their subgraphs stay good.
void PutBackInOrder(Moved* moved) {
  auto& [graph, order] = *moved;
  for (size_t i = 0; i < order.size(); ++i) {
    while (order[i] != i) {
      const size_t belongs = order[i];
      graph->mutable_node()->SwapElements(static_cast<int>(i), static_cast<int>(belongs));
      std::swap(order[i], order[belongs]);
    }
  }
}

// Each domain once: of several imports the runtime takes the last; a domain that is used without
// import stops onnx's inference, and most have no other version than 1.
void CopyImports(const onnx::ModelProto& model, Copying* copying, onnx::ModelProto* copy) {
  for (const auto& opset : model.opset_import()) {
    copying->opsets[DomainOf(opset.domain())] = static_cast<int>(opset.version());
  }
  (void)VisitNodes(model, [&](const onnx::NodeProto& node) {
    copying->opsets.emplace(DomainOf(node.domain()), 1);
    return OkStatus();
  });
  for (const auto& [domain, version] : copying->opsets) {
    auto* import = copy->add_opset_import();
    import->set_domain(domain);
    import->set_version(version);
  }
}

void CopyFunction(const onnx::FunctionProto& from, Copying* copying, onnx::FunctionProto* to) {
  to->set_domain(from.domain());
  to->set_name(from.name());
  if (from.has_overload()) to->set_overload(from.overload());
  *to->mutable_input() = from.input();
  *to->mutable_output() = from.output();
  *to->mutable_attribute() = from.attribute();
  *to->mutable_opset_import() = from.opset_import();
  for (const onnx::AttributeProto& attribute : from.attribute_proto()) {
    if (!attribute.has_t() && !attribute.has_g()) *to->add_attribute_proto() = attribute;
  }
  for (const onnx::NodeProto& node : from.node()) CopyNode(node, copying, to->add_node());
}

using FunctionsByName = std::unordered_map<std::string, const onnx::FunctionProto*>;

template <typename Work>
void UntilItThrows(const Work& work) {
  try {
    work(onnx::ShapeInferenceOptions(/*check_type_val=*/false, /*strict_mode_val=*/0,
                                     /*data_prop_val=*/true));
  } catch (const std::exception&) {
    // What was inferred before the throw is there; the rest stays unknown.
  }
}

size_t CountSubgraphs(const onnx::GraphProto& graph) {
  size_t count = 0;
  for (const onnx::NodeProto& node : graph.node()) {
    for (const onnx::GraphProto* subgraph : Subgraphs(node)) count += 1 + CountSubgraphs(*subgraph);
  }
  return count;
}

// For every subgraph onnx copies the table of all values around it. So a large graph with many is
// inferred piece by piece, each with what the pieces before it know of the values that it reads.
// (Elements of shapes that are computed in one piece are not known in the next.)
class Pieces {
 public:
  Pieces(const Opsets& opsets, const FunctionsByName& functions, onnx::GraphProto* graph)
      : opsets_(opsets), functions_(functions), graph_(*graph) {
    for (const auto& input : graph_.input()) types_[input.name()] = &input.type();
    for (const TensorProto& tensor : graph_.initializer()) tensors_[tensor.name()] = &tensor;
    for (const auto& output : graph_.output()) declared_[output.name()] = &output.type();
    for (const auto& info : graph_.value_info()) declared_[info.name()] = &info.type();
  }

  void Run() {
    for (int from = 0; from < graph_.node_size(); from += kPieceNodes) {
      pieces_.emplace_back(std::make_unique<onnx::GraphProto>());
      InferPiece(from, std::min(from + kPieceNodes, graph_.node_size()), pieces_.back().get());
    }
    for (const auto& piece : pieces_) {
      for (auto& info : *piece->mutable_value_info()) graph_.add_value_info()->Swap(&info);
    }
  }

 private:
  void InferPiece(int from, int to, onnx::GraphProto* piece) {
    NameSet made, given;
    for (int i = from; i < to; ++i) {
      const auto& outputs = graph_.node(i).output();
      made.insert(outputs.begin(), outputs.end());
    }
    for (int i = from; i < to; ++i) {
      for (const std::string& value : Reads(graph_.node(i))) {
        if (!made.count(value) && given.insert(value).second) Give(value, piece);
      }
      piece->add_node()->Swap(graph_.mutable_node(i));
    }
    for (const std::string& value : made) {
      const auto declared = declared_.find(value);
      if (declared != declared_.end()) Declare(value, *declared->second, piece->add_value_info());
    }
    UntilItThrows([&](const auto& options) {
      onnx::shape_inference::InferShapes(piece, opsets_, onnx::OpSchemaRegistry::Instance(),
                                         options, functions_);
    });
    for (int i = from; i < to; ++i) piece->mutable_node(i - from)->Swap(graph_.mutable_node(i));
    for (const auto& info : piece->value_info()) types_[info.name()] = &info.type();
  }

  void Give(const std::string& value, onnx::GraphProto* piece) const {
    if (const auto type = types_.find(value); type != types_.end()) {
      Declare(value, *type->second, piece->add_input());
    }
    const auto tensor = tensors_.find(value);
    if (tensor != tensors_.end()) *piece->add_initializer() = *tensor->second;
  }

  static void Declare(const std::string& name, const onnx::TypeProto& type,
                      onnx::ValueInfoProto* info) {
    info->set_name(name);
    *info->mutable_type() = type;
  }

  static constexpr int kPieceNodes = 1000;
  const Opsets& opsets_;
  const FunctionsByName& functions_;
  onnx::GraphProto& graph_;
  std::vector<std::unique_ptr<onnx::GraphProto>> pieces_;  // own what types_ points at
  std::unordered_map<std::string, const onnx::TypeProto*> types_, declared_;
  std::unordered_map<std::string, const TensorProto*> tensors_;
};

// What copying tables may cost before a graph is taken in pieces.
constexpr size_t kMostCopies = 5'000'000;

}  // namespace

onnx::ModelProto WithInferredTypes(const onnx::ModelProto& model, const TensorSource& source) {
  onnx::ModelProto copy;
  copy.set_ir_version(model.ir_version());
  Copying copying{source, {}, {}};
  CopyImports(model, &copying, &copy);
  for (const onnx::FunctionProto& function : model.functions()) {
    CopyFunction(function, &copying, copy.add_functions());
  }
  CopyGraph(model.graph(), &copying, copy.mutable_graph());
  FunctionsByName functions;
  for (const onnx::FunctionProto& function : copy.functions()) {
    std::string id = function.domain() + ":" + function.name();
    if (!function.overload().empty()) id += ":" + function.overload();
    functions.emplace(std::move(id), &function);
  }
  onnx::GraphProto* graph = copy.mutable_graph();
  const auto nodes = static_cast<size_t>(graph->node_size());
  if (CountSubgraphs(*graph) * nodes > kMostCopies) {
    Pieces(copying.opsets, functions, graph).Run();
  } else {
    UntilItThrows([&](const auto& options) {
      onnx::shape_inference::InferShapes(copy, onnx::OpSchemaRegistry::Instance(), options);
    });
  }
  for (Moved& moved : copying.moved) PutBackInOrder(&moved);
  return copy;
}

}  // namespace backendctx::model
