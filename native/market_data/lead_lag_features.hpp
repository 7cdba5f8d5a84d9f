#pragma once
// lead_lag_v1: an instrument beside another that may move first.

#include <array>
#include <cstddef>
#include <cstdint>

#include "market_data/features.hpp"

namespace ringcraft {

class LeadLagFeatures final : public FeatureEngine {
 public:
  explicit LeadLagFeatures(const FeatureSetSpec& spec) noexcept : FeatureEngine(spec) {}

  void lead(const MarketEvent& event) noexcept override;
  void reset() noexcept override;

 private:
  static constexpr std::size_t kDecays = 3;
  using Decayed = std::array<double, kDecays>;

  /// How much one's recent move goes with the other's next: decayed sums.
  struct Pair {
    double product = 0;
    double signal_square = 0;
    double move_square = 0;

    void add(double decay, double signal, double move) noexcept;
    [[nodiscard]] double correlation() const noexcept;
  };

  /// The leader, as far as its events count.
  struct Leader {
    std::uint64_t seen = 0;
    std::int64_t last_ns = 0;
    double log_mid_bps = 0;
    Decayed mean{};           ///< time-weighted mean of log_mid_bps
    double signal_bps = 0;    ///< decayed sum of its moves
    double followed_bps = 0;  ///< the follower's signal when it last moved
    Pair lags;
  };

  /// Everything that a new session of the follower forgets.
  struct State {
    bool begun = false;
    std::int64_t last_ns = 0;
    double mid = 0;
    double log_mid_bps = 0;
    Decayed mean_mid{};  ///< time-weighted mean of the mid, in ticks
    double square_30s = 0;
    double signal_bps = 0;  ///< decayed sum of its moves
    double led_bps = 0;     ///< the leader's signal at the event before
    bool has_basis = false;
    double basis_bps = 0;
    double mean_basis_bps = 0;
    Pair leads;
  };

  void start(const Touch& touch) noexcept override;
  void take(const MarketEvent& event, const BookDepth* depth, const Touch& touch) noexcept override;
  [[nodiscard]] bool warm() const noexcept override;
  void count_pending() noexcept;
  void follow_basis(double decay_30s) noexcept;
  void write_leader(std::int64_t now_ns) noexcept;

  Leader leader_;
  State state_;
  std::int64_t pending_ns_ = 0;
  double pending_bps_ = 0;
  bool pending_ = false;
};

}  // namespace ringcraft
