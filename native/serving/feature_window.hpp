#pragma once
// The newest vectors of an instrument, for models that read more than one of them.

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "contracts/journal_record.hpp"
#include "models/model.hpp"

namespace ringcraft {

/// A history of vectors, one row each, that one thread writes.
///
/// Any rows in a row lie side by side, so that its writer's model reads them where they are: what is written
/// to the first kLongest places is written once more behind the last. Another thread may copy a window that
/// it was told of, and learns whether it was overwritten meanwhile. Rows are atomics, read and written
/// relaxed between fences (H. Boehm, "Can seqlocks get along with programming language memory models?", MSPC
/// 2012).
class FeatureWindow {
 public:
  static constexpr std::size_t kRows = 2048;  ///< so many rows back can still be read
  static constexpr std::size_t kLongest = kMaxWindow;

  /// The newest rows as of one event: what a decision on it reads.
  struct Mark {
    const FeatureWindow* history = nullptr;  ///< null: there is none, the newest vector is all
    std::uint64_t end = 0;                   ///< rows ever written
    std::uint32_t held = 1;                  ///< newest rows of one session
    std::uint32_t finite = 1;                ///< newest rows without a value that is not finite
    std::uint64_t stream_from = 0;  ///< first row, of those ever written, of what a stream goes along

    /// Why a window of so many rows cannot be read; kNone where it can.
    [[nodiscard]] AbstainReason unfit(std::size_t rows) const noexcept {
      if (rows == 1) return AbstainReason::kNone;  // the event's own vector was looked at already
      if (rows > held) return AbstainReason::kNotWarm;
      return rows > finite ? AbstainReason::kBadFeature : AbstainReason::kNone;
    }
  };

  /// @param width floats a row.
  explicit FeatureWindow(std::size_t width) : width_(width), values_((kRows + kLongest) * width) {}
  FeatureWindow(const FeatureWindow&) = delete;
  FeatureWindow& operator=(const FeatureWindow&) = delete;

  [[nodiscard]] std::size_t width() const noexcept { return width_; }

  /// Adds a row of width() floats. Writer only.
  void push(const float* row, bool finite) noexcept {
    begun_.store(end_ + 1, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_release);
    const std::size_t place = end_ % kRows;
    write(place, row);
    if (place < kLongest) write(kRows + place, row);
    ++end_;
    held_ = std::min<std::uint32_t>(held_ + 1, kLongest);
    finite_ = finite ? std::min<std::uint32_t>(finite_ + 1, kLongest) : 0;
  }

  /// Begins afresh: no window reaches back beyond this. Writer only.
  void clear() noexcept {
    held_ = finite_ = 0;
    interrupt();
  }

  /// Ends what streams go along: the next row begins another. Windows may reach back beyond. Writer only.
  void interrupt() noexcept { stream_from_ = end_; }

  [[nodiscard]] Mark mark() const noexcept { return {this, end_, held_, finite_, stream_from_}; }

  /// The newest rows, oldest first. Writer only, until the next push().
  /// @param rows at most those held.
  [[nodiscard]] const float* newest(std::size_t rows) const noexcept {
    return values_.data() + (end_ - rows) % kRows * width_;
  }

  /// Copies the rows that end at a mark, oldest first. Any thread that was handed the mark.
  /// @return false where they were overwritten meanwhile; `into` then holds anything.
  [[nodiscard]] bool copy(std::uint64_t end, std::size_t rows, float* into) const noexcept {
    const std::size_t first = (end - rows) % kRows * width_;
    for (std::size_t i = 0; i < rows * width_; ++i) {
      // The standard lacks an atomic_ref to const until C++26; nothing is written through it.
      into[i] = std::atomic_ref(const_cast<float&>(values_[first + i])).load(std::memory_order_relaxed);
    }
    std::atomic_thread_fence(std::memory_order_acquire);
    return begun_.load(std::memory_order_relaxed) <= end - rows + kRows;
  }

 private:
  void write(std::size_t place, const float* row) noexcept {
    for (std::size_t i = 0; i < width_; ++i) {
      std::atomic_ref(values_[place * width_ + i]).store(row[i], std::memory_order_relaxed);
    }
  }

  std::size_t width_;
  std::vector<float> values_;
  std::uint64_t end_ = 0;
  std::uint64_t stream_from_ = 0;
  std::uint32_t held_ = 0;
  std::uint32_t finite_ = 0;
  alignas(64) std::atomic<std::uint64_t> begun_{0};  ///< rows ever begun
};

}  // namespace ringcraft
