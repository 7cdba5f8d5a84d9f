#include "market_data/features.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace ringcraft {
namespace {

using std::string_view;

constexpr std::array<string_view, 16> kTouchNames = {
    "spread_ticks",         "queue_imbalance",         "weighted_mid_offset_ticks",
    "order_flow_1s",        "order_flow_5s",           "order_flow_30s",
    "trade_imbalance_1s",   "trade_imbalance_5s",      "trade_imbalance_30s",
    "mid_minus_mean_1s",    "mid_minus_mean_5s",       "mid_minus_mean_30s",
    "volatility_30s_ticks", "last_trade_offset_ticks", "log_gap_ms",
    "log_intensity"};

constexpr std::array<string_view, 16> kQuoteNames = {
    "spread_ticks",       "spread_ratio_30s",    "mid_minus_mean_1s",     "mid_minus_mean_5s",
    "mid_minus_mean_30s", "mid_minus_mean_120s", "mid_move_1_ticks",      "mid_move_2_ticks",
    "mid_move_3_ticks",   "volatility_5s_ticks", "volatility_120s_ticks", "direction_autocorrelation_30s",
    "log_gap_ms",         "log_intensity",       "bid_only_move_ticks",   "ask_only_move_ticks"};

constexpr std::array<double, 3> kTouchHalfLives = {1.0, 5.0, 30.0};
constexpr std::array<double, 4> kQuoteHalfLives = {1.0, 5.0, 30.0, 120.0};

// Positions in both arrays of half-lives.
constexpr std::size_t k5s = 1;
constexpr std::size_t k30s = 2;
constexpr std::size_t k120s = 3;

constexpr double kSessionGapS = 600.0;
constexpr std::uint64_t kWarmUpEvents = 200;

constexpr std::array<FeatureSetSpec, 2> kSpecs = {{
    {"touch_v1", kTouchNames, kTouchHalfLives, true, kSessionGapS, kWarmUpEvents},
    {"quotes_v1", kQuoteNames, kQuoteHalfLives, false, kSessionGapS, kWarmUpEvents},
}};

static_assert(kTouchNames.size() <= FeatureEngine::kMaxWidth &&
              kQuoteNames.size() <= FeatureEngine::kMaxWidth);

/// Cont, Kukanov & Stoikov (2014): what one side's change adds to buying pressure. Asks come negated.
double side_flow(double price, double lots, double price_before, double lots_before) noexcept {
  double flow = 0;
  if (price >= price_before) flow += lots;
  if (price <= price_before) flow -= lots_before;
  return flow;
}

double ratio_or(double numerator, double denominator, double otherwise) noexcept {
  return denominator > 0 ? numerator / denominator : otherwise;
}

/// Seconds from `from` to `to`; 0 where time runs backwards. Unsigned, so that no pair of clocks overflows.
double seconds_between(std::int64_t from, std::int64_t to) noexcept {
  if (to <= from) return 0;
  return static_cast<double>(static_cast<std::uint64_t>(to) - static_cast<std::uint64_t>(from)) * 1e-9;
}

double events_per_second(double decayed_events, double half_life_s) noexcept {
  return decayed_events * std::numbers::ln2 / half_life_s;
}

}  // namespace

std::span<const FeatureSetSpec> feature_set_specs() noexcept { return kSpecs; }

std::unique_ptr<FeatureEngine> FeatureEngine::make(string_view set_name) {
  for (const FeatureSetSpec& spec : kSpecs) {
    if (spec.name == set_name) return std::unique_ptr<FeatureEngine>(new FeatureEngine(spec));
  }
  return nullptr;
}

void FeatureEngine::reset() noexcept {
  state_ = State{};
  last_.fill(0.0F);
}

bool FeatureEngine::usable(const MarketEvent& event) const noexcept {
  if ((event.flags & kUnusable) != 0) return false;
  return !spec_->needs_sizes || (event.bid_lots >= 0 && event.ask_lots >= 0);
}

bool FeatureEngine::update(const MarketEvent& event, float* out) noexcept {
  if (usable(event)) {
    const auto bid = static_cast<double>(event.bid_ticks);
    const auto ask = static_cast<double>(event.ask_ticks);
    const Touch touch{bid, ask, static_cast<double>(event.bid_lots), static_cast<double>(event.ask_lots),
                      0.5 * (bid + ask)};
    start_or_advance(event, touch);
    const Touch before = state_.touch;
    state_.touch = touch;
    if (spec_->needs_sizes) {
      write_touch(event, touch, before);
    } else {
      write_quotes(touch, before);
    }
  }
  std::copy_n(last_.begin(), width(), out);
  return state_.seen >= spec_->warm_up_events;
}

