// Bytes as an ITCH 5.0 BinaryFILE: refused where they are none, else the books are the plain book's, message
// by message.

#include "market_data/itch50.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "fuzz/plain_book.hpp"

namespace ringcraft::fuzz {
namespace {

constexpr ItchOptions kStock{1, 100, 0, true};

/// What the specification says of a message, for the plain book.
void apply(ItchMessage m, PlainBook& book) {
  const auto rest = [&book](std::uint64_t reference, Side side, std::uint32_t shares, std::uint32_t price) {
    if (price == 0 || price % kStock.price_per_tick != 0) return;
    book.add(reference, {side, static_cast<std::int32_t>(price / kStock.price_per_tick), shares});
  };
  switch (m.type()) {
    case 'A':
    case 'F':
      return rest(m.reference(), m.letter(19) == 'B' ? Side::kBuy : Side::kSell, m.u32(20), m.u32(32));
    case 'E':
    case 'C':
    case 'X':
      book.reduce(m.reference(), m.u32(19));
      return;
    case 'D':
      book.reduce(m.reference(), ~0U);
      return;
    case 'U': {
      const auto old = book.orders.find(m.reference());
      if (old == book.orders.end()) return;
      const Side side = old->second.side;
      book.reduce(m.reference(), ~0U);
      return rest(m.u64(19), side, m.u32(27), m.u32(31));
    }
    default:
      return;
  }
}

/// Frame by frame, as one stock is decoded, beside both engines and the plain book.
void message_by_message(std::span<const std::uint8_t> bytes) {
  ItchSummary summary;
  ItchFrames frames(bytes);
  ItchBooks<true> by_order(1, kStock.price_per_tick);
  ItchBooks<false> by_level(1, kStock.price_per_tick);
  PlainBook plain;
  while (const std::uint8_t* at = frames.next(summary)) {
    const ItchMessage message(at);
    if (message.locate() != kStock.locate) continue;
    ItchTrade trade;
    ItchTrade other;
    ItchSummary ignored;
    if (!by_order.apply(message, 0, summary, trade)) break;
    require(by_level.apply(message, 0, ignored, other), "both engines take the same messages");
    require(trade.ticks == other.ticks && trade.lots == other.lots, "both engines tell the same trade");
    apply(message, plain);
    require(by_order.books.best(0) == plain.best(), "the touch after each message");
  }
  require(summary.offset <= bytes.size(), "the fault lies in the bytes");
  require_same(by_order.books, 0, plain);
  require_same(by_level.books, 0, plain);
}

void whole_file(std::span<const std::uint8_t> bytes) {
  ItchTape read;
  std::vector<ItchStock> stocks;
  (void)list_itch50_stocks(bytes, stocks);
  const ItchSummary summary = decode_itch50(bytes, kStock, read);
  require(summary.offset <= bytes.size(), "the fault lies in the bytes");
  std::uint64_t last = 0;
  for (const MarketEvent& event : read.events) {
    require(event.sequence > last && event.sequence <= summary.messages,
            "events in the order of their messages");
    last = event.sequence;
  }
}

}  // namespace
}  // namespace ringcraft::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ringcraft::fuzz::message_by_message({data, size});
  ringcraft::fuzz::whole_file({data, size});
  return 0;
}
