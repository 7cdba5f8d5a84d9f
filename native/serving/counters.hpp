#pragma once
// What a worker counts; each counter has one writing thread.

#include <atomic>
#include <cstdint>

namespace ringcraft {

using Counter = std::atomic<std::uint64_t>;

inline void add(Counter& counter, std::uint64_t by = 1) noexcept {
  counter.store(counter.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
}

struct Counters {
  Counter events{0};
  Counter decisions{0};
  Counter abstentions{0};
  Counter late{0};
  Counter shadows_expected{0};
  Counter shadows_queue_full{0};
  Counter markouts{0};
  Counter markouts_extra{0};  ///< at other horizons than the label's
  Counter trips{0};
  Counter overridden{0};     ///< decisions whose arm was asked for
  Counter keys_absent{0};    ///< decisions assigned by their id for want of the key that the policy names
  Counter requests{0};       ///< that reached the engine
  Counter requests_late{0};  ///< decisions asked for whose deadline passed
  Counter shadows_shed{0};   ///< not queued because of load
  Counter shares_shed{0};    ///< requests that the challenger was spared because of load
  Counter overloads{0};      ///< decisions that nobody was asked for because of load
  Counter breakers_opened{0};
  Counter breaker_stand_ins{0};    ///< decisions of the last champion for one whose breaker is open
  Counter breaker_abstentions{0};  ///< for want of anybody to stand in
  Counter rest_connections{0};
  Counter rest_requests{0};
  Counter rest_refused{0};  ///< answered by anything but 200
  Counter rest_unauthorized{0};
  Counter rest_limited{0};      ///< over a key's or an instrument's rate
  Counter rest_concurrent{0};   ///< refused for too many that waited for an answer at once
  Counter rest_timed_out{0};    ///< connections closed for sending too slowly, or nothing
  Counter rest_turned_away{0};  ///< connections closed for being too many
  Counter streams_cut{0};       ///< begun anew for vectors that were missed
  Counter feed_connections{0};
  Counter feed_refused{0};
  Counter last_event_ns{0};
  Counter epoch{0};
  Counter heartbeat_lost{0};
  // The shadow thread's.
  alignas(64) Counter shadows_scored{0};
  Counter shadows_unready{0};
  Counter shadows_overdue{0};
  Counter shadow_streams_cut{0};
  // The journal thread's.
  alignas(64) Counter journal_written{0};
  Counter journal_synced{0};
  Counter journal_refused{0};
};

}  // namespace ringcraft
