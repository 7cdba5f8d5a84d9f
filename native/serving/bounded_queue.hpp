#pragma once
// One producer, one consumer, one process, fixed memory.

#include <atomic>
#include <cstddef>
#include <vector>

namespace ringcraft {

template <class T>
class BoundedQueue {
 public:
  /// @param capacity a power of two.
  explicit BoundedQueue(std::size_t capacity) : items_(capacity), mask_(capacity - 1) {}

  /// The place to write the next item, null where the queue is full; publish() makes it visible.
  /// @note Producer only.
  [[nodiscard]] T* claim() noexcept {
    const std::size_t tail = tail_.load(std::memory_order_relaxed);
    if (tail - seen_head_ > mask_) {
      seen_head_ = head_.load(std::memory_order_acquire);
      if (tail - seen_head_ > mask_) {
        return nullptr;
      }
    }
    return &items_[tail & mask_];
  }

  void publish() noexcept {
    tail_.store(tail_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
  }

  /// The oldest item, null where there is none; release() gives its place back.
  /// @note Consumer only.
  [[nodiscard]] T* front() noexcept {
    const std::size_t head = head_.load(std::memory_order_relaxed);
    return head == tail_.load(std::memory_order_acquire) ? nullptr : &items_[head & mask_];
  }

  void release() noexcept {
    head_.store(head_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
  }

 private:
  std::vector<T> items_;
  std::size_t mask_;
  alignas(64) std::atomic<std::size_t> tail_{0};
  std::size_t seen_head_ = 0;  // the producer's last look at head_
  alignas(64) std::atomic<std::size_t> head_{0};
};

}  // namespace ringcraft
