#include "market_data/touch_features.hpp"

#include <cmath>

#include "market_data/decay.hpp"

namespace ringcraft {
namespace {

// Positions among the half-lives of either set.
constexpr std::size_t k5s = 1;
constexpr std::size_t k30s = 2;
constexpr std::size_t k120s = 3;
constexpr std::size_t kTouchDecays = 3;
constexpr std::size_t kQuoteDecays = 4;

}  // namespace

void TouchFeatures::start(const Touch& touch) noexcept {
  state_ = State{};
  state_.touch = touch;
  state_.mean_mid.fill(touch.mid);
}

void TouchFeatures::take(const MarketEvent& event, const BookDepth*, const Touch& touch) noexcept {
  const double move = touch.mid - state_.touch.mid;
  for (std::size_t k = 0; k < spec_->half_lives_s.size(); ++k) {
    const double decay = decay_of(gap_s_, spec_->half_lives_s[k]);
    state_.decay[k] = decay;
    state_.weight[k] = state_.weight[k] * decay + 1.0;
    // The mid before this event stood over the whole gap, so it, not the new one, enters the mean.
    state_.mean_mid[k] += (1.0 - decay) * (state_.touch.mid - state_.mean_mid[k]);
    state_.square[k] = state_.square[k] * decay + move * move;
  }
  const Touch before = state_.touch;
  state_.touch = touch;
  if (spec_->needs.sizes) {
    write_touch(event, touch, before);
  } else {
    write_quotes(touch, before);
  }
}

void TouchFeatures::write_touch(const MarketEvent& event, const Touch& touch, const Touch& before) noexcept {
  State& s = state_;
  const double both = touch.bid_lots + touch.ask_lots;
  const double imbalance = ratio_or(touch.bid_lots - touch.ask_lots, both, 0.0);
  const double spread = touch.ask - touch.bid;
  const double flow = seen_ == 1 ? 0.0
                                 : side_flow(touch.bid, touch.bid_lots, before.bid, before.bid_lots) -
                                       side_flow(-touch.ask, touch.ask_lots, -before.ask, before.ask_lots);
  const auto traded = static_cast<double>(event.trade_lots);
  if (event.trade_ticks != 0) s.last_trade = static_cast<double>(event.trade_ticks);

  last_[0] = static_cast<float>(spread);
  last_[1] = static_cast<float>(imbalance);
  last_[2] = static_cast<float>(0.5 * spread * imbalance);
  for (std::size_t k = 0; k < kTouchDecays; ++k) {
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
  last_[14] = static_cast<float>(std::log1p(gap_s_ * 1e3));
  last_[15] = static_cast<float>(std::log1p(events_per_second(s.weight[k5s], spec_->half_lives_s[k5s])));
}

void TouchFeatures::write_quotes(const Touch& touch, const Touch& before) noexcept {
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
  for (std::size_t k = 0; k < kQuoteDecays; ++k) {
    last_[2 + k] = static_cast<float>(touch.mid - s.mean_mid[k]);
  }
  for (std::size_t k = 0; k < s.moves.size(); ++k) last_[6 + k] = static_cast<float>(s.moves[k]);
  last_[9] = static_cast<float>(std::sqrt(s.square[k5s]));
  last_[10] = static_cast<float>(std::sqrt(s.square[k120s]));
  last_[11] = static_cast<float>(ratio_or(s.products, s.square[k30s], 0.0));
  last_[12] = static_cast<float>(std::log1p(gap_s_ * 1e3));
  last_[13] = static_cast<float>(std::log1p(events_per_second(s.weight[k5s], spec_->half_lives_s[k5s])));
  last_[14] = static_cast<float>(ask_move == 0.0 ? bid_move : 0.0);
  last_[15] = static_cast<float>(bid_move == 0.0 ? ask_move : 0.0);
}

}  // namespace ringcraft
