#include "provider/handoff.h"

#include <map>
#include <mutex>

namespace backendctx::ort {
namespace {

struct Handoffs {
  std::mutex mutex;
  uint64_t made = 0;
  std::map<std::string, std::shared_ptr<Handoff>> by_ticket;
};

Handoffs& All() {
  static auto* const all = new Handoffs;
  return *all;
}

}  // namespace

Ticket::Ticket(std::shared_ptr<Handoff> handoff) {
  Handoffs& all = All();
  const std::lock_guard lock(all.mutex);
  text_ = std::to_string(++all.made);
  all.by_ticket[text_] = std::move(handoff);
}

Ticket::~Ticket() {
  Handoffs& all = All();
  const std::lock_guard lock(all.mutex);
  all.by_ticket.erase(text_);
}

std::shared_ptr<Handoff> FindHandoff(const std::string& ticket) {
  Handoffs& all = All();
  const std::lock_guard lock(all.mutex);
  const auto it = all.by_ticket.find(ticket);
  return it != all.by_ticket.end() ? it->second : nullptr;
}

}  // namespace backendctx::ort
