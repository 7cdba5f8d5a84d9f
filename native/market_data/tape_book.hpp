#pragma once
// The simulator's own book: the truth that a decoded book is held against. It shares nothing with books.hpp.

#include <array>
#include <cstdint>
#include <vector>

#include "market_data/book_types.hpp"

namespace ringcraft {

/// Orders of one stock in queues on a grid of every price; lots are shares.
///
/// Slow to make and dear in memory, but plain: a price is an index, the best is found by walking.
/// @note One thread. Takes memory for as many orders as ever live at a time.
class TapeBook {
 public:
  struct Order {
    std::uint64_t reference = 0;
    std::int32_t ticks = 0;
    std::uint32_t lots = 0;
    std::uint32_t next = 0;  ///< handles; 0: none
    std::uint32_t previous = 0;
    std::uint32_t place = 0;  ///< in its side's list of live orders
    Side side = Side::kBuy;
  };

  /// @param highest_ticks prices are 1 .. highest_ticks - 1.
  explicit TapeBook(std::int32_t highest_ticks) : highest_ticks_(highest_ticks), orders_(1) {
    for (auto& levels : levels_) levels.resize(static_cast<std::size_t>(highest_ticks));
  }

  [[nodiscard]] std::int32_t highest_ticks() const noexcept { return highest_ticks_; }
  [[nodiscard]] std::size_t orders(Side side) const noexcept { return live_[index(side)].size(); }
  /// The best price; 0 where the side is empty.
  [[nodiscard]] std::int32_t best(Side side) const noexcept { return best_[index(side)]; }
  [[nodiscard]] std::int64_t lots_at(Side side, std::int32_t ticks) const noexcept {
    return ticks == 0 ? 0 : levels_[index(side)][static_cast<std::size_t>(ticks)].lots;
  }
  [[nodiscard]] BookTouch touch() const noexcept {
    return {best(Side::kBuy), lots_at(Side::kBuy, best(Side::kBuy)), best(Side::kSell),
            lots_at(Side::kSell, best(Side::kSell))};
  }
  [[nodiscard]] const Order& order(std::uint32_t handle) const noexcept { return orders_[handle]; }
  /// The handle of the order that trades next at the best price; the side is not empty.
  [[nodiscard]] std::uint32_t front(Side side) const noexcept {
    return levels_[index(side)][static_cast<std::size_t>(best(side))].first;
  }
  /// The handle of a live order by its place in a list without meaning, 0 .. orders() - 1.
  [[nodiscard]] std::uint32_t any(Side side, std::size_t place) const noexcept {
    return live_[index(side)][place];
  }

  /// @return the order's handle, used again once it is gone.
  std::uint32_t add(std::uint64_t reference, Side side, std::int32_t ticks, std::uint32_t lots) {
    const std::uint32_t handle = take_handle();
    auto& live = live_[index(side)];
    Level& level = levels_[index(side)][static_cast<std::size_t>(ticks)];
    orders_[handle] = {reference, ticks, lots, 0, level.last, static_cast<std::uint32_t>(live.size()), side};
    live.push_back(handle);
    (level.last == 0 ? level.first : orders_[level.last].next) = handle;
    level.last = handle;
    level.lots += lots;
    std::int32_t& best = best_[index(side)];
    if (best == 0 || (side == Side::kBuy ? ticks > best : ticks < best)) best = ticks;
    return handle;
  }

  /// Takes lots off an order, which is gone with its last; no more than it has.
  void reduce(std::uint32_t handle, std::uint32_t lots) noexcept {
    Order& order = orders_[handle];
    order.lots -= lots;
    Level& level = levels_[index(order.side)][static_cast<std::size_t>(order.ticks)];
    level.lots -= lots;
    if (order.lots > 0) return;
    (order.previous == 0 ? level.first : orders_[order.previous].next) = order.next;
    (order.next == 0 ? level.last : orders_[order.next].previous) = order.previous;
    auto& live = live_[index(order.side)];
    live[order.place] = live.back();
    orders_[live.back()].place = order.place;
    live.pop_back();
    free_.push_back(handle);
    if (level.first == 0 && order.ticks == best(order.side)) find_best(order.side);
  }

 private:
  struct Level {
    std::uint32_t first = 0;
    std::uint32_t last = 0;
    std::int64_t lots = 0;
  };

  static std::size_t index(Side side) noexcept { return side == Side::kSell; }

  std::uint32_t take_handle() {
    if (free_.empty()) {
      orders_.emplace_back();
      free_.reserve(orders_.capacity());
      return static_cast<std::uint32_t>(orders_.size() - 1);
    }
    const std::uint32_t handle = free_.back();
    free_.pop_back();
    return handle;
  }

  void find_best(Side side) noexcept {
    std::int32_t& best = best_[index(side)];
    if (live_[index(side)].empty()) {
      best = 0;
      return;
    }
    const std::int32_t step = side == Side::kBuy ? -1 : 1;
    do best += step;
    while (levels_[index(side)][static_cast<std::size_t>(best)].first == 0);
  }

  std::int32_t highest_ticks_;
  std::array<std::vector<Level>, 2> levels_;
  std::array<std::int32_t, 2> best_{};
  std::array<std::vector<std::uint32_t>, 2> live_;
  std::vector<Order> orders_;  ///< the first stands for "none"
  std::vector<std::uint32_t> free_;
};

}  // namespace ringcraft
