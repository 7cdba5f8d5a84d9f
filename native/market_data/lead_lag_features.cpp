#include "market_data/lead_lag_features.hpp"

#include <algorithm>
#include <cmath>

#include "market_data/decay.hpp"

namespace ringcraft {
namespace {

// Positions among the half-lives; a signal is what moved within about the first.
constexpr std::size_t k1s = 0;
constexpr std::size_t k30s = 2;
constexpr std::size_t k120s = 3;
constexpr double kBps = 1e4;

/// Half a tick at least: what claims to be usable and is not must not poison what follows.
double log_bps(double mid) noexcept { return kBps * std::log(std::max(mid, 0.5)); }

}  // namespace

void LeadLagFeatures::Pair::add(double decay, double signal, double move) noexcept {
  product = product * decay + signal * move;
  signal_square = signal_square * decay + signal * signal;
  move_square = move_square * decay + move * move;
}

double LeadLagFeatures::Pair::correlation() const noexcept {
  return ratio_or(product, std::sqrt(signal_square) * std::sqrt(move_square), 0.0);
}

void LeadLagFeatures::reset() noexcept {
  FeatureEngine::reset();
  leader_ = Leader{};
  state_ = State{};
  pending_ = false;
}

bool LeadLagFeatures::warm() const noexcept {
  return seen_ >= spec_->warm_up_events && leader_.seen >= spec_->warm_up_events;
}

void LeadLagFeatures::lead(const MarketEvent& event) noexcept {
  if ((event.flags & kUnusable) != 0 || event.bid_ticks <= 0 || event.ask_ticks <= 0) return;
  const double bps =
      log_bps(0.5 * (static_cast<double>(event.bid_ticks) + static_cast<double>(event.ask_ticks)));
  if (pending_ && event.event_ns > pending_ns_) {
    count_pending();
  }
  pending_ns_ = pending_ ? std::max(pending_ns_, event.event_ns) : event.event_ns;
  pending_bps_ = bps;
  pending_ = true;
}

void LeadLagFeatures::count_pending() noexcept {
  pending_ = false;
  Leader& leader = leader_;
  const double gap_s = leader.seen > 0 ? seconds_between(leader.last_ns, pending_ns_) : 0.0;
  if (leader.seen == 0 || gap_s > spec_->session_gap_s) {
    leader = Leader{};
    leader.mean.fill(pending_bps_);
    leader.last_ns = pending_ns_;
  } else {
    const double move = pending_bps_ - leader.log_mid_bps;
    leader.lags.add(decay_of(gap_s, spec_->half_lives_s[k120s]), leader.followed_bps, move);
    for (std::size_t k = 0; k < kDecays; ++k) {
      leader.mean[k] +=
          (1.0 - decay_of(gap_s, spec_->half_lives_s[k])) * (leader.log_mid_bps - leader.mean[k]);
    }
    leader.signal_bps = leader.signal_bps * decay_of(gap_s, spec_->half_lives_s[k1s]) + move;
    leader.last_ns = std::max(leader.last_ns, pending_ns_);
  }
  ++leader.seen;
  leader.log_mid_bps = pending_bps_;
  const double since_s = seconds_between(state_.last_ns, leader.last_ns);
  leader.followed_bps = state_.begun ? state_.signal_bps * decay_of(since_s, spec_->half_lives_s[k1s]) : 0.0;
}

void LeadLagFeatures::start(const Touch& touch) noexcept {
  if (pending_ && pending_ns_ < last_ns_) count_pending();  // while it still stands beside the old session
  state_ = State{};
  state_.mid = touch.mid;
  state_.log_mid_bps = log_bps(touch.mid);
  state_.mean_mid.fill(touch.mid);
}

void LeadLagFeatures::take(const MarketEvent&, const BookDepth*, const Touch& touch) noexcept {
  State& s = state_;
  if (pending_ && pending_ns_ < last_ns_) count_pending();
  const double move = touch.mid - s.mid;
  const double bps = log_bps(touch.mid);
  const double move_bps = bps - s.log_mid_bps;
  for (std::size_t k = 0; k < kDecays; ++k) {
    // The mid before this event stood over the whole gap, so it, not the new one, enters the mean.
    s.mean_mid[k] += (1.0 - decay_of(gap_s_, spec_->half_lives_s[k])) * (s.mid - s.mean_mid[k]);
    last_[1 + k] = static_cast<float>(touch.mid - s.mean_mid[k]);
  }
  const double decay_30s = decay_of(gap_s_, spec_->half_lives_s[k30s]);
  s.square_30s = s.square_30s * decay_30s + move * move;
  s.leads.add(decay_of(gap_s_, spec_->half_lives_s[k120s]), s.led_bps, move_bps);
  s.signal_bps = s.signal_bps * decay_of(gap_s_, spec_->half_lives_s[k1s]) + move_bps;
  s.mid = touch.mid;
  s.log_mid_bps = bps;
  s.last_ns = last_ns_;
  s.begun = true;
  last_[0] = static_cast<float>(touch.ask - touch.bid);
  last_[4] = static_cast<float>(std::sqrt(s.square_30s));
  last_[5] = static_cast<float>(std::log1p(gap_s_ * 1e3));
  if (leader_.seen == 0) return;  // what it would say stays 0
  follow_basis(decay_30s);
  write_leader(last_ns_);
}

void LeadLagFeatures::follow_basis(double decay_30s) noexcept {
  State& s = state_;
  const double basis = s.log_mid_bps - leader_.log_mid_bps;
  if (s.has_basis) {
    s.mean_basis_bps += (1.0 - decay_30s) * (s.basis_bps - s.mean_basis_bps);
  } else {
    s.mean_basis_bps = basis;
  }
  s.has_basis = true;
  s.basis_bps = basis;
}

void LeadLagFeatures::write_leader(std::int64_t now_ns) noexcept {
  State& s = state_;
  const double since_s = seconds_between(leader_.last_ns, now_ns);
  for (std::size_t k = 0; k < kDecays; ++k) {
    // Its mid has stood since, and the mean has come nearer to it.
    const double off = (leader_.log_mid_bps - leader_.mean[k]) * decay_of(since_s, spec_->half_lives_s[k]);
    last_[6 + k] = static_cast<float>(off);
  }
  s.led_bps = leader_.signal_bps * decay_of(since_s, spec_->half_lives_s[k1s]);
  last_[9] = static_cast<float>(std::log1p(since_s * 1e3));
  last_[10] = static_cast<float>(s.basis_bps - s.mean_basis_bps);
  last_[11] = static_cast<float>(s.leads.correlation());
  last_[12] = static_cast<float>(leader_.lags.correlation());
  last_[13] = static_cast<float>(ratio_or(s.leads.product, s.leads.signal_square, 0.0) * s.led_bps);
}

}  // namespace ringcraft
