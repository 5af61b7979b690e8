#include <algorithm>

#include "backendctx/manifest.h"

namespace backendctx::manifest {
namespace {

template <typename T>
const T* Find(const std::vector<T>& list, std::string T::* key, const std::string& wanted) {
  const auto found =
      std::find_if(list.begin(), list.end(), [&](const T& item) { return item.*key == wanted; });
  return found == list.end() ? nullptr : &*found;
}

}  // namespace

const Partition* Manifest::FindPartition(const std::string& id) const {
  return Find(partitions, &Partition::id, id);
}
const Context* Manifest::FindContext(const std::string& id) const {
  return Find(contexts, &Context::id, id);
}
const Variant* Manifest::FindVariant(const std::string& wanted) const {
  return Find(variants, &Variant::name, wanted);
}

}  // namespace backendctx::manifest
