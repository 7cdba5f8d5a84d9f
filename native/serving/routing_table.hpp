#pragma once
// Who answers: one writer's word to every worker, in shared memory.
//
// Two slots with sequence numbers and an atomic index. The writer fills the slot that nobody reads and then
// moves the index, so that one killed half-way leaves the old table in force and hangs no reader. Only this
// class touches the mapping.

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include "contracts/journal_record.hpp"
#include "transport/clock.hpp"
#include "transport/shared_region.hpp"

namespace ringcraft {

inline constexpr std::size_t kMaxModels = 16;
inline constexpr std::size_t kMaxShadows = 4;
inline constexpr std::uint8_t kNoSlot = 255;

/// One model's routing.
struct Route {
  std::uint16_t model = 0;
  std::uint16_t share_bps = 0;  ///< the challenger's, of 10,000
  std::uint8_t champion_slot = kNoSlot;
  std::uint8_t challenger_slot = kNoSlot;
  std::uint8_t phase = 0;
  std::uint8_t step = 0;
  std::uint32_t rollout_id = 0;
  std::uint32_t champion_version = 0;
  std::uint32_t challenger_version = 0;
  std::array<std::uint8_t, kMaxShadows> shadow_slots{kNoSlot, kNoSlot, kNoSlot, kNoSlot};
  std::uint64_t salt = 0;
  std::array<std::uint32_t, kMaxShadows> shadow_versions{};
  AssignBy assign_by = AssignBy::kDecision;
  std::array<std::uint8_t, 7> reserved{};
};

/// All routes of one epoch.
struct RoutingSnapshot {
  std::uint64_t epoch = 0;  ///< 0: nothing was ever published
  std::uint64_t count = 0;
  std::array<Route, kMaxModels> routes{};
};

static_assert(sizeof(Route) == 56);
static_assert(sizeof(RoutingSnapshot) % 8 == 0);
static_assert(std::is_trivially_copyable_v<RoutingSnapshot>);

class RoutingTable {
 public:
  /// Opens the table at `path`, made empty (epoch 0) where there is none; an existing one keeps its routes.
  /// @throws std::runtime_error it cannot be made, or something else is there.
  [[nodiscard]] static RoutingTable create(const std::string& path) {
    RoutingTable table(SharedRegion::open_or_create(path, sizeof(Shared)), path);
    return table;
  }

  /// Opens the table at `path`.
  /// @throws std::runtime_error it is not there, or something else is.
  [[nodiscard]] static RoutingTable open(const std::string& path) {
    return RoutingTable(SharedRegion::open(path), path);
  }

  /// Publishes routes as the next epoch, in force from the next decision.
  /// @param after the journal's last epoch: a table that was made anew goes on from there.
  /// @return the epoch.
  /// @throws std::invalid_argument more than kMaxModels routes.
  /// @note One writer at a time.
  std::uint64_t publish(const std::vector<Route>& routes, std::uint64_t after = 0) {
    if (routes.size() > kMaxModels) {
      throw std::invalid_argument("routes: expected at most " + std::to_string(kMaxModels) + ", got " +
                                  std::to_string(routes.size()));
    }
    RoutingSnapshot next{};
    next.epoch = std::max(read().epoch, after) + 1;
    next.count = routes.size();
    for (std::size_t i = 0; i < routes.size(); ++i) {
      next.routes[i] = routes[i];
    }
    begin_write(next);
    shared().active.store(spare(), std::memory_order_release);
    return next.epoch;
  }

  /// The routes in force.
  [[nodiscard]] RoutingSnapshot read() const noexcept {
    RoutingSnapshot snapshot{};
    while (!try_read(snapshot)) {
    }
    return snapshot;
  }

  /// One attempt, which fails only while a live writer overtakes the reader; the snapshot is then rubbish.
  [[nodiscard]] bool try_read(RoutingSnapshot& snapshot) const noexcept {
    const Slot& slot = shared().slots[shared().active.load(std::memory_order_acquire) & 1U];
    const std::uint64_t before = slot.sequence.load(std::memory_order_acquire);
    Words words{};
    for (std::size_t i = 0; i < kWords; ++i) {
      words[i] = slot.words[i].load(std::memory_order_relaxed);
    }
    std::atomic_thread_fence(std::memory_order_acquire);
    if ((before & 1U) != 0 || slot.sequence.load(std::memory_order_relaxed) != before) {
      return false;
    }
    std::memcpy(static_cast<void*>(&snapshot), words.data(), sizeof snapshot);
    snapshot.count = snapshot.count > kMaxModels ? kMaxModels : snapshot.count;
    return true;
  }

