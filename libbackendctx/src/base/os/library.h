// Loading shared objects, and finding the one that this code is in.
#pragma once

#include <string>

#include "backendctx/export.h"
#include "backendctx/status.h"

namespace backendctx::os {

// A loaded shared object. The destructor closes it: what came out of it must be gone by then.
class Library {
 public:
  Library() = default;
  Library(Library&& other) noexcept;
  Library& operator=(Library&& other) noexcept;
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;
  ~Library();

  // `path` has a separator, so that no search path is asked. Every symbol is bound at once and
  // none is offered to others. Io with the loader's reason.
  static Result<Library> Open(const std::string& path);

  // NotFound when the object does not export it.
  Result<void*> Symbol(const char* name) const;
  template <typename Function>
  Result<Function> FunctionAt(const char* name) const {
    BCTX_ASSIGN_OR_RETURN(void* const symbol, Symbol(name));
    return reinterpret_cast<Function>(symbol);
  }

  const std::string& path() const { return path_; }
  // Leaves the object loaded until the process ends: for code that may have started threads.
  void Keep() { handle_ = nullptr; }

 private:
  void* handle_ = nullptr;
  std::string path_;
};

// The folder of the shared object (or program) that holds this code, resolved.
BCTX_API Result<std::string> CurrentModuleFolder();

}  // namespace backendctx::os
