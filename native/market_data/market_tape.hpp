#pragma once
// A whole market's day as ITCH 5.0 bytes: thousands of stocks, every message type, books that never cross.

#include <cstdint>
#include <memory>
#include <vector>

namespace ringcraft {

struct MarketTapeParameters {
  std::uint64_t seed = 1;
  std::uint16_t stocks = 8'000;         ///< locate codes 1 .. stocks, symbols S00001 ..
  std::uint64_t messages = 1'000'000;   ///< after the opening ones
  std::uint32_t live_orders = 100'000;  ///< about how many rest at a time, all stocks together
  std::uint32_t reference_step = 1;     ///< between successive order references: 1 is dense
};

/// Order flow without a signal: adds around a mid that wanders, deletes and replaces of random orders,
/// executions of the order that is next at the touch. Stock i is as active as 1 / i, as in real markets
/// about.
class MarketTape {
 public:
  /// Opens the day; `parameters.messages` spreads it over the session.
  explicit MarketTape(const MarketTapeParameters& parameters);
  ~MarketTape();
  MarketTape(const MarketTape&) = delete;
  MarketTape& operator=(const MarketTape&) = delete;

  /// The next messages' bytes, whole ones, the opening ones before the first and the closing ones after the
  /// last; empty once the day is over.
  [[nodiscard]] std::vector<std::uint8_t> next(std::uint64_t messages);

 private:
  class Flow;
  std::unique_ptr<Flow> flow_;
};

/// @return the whole day's BinaryFILE bytes, the same for the same parameters, always.
[[nodiscard]] std::vector<std::uint8_t> write_market_tape(const MarketTapeParameters& parameters);

}  // namespace ringcraft
