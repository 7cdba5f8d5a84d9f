#pragma once
// What a feed costs: the same BinaryFILE scanned, decoded, and built into books, timed inside.

#include <cstdint>
#include <span>

#include "market_data/market_tape.hpp"

namespace ringcraft {

struct FeedRun {
  std::uint64_t messages = 0;
  std::uint64_t checksum = 0;  ///< of all that was computed, so that nothing is left out
  std::int64_t nanoseconds = 0;
  std::uint64_t unapplied = 0;  ///< unknown, duplicate, off-grid and over-executed orders
  std::uint64_t crossed = 0;    ///< times a book became crossed
  std::uint64_t bytes = 0;      ///< held by books, orders and levels at the end
};

/// Reads every byte once, eight at a time: what memory alone allows. `messages` is 0.
[[nodiscard]] FeedRun bench_scan(std::span<const std::uint8_t> bytes);

/// Frames, checks length and type, and takes every field of every order message.
[[nodiscard]] FeedRun bench_decode(std::span<const std::uint8_t> bytes);

/// Books per price level, and after each message order-flow imbalance and weighted mid of its instrument.
[[nodiscard]] FeedRun bench_levels(std::span<const std::uint8_t> bytes);

/// Books per order with queues, and the touch after each message.
[[nodiscard]] FeedRun bench_orders(std::span<const std::uint8_t> bytes);

/// How long packets took, on the wall's clock, each from its arrival to the last of its messages applied.
struct PacketTimes {
  std::uint64_t packets = 0;
  std::uint64_t messages = 0;
  std::uint64_t unapplied = 0;
  std::int64_t p50_ns = 0;
  std::int64_t p99_ns = 0;
  std::int64_t p999_ns = 0;
};

/// The file's messages as MoldUDP64 packets of one to seven, taken one by one as they would come:
/// arbitration, books per order with queues, order-flow imbalance and weighted mid.
[[nodiscard]] PacketTimes bench_packets(std::span<const std::uint8_t> bytes);

/// What a whole day holds on to.
struct FeedDay {
  std::uint64_t messages = 0;
  std::int64_t nanoseconds = 0;  ///< spent on books
  std::uint64_t unapplied = 0;
  std::uint64_t early_bytes = 0;  ///< held by books, orders and levels after a tenth of the day
  std::uint64_t late_bytes = 0;   ///< the same at its end
};

/// Builds books per order over a day that is made a piece at a time.
[[nodiscard]] FeedDay bench_day(const MarketTapeParameters& parameters);

}  // namespace ringcraft
