#pragma once
// Asks a MoldUDP64 re-request server for what no line brought, over UDP, until it has come or is given up.
// Source: NASDAQ, "MoldUDP64 Protocol Specification" 1.00, "Request Packet": the server answers with one
// packet, which may hold fewer messages than asked for.

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "market_data/moldudp64.hpp"

namespace ringcraft {

/// What to ask for next. No clock and no socket of its own.
class MoldRequestPlan {
 public:
  /// @param retry_ns how long an answer is waited for.
  explicit MoldRequestPlan(std::int64_t retry_ns) : retry_ns_(retry_ns) { wanted_.reserve(64); }

  /// Messages [from, from + count) are missing; in rising order.
  void want(const MoldSession& session, std::uint64_t from, std::uint64_t count);
  /// Everything before `next` has come or was given up.
  void done(std::uint64_t next) noexcept;
  /// Whether to ask now, and for what.
  [[nodiscard]] bool due(std::int64_t now_ns, std::uint64_t& from, std::uint16_t& count) noexcept;
  [[nodiscard]] bool idle() const noexcept { return wanted_.empty(); }
  [[nodiscard]] const MoldSession& session() const noexcept { return session_; }

 private:
  struct Range {
    std::uint64_t from;
    std::uint64_t to;
  };
  MoldSession session_{};
  std::vector<Range> wanted_;
  std::int64_t retry_ns_;
  std::uint64_t asked_from_ = 0;  ///< of the request under way; 0: none
  std::int64_t asked_ns_ = 0;
};

class MoldRequester {
 public:
  /// @param server HOST:PORT, IPv4.
  /// @throws std::runtime_error a bad address.
  explicit MoldRequester(const std::string& server);
  ~MoldRequester();
  MoldRequester(const MoldRequester&) = delete;
  MoldRequester& operator=(const MoldRequester&) = delete;

  void want(const MoldSession& session, std::uint64_t from, std::uint64_t count) {
    plan_.want(session, from, count);
  }
  /// Hands answers on as of `line`, and asks for what is due. Costs nothing where nothing is missing.
  void serve(MoldArbiter& arbiter, std::int64_t now_ns, std::size_t line);
  [[nodiscard]] bool idle() const noexcept { return plan_.idle(); }
  /// Packets sent and received.
  [[nodiscard]] std::uint64_t requests() const noexcept { return requests_; }
  [[nodiscard]] std::uint64_t answers() const noexcept { return answers_; }

 private:
  static constexpr std::int64_t kRetryNs = 10'000'000;
  MoldRequestPlan plan_{kRetryNs};
  int file_ = -1;
  std::uint64_t requests_ = 0;
  std::uint64_t answers_ = 0;
  std::array<std::uint8_t, 65'536> room_{};
};

}  // namespace ringcraft
