#pragma once
// One producer, one consumer, fixed memory: their process's, or memory that processes share.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

namespace ringcraft {

/// A ring's positions; they count up for ever and wrap by mask. Each has a cache line and one writer.
struct RingPositions {
  alignas(64) std::atomic<std::uint64_t> produced{0};
  alignas(64) std::atomic<std::uint64_t> consumed{0};
};

/// A ring over positions and slots that someone else keeps.
template <class T>
class RingView {
 public:
  RingView() = default;
  /// @param capacity a power of two.
  RingView(RingPositions* positions, T* slots, std::size_t capacity) noexcept
      : positions_(positions), slots_(slots), mask_(capacity - 1) {}

  /// The place to write the next item, null where the ring is full; publish() makes it visible.
  /// @note Producer only, as publish().
  [[nodiscard]] T* claim() noexcept {
    const std::uint64_t tail = positions_->produced.load(std::memory_order_relaxed);
    if (tail - seen_consumed_ > mask_) {
      seen_consumed_ = consumed();
      if (tail - seen_consumed_ > mask_) return nullptr;
    }
    return &slots_[tail & mask_];
  }

  void publish() noexcept {
    positions_->produced.store(positions_->produced.load(std::memory_order_relaxed) + 1,
                               std::memory_order_release);
  }

  /// The oldest item, null where there is none; release() gives its place back.
  /// @note Consumer only, as release(), at() and consume_to().
  [[nodiscard]] T* front() noexcept {
    const std::uint64_t head = positions_->consumed.load(std::memory_order_relaxed);
    return head == produced() ? nullptr : &slots_[head & mask_];
  }

  void release() noexcept { consume_to(positions_->consumed.load(std::memory_order_relaxed) + 1); }

  [[nodiscard]] std::uint64_t produced() const noexcept {
    return positions_->produced.load(std::memory_order_acquire);
  }
  [[nodiscard]] std::uint64_t consumed() const noexcept {
    return positions_->consumed.load(std::memory_order_acquire);
  }
  [[nodiscard]] std::size_t capacity() const noexcept { return mask_ + 1; }

  /// The item at a position between consumed() and produced().
  [[nodiscard]] T& at(std::uint64_t position) noexcept { return slots_[position & mask_]; }

  /// Gives everything before `position` back to the producer.
  void consume_to(std::uint64_t position) noexcept {
    positions_->consumed.store(position, std::memory_order_release);
  }

 private:
  RingPositions* positions_ = nullptr;
  T* slots_ = nullptr;
  std::size_t mask_ = 0;
  alignas(64) std::uint64_t seen_consumed_ = 0;  // the producer's last look
};

/// A ring with memory of its own.
template <class T>
class SpscRing : public RingView<T> {
 public:
  /// @param capacity a power of two.
  explicit SpscRing(std::size_t capacity) : SpscRing(std::make_unique<Memory>(capacity), capacity) {}

 private:
  struct Memory {
    explicit Memory(std::size_t capacity) : slots(std::make_unique<T[]>(capacity)) {}
    RingPositions positions;
    std::unique_ptr<T[]> slots;
  };

  SpscRing(std::unique_ptr<Memory> memory, std::size_t capacity)
      : RingView<T>(&memory->positions, memory->slots.get(), capacity), memory_(std::move(memory)) {}

  std::unique_ptr<Memory> memory_;
};

}  // namespace ringcraft
