#pragma once
// Limit order books of many instruments: per order or per level, in integer ticks and lots.

#include <cstdint>
#include <limits>
#include <type_traits>
#include <vector>

#include "market_data/book_types.hpp"
#include "market_data/ladder.hpp"
#include "market_data/order_store.hpp"

namespace ringcraft {

/// The books of instruments 0 .. count - 1 in one engine.
///
/// Orders and levels lie in pools and name each other by 32-bit handles; an order knows its level, a level
/// its instrument, side and price. Each side's levels around the touch are found by index. Freed
/// orders, levels and pages are used again, so that no memory is taken once as many lived at a time as ever
/// will, and reserve() has covered the references to come.
///
/// Several states may hold at once; they are EventFlag bits. One-sided, crossed and locked follow from the
/// touch; halted, auction, gap, resync and stale are told from outside. Every change of a bit is counted.
///
/// @tparam kQueues whether orders of a level stand in a queue: place_of() and clear() need it; without, an
/// order takes 8 bytes instead of 16, and a change touches no neighbour.
/// @note One thread. Nothing throws but for lack of memory.
template <bool kQueues>
class Books {
 public:
  /// @param price_step ticks, at least 1, that most prices are a multiple of: others are only slower.
  explicit Books(std::uint32_t instruments, std::int32_t price_step = 1)
      : books_(instruments), heard_ns_(instruments), grid_(price_step) {}
  Books(const Books&) = delete;
  Books& operator=(const Books&) = delete;
  Books(Books&&) noexcept = default;
  Books& operator=(Books&&) noexcept = default;
  ~Books() = default;

  void reserve(std::size_t live_orders, std::uint64_t references, std::size_t live_levels) {
    orders_.reserve(live_orders, references);
    levels_.reserve(live_levels);
  }

  [[nodiscard]] std::uint32_t instruments() const noexcept {
    return static_cast<std::uint32_t>(books_.size());
  }
  [[nodiscard]] std::size_t orders() const noexcept { return orders_.size(); }

  /// Adds an order at the end of its price's queue.
  AddStatus add(std::uint32_t instrument, std::uint64_t reference, Side side, std::int32_t ticks,
                std::uint32_t lots) {
    if (lots == 0) return AddStatus::kEmpty;
    if (orders_.find(reference) != kNoHandle) return AddStatus::kDuplicate;
    const std::uint32_t handle = orders_.insert(reference);
    Book& book = books_[instrument];
    const std::uint32_t level = level_for(book, instrument, side, key_of(side, ticks));
    Order& order = orders_[handle];
    order.lots = lots;
    order.level = level;
    if constexpr (kQueues) append(handle, levels_[level]);
    grow_level(book, side, levels_[level], lots);
    return AddStatus::kAdded;
  }

  /// Takes lots off an order, all that is left where `lots` is more; an order with none left is gone.
  Taken reduce(std::uint32_t instrument, std::uint64_t reference, std::uint32_t lots) noexcept {
    const std::uint32_t handle = orders_.find(reference);
    if (handle == kNoHandle) return {};
    Order& order = orders_[handle];
    Level& level = levels_[order.level];
    if (level.owner / 2 != instrument) return {};
    const auto side = static_cast<Side>(level.owner % 2);
    const Taken taken{side, ticks_of(side, level.key), lots < order.lots ? lots : order.lots,
                      order.lots > lots ? order.lots - lots : 0};
    order.lots = taken.left;
    Book& book = books_[instrument];
    level.lots -= taken.lots;
    if (taken.left == 0) {
      --level.orders;
      if constexpr (kQueues) unlink(order, level);
      const std::uint32_t emptied = level.lots == 0 ? order.level : kNoHandle;
      orders_.erase(reference, handle);
      if (emptied != kNoHandle) {
        drop_level(book, side, emptied);
        return taken;
      }
    }
    follow_best_lots(book, side, level);
    return taken;
  }

  /// Takes the whole order off.
  Taken remove(std::uint32_t instrument, std::uint64_t reference) noexcept {
    return reduce(instrument, reference, std::numeric_limits<std::uint32_t>::max());
  }

