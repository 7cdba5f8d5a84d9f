#pragma once
// The worker's side of the shared-memory door: lanes that clients of this host write questions into. What
// lies in them is client/ringcraft_client.hpp's, which clients are built with.

#include <bit>
#include <cstdint>
#include <string>

#include "client/ringcraft_client.hpp"
#include "transport/shared_region.hpp"

namespace ringcraft {

class SharedLanes {
 public:
  /// Makes the door at `path`, or takes up the one that is there: its clients stay, and what they asked
  /// another worker is answered kRestarted.
  /// @throws std::runtime_error it cannot be made, or another worker serves it.
  explicit SharedLanes(const std::string& path);
  ~SharedLanes();
  SharedLanes(const SharedLanes&) = delete;
  SharedLanes& operator=(const SharedLanes&) = delete;

  /// Answers what was asked; one look at each lane that is taken.
  /// @param handle void(const client::Request&, client::Reply&): fills everything but the stamp. What it
  /// reads of the request may change under its hands: sizes are to be read once.
  /// @return how many were answered.
  template <class Handle>
  std::size_t serve(Handle&& handle) noexcept {
    std::size_t answered = 0;
    for (std::uint64_t used = memory_->header.used.load(std::memory_order_relaxed) & kAll; used != 0;
         used &= used - 1) {
      client::Lane& lane = memory_->lanes[static_cast<std::size_t>(std::countr_zero(used))];
      const std::uint64_t asked = lane.request.stamp.load(std::memory_order_acquire);
      if (asked != lane.reply.stamp.load(std::memory_order_relaxed)) {
        handle(static_cast<const client::Request&>(lane.request), lane.reply);
        answer(lane.reply, asked);
        ++answered;
      }
    }
    return answered;
  }

  /// Readable once a client has rung; for whoever waits for several things.
  [[nodiscard]] int bell() const noexcept { return bell_; }

  /// Before a wait for the bell: clients ring from now on. What they asked before must be looked for once
  /// more.
  void sleeps() noexcept;

  /// After it.
  void wakes() noexcept;

 private:
  static constexpr std::uint64_t kAll = (std::uint64_t{1} << client::kLanes) - 1;

  static void answer(client::Reply& reply, std::uint64_t asked) noexcept;

  SharedRegion region_;
  client::Memory* memory_ = nullptr;
  std::string path_;
  int lock_ = -1;
  int bell_ = -1;
};

}  // namespace ringcraft
