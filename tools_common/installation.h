// Where the parts of this installation are: beside the running program and the library.
#pragma once

#include <map>
#include <string>

namespace backendctx::tools {

std::string ProgramFolder();  // of the running program
std::string LibraryFolder();  // of libbackendctx.so
// BACKENDCTX_ORT_LIBRARY, else libonnxruntime.so* beside libbackendctx.so; "" when there is none.
std::string FindRuntimeLibrary();
// User-mode emulators in PATH, by the architecture that they run.
std::map<std::string, std::string> FindEmulators();
std::string TemporaryFolder();  // TMPDIR, else /tmp

}  // namespace backendctx::tools
