#include "market_data/features.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "market_data/decay.hpp"
#include "market_data/depth_features.hpp"
#include "market_data/lead_lag_features.hpp"
#include "market_data/touch_features.hpp"

namespace ringcraft {

std::unique_ptr<FeatureEngine> FeatureEngine::make(const FeatureDefinition& definition, ZoneClock clock) {
  const FeatureSetSpec* spec = find_feature_set(definition.name);
  const auto& table = definition.microprice_ticks;
  if (spec == nullptr || spec->needs.leader == definition.leader.empty() ||
      table.size() != (spec->needs.depth ? kMicropriceSpreads * kMicropriceBins : 0) ||
      !std::all_of(table.begin(), table.end(), [](double ticks) { return std::isfinite(ticks); })) {
    return nullptr;
  }
  if (spec->needs.depth) return std::make_unique<DepthFeatures>(*spec, table, std::move(clock));
  if (spec->needs.leader) return std::make_unique<LeadLagFeatures>(*spec);
  return std::make_unique<TouchFeatures>(*spec);
}

void FeatureEngine::reset() noexcept {
  seen_ = 0;
  gap_s_ = 0;
  last_ns_ = 0;
  last_.fill(0.0F);
}

bool FeatureEngine::usable(const MarketEvent& event, const BookDepth* depth) const noexcept {
  if ((event.flags & kUnusable) != 0) return false;
  if (spec_->needs.depth && depth == nullptr) return false;
  return !spec_->needs.sizes || (event.bid_lots >= 0 && event.ask_lots >= 0);
}

bool FeatureEngine::update(const MarketEvent& event, const BookDepth* depth, float* out) noexcept {
  if (usable(event, depth)) {
    const auto bid = static_cast<double>(event.bid_ticks);
    const auto ask = static_cast<double>(event.ask_ticks);
    const Touch touch{bid, ask, static_cast<double>(event.bid_lots), static_cast<double>(event.ask_lots),
                      0.5 * (bid + ask)};
    const double gap_s = seen_ > 0 ? seconds_between(last_ns_, event.event_ns) : 0.0;
    if (seen_ == 0 || gap_s > spec_->session_gap_s) {
      seen_ = 0;
      gap_s_ = 0;
      last_ns_ = event.event_ns;
      ++sessions_;
      start(touch);
    } else {
      gap_s_ = gap_s;
      last_ns_ = std::max(last_ns_, event.event_ns);
    }
    ++seen_;
    take(event, depth, touch);
  }
  std::copy_n(last_.begin(), width(), out);
  return warm();
}

}  // namespace ringcraft
