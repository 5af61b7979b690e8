// Between a Session of ours and the provider in the same process: the session has decided and
// loaded already, and wants to know what became of it. The two meet by a ticket, which is the value
// of a provider option that no user can make up.
//
// Threads: tickets may be made and looked up on several threads; a handoff belongs to the one
// thread on which its session is made.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "provider/plan.h"
#include "provider/report.h"

namespace backendctx::ort {

inline constexpr char kTicketOption[] = "session";

struct Handoff {
  std::optional<Plan> plan;  // taken by the provider
  std::string model;         // what reports call it
  // Filled in by the provider.
  Status fatal;
  Observed observed;
  std::vector<Decision> decisions;
  std::string json;
};

// As long as it lives, the provider finds the handoff.
class Ticket {
 public:
  explicit Ticket(std::shared_ptr<Handoff> handoff);
  ~Ticket();
  Ticket(const Ticket&) = delete;
  Ticket& operator=(const Ticket&) = delete;
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

// Null when there is no such ticket.
std::shared_ptr<Handoff> FindHandoff(const std::string& ticket);

}  // namespace backendctx::ort