  /// Makes a price hold so many lots, without orders: for feeds that send levels. 0 lots: the price is gone.
  /// @return false, and no change, where orders rest at the price.
  bool set_level(std::uint32_t instrument, Side side, std::int32_t ticks, std::int64_t lots) {
    Book& book = books_[instrument];
    const std::int32_t key = key_of(side, ticks);
    const Ladder& ladder = book.side[side == Side::kSell];
    const std::uint32_t found = ladder.find(key, grid_);
    if (found != kNoHandle && levels_[found].orders != 0) return false;
    if (lots <= 0) {
      if (found != kNoHandle) drop_level(book, side, found);
      return true;
    }
    Level& level = levels_[level_for(book, instrument, side, key)];
    level.lots = lots;
    follow_best_lots(book, side, level);
    return true;
  }

  [[nodiscard]] BookTouch best(std::uint32_t instrument) const noexcept {
    const Book& book = books_[instrument];
    return {book.best_key[0], book.best_lots[0], -std::int64_t{book.best_key[1]}, book.best_lots[1]};
  }

  [[nodiscard]] std::uint32_t level_count(std::uint32_t instrument, Side side) const noexcept {
    return books_[instrument].side[side == Side::kSell].size();
  }

  /// The level of that rank, 0 the best; the rank is below level_count().
  [[nodiscard]] BookLevel level(std::uint32_t instrument, Side side, std::uint32_t rank) const noexcept {
    const Level& found = levels_[books_[instrument].side[side == Side::kSell].rank(rank, grid_).level];
    return {ticks_of(side, found.key), found.lots, found.orders};
  }

  /// Lots of a resting order; 0 where it is unknown.
  [[nodiscard]] std::uint32_t lots_of(std::uint64_t reference) const noexcept {
    const std::uint32_t handle = orders_.find(reference);
    return handle == kNoHandle ? 0 : orders_[handle].lots;
  }

  /// Where an order stands; its cost is the number of orders before it. lots of 0: there is no such order.
  [[nodiscard]] QueuePlace place_of(std::uint64_t reference) const noexcept
    requires kQueues
  {
    const std::uint32_t handle = orders_.find(reference);
    if (handle == kNoHandle) return {};
    const Order& order = orders_[handle];
    const Level& level = levels_[order.level];
    const auto side = static_cast<Side>(level.owner % 2);
    QueuePlace place{level.owner / 2, side, ticks_of(side, level.key), order.lots, 0, 0};
    for (std::uint32_t ahead = order.previous; ahead != kNoHandle; ahead = orders_[ahead].previous) {
      ++place.position;
      place.ahead_lots += orders_[ahead].lots;
    }
    return place;
  }

  /// Takes every order and level of an instrument off, as before a snapshot.
  void clear(std::uint32_t instrument) noexcept
    requires kQueues
  {
    Book& book = books_[instrument];
    for (Ladder& ladder : book.side) {
      for (std::uint32_t rank = 0; rank < ladder.size(); ++rank) {
        const std::uint32_t emptied = ladder.rank(rank, grid_).level;
        for (std::uint32_t each = levels_[emptied].first; each != kNoHandle;) {
          const std::uint32_t next = orders_[each].next;
          orders_.erase(orders_.reference_of(each), each);
          each = next;
        }
        levels_[emptied] = Level{};
        levels_.give_back(emptied);
      }
      ladder.clear();
    }
    book.best_key[0] = book.best_key[1] = 0;
    book.best_lots[0] = book.best_lots[1] = 0;
    follow_touch(book);
  }

  /// The order that trades next on a side; the side is not empty and its best level holds orders.
  [[nodiscard]] std::uint64_t front(std::uint32_t instrument, Side side) const noexcept
    requires kQueues
  {
    return orders_.reference_of(
        levels_[books_[instrument].side[side == Side::kSell].best(grid_).level].first);
  }

  [[nodiscard]] std::uint16_t state(std::uint32_t instrument) const noexcept {
    return books_[instrument].flags;
  }
  [[nodiscard]] const StateCounts& state_counts() const noexcept { return counts_; }

