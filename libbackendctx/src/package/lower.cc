#include "package/lower.h"

#include "fmt/format.h"
#include "package/state.h"

namespace backendctx::package {
namespace {

Result<std::string> Encode(const Package::State& state, const model::FlatModel& flat,
                           const model::FrontTag& tag) {
  BCTX_ASSIGN_OR_RETURN(
      const std::vector<model::EncodedPartition> partitions,
      FrontPartitions(state.manifest, tag.variant, tag.encoding, tag.prefer, flat.view(),
                      [&state](const Digest& body) { return ReadBody(state, body); }));
  return model::EncodeFront(flat, partitions, tag, LayoutOf(state.reader->index()));
}

// Why the front's own bytes are the only ones that say what it is; empty: the contents do.
Result<std::string> WhyNotDerived(const Package::State& state, const model::FlatModel& flat) {
  const model::FrontTag& tag = *state.decoded->tag;
  if (tag.encoder != model::kEncoderVersion) {
    return fmt::format("the front is of encoder {}, this library writes {}", tag.encoder,
                       model::kEncoderVersion);
  }
  BCTX_ASSIGN_OR_RETURN(const std::string made, Encode(state, flat, tag));
  return made == state.front ? std::string() : "the front was edited after it was packed";
}

}  // namespace

std::optional<model::FrontTag> TagOf(const Package& package) {
  const Package::State& state = package.state();
  return state.decoded ? state.decoded->tag : std::nullopt;
}

Result<Lowered> Lower(const Package& package, const std::vector<std::string>& prefer) {
  const Package::State& state = package.state();
  if (!state.decoded || !state.decoded->tag) return Lowered{"", "it is no front of a package"};
  if (state.IsEmbedded()) return Lowered{"", "the container is inside the front"};
  model::FrontTag tag = *state.decoded->tag;
  BCTX_ASSIGN_OR_RETURN(const model::FlatModel flat, OpenGraph(state, tag.variant));
  BCTX_ASSIGN_OR_RETURN(const std::string why, WhyNotDerived(state, flat));
  if (!why.empty()) return Lowered{"", why};
  tag.encoding = model::Encoding::kFunction;
  tag.prefer = prefer;
  Result<std::string> front = Encode(state, flat, tag);
  if (front) return Lowered{std::move(*front), ""};
  // What functions cannot carry is no fault of the package.
  if (front.error().code() == StatusCode::kUnimplemented) {
    return Lowered{"", front.error().message()};
  }
  return front.status();
}

}  // namespace backendctx::package
