#include "market_data/itch50.hpp"

#include "market_data/order_book.hpp"

namespace ringcraft {
namespace {

/// Length of each type's message; 0: no such type.
constexpr std::array<std::uint16_t, 256> lengths() {
  std::array<std::uint16_t, 256> table{};
  constexpr std::pair<char, std::uint16_t> kKnown[] = {
      {'S', 12}, {'R', 39}, {'H', 25}, {'Y', 20}, {'L', 26}, {'V', 35}, {'W', 12}, {'K', 28},
      {'J', 35}, {'h', 21}, {'A', 36}, {'F', 40}, {'E', 31}, {'C', 36}, {'X', 23}, {'D', 19},
      {'U', 35}, {'P', 44}, {'Q', 40}, {'B', 19}, {'I', 50}, {'N', 20}, {'O', 48}};
  for (const auto& [type, length] : kKnown) table[static_cast<unsigned char>(type)] = length;
  return table;
}

constexpr auto kLengths = lengths();

/// Big-endian unsigned number of `size` bytes.
std::uint64_t number(const std::uint8_t* at, std::size_t size) noexcept {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < size; ++i) value = (value << 8U) | at[i];
  return value;
}

/// A whole message of its type's length.
class Message {
 public:
  explicit Message(const std::uint8_t* at) noexcept : at_(at) {}
  [[nodiscard]] char type() const noexcept { return static_cast<char>(at_[0]); }
  [[nodiscard]] std::uint16_t locate() const noexcept {
    return static_cast<std::uint16_t>(number(at_ + 1, 2));
  }
  [[nodiscard]] std::int64_t time_ns() const noexcept {
    return static_cast<std::int64_t>(number(at_ + 5, 6));
  }
  [[nodiscard]] std::uint64_t u64(std::size_t offset) const noexcept { return number(at_ + offset, 8); }
  [[nodiscard]] std::uint32_t u32(std::size_t offset) const noexcept {
    return static_cast<std::uint32_t>(number(at_ + offset, 4));
  }
  [[nodiscard]] char letter(std::size_t offset) const noexcept { return static_cast<char>(at_[offset]); }
  [[nodiscard]] std::string stock() const {
    std::string symbol(reinterpret_cast<const char*>(at_ + 11), 8);
    symbol.erase(symbol.find_last_not_of(' ') + 1);
    return symbol;
  }

 private:
  const std::uint8_t* at_;
};

/// Walks the frames; `take` sees every whole message and says whether its fields make sense.
template <class Take>
ItchSummary walk(std::span<const std::uint8_t> bytes, Take&& take) {
  ItchSummary summary;
  const auto stop = [&summary](ItchStatus status, std::size_t offset) {
    summary.status = status;
    summary.offset = offset;
    return summary;
  };
  std::size_t offset = 0;
  while (offset < bytes.size()) {
    const std::size_t left = bytes.size() - offset;
    if (left < 2) return stop(ItchStatus::kTruncated, offset);
    const auto length = static_cast<std::size_t>(number(bytes.data() + offset, 2));
    if (length == 0 && left == 2) break;  // the end-of-session mark
    if (length == 0) return stop(ItchStatus::kBadLength, offset);
    if (left < 2 + length) return stop(ItchStatus::kTruncated, offset);
    const std::uint8_t* message = bytes.data() + offset + 2;
    if (kLengths[*message] == 0) return stop(ItchStatus::kUnknownType, offset);
    if (kLengths[*message] != length) return stop(ItchStatus::kBadLength, offset);
    ++summary.messages;
    ++summary.by_type[*message];
    if (!take(Message(message), summary)) return stop(ItchStatus::kBadField, offset);
    offset += 2 + length;
  }
  summary.offset = bytes.size();
  return summary;
}

/// One stock's book, and the events that its messages make.
class Builder {
 public:
  Builder(const ItchOptions& options, std::vector<MarketEvent>& events)
      : options_(options), events_(events) {}

  bool take(const Message& message, ItchSummary& summary) {
    if (message.locate() != options_.locate) return true;
    trade_ticks_ = trade_lots_ = 0;
    if (!apply(message, summary)) return false;
    emit(message, summary.messages);
    return true;
  }

 private:
  bool apply(const Message& m, ItchSummary& summary) {
    switch (m.type()) {
      case 'A':
      case 'F':
        return add(m.u64(11), m.letter(19), m.u32(20), m.u32(32), summary);
      case 'E':
        execute(book_.reduce(m.u64(11), m.u32(19)), 0, summary);
        return true;
      case 'C':
        execute(book_.reduce(m.u64(11), m.u32(19)), m.letter(31) == 'Y' ? m.u32(32) : 0, summary);
        return true;
      case 'X':
        if (book_.reduce(m.u64(11), m.u32(19)).lots == 0) ++summary.unknown_orders;
        return true;
      case 'D':
        if (book_.reduce(m.u64(11), kAll).lots == 0) ++summary.unknown_orders;
        return true;
      case 'U':
        return replace(m, summary);
      case 'P':
        hidden_trade(m.u32(20), m.u32(32));
        return true;
      case 'H':
        halted_ = m.letter(19) != 'T';
        return true;
      default:
        return true;
    }
  }

