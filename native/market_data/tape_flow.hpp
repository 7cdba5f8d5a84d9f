#pragma once
// Order flow of one simulated stock: Hawkes or Poisson arrivals around an efficient price, with traders who
// know more.

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "market_data/hawkes.hpp"
#include "market_data/random.hpp"
#include "market_data/tape_book.hpp"
#include "market_data/tape_output.hpp"

namespace ringcraft {

/// Kinds of arrival, in the matrix's order: market orders that buy and sell, limit orders and cancellations
/// of bids and asks.
inline constexpr std::size_t kFlowKinds = 6;

/// Rates are averages in 1/s of event time, of each side.
///
/// An efficient price R moves by edge_ticks_per_s * x dt + volatility_ticks * dW, x the signal, an
/// Ornstein-Uhlenbeck process of unit variance with relaxation_s; so over h seconds E[R's move | x] =
/// lead_ticks * x with lead_ticks = edge_ticks_per_s * relaxation_s * (1 - exp(-h / relaxation_s)). Limit
/// orders are placed around R, the innermost most often. Of the market orders a share comes from traders who
/// know R and x: they buy while R + lead_ticks * x is above the best ask, sell while it is below the best
/// bid, and else keep out. The others buy as often as they sell.
struct FlowParameters {
  double market_rate = 1.0;
  double limit_rate = 8.0;
  double limit_decay = 0.75;  ///< each tick further from R, an order is this much less likely
  double cancel_rate = 0.4;   ///< of each resting order
  double informed_share = 0.3;
  double relaxation_s = 10.0;
  double edge_ticks_per_s = 0.25;  ///< per standard deviation of the signal
  double lead_ticks = 1.0;         ///< what the informed expect, per standard deviation
  double volatility_ticks = 0.8;   ///< per square root of a second
  double activity = 1.0;           ///< multiplies every rate, and the decay of the excitation
  double decay_per_s = 20.0;
  double branching_ratio = 0.0;  ///< of `branching`; baselines are what it leaves of the rates
  HawkesMatrix<kFlowKinds> branching{};
  std::int32_t start_ticks = 10'000;
};

/// What may change over time. Rates are factors, drift is added.
struct FlowWindow {
  double start_s;
  double end_s;
  double market = 1, limit = 1, cancel = 1;
  double buys = 1, sells = 1, bids = 1, asks = 1;
  double drift_ticks_per_s = 0;
  double volatility = 1;
  double edge = 1;
};

/// Trading stops at start_s, orders gather from quote_s on, and a cross opens trading again at end_s.
struct FlowHalt {
  double start_s;
  double quote_s;
  double end_s;
};

/// A buy order that stands at the best ask or above without trading: 0 ticks over it locks the book, more
/// cross it.
struct FlowOverlap {
  double start_s;
  double end_s;
  std::int32_t ticks;
  std::uint32_t lots;
};

struct FlowSchedule {
  std::vector<FlowWindow> windows;
  std::vector<FlowHalt> halts;
  std::vector<FlowOverlap> overlaps;
  std::vector<double> notices_s;  ///< a Reg SHO message ('Y') marks the moment
};

/// @note One thread. The book takes memory until as many orders as ever will have lived at a time.
class TapeFlow {
 public:
  TapeFlow(std::uint64_t seed, std::uint16_t locate, std::string stock, const FlowParameters& parameters,
           const FlowSchedule& schedule, TapeOutput& output);

  /// When something happens next, in seconds since the start.
  [[nodiscard]] double next_s() const noexcept { return next_s_; }
  /// Lets it happen, and writes what of it the venue tells.
  void step();
  /// Writes the orders that rest before the start.
  void open();

  [[nodiscard]] double signal() const noexcept { return signal_; }
  [[nodiscard]] double efficient_ticks() const noexcept { return efficient_; }
  [[nodiscard]] double mid_ticks() const noexcept {
    return 0.5 * static_cast<double>(book_.best(Side::kBuy) + book_.best(Side::kSell));
  }
  /// Arrivals that took place, all, and those that earlier ones had excited.
  [[nodiscard]] std::uint64_t arrivals() const noexcept { return arrivals_; }
  [[nodiscard]] std::uint64_t excited() const noexcept { return excited_; }

 private:
  enum class Phase : std::uint8_t { kTrading, kHalted, kAuction };
  enum class What : std::uint8_t { kWindow, kHalt, kQuote, kReopen, kOverlap, kOverlapEnd, kNotice };
  struct Moment {
    double at_s;
    What what;
    std::size_t index;
  };

  void plan_moments();
  void schedule_next();
  void pass_until(double time_s);
  void happen(const Moment& moment);
  void arrive(std::size_t kind);
  void move_signal();
  void follow_windows();
  void update_baseline();

  bool trade(Side taken_from);
  bool place(Side side);
  bool cancel(Side side);
  void rest(Side side, std::int32_t ticks, std::uint32_t lots);
  void take(std::uint32_t handle, std::uint32_t lots);
  [[nodiscard]] std::int32_t limit_price(Side side);
  void indicate();
  void reopen();

  [[nodiscard]] std::uint64_t now_ns() const noexcept { return output_.time_ns(time_s_); }
  void tell() { output_.wrote(locate_, book_.touch(), state_); }

  const FlowParameters& p_;
  const FlowSchedule& schedule_;
  TapeOutput& output_;
  Random random_;
  std::uint16_t locate_;
  std::string stock_;
  TapeBook book_;
  Hawkes<kFlowKinds> hawkes_;
  Hawkes<kFlowKinds>::Arrival arrival_;
  std::vector<Moment> moments_;
  std::size_t next_moment_ = 0;
  std::vector<std::uint64_t> overlap_references_;
  std::vector<std::uint32_t> overlap_handles_;
  FlowWindow now_{0, 0};  ///< the product of all windows that hold
  std::array<double, kFlowKinds> baseline_{};
  double baseline_total_ = 0;
  Phase phase_ = Phase::kTrading;
  std::uint16_t state_ = 0;
  double time_s_ = 0;
  double next_s_ = 0;
  std::uint64_t signal_steps_ = 0;
  double keep_ = 0;
  double renew_ = 0;
  double signal_ = 0;
  double efficient_ = 0;
  std::uint64_t arrivals_ = 0;
  std::uint64_t excited_ = 0;
};

}  // namespace ringcraft