  /// Sets or unsets states that do not follow from the touch; others in `mask` are left alone.
  void set_state(std::uint32_t instrument, std::uint16_t mask, bool on) noexcept {
    mask = with_bits(mask, kTouchStates, false);
    Book& book = books_[instrument];
    change_state(book, with_bits(book.flags, mask, on));
  }
  void set_state_of_all(std::uint16_t mask, bool on) noexcept {
    for (std::uint32_t i = 0; i < instruments(); ++i) set_state(i, mask, on);
  }

  /// Notes that the instrument was heard of, which ends its staleness.
  void heard(std::uint32_t instrument, std::int64_t now_ns) noexcept {
    heard_ns_[instrument] = now_ns;
    if ((books_[instrument].flags & kStale) != 0) [[unlikely]]
      set_state(instrument, kStale, false);
  }
  /// Marks as stale what has not been heard of for longer than `stale_after_ns`, if it ever was.
  void sweep_stale(std::int64_t now_ns, std::int64_t stale_after_ns) noexcept {
    for (std::uint32_t i = 0; i < instruments(); ++i) {
      if (heard_ns_[i] != 0 && now_ns - heard_ns_[i] > stale_after_ns) set_state(i, kStale, true);
    }
  }

  /// @return a guess of the order's handle, for prefetch_level().
  [[gnu::always_inline]] std::uint32_t prefetch_order(std::uint64_t reference) const noexcept {
    return orders_.prefetch(reference);
  }
  [[gnu::always_inline]] void prefetch_book(std::uint32_t instrument) const noexcept {
    __builtin_prefetch(&books_[instrument]);
  }
  /// After prefetch_order() has had its time: asks for what a change of the order will touch.
  [[gnu::always_inline]] void prefetch_level(std::uint32_t guess) const noexcept {
    if (guess == kNoHandle) return;
    const Order& order = orders_[guess];
    __builtin_prefetch(&levels_[order.level]);
    if constexpr (kQueues) {
      if (order.next != kNoHandle) __builtin_prefetch(&orders_[order.next]);
      if (order.previous != kNoHandle) __builtin_prefetch(&orders_[order.previous]);
    }
  }
  /// After prefetch_level(): asks for where the level is named, should it go with the order.
  [[gnu::always_inline]] void prefetch_leave(std::uint32_t guess) const noexcept {
    if (guess == kNoHandle) return;
    const Level& level = levels_[orders_[guess].level];
    books_[level.owner / 2].side[level.owner % 2].prefetch(level.key, grid_);
  }
  /// After prefetch_book(): asks for where the level of this price is named.
  [[gnu::always_inline]] void prefetch_ladder(std::uint32_t instrument, Side side,
                                              std::int32_t ticks) const noexcept {
    books_[instrument].side[side == Side::kSell].prefetch(key_of(side, ticks), grid_);
  }
  /// After prefetch_ladder(): asks for the level that an order at this price will join.
  [[gnu::always_inline]] void prefetch_join(std::uint32_t instrument, Side side,
                                            std::int32_t ticks) const noexcept {
    const Ladder& ladder = books_[instrument].side[side == Side::kSell];
    if (ladder.empty()) return;
    const std::uint32_t handle = ladder.guess(key_of(side, ticks), grid_);
    __builtin_prefetch(&levels_[handle == kNoHandle ? 0 : handle]);
  }

  [[nodiscard]] std::size_t bytes() const noexcept {
    return orders_.bytes() + levels_.bytes() + books_.capacity() * sizeof(Book);
  }

 private:
  struct Nothing {};
  struct Links {
    std::uint32_t next = kNoHandle;
    std::uint32_t previous = kNoHandle;
  };
  struct Ends {
    std::uint32_t first = kNoHandle;
    std::uint32_t last = kNoHandle;
  };
  struct Order : std::conditional_t<kQueues, Links, Nothing> {
    std::uint32_t lots = 0;
    std::uint32_t level = 0;
  };
  static_assert(sizeof(Order) == (kQueues ? 16 : 8));
  struct Level : std::conditional_t<kQueues, Ends, Nothing> {
    std::int64_t lots = 0;
    std::int32_t key = 0;
    std::uint32_t owner = 0;  ///< 2 * instrument + side
    std::uint32_t orders = 0;
  };
  struct alignas(64) Book {
    Ladder side[2];
    std::int64_t best_lots[2] = {0, 0};
    std::int32_t best_key[2] = {0, 0};
    std::uint16_t flags = kOneSided;
  };
  static_assert(sizeof(Book) == 64);

