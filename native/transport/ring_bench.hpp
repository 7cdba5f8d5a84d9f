#pragma once
// What handing records from thread to thread costs: the rings beside a queue with a mutex and condition
// variables.

#include <cstdint>

namespace ringcraft {

enum class HandOver : std::uint8_t {
  kSingle,  ///< SpscRing
  kMulti,   ///< MpscRing
  kLocked,  ///< a bounded queue of the same room, one mutex, a condition variable a direction
};

struct HandOverRun {
  std::uint64_t records = 0;
  std::int64_t nanoseconds = 0;  ///< from before the first was pushed to after the last was popped
  bool ordered = false;          ///< whether every producer's came out once and in its order
};

/// Passes records of 80 bytes from producer threads to this one, through room for 1,024. Who waits for a ring
/// looks again, and yields its core when it has looked often; who waits for the queue sleeps.
/// @param producers 1 or more; of kSingle there is but one.
/// @param each records of each producer.
/// @throws std::invalid_argument more producers than it takes, or none.
[[nodiscard]] HandOverRun bench_hand_over(HandOver how, std::uint32_t producers, std::uint64_t each);

struct RoundTrips {
  std::int64_t p50_ns = 0;
  std::int64_t p99_ns = 0;
};

/// Passes one record to another thread and back, again and again.
/// @param trips 1 or more.
[[nodiscard]] RoundTrips bench_round_trips(HandOver how, std::uint64_t trips);

}  // namespace ringcraft
