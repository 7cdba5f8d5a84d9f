#pragma once
// NASDAQ TotalView-ITCH 5.0 in BinaryFILE framing (u16 big-endian length before each message): one stock's
// events.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "contracts/market_event.hpp"
#include "market_data/itch50_books.hpp"

namespace ringcraft {

struct ItchStock {
  std::uint16_t locate;
  std::string symbol;
};

/// Reads the stock directory ('R') of the whole file.
///
/// @note Reads no byte outside `bytes`, whatever they hold, as decode_itch50 does.
[[nodiscard]] ItchSummary list_itch50_stocks(std::span<const std::uint8_t> bytes,
                                             std::vector<ItchStock>& stocks);

struct ItchOptions {
  std::uint16_t locate = 0;            ///< the stock wanted
  std::uint32_t price_per_tick = 100;  ///< tick size in the feed's 1/10000
  std::int64_t midnight_ns = 0;        ///< UTC time of the day's start, which the feed's clock counts from
  bool depth = false;                  ///< whether to keep the levels at each event, 320 bytes
};

/// What is made of one stock's messages.
struct ItchTape {
  std::vector<MarketEvent> events;
  std::vector<BookDepth> depths;  ///< one an event where depth is asked for, else none
  StateCounts states;
};

/// Makes an event of each change of one stock's touch or state and of each trade.
class ItchEvents {
 public:
  ItchEvents(const ItchOptions& options, ItchTape& tape)
      : options_(options), tape_(tape), state_(1, options.price_per_tick) {}

  /// @param sequence the venue's number of the message.
  /// @param receive_ns the recorder's clock; 0: it kept none, and the venue's time stands for it.
  /// @return false where a field is none of the specification's.
  bool take(ItchMessage message, std::uint64_t sequence, std::int64_t receive_ns, ItchSummary& summary);
  /// Asks for the memory that the stock's messages among a packet's will need. Changes nothing.
  /// @param blocks messages, each behind its length; any bytes.
  void look_ahead(std::span<const std::uint8_t> blocks) noexcept {
    each_itch_message(blocks, [this](ItchMessage message) {
      if (message.locate() == options_.locate) note(message);
    });
    ask();
  }
  /// look_ahead() where the caller goes through the messages: at most kItchMostAhead of the stock's, then
  /// ask().
  void note(ItchMessage message) noexcept { lookahead_.note(state_, message); }
  void ask() noexcept { lookahead_.ask(state_); }
  /// Messages were missed: from here on nothing that the book says can be trusted.
  void missed() { state_.books.set_state(0, kGap, true); }

  /// How often the book went into each state.
  [[nodiscard]] const StateCounts& state_counts() const noexcept { return state_.books.state_counts(); }
  /// Says so on the tape. At the end.
  void finish() { tape_.states = state_counts(); }

 private:
  const ItchOptions& options_;
  ItchTape& tape_;
  ItchBooks<true> state_;
  ItchLookahead<true, ItchOnlyBook> lookahead_;
  BookTouch last_;
  std::uint16_t last_state_ = kOneSided;
};

/// Builds one stock's book and appends its events.
///
/// sequence is the message's number in the file, from 1. Events read before an error stand.
[[nodiscard]] ItchSummary decode_itch50(std::span<const std::uint8_t> bytes, const ItchOptions& options,
                                        ItchTape& tape);

}  // namespace ringcraft