  bool add(std::uint64_t reference, char side, std::uint32_t shares, std::uint32_t price,
           ItchSummary& summary) {
    if (side != 'B' && side != 'S') return false;
    return rest(reference, side == 'B' ? Side::kBuy : Side::kSell, shares, price, summary);
  }

  bool rest(std::uint64_t reference, Side side, std::uint32_t shares, std::uint32_t price,
            ItchSummary& summary) {
    if (price % options_.price_per_tick != 0 || price == 0 || shares == 0) {
      ++summary.off_grid_orders;
    } else if (!book_.add(reference, {side, price / options_.price_per_tick, shares})) {
      ++summary.duplicate_orders;
    }
    return true;
  }

  bool replace(const Message& m, ItchSummary& summary) {
    const RestingOrder old = book_.reduce(m.u64(11), kAll);
    if (old.lots == 0) {
      ++summary.unknown_orders;  // the side is not in the message, so the new order cannot rest either
      return true;
    }
    return rest(m.u64(19), old.side, m.u32(27), m.u32(31), summary);
  }

  void execute(const RestingOrder& taken, std::uint32_t price, ItchSummary& summary) {
    if (taken.lots == 0) {
      ++summary.unknown_orders;
      return;
    }
    trade_ticks_ = price == 0 ? taken.ticks : price / options_.price_per_tick;
    trade_lots_ = taken.side == Side::kSell ? taken.lots : -taken.lots;
  }

  void hidden_trade(std::uint32_t shares, std::uint32_t price) {
    const BookTouch touch = book_.touch();
    const std::int64_t twice_ticks = 2 * std::int64_t{price} / options_.price_per_tick;
    const std::int64_t twice_mid = touch.bid_ticks + touch.ask_ticks;
    trade_ticks_ = price / options_.price_per_tick;
    trade_lots_ = twice_ticks > twice_mid ? shares : twice_ticks < twice_mid ? -std::int64_t{shares} : 0;
  }

  [[nodiscard]] std::uint16_t flags(const BookTouch& touch) const noexcept {
    std::uint16_t flags = halted_ ? kHalted : 0;
    if (touch.bid_lots == 0 || touch.ask_lots == 0) return flags | kOneSided;
    if (touch.bid_ticks > touch.ask_ticks) flags |= kCrossed;
    if (touch.bid_ticks == touch.ask_ticks) flags |= kLocked;
    return flags;
  }

  void emit(const Message& message, std::uint64_t sequence) {
    const BookTouch touch = book_.touch();
    if (touch == last_ && halted_ == last_halted_ && trade_ticks_ == 0) return;
    last_ = touch;
    last_halted_ = halted_;
    MarketEvent event{};
    event.event_ns = options_.midnight_ns + message.time_ns();
    event.receive_ns = event.event_ns;  // the file keeps no clock of its recorder
    event.sequence = sequence;
    event.bid_ticks = touch.bid_ticks;
    event.bid_lots = touch.bid_lots;
    event.ask_ticks = touch.ask_ticks;
    event.ask_lots = touch.ask_lots;
    event.trade_ticks = trade_ticks_;
    event.trade_lots = trade_lots_;
    event.flags = flags(touch);
    events_.push_back(event);
  }

  static constexpr std::int64_t kAll = 1'099'511'627'776;  // 2^40, over any order's u32

  const ItchOptions& options_;
  std::vector<MarketEvent>& events_;
  OrderBook book_;
  BookTouch last_;
  std::int64_t trade_ticks_ = 0;
  std::int64_t trade_lots_ = 0;
  bool halted_ = false;
  bool last_halted_ = false;
};

}  // namespace

ItchSummary list_itch50_stocks(std::span<const std::uint8_t> bytes, std::vector<ItchStock>& stocks) {
  return walk(bytes, [&stocks](const Message& message, ItchSummary&) {
    if (message.type() == 'R') stocks.push_back({message.locate(), message.stock()});
    return true;
  });
}

ItchSummary decode_itch50(std::span<const std::uint8_t> bytes, const ItchOptions& options,
                          std::vector<MarketEvent>& events) {
  Builder builder(options, events);
  return walk(bytes, [&builder](const Message& message, ItchSummary& summary) {
    return builder.take(message, summary);
  });
}

}  // namespace ringcraft
