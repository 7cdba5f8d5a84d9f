#pragma once
// Any number of producers, one consumer, one process, fixed memory. Source of the algorithm: D. Vyukov,
// "Bounded MPMC queue" (1024cores.net): each slot says by a number of its own whose turn it is.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>

namespace ringcraft {

/// Items of one producer come out in the order in which it pushed them; those of several, as they took turns.
///
/// No call waits for another thread. A producer that is stopped inside push() holds back what others pushed
/// after it, until it goes on.
/// @tparam T trivially copyable.
template <class T>
class MpscRing {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  /// @param capacity a power of two, 2 or more.
  explicit MpscRing(std::size_t capacity) : slots_(std::make_unique<Slot[]>(capacity)), mask_(capacity - 1) {
    for (std::size_t i = 0; i < capacity; ++i) slots_[i].turn.store(i, std::memory_order_relaxed);
  }

  /// @return false where the ring is full.
  bool push(const T& item) noexcept {
    std::uint64_t position = tail_.load(std::memory_order_relaxed);
    for (;;) {
      Slot& slot = slots_[position & mask_];
      const std::uint64_t turn = slot.turn.load(std::memory_order_acquire);
      if (turn == position) {
        if (!tail_.compare_exchange_weak(position, position + 1, std::memory_order_relaxed)) continue;
        slot.item = item;
        slot.turn.store(position + 1, std::memory_order_release);
        return true;
      }
      if (turn < position) return false;  // the slot's item of a round ago is still there
      position = tail_.load(std::memory_order_relaxed);
    }
  }

  /// @return false where there is nothing, or where the next item is not whole yet.
  /// @note Consumer only.
  bool pop(T& item) noexcept {
    Slot& slot = slots_[head_ & mask_];
    if (slot.turn.load(std::memory_order_acquire) != head_ + 1) return false;
    item = slot.item;
    slot.turn.store(head_ + mask_ + 1, std::memory_order_release);
    ++head_;
    return true;
  }

 private:
  struct Slot {
    std::atomic<std::uint64_t> turn;  ///< n: producer n may write; n + 1: its item is whole
    T item;
  };

  std::unique_ptr<Slot[]> slots_;
  std::size_t mask_;
  alignas(64) std::atomic<std::uint64_t> tail_{0};
  alignas(64) std::uint64_t head_ = 0;
};

}  // namespace ringcraft
