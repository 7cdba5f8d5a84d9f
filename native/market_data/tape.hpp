#pragma once
// A simulated tape: several stocks' order flow as one stream of messages, a piece at a time.

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "market_data/tape_flow.hpp"
#include "market_data/tape_output.hpp"
#include "market_data/tape_packets.hpp"

namespace ringcraft {

struct TapeOptions {
  std::uint64_t seed = 1;
  std::uint16_t stocks = 1;         ///< locate codes 1 .. stocks, RING, RING2, RING3, ..
  std::uint64_t start_ns = 0;       ///< since midnight
  double seconds = 0;               ///< of event time, and then it ends
  std::uint64_t most_messages = 0;  ///< it ends earlier, with the step that reaches so many; 0: no bound
  bool keep_touches = false;        ///< costs memory for each change of a touch
  bool packets = false;             ///< MoldUDP64 in a capture, rather than BinaryFILE
  PacketOptions packet;             ///< where packets are wanted
  std::vector<PacketFault> faults;
  FlowParameters flow;
  FlowSchedule schedule;
  std::vector<double> marks_s;  ///< moments whose message numbers are wanted, in any order
};

/// A second of a stock.
struct TapeSample {
  double signal;
  double efficient_ticks;
  double mid_ticks;
};

class Tape {
 public:
  explicit Tape(const TapeOptions& options);
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;
  Tape(Tape&&) = delete;
  Tape& operator=(Tape&&) = delete;
  ~Tape() = default;

  /// The next bytes, a little over `about_bytes` of them until the last; none once all are out.
  [[nodiscard]] std::vector<std::uint8_t> next(std::size_t about_bytes);

  [[nodiscard]] std::uint64_t messages() const noexcept { return output_.messages(); }
  [[nodiscard]] double seconds() const noexcept { return time_s_; }
  /// Of a stock, 0 the first, at each whole second from the start.
  [[nodiscard]] const std::vector<TapeSample>& samples(std::size_t stock) const { return samples_[stock]; }
  [[nodiscard]] const TapeFlow& flow(std::size_t stock) const { return *flows_[stock]; }
  [[nodiscard]] const std::vector<TapeTouch>& touches() const noexcept { return output_.touches; }
  /// For each of marks_s the number of the first message at or after it; one past the last where there is
  /// none.
  [[nodiscard]] const std::vector<std::uint64_t>& marks() const noexcept { return marks_; }
  [[nodiscard]] const std::array<std::uint64_t, 256>& by_type() const noexcept { return by_type_; }
  /// Null where no packets were asked for.
  [[nodiscard]] const PacketWriter* packets() const noexcept { return packets_.get(); }

 private:
  void begin();
  void end();
  void step();
  void hand_on();
  void sample_until(double time_s);
  void system(char code, double time_s);

  TapeOptions options_;
  TapeOutput output_;
  std::vector<std::unique_ptr<TapeFlow>> flows_;
  std::vector<std::vector<TapeSample>> samples_;
  std::vector<std::size_t> marks_by_time_;
  std::vector<std::uint64_t> marks_;
  std::size_t next_mark_ = 0;
  std::array<std::uint64_t, 256> by_type_{};
  std::uint64_t numbered_ = 0;
  std::unique_ptr<PacketWriter> packets_;
  std::vector<std::uint8_t> out_;
  double time_s_ = 0;
  bool begun_ = false;
  bool ended_ = false;
};

}  // namespace ringcraft
