#include "market_data/batch.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace ringcraft {

MarketEvent event_at(std::span<const std::uint8_t> events, std::size_t index) noexcept {
  MarketEvent event;
  std::memcpy(&event, events.data() + index * sizeof(MarketEvent), sizeof(MarketEvent));
  return event;
}

void batch_features(FeatureEngine& engine, std::span<const std::uint8_t> events, const BookDepth* depths,
                    std::span<const std::uint8_t> leader, float* matrix, bool* ready) noexcept {
  engine.reset();
  const std::size_t width = engine.width();
  const std::size_t led = leader.size() / sizeof(MarketEvent);
  std::size_t next = 0;
  for (std::size_t i = 0; i < events.size() / sizeof(MarketEvent); ++i) {
    const MarketEvent event = event_at(events, i);
    for (; next < led && event_at(leader, next).event_ns <= event.event_ns; ++next) {
      engine.lead(event_at(leader, next));
    }
    float* row = matrix + i * width;
    const bool warm = engine.update(event, depths == nullptr ? nullptr : depths + i, row);
    ready[i] = warm && (event.flags & kUnusable) == 0 &&
               std::all_of(row, row + width, [](float value) { return std::isfinite(value); });
  }
}

std::vector<Markout> batch_markouts(std::span<const std::uint8_t> events, double fee_bps,
                                    std::int64_t stale_after_ns, std::int64_t entry_latency_ns,
                                    std::int64_t horizon_ns) {
  const std::size_t count = events.size() / sizeof(MarketEvent);
  std::vector<Markout> outcomes(count);
  MarkoutTracker tracker(fee_bps, stale_after_ns, count);
  const auto keep = [&outcomes](const Markout& outcome) noexcept { outcomes[outcome.decision_id] = outcome; };
  for (std::size_t i = 0; i < count; ++i) {
    const MarketEvent event = event_at(events, i);
    tracker.on_event(event, keep);
    tracker.add(i, 0, event.event_ns, entry_latency_ns, horizon_ns);
  }
  tracker.finish(keep);
  return outcomes;
}

}  // namespace ringcraft
