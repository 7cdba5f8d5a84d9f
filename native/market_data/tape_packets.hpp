#pragma once
// Simulated messages as MoldUDP64 packets of two lines in one capture, with what networks do to them.

#include <array>
#include <cstdint>
#include <queue>
#include <span>
#include <vector>

#include "market_data/random.hpp"

namespace ringcraft {

struct PacketOptions {
  std::int64_t midnight_ns = 0;       ///< UTC; the recorder's clock counts from 1970
  std::uint32_t most_messages = 8;    ///< in a packet
  std::uint64_t linger_ns = 50'000;   ///< how long a packet waits for more messages, by their own times
  std::uint64_t latency_ns = 20'000;  ///< from the last message to the recorder, on line A
  std::uint64_t line_b_ns = 5'000;    ///< what line B takes longer
  std::uint64_t heartbeat_ns = 1'000'000'000;
};

enum class FaultKind : std::uint8_t {
  kGap,        ///< from start on, packets are lost until `amount` messages are
  kLoss,       ///< a share of packets is lost
  kDuplicate,  ///< a share comes twice, the second time `amount` µs later
  kReorder,    ///< a share comes `amount` µs late
  kHold,       ///< what is sent comes only at the end
  kSkew,       ///< the recorder's clock is `amount` µs ahead and gains `ppm`
};

/// What goes wrong from start_ns on and before end_ns, since midnight.
struct PacketFault {
  FaultKind kind;
  std::uint64_t start_ns;
  std::uint64_t end_ns;
  std::uint8_t lines;  ///< bit 0: A, bit 1: B
  double share;
  double amount;
  double ppm;
  bool answered;  ///< what is lost can be had from the retransmission
};

struct FaultReport {
  std::uint64_t packets = 0;  ///< that it struck, of both lines
  std::uint64_t messages = 0;
  std::uint64_t first_message = 0;  ///< 0: none
  std::uint64_t last_message = 0;
};

struct LostRange {
  std::uint64_t first;  ///< number of the first message that came on neither line
  std::uint64_t count;
};

struct PacketSummary {
  std::array<std::uint64_t, 2> packets{};    ///< recorded, of each line, without heartbeats and the end
  std::array<std::uint64_t, 2> overtaken{};  ///< recorded after a packet with higher numbers of the same line
  std::uint64_t heartbeats = 0;
  std::uint64_t recorded_messages = 0;  ///< as often as they were
  std::uint64_t messages = 0;           ///< sent
  std::uint64_t lost_messages = 0;      ///< on both lines
};

/// @note One thread. Holds packets on their way: a few, or all of what a kHold holds.
class PacketWriter {
 public:
  PacketWriter(std::uint64_t seed, const PacketOptions& options, std::vector<PacketFault> faults);

  /// @param time_ns since midnight; never before the last.
  void message(std::span<const std::uint8_t> bytes, std::uint64_t time_ns);
  /// Sends what waits and the end of the session.
  void finish(std::uint64_t time_ns);

  [[nodiscard]] const PacketSummary& summary() const noexcept { return summary_; }
  [[nodiscard]] const std::vector<FaultReport>& reports() const noexcept { return reports_; }
  [[nodiscard]] const std::vector<LostRange>& lost() const noexcept { return lost_; }

  std::vector<std::uint8_t> out;      ///< the capture: pcap, ns, Ethernet; whoever takes it leaves it empty
  std::vector<std::uint8_t> answers;  ///< the capture of a retransmission; empty where nothing can be had

 private:
  struct Frame {
    std::uint64_t arrival_ns;
    std::uint64_t serial;
    std::uint64_t last_message;  ///< 0: a heartbeat or the end
    std::uint32_t messages;
    std::uint8_t line;
    std::vector<std::uint8_t> bytes;
    bool operator>(const Frame& other) const noexcept {
      return arrival_ns != other.arrival_ns ? arrival_ns > other.arrival_ns : serial > other.serial;
    }
  };
  /// A line's copy of a packet on its way.
  struct Copy {
    bool lost = false;
    bool answered = false;
    bool twice = false;
    std::uint64_t late_ns = 0;
    std::uint64_t not_before_ns = 0;
    std::uint64_t second_ns = 0;
  };

  void send_heartbeats(std::uint64_t until_ns);
  void send(std::uint64_t time_ns, std::uint16_t count);
  [[nodiscard]] Copy suffer(std::uint64_t time_ns, std::uint8_t line);
  void strike(std::size_t fault, std::uint8_t line);
  void queue(std::uint64_t arrival_ns, std::uint8_t line);
  void record_until(std::uint64_t time_ns);
  void record(const Frame& frame);
  [[nodiscard]] std::int64_t clock_ns(std::uint64_t time_ns);

  PacketOptions options_;
  std::vector<PacketFault> faults_;
  std::vector<FaultReport> reports_;
  std::vector<std::array<std::uint64_t, 2>> gone_;  ///< messages that each gap took from each line
  Random random_;
  std::vector<std::uint8_t> payload_;
  std::uint32_t waiting_ = 0;  ///< messages in the payload
  std::uint64_t first_ns_ = 0;
  std::uint64_t last_ns_ = 0;
  std::uint64_t sent_ns_ = 0;
  std::uint64_t next_number_ = 1;
  std::uint64_t serial_ = 0;
  std::array<std::uint64_t, 2> highest_{};
  std::priority_queue<Frame, std::vector<Frame>, std::greater<>> on_the_way_;
  std::vector<LostRange> lost_;
  PacketSummary summary_;
};

}  // namespace ringcraft
