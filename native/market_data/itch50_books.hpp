#pragma once
// ITCH 5.0 messages applied to books: what each type does, and a run over a file that asks for memory ahead.

#include <array>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "market_data/books.hpp"
#include "market_data/itch50_wire.hpp"

namespace ringcraft {

/// What a message traded; ticks of 0: nothing.
///
/// Lots are signed by the aggressor: against the side that rested ('E', 'C'), or, where the resting order was
/// hidden
/// ('P'), by the price against the mid; at the mid itself, without one, and in a cross ('Q'), they are 0. An
/// execution that is marked as not printable is part of a cross, which reports it.
struct ItchTrade {
  std::int64_t ticks = 0;
  std::int64_t lots = 0;
};

template <bool kQueues>
class ItchBooks {
 public:
  /// @param instruments how many books there are.
  /// @param price_per_tick tick size in the feed's 1/10000; over 0.
  explicit ItchBooks(std::uint32_t instruments, std::uint32_t price_per_tick = 1)
      : books(instruments,
              kCent % price_per_tick == 0 ? static_cast<std::int32_t>(kCent / price_per_tick) : 1),
        price_per_tick_(price_per_tick),
        halts_(instruments) {}

  /// Applies one message to one book; what cannot be applied is counted and changes nothing.
  /// @return false where a field is none of the specification's.
  bool apply(ItchMessage m, std::uint32_t instrument, ItchSummary& summary, ItchTrade& trade) {
    books.heard(instrument, m.time_ns());
    switch (m.type()) {
      case 'A':
      case 'F': {
        const Side side = side_of(m);
        if (m.letter(19) != (side == Side::kBuy ? 'B' : 'S')) [[unlikely]]
          return false;
        rest(instrument, m.reference(), side, m.u32(20), m.u32(32), summary);
        return true;
      }
      case 'E':
        execute(m, instrument, summary, trade);
        return true;
      case 'C':
        execute_at(m, instrument, summary, trade);
        return true;
      case 'X':
        reduce(m, instrument, summary);
        return true;
      case 'D':
        if (books.remove(instrument, m.reference()).lots == 0) ++summary.unknown_orders;
        return true;
      case 'U':
        replace(m, instrument, summary);
        return true;
      case 'P':
        hidden_trade(m, instrument, trade);
        return true;
      case 'Q':
        if (m.u64(11) != 0) trade.ticks = m.u32(27) / price_per_tick_;
        return true;
      case 'H':
        trading_action(m.letter(19), instrument);
        return true;
      case 'h':
        halt(by_operations(m.letter(19)), m.letter(20) == 'H', instrument);
        return true;
      default:
        return true;
    }
  }

  /// Three steps of asking for the memory that apply() will need; each needs the answer to the one before.
  /// The messages name orders.
  /// @return for prefetch_second_of_change().
  [[gnu::always_inline]] std::uint32_t prefetch_first(ItchMessage m,
                                                      std::uint32_t instrument) const noexcept {
    books.prefetch_book(instrument);
    return books.prefetch_order(m.reference());
  }
  [[gnu::always_inline]] void prefetch_second_of_add(ItchMessage m, std::uint32_t instrument) const noexcept {
    books.prefetch_ladder(instrument, side_of(m), ticks_of(m));
  }
  [[gnu::always_inline]] void prefetch_third_of_add(ItchMessage m, std::uint32_t instrument) const noexcept {
    books.prefetch_join(instrument, side_of(m), ticks_of(m));
  }
  [[gnu::always_inline]] void prefetch_second_of_change(std::uint32_t guess) const noexcept {
    books.prefetch_level(guess);
  }
  [[gnu::always_inline]] void prefetch_third_of_change(std::uint32_t guess) const noexcept {
    books.prefetch_leave(guess);
  }

  Books<kQueues> books;

 private:
  static constexpr std::uint32_t kCent = 100;  ///< what most stocks are quoted in, in the feed's 1/10000
  static constexpr std::uint8_t kByAction = 1;

  /// Of an add whose field is sound. Orders come from either side at random: no branch could be foreseen.
  [[nodiscard]] static Side side_of(ItchMessage m) noexcept {
    return static_cast<Side>(static_cast<std::uint8_t>(m.letter(19) != 'B'));
  }

  /// Of a sound add on the grid.
  [[nodiscard]] std::int32_t ticks_of(ItchMessage m) const noexcept {
    const std::uint32_t price = m.u32(32) & 0x7FFF'FFFFU;
    return static_cast<std::int32_t>(price_per_tick_ == 1 ? price : price / price_per_tick_);
  }

