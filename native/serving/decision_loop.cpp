#include "serving/decision_loop.hpp"

#include <sys/epoll.h>
#include <unistd.h>

#include <array>

#include "transport/shared_region.hpp"

namespace ringcraft {
namespace {

/// Plans, routes, the heartbeat and the end are looked at this often at least.
constexpr int kIdleMs = 20;
/// With a door that only looking tells of.
constexpr int kLookMs = 1;

}  // namespace

DecisionLoop::DecisionLoop(Engine& engine, Holdings& holdings, bool busy_poll)
    : engine_(engine),
      holdings_(holdings),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      wait_ms_(kIdleMs),
      busy_poll_(busy_poll) {
  if (epoll_ < 0) {
    throw system_failure("decision loop");
  }
}

DecisionLoop::~DecisionLoop() { ::close(epoll_); }

void DecisionLoop::add(Door& door) {
  doors_.push_back(&door);
  if (door.fd() < 0) {
    wait_ms_ = kLookMs;
    return;
  }
  epoll_event event{};
  event.events = EPOLLIN;
  if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, door.fd(), &event) != 0) {
    throw system_failure("decision loop: door");
  }
}

void DecisionLoop::run(const std::atomic<bool>& stop) {
  while (!stop.load(std::memory_order_relaxed)) {
    engine_.adopt();
    // Nowhere else: the engine keeps the plans it adopted until it adopts again.
    holdings_.pass(Holdings::kDecisions);
    bool worked = false;
    for (Door* door : doors_) {
      worked = door->poll() || worked;
    }
    if (!worked && !busy_poll_) {
      wait();
    }
  }
  for (Door* door : doors_) {
    door->close();
  }
  engine_.end_feed();
}

void DecisionLoop::wait() const noexcept {
  std::array<epoll_event, 8> ready{};
  ::epoll_wait(epoll_, ready.data(), static_cast<int>(ready.size()), wait_ms_);
}

}  // namespace ringcraft
