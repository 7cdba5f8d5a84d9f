#pragma once
// One side's levels by price: those around the touch found by index, all others in a sorted array.

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <limits>
#include <memory>

#include "market_data/sorted_levels.hpp"
#include "transport/pool.hpp"

namespace ringcraft {

/// The multiples of `step` that most prices are; what is none of them is priced no worse, only slower.
class PriceGrid {
 public:
  /// @param step ticks, at least 1.
  explicit PriceGrid(std::int32_t step) noexcept : step_(step) {}

  [[nodiscard]] std::int32_t line_of(std::int32_t key) const noexcept { return key / step_; }
  [[nodiscard]] std::int32_t key_of(std::int32_t line) const noexcept { return line * step_; }

 private:
  std::int32_t step_;
};

/// Keys are ticks of bids and negated ticks of asks, so the greatest is the best on both sides.
///
/// Near levels are those of 64 successive grid lines, a ring with a bit for each line that holds one; they
/// are reached without a search. The window follows the best level, and moves a few times in a day, not with
/// each change of the touch. Far levels are all that lie outside or between the lines.
class Ladder {
 public:
  using Entry = SortedLevels::Entry;

  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  [[nodiscard]] std::uint32_t size() const noexcept { return size_; }

  /// The level at a key; kNoHandle where there is none.
  [[nodiscard]] std::uint32_t find(std::int32_t key, const PriceGrid& grid) const noexcept {
    if (size_ == 0) return kNoHandle;
    const std::int32_t line = grid.line_of(key);
    if (is_near(line) && grid.key_of(line) == key) [[likely]]
      return block_->near[slot_of(line)];
    const SortedLevels& far = block_->far;
    const std::uint32_t position = far.position(key);
    return far.holds(position, key) ? far.level_at(position) : kNoHandle;
  }

  /// The best level; there is one.
  [[nodiscard]] Entry best(const PriceGrid& grid) const noexcept {
    const Block& block = *block_;
    if (block.used == 0) return block.far.best();
    const std::int32_t line = best_line();
    const std::int32_t key = grid.key_of(line);
    if (!block.far.empty() && block.far.best().key > key) return block.far.best();
    return {key, block.near[slot_of(line)]};
  }

  /// By rank from the best, 0 the best itself.
  [[nodiscard]] Entry rank(std::uint32_t from_best, const PriceGrid& grid) const noexcept {
    const Block& block = *block_;
    const auto near_count = static_cast<std::uint32_t>(std::popcount(block.used));
    std::uint64_t left = std::rotr(block.used, static_cast<int>(slot_of(base_)));
    if (block.far.empty() || near_count == 0 || grid.line_of(block.far.best().key) < base_) {
      if (from_best >= near_count) return block.far.rank(from_best - near_count);
      for (; from_best > 0; --from_best) left &= ~(kTop >> static_cast<unsigned>(std::countl_zero(left)));
      return near_entry(left, grid);
    }
    for (std::uint32_t far_rank = 0;;) {  // some far levels lie between near ones
      const bool is_far = left == 0 || (far_rank < block.far.size() &&
                                        block.far.rank(far_rank).key > near_entry(left, grid).key);
      if (from_best-- == 0) return is_far ? block.far.rank(far_rank) : near_entry(left, grid);
      if (is_far) {
        ++far_rank;
      } else {
        left &= ~(kTop >> static_cast<unsigned>(std::countl_zero(left)));
      }
    }
  }

  /// Adds a level at a key that has none.
  void insert(Entry entry, const PriceGrid& grid) {
    if (block_ == nullptr) block_ = std::make_unique<Block>();
    const std::int32_t line = grid.line_of(entry.key);
    ++size_;
    if (grid.key_of(line) == entry.key) [[likely]] {
      if (!is_near(line) && (block_->used == 0 || line > base_)) move_under(line, grid);
      if (is_near(line)) [[likely]] {
        put_near(line, entry.level);
        return;
      }
    }
    block_->far.insert(block_->far.position(entry.key), entry);
  }

  /// Takes the level of a key off; there is one.
  void erase(std::int32_t key, const PriceGrid& grid) {
    Block& block = *block_;
    --size_;
    const std::int32_t line = grid.line_of(key);
    if (!is_near(line) || grid.key_of(line) != key) [[unlikely]] {
      block.far.erase(block.far.position(key));
      return;
    }
    block.near[slot_of(line)] = kNoHandle;
    block.used &= ~(std::uint64_t{1} << slot_of(line));
    // Only downwards, and nothing near is then left outside: moving takes no memory here, and cannot throw.
    if (block.far.empty()) return;
    if (block.used == 0) {
      move_under(grid.line_of(block.far.best().key), grid);
    } else if (best_line() - base_ < kLowest) {
      move_under(best_line(), grid);
    }
  }

