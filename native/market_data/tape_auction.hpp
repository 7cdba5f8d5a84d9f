#pragma once
// The cross that opens trading again: how much trades, at what price. Pure.

#include <algorithm>
#include <cstdint>

#include "market_data/tape_book.hpp"

namespace ringcraft {

struct AuctionOutcome {
  std::int64_t lots = 0;            ///< that trade
  std::int32_t ticks = 0;           ///< at this one price; 0: nothing trades
  std::int64_t imbalance_lots = 0;  ///< left at that price; positive: buyers'
};

/// Pairs the best bids with the best asks while they meet, which trades the most that any one price allows;
/// the price is the one nearest to `reference_ticks` at which nobody who is left would have traded.
[[nodiscard]] inline AuctionOutcome clear_auction(const TapeBook& book, std::int32_t reference_ticks) {
  std::int32_t bid = book.best(Side::kBuy);
  std::int32_t ask = book.best(Side::kSell);
  std::int64_t bid_left = book.lots_at(Side::kBuy, bid);
  std::int64_t ask_left = book.lots_at(Side::kSell, ask);
  AuctionOutcome outcome;
  std::int32_t last_bid = 0;
  std::int32_t last_ask = 0;
  while (bid_left > 0 && ask_left > 0 && bid >= ask) {
    const std::int64_t traded = std::min(bid_left, ask_left);
    outcome.lots += traded;
    last_bid = bid, last_ask = ask;
    bid_left -= traded, ask_left -= traded;
    while (bid_left == 0 && --bid > 0) bid_left = book.lots_at(Side::kBuy, bid);
    while (ask_left == 0 && ++ask < book.highest_ticks()) ask_left = book.lots_at(Side::kSell, ask);
  }
  if (outcome.lots == 0) return outcome;
  const std::int32_t low = bid_left > 0 ? std::max(last_ask, bid) : last_ask;
  const std::int32_t high = ask_left > 0 ? std::min(last_bid, ask) : last_bid;
  outcome.ticks = std::clamp(reference_ticks, low, high);
  if (bid == outcome.ticks) outcome.imbalance_lots += bid_left;
  if (ask == outcome.ticks) outcome.imbalance_lots -= ask_left;
  return outcome;
}

}  // namespace ringcraft
