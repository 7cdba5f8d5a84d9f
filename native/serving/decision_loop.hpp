#pragma once
// The decision thread: round all doors, and between rounds whatever changed outside.

#include <atomic>
#include <vector>

#include "serving/door.hpp"
#include "serving/engine.hpp"

namespace ringcraft {

class DecisionLoop {
 public:
  /// @param busy_poll never sleeps: a core for a few microseconds.
  /// @throws std::runtime_error the system gives no epoll.
  DecisionLoop(Engine& engine, Holdings& holdings, bool busy_poll);
  ~DecisionLoop();
  DecisionLoop(const DecisionLoop&) = delete;
  DecisionLoop& operator=(const DecisionLoop&) = delete;

  /// Before run(). The door must outlive the loop.
  /// @throws std::runtime_error its descriptor cannot be waited on.
  void add(Door& door);

  /// Goes round until `stop`; then closes the doors and ends the feed.
  void run(const std::atomic<bool>& stop);

 private:
  void wait() const noexcept;

  Engine& engine_;
  Holdings& holdings_;
  std::vector<Door*> doors_;
  int epoll_ = -1;
  int wait_ms_;
  bool busy_poll_;
};

}  // namespace ringcraft
