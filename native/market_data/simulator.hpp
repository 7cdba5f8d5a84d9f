#pragma once
// A zero-intelligence order book with one planted, weak edge, written as ITCH 5.0 bytes.

#include <cstdint>
#include <vector>

namespace ringcraft {

/// Poisson rates in 1/s of event time; tilts are exponents per standard deviation of the hidden signal.
///
/// The signal x follows an Ornstein-Uhlenbeck process of unit variance. A side's market orders come at
/// market_rate * exp(+-market_tilt x), limit orders at distance d from the other side's best at
/// limit_rate * limit_decay^(d-1) * exp(+-limit_tilt x), and each resting order is cancelled at
/// cancel_rate * exp(-+cancel_tilt x): while x > 0, buyers are more eager on every count.
/// After Smith, Farmer, Gillemot & Krishnamurthy (2003), Quantitative Finance 3(6), but for the signal.
struct SimulatorParameters {
  double relaxation_s;
  double market_rate;
  double market_tilt;
  double limit_rate;
  double limit_decay;
  double limit_tilt;
  double cancel_rate;
  double cancel_tilt;
  std::int64_t start_ticks;
};

struct SimulatorResult {
  std::vector<std::uint8_t> itch;  ///< BinaryFILE bytes, one stock, locate 1, tick 0.01, lots of 100 shares
  std::vector<double> signal;      ///< x at each whole second from the start
  std::vector<double> mid_ticks;   ///< the mid at the same instants
  std::uint64_t touch_changes = 0;
  double seconds = 0;  ///< event time simulated
};

/// Simulates until `seconds` of event time or `touch_changes` changes of the touch, whichever comes first.
///
/// @return the same bytes for the same arguments, always.
[[nodiscard]] SimulatorResult simulate_itch50(std::uint64_t seed, double seconds, std::uint64_t touch_changes,
                                              const SimulatorParameters& parameters);

}  // namespace ringcraft
