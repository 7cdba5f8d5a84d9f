#pragma once
// A limit order book by order: who rests where, and the touch that follows from it.

#include <algorithm>
#include <cstdint>
#include <unordered_map>
#include <vector>

namespace ringcraft {

enum class Side : std::uint8_t { kBuy, kSell };

/// Best prices and what rests there; a side without orders has 0 in both.
struct BookTouch {
  std::int64_t bid_ticks = 0;
  std::int64_t bid_lots = 0;
  std::int64_t ask_ticks = 0;
  std::int64_t ask_lots = 0;

  bool operator==(const BookTouch&) const = default;
};

struct RestingOrder {
  Side side;
  std::int64_t ticks;
  std::int64_t lots;
};

/// One instrument's orders and price levels, in integer ticks and lots.
///
/// Levels lie in a sorted vector with the best at the end, where nearly all changes are.
///
/// @note One thread. Takes memory as orders come.
class OrderBook {
 public:
  /// Adds an order of at least one lot.
  /// @return false where the reference already rests; the book is unchanged.
  bool add(std::uint64_t reference, const RestingOrder& order) {
    if (!orders_.emplace(reference, order).second) return false;
    change_level(order, order.lots);
    return true;
  }

  /// Takes lots off an order, all that is left where `lots` is more; an order with none left is gone.
  /// @return the order as it was, with `lots` the number taken; lots 0, and no change, where it is unknown.
  RestingOrder reduce(std::uint64_t reference, std::int64_t lots) {
    const auto found = orders_.find(reference);
    if (found == orders_.end()) return RestingOrder{Side::kBuy, 0, 0};
    RestingOrder taken = found->second;
    taken.lots = std::min(lots, taken.lots);
    found->second.lots -= taken.lots;
    if (found->second.lots == 0) orders_.erase(found);
    change_level(taken, -taken.lots);
    return taken;
  }

  /// Lots of a resting order; 0 where it is unknown.
  [[nodiscard]] std::int64_t lots_of(std::uint64_t reference) const {
    const auto found = orders_.find(reference);
    return found == orders_.end() ? 0 : found->second.lots;
  }

  [[nodiscard]] BookTouch touch() const noexcept {
    BookTouch touch;
    if (!bids_.empty()) touch.bid_ticks = bids_.back().key, touch.bid_lots = bids_.back().lots;
    if (!asks_.empty()) touch.ask_ticks = -asks_.back().key, touch.ask_lots = asks_.back().lots;
    return touch;
  }

  [[nodiscard]] std::size_t orders() const noexcept { return orders_.size(); }

 private:
  /// Asks are bids with the price negated, so the greatest key is the best on both sides.
  struct Level {
    std::int64_t key;
    std::int64_t lots;
  };

  void change_level(const RestingOrder& order, std::int64_t by) {
    auto& levels = order.side == Side::kBuy ? bids_ : asks_;
    const std::int64_t key = order.side == Side::kBuy ? order.ticks : -order.ticks;
    auto level = std::lower_bound(levels.begin(), levels.end(), key,
                                  [](const Level& each, std::int64_t wanted) { return each.key < wanted; });
    if (level == levels.end() || level->key != key) level = levels.insert(level, Level{key, 0});
    level->lots += by;
    if (level->lots == 0) levels.erase(level);
  }

  std::unordered_map<std::uint64_t, RestingOrder> orders_;
  std::vector<Level> bids_;
  std::vector<Level> asks_;
};

}  // namespace ringcraft
