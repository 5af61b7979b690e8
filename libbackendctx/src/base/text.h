// Text that comes from files: is it clean, and how is it shown.
#pragma once

#include <string>
#include <string_view>

namespace backendctx::base {

// Well-formed UTF-8 (no overlong forms, no surrogates).
bool IsUtf8(std::string_view text);
// Well-formed UTF-8 without control characters (C0, DEL, C1): safe as a name.
bool IsCleanText(std::string_view text);
// `text` for a message: control characters and bytes that are no UTF-8 as \xNN, cut at `limit`
// bytes with "..." behind.
std::string Printable(std::string_view text, size_t limit = 200);

}  // namespace backendctx::base
