#pragma once
// Levels in an array sorted by price with the best at the end, where most changes are.

#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>

namespace ringcraft {

/// Keys are ticks of bids and negated ticks of asks, so the greatest is the best on both sides.
///
/// Keys and levels lie apart, and the least of all keys stands kNear times before the first: the last kNear
/// keys are then compared all at once, in vectors and without a branch that the order flow could surprise.
class SortedLevels {
 public:
  struct Entry {
    std::int32_t key;
    std::uint32_t level;
  };

  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  [[nodiscard]] std::uint32_t size() const noexcept { return size_; }
  [[nodiscard]] Entry best() const noexcept { return rank(0); }
  /// By rank from the best, 0 the best itself.
  [[nodiscard]] Entry rank(std::uint32_t from_best) const noexcept {
    const std::uint32_t at = size_ - 1 - from_best;
    return {keys()[at], levels()[at]};
  }

  /// Index of the first entry whose key is not below `key`; size() where there is none.
  [[nodiscard]] std::uint32_t position(std::int32_t key) const noexcept {
    if (size_ == 0) return 0;
    const std::int32_t* const first = keys();
    const std::int32_t* const last = first + size_ - kNear;
    std::uint32_t not_below = 0;
    for (std::uint32_t i = 0; i < kNear; ++i) not_below += last[i] >= key ? 1U : 0U;
    if (not_below < kNear) [[likely]]
      return size_ - not_below;
    return static_cast<std::uint32_t>(std::lower_bound(first, last, key) - first);
  }
  [[nodiscard]] bool holds(std::uint32_t position, std::int32_t key) const noexcept {
    return position < size_ && keys()[position] == key;
  }
  [[nodiscard]] std::uint32_t level_at(std::uint32_t position) const noexcept { return levels()[position]; }

  void insert(std::uint32_t position, Entry entry) {
    if (size_ == capacity_) grow();
    std::move_backward(keys() + position, keys() + size_, keys() + size_ + 1);
    std::move_backward(levels() + position, levels() + size_, levels() + size_ + 1);
    keys()[position] = entry.key;
    levels()[position] = entry.level;
    ++size_;
  }
  void erase(std::uint32_t position) noexcept {
    std::move(keys() + position + 1, keys() + size_, keys() + position);
    std::move(levels() + position + 1, levels() + size_, levels() + position);
    --size_;
  }
  void clear() noexcept { size_ = 0; }

 private:
  static constexpr std::uint32_t kNear = 16;

  [[nodiscard]] std::int32_t* keys() const noexcept {
    return reinterpret_cast<std::int32_t*>(block_.get()) + kNear;
  }
  [[nodiscard]] std::uint32_t* levels() const noexcept { return block_.get() + kNear + capacity_; }

  void grow() {
    SortedLevels larger;
    larger.capacity_ = capacity_ == 0 ? 16 : capacity_ * 2;
    larger.block_ =
        std::make_unique_for_overwrite<std::uint32_t[]>(kNear + 2 * std::size_t{larger.capacity_});
    std::fill_n(larger.keys() - kNear, kNear, std::numeric_limits<std::int32_t>::min());
    if (size_ != 0) {
      std::copy_n(keys(), size_, larger.keys());
      std::copy_n(levels(), size_, larger.levels());
    }
    larger.size_ = size_;
    *this = std::move(larger);
  }

  std::unique_ptr<std::uint32_t[]> block_;  ///< kNear least keys, keys, levels
  std::uint32_t size_ = 0;
  std::uint32_t capacity_ = 0;
};

}  // namespace ringcraft
