#pragma once
// Where the simulated stocks write: one stream of numbered messages, and what each did to its stock's touch.

#include <cstdint>
#include <vector>

#include "market_data/book_types.hpp"
#include "market_data/itch50_writer.hpp"

namespace ringcraft {

/// A change of a stock's touch or state as the simulator's own book saw it.
struct TapeTouch {
  std::int64_t message;  ///< its number, from 1
  std::int64_t locate;
  std::int64_t bid_ticks, bid_lots, ask_ticks, ask_lots;
  std::int64_t state;  ///< EventFlag bits
};

class TapeOutput {
 public:
  /// @param start_ns since midnight. @param stocks locate codes are 1 .. stocks.
  TapeOutput(std::uint64_t start_ns, std::uint16_t stocks, bool keep_touches)
      : keep_touches_(keep_touches), start_ns_(start_ns), last_(stocks + 1U) {}

  [[nodiscard]] std::uint64_t time_ns(double time_s) const noexcept {
    return start_ns_ + static_cast<std::uint64_t>(time_s * 1e9);
  }
  [[nodiscard]] std::uint64_t start_ns() const noexcept { return start_ns_; }
  [[nodiscard]] std::uint64_t messages() const noexcept { return messages_; }
  std::uint64_t next_reference() noexcept { return ++references_; }
  std::uint64_t next_match() noexcept { return ++matches_; }

  /// To be called after each message: it is the stock's, and left its book so. Locate 0: of no stock.
  void wrote(std::uint16_t locate, const BookTouch& touch, std::uint16_t state) {
    ++messages_;
    if (!keep_touches_ || locate == 0) return;
    if (touch.bid_lots == 0 || touch.ask_lots == 0) {
      state |= kOneSided;
    } else if (touch.bid_ticks >= touch.ask_ticks) {
      state |= touch.bid_ticks > touch.ask_ticks ? kCrossed : kLocked;
    }
    Last& last = last_[locate];
    if (last.touch == touch && last.state == state) return;
    last = {touch, state};
    touches.push_back({static_cast<std::int64_t>(messages_), locate, touch.bid_ticks, touch.bid_lots,
                       touch.ask_ticks, touch.ask_lots, state});
  }

  ItchWriter writer;
  std::vector<TapeTouch> touches;

 private:
  struct Last {
    BookTouch touch;
    std::uint16_t state = kOneSided;
  };

  bool keep_touches_;
  std::uint64_t start_ns_;
  std::uint64_t messages_ = 0;
  std::uint64_t references_ = 0;
  std::uint64_t matches_ = 0;
  std::vector<Last> last_;
};

}  // namespace ringcraft