  void rest(std::uint32_t instrument, std::uint64_t reference, Side side, std::uint32_t shares,
            std::uint32_t price, ItchSummary& summary) {
    std::uint32_t ticks = price;
    if (price_per_tick_ != 1) {
      ticks = price / price_per_tick_;
      if (ticks * price_per_tick_ != price) ticks = 0;
    }
    if (ticks == 0 || ticks > std::numeric_limits<std::int32_t>::max() || shares == 0) [[unlikely]] {
      ++summary.off_grid_orders;
      return;
    }
    if (books.add(instrument, reference, side, static_cast<std::int32_t>(ticks), shares) != AddStatus::kAdded)
        [[unlikely]] {
      ++summary.duplicate_orders;
    }
  }

  Taken reduce(ItchMessage m, std::uint32_t instrument, ItchSummary& summary) {
    const std::uint32_t shares = m.u32(19);
    const Taken taken = books.reduce(instrument, m.reference(), shares);
    if (taken.lots != shares) [[unlikely]]
      ++(taken.lots == 0 ? summary.unknown_orders : summary.over_executed);
    return taken;
  }

  void execute(ItchMessage m, std::uint32_t instrument, ItchSummary& summary, ItchTrade& trade) {
    const Taken taken = reduce(m, instrument, summary);
    if (taken.lots == 0) return;
    trade.ticks = taken.ticks;
    trade.lots = taken.side == Side::kSell ? std::int64_t{taken.lots} : -std::int64_t{taken.lots};
  }

  void execute_at(ItchMessage m, std::uint32_t instrument, ItchSummary& summary, ItchTrade& trade) {
    execute(m, instrument, summary, trade);
    if (trade.ticks == 0) return;
    if (m.letter(31) == 'Y') {
      trade.ticks = m.u32(32) / price_per_tick_;
    } else {
      trade = {};
    }
  }

  void replace(ItchMessage m, std::uint32_t instrument, ItchSummary& summary) {
    const Taken old = books.remove(instrument, m.reference());
    if (old.lots == 0) [[unlikely]] {
      ++summary.unknown_orders;  // the side is not in the message, so the new order cannot rest either
      return;
    }
    rest(instrument, m.u64(19), old.side, m.u32(27), m.u32(31), summary);
  }

  void hidden_trade(ItchMessage m, std::uint32_t instrument, ItchTrade& trade) const {
    const std::int64_t shares = m.u32(20);
    const std::int64_t price = m.u32(32);
    const BookTouch touch = books.best(instrument);
    const std::int64_t twice = 2 * price / price_per_tick_;
    const std::int64_t twice_mid = touch.bid_ticks + touch.ask_ticks;
    trade.ticks = price / price_per_tick_;
    if (touch.bid_lots == 0 || touch.ask_lots == 0) return;  // a side that is empty leaves no mid to tell by
    trade.lots = twice > twice_mid ? shares : twice < twice_mid ? -shares : 0;
  }

  /// 'T' trades; in 'Q', quotation only, orders gather for a cross; 'H' and 'P' halt.
  void trading_action(char state, std::uint32_t instrument) {
    books.set_state(instrument, kAuction, state == 'Q');
    halt(kByAction, state != 'T' && state != 'Q', instrument);
  }
  /// Each market (Q NASDAQ, B BX, X PSX) halts and resumes for itself.
  [[nodiscard]] static std::uint8_t by_operations(char market) noexcept {
    return market == 'Q' ? 2 : market == 'B' ? 4 : market == 'X' ? 8 : 16;
  }

  void halt(std::uint8_t by, bool on, std::uint32_t instrument) {
    std::uint8_t& halts = halts_[instrument];
    halts = static_cast<std::uint8_t>(with_bits(halts, by, on));
    books.set_state(instrument, kHalted, halts != 0);
  }

