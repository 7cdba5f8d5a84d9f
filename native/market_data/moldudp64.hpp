#pragma once
// MoldUDP64: numbered messages in UDP packets, from two lines that carry the same, one of which may lose
// some. Source: NASDAQ, "MoldUDP64 Protocol Specification" 1.00.

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <vector>

namespace ringcraft {

using MoldSession = std::array<std::uint8_t, 10>;

/// The 20 bytes that ask a retransmission server for messages.
[[nodiscard]] std::array<std::uint8_t, 20> mold_request(const MoldSession& session, std::uint64_t from,
                                                        std::uint16_t count) noexcept;

/// Takes the messages of a session, each once, in order.
class MoldSink {
 public:
  MoldSink() = default;
  MoldSink(const MoldSink&) = delete;
  MoldSink& operator=(const MoldSink&) = delete;
  virtual ~MoldSink() = default;
  virtual void message(std::span<const std::uint8_t> bytes, std::uint64_t sequence, std::int64_t time_ns) = 0;
  /// A packet's messages are about to be handed on, but for those that came before: memory may be asked for.
  /// @param blocks its messages, each behind its length; they fill it exactly.
  virtual void ahead(std::span<const std::uint8_t> /*blocks*/) {}
  /// Messages from `from` on were lost for good.
  virtual void missed(std::uint64_t from, std::uint64_t count) = 0;
  /// Another session begins after the first: what its messages built is not known to hold any more.
  virtual void began_again() {}
};

struct MoldOptions {
  std::int64_t patience_ns = 100'000'000;  ///< how long a hole is waited for, on the recorder's clock
  std::size_t most_waiting = 1'024;        ///< packets held back behind a hole
  std::uint64_t first_sequence = 1;  ///< what a session begins with; higher: what came before is not wanted
};

struct MoldSummary {
  std::uint64_t packets = 0;
  std::uint64_t heartbeats = 0;
  std::uint64_t sessions = 0;
  std::uint64_t ended = 0;          ///< sessions whose end was told
  std::uint64_t messages = 0;       ///< handed on
  std::uint64_t duplicates = 0;     ///< messages that had come before
  std::uint64_t bad_packets = 0;    ///< too short, or whose messages do not fill it exactly: as if lost
  std::uint64_t other_session = 0;  ///< packets of another session than the one that runs
  std::uint64_t holes = 0;          ///< times that the next message was not the one expected
  std::uint64_t requested = 0;      ///< messages asked for again
  std::uint64_t gaps = 0;           ///< holes given up, and sessions after the first
  std::uint64_t missed = 0;         ///< messages in them
  std::vector<std::uint64_t> first_by_line;  ///< messages that a line brought first
};

/// Puts the lines' packets together again: whichever brings a message first has it handed on.
///
/// At a hole, later packets are held back, and the hole's messages are asked for once. It is filled by
/// whatever line brings them, or given up after a time, or when too many packets wait; then missed() is
/// called and the rest goes on. The session followed is the first seen; another begins only after its end,
/// and what it sends before is counted.
///
/// @note One thread. Takes memory only while there is a hole, and for a line never seen.
class MoldArbiter {
 public:
  /// Asks for messages; may call take() with the answer before it returns, or have it called later.
  using Request = std::function<void(const MoldSession& session, std::uint64_t from, std::uint64_t count)>;

  MoldArbiter(MoldSink& sink, const MoldOptions& options, Request request)
      : sink_(sink), options_(options), request_(std::move(request)) {}

  /// @param line a small number of the caller's.
  void take(std::span<const std::uint8_t> packet, std::int64_t time_ns, std::size_t line);
  /// Time passes though nothing comes: a hole that is waited for too long is given up.
  void tick(std::int64_t time_ns);
  /// Number of the next message.
  [[nodiscard]] std::uint64_t expected() const noexcept { return expected_; }
  /// Whether a session's end was told and all before it was handed on, and no other has begun.
  [[nodiscard]] bool ended() const noexcept { return !running_ && summary_.ended > 0; }
  /// Nothing more will come: holes are given up.
  void finish();
  [[nodiscard]] const MoldSummary& summary() const noexcept { return summary_; }

 private:
  struct Waiting {
    std::vector<std::uint8_t> packet;
    std::int64_t time_ns;
    std::size_t line;
  };

  bool follows(const MoldSession& session);
  void hand_on(std::span<const std::uint8_t> packet, std::int64_t time_ns, std::size_t line);
  void hand_on_waiting();
  void give_up_if_due(std::int64_t time_ns);
  [[nodiscard]] std::int64_t waited(std::int64_t time_ns) const noexcept;
  void give_up();
  void ask();
  void settle();
  [[nodiscard]] std::uint64_t hole_end() const noexcept;

  MoldSink& sink_;
  MoldOptions options_;
  Request request_;
  MoldSession session_{};
  bool running_ = false;
  bool ending_ = false;
  std::uint64_t expected_ = 1;  ///< the next message's number
  std::uint64_t known_ = 1;     ///< one past the highest number heard of
  std::uint64_t asked_ = 0;     ///< one past the highest number asked for
  std::int64_t hole_since_ns_ = 0;
  bool in_hole_ = false;
  std::map<std::uint64_t, Waiting> waiting_;
  MoldSummary summary_;
};

}  // namespace ringcraft