void FeatureEngine::start_or_advance(const MarketEvent& event, const Touch& touch) noexcept {
  const double gap_s = state_.seen > 0 ? seconds_between(state_.last_ns, event.event_ns) : 0.0;
  if (state_.seen == 0 || gap_s > spec_->session_gap_s) {
    state_ = State{};
    state_.last_ns = event.event_ns;
    state_.touch = touch;
    state_.mean_mid.fill(touch.mid);
  } else {
    state_.gap_s = gap_s;
    state_.last_ns = std::max(state_.last_ns, event.event_ns);
  }
  ++state_.seen;
  const double move = touch.mid - state_.touch.mid;
  for (std::size_t k = 0; k < spec_->half_lives_s.size(); ++k) {
    const double decay = std::exp(-state_.gap_s / spec_->half_lives_s[k] * std::numbers::ln2);
    state_.decay[k] = decay;
    state_.weight[k] = state_.weight[k] * decay + 1.0;
    // The mid before this event stood over the whole gap, so it, not the new one, enters the mean.
    state_.mean_mid[k] += (1.0 - decay) * (state_.touch.mid - state_.mean_mid[k]);
    state_.square[k] = state_.square[k] * decay + move * move;
  }
}

void FeatureEngine::write_touch(const MarketEvent& event, const Touch& touch, const Touch& before) noexcept {
  State& s = state_;
  const double both = touch.bid_lots + touch.ask_lots;
  const double imbalance = ratio_or(touch.bid_lots - touch.ask_lots, both, 0.0);
  const double spread = touch.ask - touch.bid;
  const double flow = s.seen == 1 ? 0.0
                                  : side_flow(touch.bid, touch.bid_lots, before.bid, before.bid_lots) -
                                        side_flow(-touch.ask, touch.ask_lots, -before.ask, before.ask_lots);
  const auto traded = static_cast<double>(event.trade_lots);
  if (event.trade_ticks != 0) s.last_trade = static_cast<double>(event.trade_ticks);

  last_[0] = static_cast<float>(spread);
  last_[1] = static_cast<float>(imbalance);
  last_[2] = static_cast<float>(0.5 * spread * imbalance);
  for (std::size_t k = 0; k < kTouchHalfLives.size(); ++k) {
    s.order_flow[k] = s.order_flow[k] * s.decay[k] + flow;
    s.depth[k] = s.depth[k] * s.decay[k] + 0.5 * both;
    s.signed_lots[k] = s.signed_lots[k] * s.decay[k] + traded;
    s.traded_lots[k] = s.traded_lots[k] * s.decay[k] + std::abs(traded);
    const double mean_depth = s.depth[k] / s.weight[k];
    last_[3 + k] = static_cast<float>(ratio_or(s.order_flow[k], mean_depth, 0.0));
    // One lot in the denominator, so that one old trade does not shout for ever.
    last_[6 + k] = static_cast<float>(s.signed_lots[k] / (s.traded_lots[k] + 1.0));
    last_[9 + k] = static_cast<float>(touch.mid - s.mean_mid[k]);
  }
  last_[12] = static_cast<float>(std::sqrt(s.square[k30s]));
  last_[13] = static_cast<float>(s.last_trade != 0.0 ? s.last_trade - touch.mid : 0.0);
  last_[14] = static_cast<float>(std::log1p(s.gap_s * 1e3));
  last_[15] = static_cast<float>(std::log1p(events_per_second(s.weight[k5s], kTouchHalfLives[k5s])));
}

void FeatureEngine::write_quotes(const Touch& touch, const Touch& before) noexcept {
  State& s = state_;
  const double spread = touch.ask - touch.bid;
  const double move = touch.mid - before.mid;
  const double bid_move = touch.bid - before.bid;
  const double ask_move = touch.ask - before.ask;
  s.spread[k30s] = s.spread[k30s] * s.decay[k30s] + spread;
  s.products = s.products * s.decay[k30s] + move * s.moves[0];
  s.moves = {move, s.moves[0], s.moves[1]};

  last_[0] = static_cast<float>(spread);
  last_[1] = static_cast<float>(ratio_or(spread, s.spread[k30s] / s.weight[k30s], 1.0));
  for (std::size_t k = 0; k < kQuoteHalfLives.size(); ++k) {
    last_[2 + k] = static_cast<float>(touch.mid - s.mean_mid[k]);
  }
  for (std::size_t k = 0; k < s.moves.size(); ++k) last_[6 + k] = static_cast<float>(s.moves[k]);
  last_[9] = static_cast<float>(std::sqrt(s.square[k5s]));
  last_[10] = static_cast<float>(std::sqrt(s.square[k120s]));
  last_[11] = static_cast<float>(ratio_or(s.products, s.square[k30s], 0.0));
  last_[12] = static_cast<float>(std::log1p(s.gap_s * 1e3));
  last_[13] = static_cast<float>(std::log1p(events_per_second(s.weight[k5s], kQuoteHalfLives[k5s])));
  last_[14] = static_cast<float>(ask_move == 0.0 ? bid_move : 0.0);
  last_[15] = static_cast<float>(bid_move == 0.0 ? ask_move : 0.0);
}

}  // namespace ringcraft
