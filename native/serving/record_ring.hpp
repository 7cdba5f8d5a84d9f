#pragma once
// Rings of journal records in shared memory. They survive the process that fills them, so that what was
// decided but not yet written can still be written by whoever finds it.
//
// Two rings, one for each producing thread, and the drain's intent: what the batch under way takes from each,
// and the journal index of its first record. Held against what the journal then holds, it tells which records
// a drain that was killed half-way had already written.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>

#include "contracts/journal_record.hpp"
#include "transport/shared_region.hpp"
#include "transport/spsc_ring.hpp"

namespace ringcraft {

inline constexpr std::size_t kRecordBytes = 128;
using RecordBytes = std::array<std::byte, kRecordBytes>;
static_assert(sizeof(RecordBytes) == kRecordBytes);

/// One ring's positions and what it had no room for.
struct RingState {
  RingPositions positions;
  alignas(64) std::atomic<std::uint64_t> dropped;
};
static_assert(sizeof(RingState) == 192, "the layout is shared with whoever drains the ring");

/// One producer's ring within a RecordRings.
class RecordRing : public RingView<RecordBytes> {
 public:
  RecordRing() = default;
  RecordRing(RingState* state, RecordBytes* records, std::size_t capacity) noexcept
      : RingView(&state->positions, records, capacity), dropped_(&state->dropped) {}

  /// Adds a record, or drops it and counts where the ring is full; never waits.
  /// @note Producer only.
  bool push(const void* record) noexcept {
    RecordBytes* place = claim();
    if (place == nullptr) {
      dropped_->store(dropped() + 1, std::memory_order_relaxed);
      return false;
    }
    std::memcpy(place, record, kRecordBytes);
    publish();
    return true;
  }

  /// Whether the next push() will be taken.
  /// @note Producer only.
  [[nodiscard]] bool has_room() const noexcept { return produced() - consumed() < capacity(); }

  [[nodiscard]] std::uint64_t dropped() const noexcept { return dropped_->load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t>* dropped_ = nullptr;
};

/// What a drain is about to write: [from, to) of the decisions' ring, then of the shadows'.
struct DrainIntent {
  std::atomic<std::uint64_t> valid;
  std::uint64_t first_index;  ///< journal index of the batch's first record
  std::array<std::uint64_t, 2> from;
  std::array<std::uint64_t, 2> to;
};

class RecordRings {
 public:
  static constexpr std::size_t kDecisions = 0;
  static constexpr std::size_t kShadows = 1;

  /// Maps the rings at `path`, made empty where there are none, and takes them for this process alone.
  /// @param capacity records in each, a power of two; existing rings keep theirs.
  /// @throws std::runtime_error another process has them, or something else is there.
  [[nodiscard]] static RecordRings open_or_create(const std::string& path, std::size_t capacity) {
    if (capacity < 2 || (capacity & (capacity - 1)) != 0) {
      throw std::runtime_error(path + ": expected a capacity that is a power of two, got " +
                               std::to_string(capacity));
    }
    const bool there = ::access(path.c_str(), F_OK) == 0;
    RecordRings rings(there ? SharedRegion::open(path) : SharedRegion::open_or_create(path, bytes(capacity)),
                      path);
    return rings;
  }

  /// Maps the rings at `path`.
  /// @throws std::runtime_error they are not there, or another process has them.
  [[nodiscard]] static RecordRings open(const std::string& path) {
    return RecordRings(SharedRegion::open(path), path);
  }

  [[nodiscard]] RecordRing& ring(std::size_t which) noexcept { return rings_[which]; }
  [[nodiscard]] DrainIntent& intent() noexcept { return shared().intent; }
  [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }

 private:
  static constexpr std::uint64_t kMagic = 0x0001'474E'4952'5252ULL;

  struct Shared {
    std::atomic<std::uint64_t> magic;
    DrainIntent intent;
    std::array<RingState, 2> states;
  };
  static constexpr std::size_t kHeaderBytes = 4096;
  static_assert(sizeof(Shared) <= kHeaderBytes);

  static std::size_t bytes(std::size_t capacity) noexcept {
    return kHeaderBytes + 2 * capacity * kRecordBytes;
  }

  RecordRings(SharedRegion region, const std::string& path) : region_(std::move(region)) {
    capacity_ = region_.size() < kHeaderBytes ? 0 : (region_.size() - kHeaderBytes) / (2 * kRecordBytes);
    const bool fits =
        capacity_ >= 2 && (capacity_ & (capacity_ - 1)) == 0 && bytes(capacity_) == region_.size();
    if (!fits) {
      throw std::runtime_error(path + ": expected record rings, got a file of " +
                               std::to_string(region_.size()) + " bytes");
    }
    if (!region_.lock()) {
      throw std::runtime_error(path + ": in use by another process");
    }
    std::uint64_t nothing = 0;
    shared().magic.compare_exchange_strong(nothing, kMagic);
    if (shared().magic.load() != kMagic) {
      throw std::runtime_error(path + ": expected record rings, got something else");
    }
    auto* records = reinterpret_cast<RecordBytes*>(static_cast<std::byte*>(region_.data()) + kHeaderBytes);
    for (std::size_t which = 0; which < rings_.size(); ++which) {
      rings_[which] = RecordRing(&shared().states[which], records + which * capacity_, capacity_);
    }
  }

  [[nodiscard]] Shared& shared() const noexcept { return *static_cast<Shared*>(region_.data()); }

  SharedRegion region_;
  std::size_t capacity_ = 0;
  std::array<RecordRing, 2> rings_;
};

}  // namespace ringcraft