  /// Changes whenever something was published; cheap enough to ask at every event.
  [[nodiscard]] std::uint64_t stamp() const noexcept {
    const std::uint32_t active = shared().active.load(std::memory_order_acquire) & 1U;
    return shared().slots[active].sequence.load(std::memory_order_relaxed) * 2 + active;
  }

  /// Says that whoever judges is alive.
  void beat() noexcept { shared().heartbeat_ns.store(monotonic_ns(), std::memory_order_release); }

  /// Since the last beat; the largest int64 where there was none since the machine started.
  [[nodiscard]] std::int64_t heartbeat_age_ns() const noexcept { return age_at(monotonic_ns()); }

  [[nodiscard]] std::int64_t age_at(std::int64_t now_monotonic_ns) const noexcept {
    const std::int64_t beat = shared().heartbeat_ns.load(std::memory_order_acquire);
    // A beat from far ahead was written before a reboot.
    constexpr std::int64_t kSlack = 1'000'000'000;
    const bool never = beat == 0 || beat > now_monotonic_ns + kSlack;
    return never ? INT64_MAX : (now_monotonic_ns > beat ? now_monotonic_ns - beat : 0);
  }

  /// Writes the spare slot without moving the index: what a writer killed half-way leaves. For tests.
  void write_half() noexcept {
    Slot& slot = shared().slots[spare()];
    slot.sequence.store(slot.sequence.load(std::memory_order_relaxed) | 1U, std::memory_order_relaxed);
    slot.words[0].store(~std::uint64_t{0}, std::memory_order_relaxed);
  }

 private:
  static constexpr std::size_t kWords = sizeof(RoutingSnapshot) / 8;
  static constexpr std::uint64_t kMagic = 0x0001'4554'5543'5252ULL;
  using Words = std::array<std::uint64_t, kWords>;

  struct Slot {
    std::atomic<std::uint64_t> sequence;  ///< odd while it is being written
    std::array<std::atomic<std::uint64_t>, kWords> words;
  };

  struct Shared {
    std::atomic<std::uint64_t> magic;
    alignas(64) std::atomic<std::uint32_t> active;
    alignas(64) std::atomic<std::int64_t> heartbeat_ns;
    alignas(64) std::array<Slot, 2> slots;
  };
  static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

  RoutingTable(SharedRegion region, const std::string& path) : region_(std::move(region)) {
    if (region_.size() != sizeof(Shared)) {
      throw std::runtime_error(path + ": expected a routing table of " + std::to_string(sizeof(Shared)) +
                               " bytes, got " + std::to_string(region_.size()));
    }
    // An empty table is all zeros, so that whoever opens a new one first need not win a race to fill it.
    std::uint64_t nothing = 0;
    shared().magic.compare_exchange_strong(nothing, kMagic);
    if (shared().magic.load() != kMagic) {
      throw std::runtime_error(path + ": expected a routing table, got something else");
    }
  }

  [[nodiscard]] Shared& shared() const noexcept { return *static_cast<Shared*>(region_.data()); }

  [[nodiscard]] std::uint32_t spare() const noexcept {
    return (shared().active.load(std::memory_order_relaxed) & 1U) ^ 1U;
  }

  void begin_write(const RoutingSnapshot& next) noexcept {
    Words words{};
    std::memcpy(words.data(), &next, sizeof next);
    Slot& slot = shared().slots[spare()];
    const std::uint64_t odd = slot.sequence.load(std::memory_order_relaxed) | 1U;
    slot.sequence.store(odd, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_release);
    for (std::size_t i = 0; i < kWords; ++i) {
      slot.words[i].store(words[i], std::memory_order_relaxed);
    }
    slot.sequence.store(odd + 1, std::memory_order_release);
  }

  SharedRegion region_;
};

}  // namespace ringcraft
