#include "market_data/depth_features.hpp"

#include <cmath>
#include <limits>
#include <numbers>

#include "market_data/decay.hpp"

namespace ringcraft {
namespace {

// Positions among the half-lives.
constexpr std::size_t k1s = 0;
constexpr std::size_t k5s = 1;
constexpr std::size_t k30s = 2;
constexpr std::size_t k120s = 3;

/// Where a level that is not there stands: behind any other.
constexpr double kNowhere = -std::numeric_limits<double>::infinity();

double price_key(std::int64_t ticks, std::int64_t lots, double sign) noexcept {
  return lots > 0 ? sign * static_cast<double>(ticks) : kNowhere;
}

double level_flow(const BookDepth& now, const BookDepth& before, std::size_t level) noexcept {
  const auto lots = [level](const BookDepth::Levels& side) { return static_cast<double>(side[level]); };
  const double bid =
      side_flow(price_key(now.bid_ticks[level], now.bid_lots[level], 1), lots(now.bid_lots),
                price_key(before.bid_ticks[level], before.bid_lots[level], 1), lots(before.bid_lots));
  const double ask =
      side_flow(price_key(now.ask_ticks[level], now.ask_lots[level], -1), lots(now.ask_lots),
                price_key(before.ask_ticks[level], before.ask_lots[level], -1), lots(before.ask_lots));
  return bid - ask;
}

/// (bid - ask) / (bid + ask) of the lots in the first `levels`.
double imbalance(const BookDepth& depth, std::size_t levels) noexcept {
  double bid = 0;
  double ask = 0;
  for (std::size_t i = 0; i < levels; ++i) {
    bid += static_cast<double>(depth.bid_lots[i]);
    ask += static_cast<double>(depth.ask_lots[i]);
  }
  return ratio_or(bid - ask, bid + ask, 0.0);
}

/// Lots a tick: the line through the mid that fits cumulative lots against distance best.
double slope(const BookDepth::Levels& ticks, const BookDepth::Levels& lots, double mid) noexcept {
  double cumulative = 0;
  double product = 0;
  double square = 0;
  for (std::size_t i = 0; i < kDepthLevels && lots[i] > 0; ++i) {
    const double distance = std::abs(static_cast<double>(ticks[i]) - mid);
    cumulative += static_cast<double>(lots[i]);
    product += distance * cumulative;
    square += distance * distance;
  }
  return ratio_or(product, square, 0.0);
}

double signed_log(double value) noexcept { return std::copysign(std::log1p(std::abs(value)), value); }

}  // namespace

void DepthFeatures::start(const Touch& touch) noexcept {
  state_ = State{};
  state_.mid = touch.mid;
  state_.mean_mid.fill(touch.mid);
}

void DepthFeatures::take(const MarketEvent& event, const BookDepth* depth, const Touch& touch) noexcept {
  State& s = state_;
  const double move = touch.mid - s.mid;
  Decayed decay;
  for (std::size_t k = 0; k < kDecays; ++k) {
    decay[k] = decay_of(gap_s_, spec_->half_lives_s[k]);
    s.weight[k] = s.weight[k] * decay[k] + 1.0;
    // The mid before this event stood over the whole gap, so it, not the new one, enters the mean.
    s.mean_mid[k] += (1.0 - decay[k]) * (s.mid - s.mean_mid[k]);
    s.square[k] = s.square[k] * decay[k] + move * move;
  }
  s.mid = touch.mid;
  s.session_s += gap_s_;
  follow_flow(*depth, decay);
  follow_trades(event, decay);
  s.depth = *depth;
  write_shape(*depth, touch);
  write_flow();
  write_activity(touch, event.event_ns);
}

void DepthFeatures::follow_flow(const BookDepth& depth, const Decayed& decay) noexcept {
  State& s = state_;
  double flow = 0;
  double lots = 0;
  for (std::size_t level = 0; level < kFlowLevels; ++level) {
    const double here = seen_ == 1 ? 0.0 : level_flow(depth, s.depth, level);
    s.flow_5s[level] = s.flow_5s[level] * decay[k5s] + here;
    flow += here;
    lots += 0.5 * (static_cast<double>(depth.bid_lots[level]) + static_cast<double>(depth.ask_lots[level]));
  }
  for (std::size_t k = 0; k < kDecays; ++k) {
    s.flow[k] = s.flow[k] * decay[k] + flow / kFlowLevels;
    s.level_lots[k] = s.level_lots[k] * decay[k] + lots / kFlowLevels;
  }
}

void DepthFeatures::follow_trades(const MarketEvent& event, const Decayed& decay) noexcept {
  State& s = state_;
  const auto traded = static_cast<double>(event.trade_lots);
  for (std::size_t k = 0; k < kDecays; ++k) {
    s.signed_lots[k] = s.signed_lots[k] * decay[k] + traded;
    s.traded_lots[k] = s.traded_lots[k] * decay[k] + std::abs(traded);
    s.buys[k] = s.buys[k] * decay[k] + (event.trade_lots > 0 ? 1.0 : 0.0);
    s.sells[k] = s.sells[k] * decay[k] + (event.trade_lots < 0 ? 1.0 : 0.0);
  }
  s.since_trade_s = event.trade_ticks != 0 ? 0.0 : s.since_trade_s + gap_s_;
}

double DepthFeatures::microprice_offset(const Touch& touch) const noexcept {
  const double both = touch.bid_lots + touch.ask_lots;
  if (!(both > 0)) return 0.0;
  constexpr auto kLast = static_cast<double>(kMicropriceBins - 1);
  const double spread = std::clamp(touch.ask - touch.bid, 1.0, static_cast<double>(kMicropriceSpreads));
  const double* row = microprice_.data() + (static_cast<std::size_t>(spread) - 1) * kMicropriceBins;
  // Between the bins' middles in proportion: a step at a bin's edge would be none of the market's.
  const double place =
      std::clamp(touch.bid_lots / both * static_cast<double>(kMicropriceBins) - 0.5, 0.0, kLast);
  const std::size_t bin = std::min(static_cast<std::size_t>(place), kMicropriceBins - 2);
  return row[bin] + (place - static_cast<double>(bin)) * (row[bin + 1] - row[bin]);
}

void DepthFeatures::write_shape(const BookDepth& depth, const Touch& touch) noexcept {
  const double spread = touch.ask - touch.bid;
  const double queue = ratio_or(touch.bid_lots - touch.ask_lots, touch.bid_lots + touch.ask_lots, 0.0);
  const double bid_slope = slope(depth.bid_ticks, depth.bid_lots, touch.mid);
  const double ask_slope = slope(depth.ask_ticks, depth.ask_lots, touch.mid);
  last_[0] = static_cast<float>(spread);
  last_[1] = static_cast<float>(queue);
  last_[2] = static_cast<float>(imbalance(depth, 3));
  last_[3] = static_cast<float>(imbalance(depth, 5));
  last_[4] = static_cast<float>(imbalance(depth, kDepthLevels));
  last_[5] = static_cast<float>(0.5 * spread * queue);
  last_[6] = static_cast<float>(microprice_offset(touch));
  last_[7] = static_cast<float>(std::log1p(bid_slope));
  last_[8] = static_cast<float>(std::log1p(ask_slope));
  last_[9] = static_cast<float>(ratio_or(bid_slope - ask_slope, bid_slope + ask_slope, 0.0));
}

void DepthFeatures::write_flow() noexcept {
  const State& s = state_;
  const auto mean_lots = [&s](std::size_t k) { return s.level_lots[k] / s.weight[k]; };
  for (std::size_t level = 0; level < kFlowLevels; ++level) {
    last_[10 + level] = static_cast<float>(ratio_or(s.flow_5s[level], mean_lots(k5s), 0.0));
  }
  for (std::size_t k = k1s; k <= k30s; ++k) {
    last_[15 + k] = static_cast<float>(ratio_or(s.flow[k], mean_lots(k), 0.0));
    // One lot in the denominator, so that one old trade does not shout for ever.
    last_[18 + k] = static_cast<float>(s.signed_lots[k] / (s.traded_lots[k] + 1.0));
  }
  last_[21] = static_cast<float>(signed_log(s.signed_lots[k5s]));
  last_[22] = static_cast<float>(signed_log(s.signed_lots[k30s]));
}

void DepthFeatures::write_activity(const Touch& touch, std::int64_t event_ns) noexcept {
  const State& s = state_;
  const auto log_rate = [this](const Decayed& counts, std::size_t k) {
    return static_cast<float>(std::log1p(events_per_second(counts[k], spec_->half_lives_s[k])));
  };
  last_[23] = log_rate(s.buys, k5s);
  last_[24] = log_rate(s.buys, k30s);
  last_[25] = log_rate(s.sells, k5s);
  last_[26] = log_rate(s.sells, k30s);
  last_[27] = log_rate(s.weight, k5s);
  for (std::size_t k = k1s; k <= k30s; ++k) {
    last_[28 + k] = static_cast<float>(touch.mid - s.mean_mid[k]);
    last_[31 + k] = static_cast<float>(std::sqrt(s.square[k5s + k]));
  }
  static_assert(k5s + k30s == k120s);
  last_[34] = static_cast<float>(std::log1p(gap_s_ * 1e3));
  last_[35] = static_cast<float>(std::log1p(s.since_trade_s * 1e3));
  last_[36] = static_cast<float>(std::log1p(s.session_s));
  const double angle = 2.0 * std::numbers::pi * clock_.day_fraction(event_ns);
  last_[37] = static_cast<float>(std::sin(angle));
  last_[38] = static_cast<float>(std::cos(angle));
}

}  // namespace ringcraft
