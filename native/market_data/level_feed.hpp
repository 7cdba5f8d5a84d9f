#pragma once
// One instrument's book from a feed of price levels, and the market events that follow from it.

#include <cstdint>
#include <limits>
#include <string_view>
#include <vector>

#include "contracts/market_event.hpp"
#include "market_data/books.hpp"
#include "market_data/level_text.hpp"

namespace ringcraft {

/// What is known besides the touch when an event is kept.
struct EventContext {
  std::int64_t event_ns;
  std::int64_t receive_ns;
  std::uint64_t sequence;
  std::uint16_t flags;  ///< states that do not follow from the touch
  std::int64_t trade_ticks;
  std::int64_t trade_lots;
};

/// A level book, the venue's own statement of the touch where it makes one, and the events kept of both.
///
/// Text that is wrong in any place changes nothing.
///
/// @note One thread.
class LevelFeed {
 public:
  LevelFeed(Grid price, Grid quantity, bool keep_depth)
      : price_(price), quantity_(quantity), keep_depth_(keep_depth), books_(1) {}

  /// Makes the book hold these levels and no others.
  LevelFault load(std::string_view bids, std::string_view asks);

  /// Changes the levels named, then cuts each side to its `most` best ones; 0: cuts none.
  LevelFault change(std::string_view bids, std::string_view asks, std::uint32_t most);

  void clear() noexcept { books_.clear(0); }

  /// Takes the venue's own statement of its touch; it stands until told otherwise.
  LevelFault quote(std::string_view bid, std::string_view bid_lots, std::string_view ask,
                   std::string_view ask_lots) noexcept;

  /// Whether the quote is newer than the book, so that the touch is the quote's.
  void prefer_quote(bool on) noexcept { quoted_ = on; }

  /// The touch as it stands: the quote's where it is newer, else the book's.
  [[nodiscard]] BookTouch touch() const noexcept { return quoted_ ? quote_ : books_.best(0); }
  [[nodiscard]] BookTouch quoted_touch() const noexcept { return quote_; }
  [[nodiscard]] BookTouch book_touch() const noexcept { return books_.best(0); }

  /// The best levels: the book's behind the touch. A quote takes the place of what the book has at its prices
  /// and better.
  [[nodiscard]] BookDepth depth() const noexcept;

  /// Beyond these prices the book is not known: depth() stops before them.
  void set_edges(std::int64_t lowest_bid_ticks, std::int64_t highest_ask_ticks) noexcept {
    lowest_bid_ticks_ = lowest_bid_ticks;
    highest_ask_ticks_ = highest_ask_ticks;
  }

  [[nodiscard]] const Books<true>& books() const noexcept { return books_; }
  [[nodiscard]] Units ticks_of(std::string_view price) const noexcept;
  [[nodiscard]] Units lots_of(std::string_view quantity) const noexcept;

  /// The latest time of a level in the last text that was read; 0: it had none.
  [[nodiscard]] std::int64_t newest_ns() const noexcept { return newest_ns_; }

  /// Asks that were left out for their price, which is too big to be kept and meant by nobody.
  [[nodiscard]] std::uint64_t far_levels() const noexcept { return far_levels_; }

  /// Keeps an event with the touch as it stands, and counts the states that it enters and leaves.
  void record(const EventContext& context);

  /// Events and, where kept, depths since the last call of forget().
  [[nodiscard]] const std::vector<MarketEvent>& events() const noexcept { return events_; }
  [[nodiscard]] const std::vector<BookDepth>& depths() const noexcept { return depths_; }
  void forget() noexcept {
    events_.clear();
    depths_.clear();
  }
  [[nodiscard]] const StateCounts& state_counts() const noexcept { return counts_; }

 private:
  LevelFault read(std::string_view bids, std::string_view asks);
  void apply();
  void cut(Side side, std::uint32_t most);
  void count_states(std::uint16_t to) noexcept;

  Grid price_;
  Grid quantity_;
  bool keep_depth_;
  bool quoted_ = false;
  BookTouch quote_;
  std::int64_t lowest_bid_ticks_ = 0;
  std::int64_t highest_ask_ticks_ = std::numeric_limits<std::int64_t>::max();
  Books<true> books_;
  std::int64_t newest_ns_ = 0;
  std::uint64_t far_levels_ = 0;
  std::uint16_t flags_ = 0;
  std::vector<LevelChange> bids_;
  std::vector<LevelChange> asks_;
  std::vector<MarketEvent> events_;
  std::vector<BookDepth> depths_;
  StateCounts counts_;
};

}  // namespace ringcraft
