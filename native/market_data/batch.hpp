#pragma once
// Whole recordings through the streaming code: training sees what the worker sees, bit for bit.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "market_data/features.hpp"
#include "market_data/markouts.hpp"

namespace ringcraft {

/// Reads the event at `index` of a packed array of MarketEvent bytes, whatever its alignment.
[[nodiscard]] MarketEvent event_at(std::span<const std::uint8_t> events, std::size_t index) noexcept;

/// Feeds every event to a fresh engine.
///
/// @param depths one an event, or null.
/// @param leader events of the leader, oldest first, which it takes where they belong by event time.
/// @param matrix row-major, one row an event.
/// @param ready per event: warm, the event itself usable, and every feature finite.
void batch_features(FeatureEngine& engine, std::span<const std::uint8_t> events, const BookDepth* depths,
                    std::span<const std::uint8_t> leader, float* matrix, bool* ready) noexcept;

/// Treats every event as a decision.
///
/// @return one mark-out an event, in order.
[[nodiscard]] std::vector<Markout> batch_markouts(std::span<const std::uint8_t> events, double fee_bps,
                                                  std::int64_t stale_after_ns, std::int64_t entry_latency_ns,
                                                  std::int64_t horizon_ns);

}  // namespace ringcraft
