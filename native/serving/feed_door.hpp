#pragma once
// The door by which market events come in: TCP, frames of u32 length, u8 kind, payload; little-endian.
//
//   1 HELLO  JSON: an array of instruments, or an object {"instruments": [...], "account": "...", "arm":
//   "..."};
//            with "depth": true, every event is followed by its levels, BookDepth;
//            answered by {"accepted": true} or {"error": "..."}
//   2 EVENTS n x MarketEvent (and its levels), instruments by their position in HELLO; not answered
//   3 END    answered by {"events": n, "decisions": n} once all is decided
//
// One publisher at a time; the next waits in the backlog until the one before has gone. A bad frame is
// answered by
// {"error": "..."} and the connection is closed.

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>

#include "serving/door.hpp"
#include "serving/engine.hpp"
#include "serving/feed_frames.hpp"

namespace ringcraft {

/// Where a HELLO waits for the Python side, which knows what an instrument must look like.
class HelloDesk {
 public:
  /// @throws std::runtime_error the system gives no eventfd.
  HelloDesk();
  ~HelloDesk();
  HelloDesk(const HelloDesk&) = delete;
  HelloDesk& operator=(const HelloDesk&) = delete;

  struct Verdict {
    Introduction introduction;
    std::string error;  ///< empty: accepted
  };

  /// Hands a HELLO's payload over. Decision thread, as the next two; set-up, not the decision path.
  void ask(std::string payload);

  /// The verdict once it is there; none after kHelloTimeout is one too.
  [[nodiscard]] std::optional<Verdict> verdict();

  /// Nobody waits for the verdict any more.
  void withdraw();

  /// Readable once there is a verdict.
  [[nodiscard]] int fd() const noexcept { return answered_; }

  /// The payload that waits, none after `timeout_s`.
  [[nodiscard]] std::optional<std::string> wait(double timeout_s);

  void answer(Verdict verdict);

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<std::string> question_;
  std::optional<Verdict> answer_;
  std::int64_t asked_ns_ = 0;
  int answered_ = -1;
};

class FeedDoor final : public Door {
 public:
  /// Listens.
  /// @param port 0: any free.
  /// @throws std::runtime_error the address cannot be had.
  FeedDoor(const std::string& host, std::uint16_t port, Engine& engine, HelloDesk& desk, Counters& counters);
  ~FeedDoor() override;

  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }

  bool poll() override;
  [[nodiscard]] int fd() const noexcept override { return epoll_; }
  void close() override;

 private:
  /// kAsking: a HELLO waits for its verdict. kLeaving: it was refused and may still be sending.
  enum class State : std::uint8_t { kAlone, kServing, kAsking, kLeaving };
  enum class Got : std::uint8_t { kNothing, kBytes, kEnd };

  [[nodiscard]] bool let_in();
  [[nodiscard]] bool serve();
  [[nodiscard]] bool hear_verdict();
  [[nodiscard]] bool see_off();
  void hang_up();
  void watch(int descriptor);
  [[nodiscard]] Got read_more();
  [[nodiscard]] bool take_frames();
  [[nodiscard]] bool refuse(const std::string& why);
  void reply(FrameKind kind, const std::string& json) const;

  Engine& engine_;
  HelloDesk& desk_;
  Counters& counters_;
  int listener_ = -1;
  int publisher_ = -1;
  int epoll_ = -1;
  int watched_ = -1;
  State state_ = State::kAlone;
  std::int64_t leaves_ns_ = 0;
  std::uint16_t port_ = 0;
  std::uint64_t decisions_before_ = 0;
  FeedFrames frames_;
};

}  // namespace ringcraft
