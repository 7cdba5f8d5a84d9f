#include "market_data/itch50.hpp"

#include "market_data/book_depth.hpp"

namespace ringcraft {

bool ItchEvents::take(ItchMessage message, std::uint64_t sequence, std::int64_t receive_ns,
                      ItchSummary& summary) {
  if (message.locate() != options_.locate) return true;
  ItchTrade trade;
  if (!state_.apply(message, 0, summary, trade)) return false;
  const BookTouch touch = state_.books.best(0);
  const std::uint16_t state = state_.books.state(0);
  if (touch == last_ && state == last_state_ && trade.ticks == 0) return true;
  last_ = touch;
  last_state_ = state;
  MarketEvent event{};
  event.event_ns = options_.midnight_ns + message.time_ns();
  event.receive_ns = receive_ns == 0 ? event.event_ns : receive_ns;
  event.sequence = sequence;
  event.bid_ticks = touch.bid_ticks;
  event.bid_lots = touch.bid_lots;
  event.ask_ticks = touch.ask_ticks;
  event.ask_lots = touch.ask_lots;
  event.trade_ticks = trade.ticks;
  event.trade_lots = trade.lots;
  event.flags = state;
  tape_.events.push_back(event);
  if (options_.depth) tape_.depths.push_back(depth_of(state_.books, 0));
  return true;
}

ItchSummary list_itch50_stocks(std::span<const std::uint8_t> bytes, std::vector<ItchStock>& stocks) {
  ItchSummary summary;
  ItchFrames frames(bytes);
  while (const std::uint8_t* at = frames.next(summary)) {
    const ItchMessage message(at);
    if (message.type() == 'R') stocks.push_back({message.locate(), message.stock()});
  }
  return summary;
}

ItchSummary decode_itch50(std::span<const std::uint8_t> bytes, const ItchOptions& options, ItchTape& tape) {
  ItchSummary summary;
  ItchFrames frames(bytes);
  ItchEvents builder(options, tape);
  while (const std::uint8_t* at = frames.next(summary)) {
    if (builder.take(ItchMessage(at), summary.messages, 0, summary)) continue;
    summary.status = ItchStatus::kBadField;
    summary.offset = frames.offset_of(at);
    break;
  }
  builder.finish();
  return summary;
}

}  // namespace ringcraft
