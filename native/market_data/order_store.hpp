#pragma once
// Orders by reference: found by index where references are dense, by hash where they are not.

#include <cstdint>
#include <limits>
#include <vector>

#include "transport/huge_allocator.hpp"
#include "transport/pool.hpp"

namespace ringcraft {

/// References that fit no page: open addressing with linear probing, erased by moving back.
class SparseReferences {
 public:
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }

  [[nodiscard]] std::uint32_t find(std::uint64_t reference) const noexcept {
    if (size_ == 0) return kNoHandle;
    for (std::size_t i = home(reference);; i = (i + 1) & mask_) {
      if (slots_[i].handle == kNoHandle || slots_[i].reference == reference) return slots_[i].handle;
    }
  }

  /// The reference of a handle that is here; looks at every slot.
  [[nodiscard]] std::uint64_t reference_of(std::uint32_t handle) const noexcept {
    for (const Slot& slot : slots_) {
      if (slot.handle == handle) return slot.reference;
    }
    return 0;
  }

  void insert(std::uint64_t reference, std::uint32_t handle) {
    if ((size_ + 1) * 2 > slots_.size()) grow();
    place(reference, handle);
    ++size_;
  }

  /// @return the handle it had; kNoHandle where there was none.
  std::uint32_t erase(std::uint64_t reference) noexcept {
    if (size_ == 0) return kNoHandle;
    std::size_t hole = home(reference);
    while (slots_[hole].handle != kNoHandle && slots_[hole].reference != reference) hole = (hole + 1) & mask_;
    const std::uint32_t handle = slots_[hole].handle;
    if (handle == kNoHandle) return kNoHandle;
    for (std::size_t i = (hole + 1) & mask_; slots_[i].handle != kNoHandle; i = (i + 1) & mask_) {
      // An entry may fill the hole unless its home lies after it.
      if (((i - home(slots_[i].reference)) & mask_) < ((i - hole) & mask_)) continue;
      slots_[hole] = slots_[i];
      hole = i;
    }
    slots_[hole].handle = kNoHandle;
    --size_;
    return handle;
  }

 private:
  struct Slot {
    std::uint64_t reference = 0;
    std::uint32_t handle = kNoHandle;
  };

