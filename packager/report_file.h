// The file that a report goes to, judged before anything is made.
#pragma once

#include <backendctx/status.h>

#include <string>
#include <vector>

namespace backendctx::tools {

// InvalidArgument: `report` is one of `in_use` (by another name, too; none of them need exist), or
// a file of the package whose front is `output`, or exists without `force`. UnsafePath: it is there
// and no regular file. Io: it could not be written. An empty `report` is fine.
Status CheckReportFile(const std::string& report, const std::vector<std::string>& in_use,
                       const std::string& output, bool force);

}  // namespace backendctx::tools