  std::uint32_t price_per_tick_;
  std::vector<std::uint8_t> halts_;
};

/// Every locate code has a book.
inline constexpr std::uint32_t kItchLocates = 65'536;

/// How many messages are looked ahead at.
inline constexpr std::size_t kItchMostAhead = 32;

/// Calls `see` with the first kItchMostAhead messages of a packet that are whole and of their type's length.
/// @param blocks messages, each behind its length; read as far as they are whole.
template <class See>
[[gnu::always_inline]] inline void each_itch_message(std::span<const std::uint8_t> blocks, See see) noexcept {
  for (std::size_t seen = 0; seen < kItchMostAhead && blocks.size() > 2; ++seen) {
    const std::size_t length = be16(blocks.data());
    if (length > blocks.size() - 2) break;
    if (length != 0 && kItchLengths[blocks[2]] == length) see(ItchMessage(blocks.data() + 2));
    blocks = blocks.subspan(2 + length);
  }
}

/// Which of an engine's books a message is for.
struct ItchBookByLocate {
  [[nodiscard]] std::uint32_t operator()(ItchMessage message) const noexcept { return message.locate(); }
};
/// The same where there is but one.
struct ItchOnlyBook {
  [[nodiscard]] std::uint32_t operator()(ItchMessage) const noexcept { return 0; }
};

/// Asks for the memory that a few messages will need, in three steps for all of them, before any is applied:
/// it answers while others are asked for. Changes nothing; a message that means nothing asks for nothing of
/// use.
/// @tparam BookOf names a book that the engine has, whatever the message.
template <bool kQueues, class BookOf = ItchBookByLocate>
class ItchLookahead {
 public:
  static constexpr std::size_t kMost = kItchMostAhead;

  /// @param message whole, of its type's length; at most kMost of them before ask().
  [[gnu::always_inline]] void note(const ItchBooks<kQueues>& state, ItchMessage message) noexcept {
    const ItchOrderEffect effect = message.effect();
    if ((effect.adds | effect.changes) == 0) [[unlikely]]
      return;
    adds_[add_count_] = message;
    changes_[change_count_] = state.prefetch_first(message, BookOf()(message));
    add_count_ += effect.adds;
    change_count_ += effect.changes;
  }

  /// note() of each_itch_message() of a packet, then ask().
  [[gnu::always_inline]] void look(const ItchBooks<kQueues>& state,
                                   std::span<const std::uint8_t> blocks) noexcept {
    each_itch_message(blocks, [&](ItchMessage message) { note(state, message); });
    ask(state);
  }

  [[gnu::always_inline]] void ask(const ItchBooks<kQueues>& state) noexcept {
    const std::span added(adds_.data(), add_count_);
    const std::span changed(changes_.data(), change_count_);
    for (const ItchMessage each : added) state.prefetch_second_of_add(each, BookOf()(each));
    for (const std::uint32_t each : changed) state.prefetch_second_of_change(each);
    for (const ItchMessage each : added) state.prefetch_third_of_add(each, BookOf()(each));
    for (const std::uint32_t each : changed) state.prefetch_third_of_change(each);
    add_count_ = change_count_ = 0;
  }

 private:
  // Adds and other changes of orders come in any order: sorted into lists without a branch, each list is gone
  // through without one.
  std::array<ItchMessage, kMost + 1> adds_{};
  std::array<std::uint32_t, kMost + 1> changes_{};
  std::size_t add_count_ = 0;
  std::size_t change_count_ = 0;
};

/// Applies a whole BinaryFILE to the books of all its locate codes.
///
/// Messages are taken in batches: what they need is asked for, then all are applied.
///
/// @param listener called with each message, its number from 1, its trade, once it is applied; before it is,
/// `listener.before(message)`.
template <bool kQueues, class Listener>
ItchSummary run_itch50(std::span<const std::uint8_t> bytes, ItchBooks<kQueues>& state, Listener&& listener) {
  constexpr std::size_t kBatch = ItchLookahead<kQueues>::kMost;
  std::array<const std::uint8_t*, kBatch> messages{};
  std::array<std::uint64_t, kBatch> numbers{};
  ItchLookahead<kQueues> lookahead;
  ItchSummary summary;
  ItchFrames frames(bytes);
  std::size_t count = kBatch;
  while (count == kBatch) {
    for (count = 0; count < kBatch; ++count) {
      const std::uint8_t* message = frames.next(summary);
      if (message == nullptr) break;
      messages[count] = message;
      numbers[count] = summary.messages;
      lookahead.note(state, ItchMessage(message));
    }
    lookahead.ask(state);
    for (std::size_t i = 0; i < count; ++i) {
      const ItchMessage message(messages[i]);
      ItchTrade trade;
      listener.before(message);
      if (!state.apply(message, message.locate(), summary, trade)) {
        summary.status = ItchStatus::kBadField;
        summary.offset = frames.offset_of(messages[i]);
        summary.messages = numbers[i];
        return summary;
      }
      listener(message, numbers[i], trade);
    }
  }
  return summary;
}

}  // namespace ringcraft
