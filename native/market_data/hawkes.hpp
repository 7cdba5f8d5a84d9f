#pragma once
// A multivariate Hawkes process with one exponential decay, simulated exactly, event by event.

#include <array>
#include <cmath>
#include <cstddef>
#include <limits>

#include "market_data/exact_math.hpp"
#include "market_data/random.hpp"

namespace ringcraft {

template <std::size_t kKinds>
using HawkesMatrix = std::array<std::array<double, kKinds>, kKinds>;

/// The branching ratio: the spectral radius of a matrix without negative entries, by Collatz and Wielandt's
/// upper bound max_i (Ax)_i / x_i under power iteration of A + I, whose dominant eigenvalue stands alone.
template <std::size_t kKinds>
[[nodiscard]] double spectral_radius(const HawkesMatrix<kKinds>& matrix) noexcept {
  std::array<double, kKinds> x{};
  x.fill(1.0);
  double bound = 0.0;
  for (int round = 0; round < 2'000; ++round) {
    std::array<double, kKinds> next{};
    double total = 0.0;
    bound = 0.0;
    for (std::size_t i = 0; i < kKinds; ++i) {
      double product = 0.0;
      for (std::size_t j = 0; j < kKinds; ++j) product += matrix[i][j] * x[j];
      if (product > bound * x[i]) bound = product / x[i];
      next[i] = product + x[i];
      total += next[i];
    }
    for (std::size_t i = 0; i < kKinds; ++i) x[i] = next[i] / total * kKinds + 1e-12;
  }
  return bound;
}

/// Kind i's intensity at t is baseline_i + sum over past events (time s, kind j) of
/// branching_ij * decay * exp(-decay (t - s)): an event of kind j has branching_ij children of kind i on
/// average, after 1 / decay seconds on average.
///
/// The time to the next event is drawn exactly from the baseline's exponential and the decaying part's own
/// law, whichever comes first, in O(kKinds) an event and with nothing thrown away. Baselines may change at
/// any time: pass() up to there, then draw again, since neither part remembers. Sources: Hawkes (1971),
/// Biometrika 58(1); Dassios & Zhao (2013), Electronic Communications in Probability 18(62); for order flow
/// Bacry, Mastromatteo & Muzy (2015), Market Microstructure and Liquidity 1(1).
template <std::size_t kKinds>
class Hawkes {
 public:
  struct Arrival {
    double after_s = std::numeric_limits<double>::infinity();
    bool excited = false;  ///< a child of an earlier event, rather than of the baseline
  };

  /// @param decay 1/s, over 0. @param branching spectral_radius() below 1, or the process explodes.
  Hawkes(double decay, const HawkesMatrix<kKinds>& branching) : decay_(decay), branching_(branching) {}

  /// When the next event comes, if baselines stay as they are.
  [[nodiscard]] Arrival draw(double baseline_total, Random& random) const {
    Arrival arrival;
    if (baseline_total > 0) arrival.after_s = random.exponential(baseline_total);
    if (total_ <= 1e-9) return arrival;
    // The decaying part alone stays silent up to s with probability exp(-(total / decay) (1 - exp(-decay
    // s))).
    const double left = 1.0 + decay_ * exact_log(random.uniform()) / total_;
    if (left <= 0) return arrival;  // it ends without another event
    const double after_s = -exact_log(left) / decay_;
    if (after_s < arrival.after_s) arrival = {after_s, true};
    return arrival;
  }

  /// Lets time pass.
  void pass(double seconds) noexcept {
    if (total_ == 0) return;
    const double keep = exact_exp(-decay_ * seconds);
    for (double& each : excitation_) each *= keep;
    total_ *= keep;
  }

  /// The kind of an event that is due now.
  [[nodiscard]] std::size_t kind(const Arrival& arrival, const std::array<double, kKinds>& baseline,
                                 double baseline_total, Random& random) const {
    const auto& rates = arrival.excited ? excitation_ : baseline;
    double draw = random.uniform() * (arrival.excited ? total_ : baseline_total);
    std::size_t last = 0;
    for (std::size_t kind = 0; kind < kKinds; ++kind) {
      if (rates[kind] <= 0) continue;
      last = kind;
      draw -= rates[kind];
      if (draw <= 0) break;
    }
    return last;
  }

  /// Notes that an event of this kind happened now.
  void excite(std::size_t kind) noexcept {
    total_ = 0;
    for (std::size_t i = 0; i < kKinds; ++i) {
      excitation_[i] += branching_[i][kind] * decay_;
      total_ += excitation_[i];
    }
  }

  /// Forgets every event.
  void calm() noexcept { excitation_ = {}, total_ = 0; }

 private:
  double decay_;
  HawkesMatrix<kKinds> branching_;
  std::array<double, kKinds> excitation_{};  ///< children still due, a second, by kind
  double total_ = 0;
};

}  // namespace ringcraft
