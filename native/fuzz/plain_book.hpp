#pragma once
// A book as one would write it on a blackboard: what the engine's answers are held against.

#include <cstdint>
#include <map>

#include "fuzz/require.hpp"
#include "market_data/books.hpp"

namespace ringcraft::fuzz {

class PlainBook {
 public:
  struct Order {
    Side side;
    std::int32_t ticks;
    std::uint32_t lots;
  };
  using Levels = std::map<std::int64_t, std::int64_t>;

  bool add(std::uint64_t reference, Order order) {
    if (order.lots == 0 || !orders.emplace(reference, order).second) return false;
    levels[order.side == Side::kSell][order.ticks] += order.lots;
    return true;
  }
  std::uint32_t reduce(std::uint64_t reference, std::uint32_t lots) {
    const auto found = orders.find(reference);
    if (found == orders.end()) return 0;
    Order& order = found->second;
    const std::uint32_t taken = lots < order.lots ? lots : order.lots;
    Levels& side = levels[order.side == Side::kSell];
    if ((side[order.ticks] -= taken) == 0) side.erase(order.ticks);
    if ((order.lots -= taken) == 0) orders.erase(found);
    return taken;
  }
  void clear() { orders.clear(), levels[0].clear(), levels[1].clear(); }

  [[nodiscard]] BookTouch best() const {
    BookTouch touch;
    if (!levels[0].empty())
      touch.bid_ticks = levels[0].rbegin()->first, touch.bid_lots = levels[0].rbegin()->second;
    if (!levels[1].empty())
      touch.ask_ticks = levels[1].begin()->first, touch.ask_lots = levels[1].begin()->second;
    return touch;
  }

  std::map<std::uint64_t, Order> orders;
  Levels levels[2];  ///< bids, asks: lots by price
};

/// Every level of both sides, from the best on, and the states that follow from the touch.
template <bool kQueues>
void require_same(const Books<kQueues>& books, std::uint32_t instrument, const PlainBook& plain) {
  const BookTouch touch = plain.best();
  require(books.best(instrument) == touch, "the touch is the plain book's");
  const bool one_sided = touch.bid_lots == 0 || touch.ask_lots == 0;
  const std::uint16_t state = books.state(instrument);
  require(((state & kOneSided) != 0) == one_sided, "one-sided where a side is empty");
  require(((state & kCrossed) != 0) == (!one_sided && touch.bid_ticks > touch.ask_ticks),
          "crossed where it crosses");
  require(((state & kLocked) != 0) == (!one_sided && touch.bid_ticks == touch.ask_ticks),
          "locked where it locks");
  for (const Side side : {Side::kBuy, Side::kSell}) {
    const PlainBook::Levels& expected = plain.levels[side == Side::kSell];
    require(books.level_count(instrument, side) == expected.size(), "as many levels");
    std::uint32_t rank = side == Side::kSell ? 0 : books.level_count(instrument, side);
    for (const auto& [ticks, lots] : expected) {
      const BookLevel level = books.level(instrument, side, side == Side::kSell ? rank++ : --rank);
      require(level.ticks == ticks && level.lots == lots, "the same lots at each price");
    }
  }
}

}  // namespace ringcraft::fuzz