  static std::int32_t key_of(Side side, std::int32_t ticks) noexcept {
    return side == Side::kBuy ? ticks : -ticks;
  }
  static std::int32_t ticks_of(Side side, std::int32_t key) noexcept {
    return side == Side::kBuy ? key : -key;
  }

  std::uint32_t level_for(Book& book, std::uint32_t instrument, Side side, std::int32_t key) {
    Ladder& ladder = book.side[side == Side::kSell];
    const std::uint32_t found = ladder.find(key, grid_);
    if (found != kNoHandle) return found;
    const std::uint32_t handle = levels_.take();
    Level& level = levels_[handle];
    level.key = key;
    level.owner = 2 * instrument + static_cast<std::uint32_t>(side);
    ladder.insert({key, handle}, grid_);
    if (ladder.size() == 1 || key > book.best_key[side == Side::kSell]) {
      book.best_key[side == Side::kSell] = key;
      book.best_lots[side == Side::kSell] = 0;
      follow_touch(book);
    }
    return handle;
  }

  void grow_level(Book& book, Side side, Level& level, std::uint32_t lots) noexcept {
    level.lots += lots;
    ++level.orders;
    follow_best_lots(book, side, level);
  }

  /// Written in any case: whether the level is the best is as good as a coin's toss, and a branch costs more.
  static void follow_best_lots(Book& book, Side side, const Level& level) noexcept {
    const std::size_t s = side == Side::kSell;
    const std::int64_t best = -std::int64_t{book.best_key[s] == level.key};
    book.best_lots[s] = (level.lots & best) | (book.best_lots[s] & ~best);
  }

  void drop_level(Book& book, Side side, std::uint32_t handle) noexcept {
    const std::size_t s = side == Side::kSell;
    Ladder& ladder = book.side[s];
    ladder.erase(levels_[handle].key, grid_);
    if (book.best_key[s] == levels_[handle].key) {
      const Ladder::Entry best = ladder.empty() ? Ladder::Entry{0, kNoHandle} : ladder.best(grid_);
      book.best_key[s] = best.key;
      book.best_lots[s] = ladder.empty() ? 0 : levels_[best.level].lots;
      follow_touch(book);
    }
    levels_[handle] = Level{};
    levels_.give_back(handle);
  }

  void append(std::uint32_t handle, Level& level) noexcept {
    Order& order = orders_[handle];
    order.next = kNoHandle;
    order.previous = level.last;
    if (level.last == kNoHandle) {
      level.first = handle;
    } else {
      orders_[level.last].next = handle;
    }
    level.last = handle;
  }

  void unlink(const Order& order, Level& level) noexcept {
    if (order.previous == kNoHandle) {
      level.first = order.next;
    } else {
      orders_[order.previous].next = order.next;
    }
    if (order.next == kNoHandle) {
      level.last = order.previous;
    } else {
      orders_[order.next].previous = order.previous;
    }
  }

  void follow_touch(Book& book) noexcept {
    std::uint16_t touch = 0;
    if (book.side[0].empty() || book.side[1].empty()) {
      touch = kOneSided;
    } else {
      const std::int64_t over = std::int64_t{book.best_key[0]} + book.best_key[1];  // bid less ask
      touch = over > 0 ? kCrossed : over == 0 ? kLocked : 0;
    }
    change_state(book, with_bits(with_bits(book.flags, kTouchStates, false), touch, true));
  }

  void change_state(Book& book, std::uint16_t to) noexcept {
    unsigned changed = book.flags ^ to;
    if (changed == 0) return;
    book.flags = to;
    for (; changed != 0; changed &= changed - 1) {
      const auto bit = static_cast<std::size_t>(__builtin_ctz(changed));
      const bool on = ((std::uint32_t{to} >> bit) & 1U) != 0;
      ++(on ? counts_.entered : counts_.left)[bit];
    }
  }

  std::vector<Book, HugeAllocator<Book>> books_;
  std::vector<std::int64_t> heard_ns_;
  OrderStore<Order> orders_;
  Pool<Level> levels_;
  PriceGrid grid_;
  StateCounts counts_;
};

}  // namespace ringcraft