  [[nodiscard]] std::size_t home(std::uint64_t reference) const noexcept {
    // Fibonacci hashing: the product's high bits depend on all of the reference's.
    return static_cast<std::size_t>((reference * 0x9E37'79B9'7F4A'7C15ULL) >> 32U) & mask_;
  }
  void place(std::uint64_t reference, std::uint32_t handle) noexcept {
    std::size_t i = home(reference);
    while (slots_[i].handle != kNoHandle) i = (i + 1) & mask_;
    slots_[i] = {reference, handle};
  }
  void grow() {
    std::vector<Slot> old(slots_.empty() ? 64 : slots_.size() * 2);
    old.swap(slots_);
    mask_ = slots_.size() - 1;
    for (const Slot& slot : old) {
      if (slot.handle != kNoHandle) place(slot.reference, slot.handle);
    }
  }

  std::vector<Slot> slots_;
  std::size_t mask_ = 0;
  std::size_t size_ = 0;
};

/// A number for each of a growing range of keys, most of them kNoHandle: in chunks of 128 keys, used again
/// once they are empty.
///
/// Only the list of chunks grows with the range: 1 B for 32 keys. A look-up goes through it without a branch,
/// since keys without a chunk share one that is always empty.
class Directory {
 public:
  Directory() { (void)add_chunk(); }  // chunk 0, the empty one

  void reserve(std::size_t keys, std::size_t chunks) {
    chunks_.reserve(keys / kChunk + 1);
    entries_.reserve(chunks * kChunk);
    used_.reserve(chunks);
    free_.reserve(chunks);
  }

  /// Keys it has room for.
  [[nodiscard]] std::uint64_t size() const noexcept { return chunks_.size() * kChunk; }
  void stretch(std::uint64_t key) { chunks_.resize(static_cast<std::size_t>(key / kChunk) + 1, 0); }

  /// @param key below size().
  [[nodiscard]] std::uint32_t operator[](std::uint64_t key) const noexcept {
    return entries_[chunks_[key / kChunk] * kChunk + key % kChunk];
  }

  /// @param key below size() and without a value yet.
  void set(std::uint64_t key, std::uint32_t value) {
    std::uint32_t& chunk = chunks_[key / kChunk];
    if (chunk == 0) chunk = add_chunk();
    entries_[chunk * kChunk + key % kChunk] = value;
    ++used_[chunk];
  }

  /// @param key with a value.
  void clear(std::uint64_t key) noexcept {
    std::uint32_t& chunk = chunks_[key / kChunk];
    entries_[chunk * kChunk + key % kChunk] = kNoHandle;
    if (--used_[chunk] == 0) {
      free_.push_back(chunk);
      chunk = 0;
    }
  }

  [[nodiscard]] std::size_t bytes() const noexcept {
    return (chunks_.capacity() + entries_.capacity() + used_.capacity() + free_.capacity()) *
           sizeof(std::uint32_t);
  }

 private:
  static constexpr std::size_t kChunk = 128;

  [[nodiscard]] std::uint32_t add_chunk() {
    if (!free_.empty()) {
      const std::uint32_t chunk = free_.back();
      free_.pop_back();
      return chunk;
    }
    used_.push_back(0);
    entries_.resize(used_.size() * kChunk, kNoHandle);
    // Clearing needs no memory of its own: it may not throw.
    if (free_.capacity() < used_.size()) free_.reserve(used_.capacity());
    return static_cast<std::uint32_t>(used_.size() - 1);
  }

  std::vector<std::uint32_t, HugeAllocator<std::uint32_t>> chunks_;   ///< by key / 128
  std::vector<std::uint32_t, HugeAllocator<std::uint32_t>> entries_;  ///< by chunk and key % 128
  std::vector<std::uint32_t> used_;                                   ///< entries with a value, by chunk
  std::vector<std::uint32_t> free_;
};

/// A pool of orders in pages of 32 successive references; a page whose orders are all gone is used again.
///
/// A directory by reference / 32 names the page, so dense references cost two small look-ups and no hash, and
/// memory follows the orders that live, not those that ever were. References far from the others (an add may
/// stretch the directory by 16 entries for each order yet seen, no further) are found by hash, one slot each.
///
/// @tparam Order trivially copyable, with `lots` of 0 where no order rests.
template <class Order>
class OrderStore {
 public:
  /// Takes memory ahead: for `live` resting orders at a time, and references below `references`.
  void reserve(std::size_t live, std::uint64_t references) {
    pool_.reserve(live);
    pages_.reserve(live / kPage + 1);
    live_.reserve(live / kPage + 1);
    directory_.reserve(static_cast<std::size_t>(references / kPage + 1), live / kPage + 1);
  }

  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] Order& operator[](std::uint32_t handle) noexcept { return pool_[handle]; }
  [[nodiscard]] const Order& operator[](std::uint32_t handle) const noexcept { return pool_[handle]; }

  [[nodiscard]] std::uint32_t find(std::uint64_t reference) const noexcept {
    const std::uint64_t page = reference / kPage;
    const std::uint32_t held = page < directory_.size() ? directory_[page] : kNoHandle;
    if (held != kNoHandle) {
      const std::uint32_t handle = held * kPage + static_cast<std::uint32_t>(reference % kPage);
      if (pool_[handle].lots != 0) return handle;
    }
    return sparse_.find(reference);
  }

  /// Asks for the order's memory ahead of find(). Inlined by force, as all that only prefetches is: gcc takes
  /// a call of such a function for one without effect and drops it.
  /// @return where it lies, if it is found by index; else some handle or kNoHandle.
  [[gnu::always_inline]] std::uint32_t prefetch(std::uint64_t reference) const noexcept {
    const std::uint64_t page = reference / kPage;
    const std::uint32_t held = page < directory_.size() ? directory_[page] : kNoHandle;
    const std::uint32_t handle =
        held == kNoHandle ? kNoHandle : held * kPage + static_cast<std::uint32_t>(reference % kPage);
    if (handle != kNoHandle) __builtin_prefetch(&pool_[handle]);
    return handle;
  }

  /// Makes room for a reference that find() does not know; the caller gives the order its lots.
  std::uint32_t insert(std::uint64_t reference) {
    const std::uint64_t page = reference / kPage;
    ++size_;
    ++seen_;
    if (page >= directory_.size() && !stretch(page)) {
      const std::uint32_t handle = spare_slot();
      sparse_.insert(reference, handle);
      return handle;
    }
    std::uint32_t held = directory_[page];
    if (held == kNoHandle) {
      held = take_page();
      directory_.set(page, held);
      pages_[held] = page;
    }
    ++live_[held];
    return held * kPage + static_cast<std::uint32_t>(reference % kPage);
  }

  /// Forgets an order that find() gave.
  void erase(std::uint64_t reference, std::uint32_t handle) noexcept {
    pool_[handle].lots = 0;
    --size_;
    const std::uint32_t page = handle / kPage;
    if (live_[page] == kSparseLive) [[unlikely]] {
      sparse_.erase(reference);
      spare_.push_back(handle);
    } else if (--live_[page] == 0) {
      directory_.clear(pages_[page]);
      pages_.give_back(page);
    }
  }

  /// The reference of a live order; slow where it is not in a page of its neighbours.
  [[nodiscard]] std::uint64_t reference_of(std::uint32_t handle) const noexcept {
    const std::uint64_t page = pages_[handle / kPage];
    return live_[handle / kPage] == kSparseLive ? sparse_.reference_of(handle)
                                                : page * kPage + handle % kPage;
  }

  [[nodiscard]] std::size_t bytes() const noexcept {
    return pool_.capacity() * sizeof(Order) + directory_.bytes() + pages_.bytes() + live_.capacity();
  }

 private:
  static constexpr std::uint32_t kPage = 32;
  static constexpr std::uint8_t kSparseLive = 255;         ///< of pages that hold references found by hash
  static constexpr std::uint64_t kDirectoryFree = 65'536;  ///< entries given without an order
  static constexpr std::uint64_t kDirectoryPerOrder = 16;

  bool stretch(std::uint64_t page) {
    if (page >= kDirectoryFree + kDirectoryPerOrder * seen_) return false;
    directory_.stretch(page);
    return true;
  }

  std::uint32_t take_page() {
    const std::uint32_t page = pages_.take();
    const std::size_t orders = (std::size_t{page} + 1) * kPage;
    if (pool_.size() < orders) {
      pool_.resize(orders);
      live_.resize(orders / kPage);
    }
    return page;
  }

  std::uint32_t spare_slot() {
    if (spare_.empty()) {
      const std::uint32_t page = take_page();
      live_[page] = kSparseLive;
      spare_.reserve(pool_.size());
      for (std::uint32_t i = 0; i < kPage; ++i) spare_.push_back(page * kPage + i);
    }
    const std::uint32_t handle = spare_.back();
    spare_.pop_back();
    return handle;
  }

  std::vector<Order, HugeAllocator<Order>> pool_;
  Directory directory_;
  Pool<std::uint64_t> pages_;       ///< references / 32
  std::vector<std::uint8_t> live_;  ///< orders that rest, by page: a byte each, so that they stay in a cache
  std::vector<std::uint32_t> spare_;
  SparseReferences sparse_;
  std::size_t size_ = 0;
  std::uint64_t seen_ = 0;
};

}  // namespace ringcraft
