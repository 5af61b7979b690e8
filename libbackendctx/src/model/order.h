// A stable topological order, for model and scope.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <queue>
#include <vector>

namespace backendctx::model {

// True when every item comes before those that wait for it.
inline bool IsInOrder(const std::vector<std::vector<size_t>>& after) {
  for (size_t i = 0; i < after.size(); ++i) {
    for (const size_t item : after[i]) {
      if (item <= i) return false;
    }
  }
  return true;
}

// Kahn's algorithm over items 0..n-1, where the smallest item that is ready comes first: what is in
// order already stays as it is. `after[i]` holds the items that wait for i, one entry for each
// reason to wait. Nothing: there is a cycle.
inline std::optional<std::vector<size_t>> StableOrder(
    const std::vector<std::vector<size_t>>& after) {
  std::vector<size_t> waits(after.size(), 0), order;
  for (const auto& list : after) {
    for (const size_t item : list) ++waits[item];
  }
  std::priority_queue<size_t, std::vector<size_t>, std::greater<>> ready;
  for (size_t i = 0; i < after.size(); ++i) {
    if (waits[i] == 0) ready.push(i);
  }
  while (!ready.empty()) {
    const size_t item = ready.top();
    ready.pop();
    order.push_back(item);
    for (const size_t next : after[item]) {
      if (--waits[next] == 0) ready.push(next);
    }
  }
  if (order.size() != after.size()) return std::nullopt;
  return order;
}

// How many items each one still waits for when all that is ready has been taken away, again and
// again: more than 0 for those on a cycle and those behind one.
inline std::vector<size_t> StillWaiting(const std::vector<std::vector<size_t>>& after) {
  std::vector<size_t> waits(after.size(), 0), ready;
  for (const auto& list : after) {
    for (const size_t item : list) ++waits[item];
  }
  for (size_t i = 0; i < after.size(); ++i) {
    if (waits[i] == 0) ready.push_back(i);
  }
  while (!ready.empty()) {
    const size_t item = ready.back();
    ready.pop_back();
    for (const size_t next : after[item]) {
      if (--waits[next] == 0) ready.push_back(next);
    }
  }
  return waits;
}

}  // namespace backendctx::model
