#pragma once
// One side's prices in a sorted array with the best at the end, where nearly all changes are.

#include <algorithm>
#include <cstdint>
#include <memory>

namespace ringcraft {

/// Keys are ticks of bids and negated ticks of asks, so the greatest is the best on both sides.
class Ladder {
 public:
  struct Entry {
    std::int32_t key;
    std::uint32_t level;
  };

  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  [[nodiscard]] std::uint32_t size() const noexcept { return size_; }
  [[nodiscard]] const Entry& best() const noexcept { return entries_[size_ - 1]; }
  /// By rank from the best, 0 the best itself.
  [[nodiscard]] const Entry& rank(std::uint32_t from_best) const noexcept {
    return entries_[size_ - 1 - from_best];
  }

  /// Index of the first entry whose key is not below `key`; size() where there is none.
  [[nodiscard]] std::uint32_t position(std::int32_t key) const noexcept {
    constexpr std::uint32_t kNear = 16;
    const std::uint32_t near = size_ > kNear ? size_ - kNear : 0;
    if (near != 0 && entries_[near].key >= key) {
      const Entry* found = std::lower_bound(entries_.get(), entries_.get() + near, key,
                                            [](const Entry& each, std::int32_t k) { return each.key < k; });
      return static_cast<std::uint32_t>(found - entries_.get());
    }
    std::uint32_t at = size_;
    while (at > near && entries_[at - 1].key >= key) --at;
    return at;
  }
  [[nodiscard]] bool holds(std::uint32_t position, std::int32_t key) const noexcept {
    return position < size_ && entries_[position].key == key;
  }
  [[nodiscard]] std::uint32_t level_at(std::uint32_t position) const noexcept {
    return entries_[position].level;
  }

  void insert(std::uint32_t position, Entry entry) {
    if (size_ == capacity_) grow();
    Entry* at = entries_.get() + position;
    std::move_backward(at, entries_.get() + size_, entries_.get() + size_ + 1);
    *at = entry;
    ++size_;
  }
  void erase(std::uint32_t position) noexcept {
    Entry* at = entries_.get() + position;
    std::move(at + 1, entries_.get() + size_, at);
    --size_;
  }
  [[gnu::always_inline]] void prefetch() const noexcept {
    if (size_ != 0) __builtin_prefetch(entries_.get() + size_ - 1);
  }
  void clear() noexcept { size_ = 0; }

 private:
  void grow() {
    const std::uint32_t capacity = capacity_ == 0 ? 16 : capacity_ * 2;
    auto larger = std::make_unique_for_overwrite<Entry[]>(capacity);
    std::copy_n(entries_.get(), size_, larger.get());
    entries_ = std::move(larger);
    capacity_ = capacity;
  }

  std::unique_ptr<Entry[]> entries_;
  std::uint32_t size_ = 0;
  std::uint32_t capacity_ = 0;
};

}  // namespace ringcraft
