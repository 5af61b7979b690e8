#include "plugin/neighbours.h"

#include <dlfcn.h>

namespace backendctx::openvino {

std::string Neighbour(const std::string& name) {
  static const char here = 0;
  Dl_info info{};
  if (dladdr(&here, &info) == 0 || info.dli_fname == nullptr) return name;
  const std::string path = info.dli_fname;
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "./" + name : path.substr(0, slash + 1) + name;
}

}  // namespace backendctx::openvino