  void clear() noexcept {
    if (block_ == nullptr) return;
    block_->far.clear();
    block_->used = 0;
    block_->near.fill(kNoHandle);
    base_ = 0;
    size_ = 0;
  }

  /// Asks for what find(), insert() and erase() need of a key that is near.
  [[gnu::always_inline]] void prefetch(std::int32_t key, const PriceGrid& grid) const noexcept {
    if (size_ == 0) return;
    __builtin_prefetch(block_.get());
    __builtin_prefetch(&block_->near[slot_of(grid.line_of(key))]);
  }
  /// After prefetch(): the handle at a key that is near; else some other or kNoHandle. There is a level.
  [[gnu::always_inline]] [[nodiscard]] std::uint32_t guess(std::int32_t key,
                                                           const PriceGrid& grid) const noexcept {
    return block_->near[slot_of(grid.line_of(key))];
  }

 private:
  static constexpr std::uint32_t kLines = 64;
  static constexpr std::int32_t kAbove = 16;  ///< lines kept free over the best when the window moves
  static constexpr std::int32_t kLowest = 8;  ///< a best level below this line of the window moves it down
  static constexpr std::uint64_t kTop = std::uint64_t{1} << 63U;

  struct alignas(64) Block {
    Block() { near.fill(kNoHandle); }

    std::uint64_t used = 0;  ///< bit line % 64: a near level is there
    SortedLevels far;
    alignas(64) std::array<std::uint32_t, kLines> near;  ///< by line % 64
  };

  [[nodiscard]] static std::uint32_t slot_of(std::int32_t line) noexcept {
    return static_cast<std::uint32_t>(line) % kLines;
  }
  [[nodiscard]] bool is_near(std::int32_t line) const noexcept {
    return static_cast<std::uint32_t>(line) - static_cast<std::uint32_t>(base_) < kLines;
  }
  [[nodiscard]] std::int32_t best_line() const noexcept {
    return base_ + (63 - std::countl_zero(std::rotr(block_->used, static_cast<int>(slot_of(base_)))));
  }
  /// @param left the window's levels yet to be ranked, bit 0 for line base_; not 0.
  [[nodiscard]] Entry near_entry(std::uint64_t left, const PriceGrid& grid) const noexcept {
    const std::int32_t line = base_ + (63 - std::countl_zero(left));
    return {grid.key_of(line), block_->near[slot_of(line)]};
  }
  void put_near(std::int32_t line, std::uint32_t level) noexcept {
    block_->near[slot_of(line)] = level;
    block_->used |= std::uint64_t{1} << slot_of(line);
  }

  /// Moves the window so that a line is kAbove below its top; levels change places with the far ones.
  void move_under(std::int32_t line, const PriceGrid& grid) {
    Block& block = *block_;
    using Limits = std::numeric_limits<std::int32_t>;
    const std::int32_t under = static_cast<std::int32_t>(kLines) - 1 - kAbove;
    // Never past the last line: behind it the lowest would follow.
    const std::int32_t base =
        line < Limits::min() + under ? Limits::min() : std::min(line - under, Limits::max() - 63);
    const std::int32_t old = base_;
    base_ = base;
    for (std::uint64_t left = block.used; left != 0; left &= left - 1) {
      const auto slot = static_cast<std::uint32_t>(std::countr_zero(left));
      const auto held = static_cast<std::int32_t>(static_cast<std::uint32_t>(old) +
                                                  (slot - static_cast<std::uint32_t>(old)) % kLines);
      if (is_near(held)) continue;
      const std::int32_t key = grid.key_of(held);
      block.far.insert(block.far.position(key), {key, block.near[slot]});
      block.near[slot] = kNoHandle;
      block.used &= ~(std::uint64_t{1} << slot);
    }
    for (std::uint32_t at = block.far.size(); at-- > 0;) {
      const Entry entry = block.far.rank(block.far.size() - 1 - at);
      const std::int32_t its_line = grid.line_of(entry.key);
      if (its_line < base_) break;
      if (!is_near(its_line) || grid.key_of(its_line) != entry.key) continue;
      put_near(its_line, entry.level);
      block.far.erase(at);
    }
  }

  std::unique_ptr<Block> block_;  ///< null until there was a level
  std::int32_t base_ = 0;         ///< the window's lowest line
  std::uint32_t size_ = 0;
};

}  // namespace ringcraft
