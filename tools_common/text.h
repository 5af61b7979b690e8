// Text for people: names from files made harmless, sizes, aligned tables of at most 80 columns.
//
// Threads: plain functions and values.
#pragma once

#include <backendctx/digest.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace backendctx::tools {

inline constexpr size_t kColumns = 80;

// Names in a package are somebody else's bytes: control characters, broken UTF-8 and the marks that
// reorder text on a terminal become \xNN or \u{NNNN}.
std::string Escape(std::string_view text);

std::string HumanBytes(uint64_t bytes);                       // "712 B", "9.1 KiB", "86.2 MiB"
std::string HumanSeconds(double seconds);                     // "12 ms", "1.42 s"
std::string ShortDigest(const Digest& digest);                // first 12 digits
std::string Plural(uint64_t count, const std::string& noun);  // "1 context", "2 contexts"
std::string Join(const std::vector<std::string>& parts, std::string_view separator);
std::vector<std::string> Split(const std::string& text, char separator);  // no empty parts

// Columns that a terminal shows for UTF-8 text without escapes, one for each code point.
size_t DisplayWidth(std::string_view text);

// Breaks text at blanks so that no line is longer than kColumns, each line after `indent` blanks.
std::string Wrap(const std::string& text, size_t indent);

enum class Align { kLeft, kRight };

// Rows of cells; widths follow the widest cell, and the last left-aligned column gives way when a
// row would be longer than kColumns.
class Table {
 public:
  explicit Table(std::vector<Align> columns) : columns_(std::move(columns)) {}
  void Row(std::vector<std::string> cells);
  bool empty() const { return rows_.empty(); }
  std::string Text(size_t indent) const;

 private:
  std::vector<size_t> Widths(size_t indent) const;

  std::vector<Align> columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace backendctx::tools
