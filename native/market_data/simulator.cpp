#include "market_data/simulator.hpp"

#include <array>
#include <cmath>
#include <deque>
#include <map>
#include <string_view>

#include "market_data/itch50_writer.hpp"
#include "market_data/random.hpp"

namespace ringcraft {
namespace {

constexpr std::uint64_t kStartNs = 34'200'000'000'000;  // 09:30 after midnight
constexpr std::size_t kDepth = 8;                       // limit orders come at distances 1..kDepth
constexpr std::uint16_t kLocate = 1;
constexpr std::uint32_t kLotShares = 100;
constexpr std::uint32_t kPricePerTick = 100;  // 0.01 in the feed's 1/10000
constexpr std::string_view kStock = "RING    ";

class Simulation {
 public:
  Simulation(std::uint64_t seed, const SimulatorParameters& parameters) : p_(parameters), random_(seed) {
    double rate = p_.limit_rate;
    for (double& each : limit_rates_) each = rate, rate *= p_.limit_decay;
  }

  SimulatorResult run(double seconds, std::uint64_t touch_changes) {
    open();
    while (result_.touch_changes < touch_changes) {
      const Rates rates = current_rates();
      const double step = random_.exponential(rates.total);
      if (time_s_ + step > seconds) break;
      advance(step);
      act(rates);
      count_change();
    }
    result_.seconds = time_s_;
    writer_.system(now_ns(), 'M');
    writer_.system(now_ns(), 'C');
    writer_.finish();
    result_.itch = std::move(writer_.out);
    return std::move(result_);
  }

 private:
  struct Order {
    std::uint64_t reference;
    std::int64_t lots;
  };
  using Queue = std::deque<Order>;
  struct SideBook {
    std::map<std::int64_t, Queue> levels;  ///< by ticks for bids, by -ticks for asks: the last is the best
    std::size_t orders = 0;
  };
  struct Rates {
    std::array<double, 2> market, limit, cancel;  ///< [buyer's or bid side, seller's or ask side]
    double total;
  };

  static std::uint32_t shares(std::int64_t lots) { return static_cast<std::uint32_t>(lots) * kLotShares; }

  static constexpr std::size_t kBid = 0;
  static constexpr std::size_t kAsk = 1;

  [[nodiscard]] std::uint64_t now_ns() const { return kStartNs + static_cast<std::uint64_t>(time_s_ * 1e9); }
  [[nodiscard]] std::int64_t best(std::size_t side) const {
    const std::int64_t key = books_[side].levels.rbegin()->first;
    return side == kBid ? key : -key;
  }
  [[nodiscard]] double mid() const { return 0.5 * static_cast<double>(best(kBid) + best(kAsk)); }

  void open() {
    writer_.system(now_ns(), 'O');
    writer_.directory(now_ns(), kLocate, kStock, kLotShares);
    writer_.system(now_ns(), 'Q');
    for (std::int64_t depth = 1; depth <= static_cast<std::int64_t>(kDepth); ++depth) {
      for (int i = 0; i < 3; ++i) {
        rest(kBid, p_.start_ticks - depth, random_.lots());
        rest(kAsk, p_.start_ticks + depth - 1, random_.lots());
      }
    }
    signal_ = random_.normal();
    last_touch_ = touch();
    sample();
  }

  Rates current_rates() const {
    Rates r{};
    const double limits = limit_total();
    for (const std::size_t side : {kBid, kAsk}) {
      const double eager = side == kBid ? signal_ : -signal_;  // what tilts this side's buyers, or sellers
      r.market[side] = p_.market_rate * exact_exp(p_.market_tilt * eager);
      r.limit[side] = limits * exact_exp(p_.limit_tilt * eager);
      r.cancel[side] =
          p_.cancel_rate * static_cast<double>(books_[side].orders) * exact_exp(-p_.cancel_tilt * eager);
      r.total += r.market[side] + r.limit[side] + r.cancel[side];
    }
    return r;
  }

  [[nodiscard]] double limit_total() const {
    double total = 0;
    for (const double each : limit_rates_) total += each;
    return total;
  }

  /// Moves time on; the signal by its exact transition, sampled at each whole second on the way.
  void advance(double step) {
    const double until = time_s_ + step;
    while (static_cast<double>(result_.signal.size()) <= until) {
      const auto second = static_cast<double>(result_.signal.size());
      relax(second - time_s_);
      time_s_ = second;
      sample();
    }
    relax(until - time_s_);
    time_s_ = until;
  }

  void relax(double step) {
    const double keep = exact_exp(-step / p_.relaxation_s);
    signal_ = signal_ * keep + std::sqrt(1.0 - keep * keep) * random_.normal();
  }

  void sample() {
    result_.signal.push_back(signal_);
    result_.mid_ticks.push_back(mid());
  }

  /// Whether what is left of a draw ends within this rate; what remains is for the next.
  static bool falls_within(double& draw, double rate) noexcept {
    draw -= rate;
    return draw <= 0;
  }

  void act(const Rates& rates) {
    double draw = random_.uniform() * rates.total;
    for (const std::size_t side : {kBid, kAsk}) {
      if (falls_within(draw, rates.market[side])) return trade(1 - side);
      if (falls_within(draw, rates.limit[side])) return place(side);
      if (falls_within(draw, rates.cancel[side])) return cancel(side);
    }
  }

  void place(std::size_t side) {
    double draw = random_.uniform() * limit_total();
    std::int64_t distance = 1;
    for (const double each : limit_rates_) {
      if (falls_within(draw, each)) break;
      ++distance;
    }
    const std::int64_t other = best(1 - side);
    rest(side, side == kBid ? other - distance : other + distance, random_.lots());
  }

  void rest(std::size_t side, std::int64_t ticks, std::int64_t lots) {
    if (ticks <= 0) return;
    const std::uint64_t reference = ++references_;
    books_[side].levels[side == kBid ? ticks : -ticks].push_back({reference, lots});
    ++books_[side].orders;
    writer_.add(now_ns(), kLocate, reference, side == kBid ? Side::kBuy : Side::kSell, shares(lots), kStock,
                static_cast<std::uint32_t>(ticks) * kPricePerTick);
  }

  /// A market order that takes from `side`, oldest first; it never takes the side's last order.
  void trade(std::size_t side) {
    std::int64_t wanted = random_.lots();
    SideBook& book = books_[side];
    while (wanted > 0 && book.orders > 1) {
      const auto level = std::prev(book.levels.end());
      Order& front = level->second.front();
      const std::int64_t taken = std::min(wanted, front.lots);
      writer_.execute(now_ns(), kLocate, front.reference, shares(taken), ++matches_);
      wanted -= taken;
      front.lots -= taken;
      if (front.lots == 0) drop(book, level, 0);
    }
  }

  void cancel(std::size_t side) {
    SideBook& book = books_[side];
    if (book.orders <= 1) return;
    std::size_t index = random_.below(book.orders);
    auto level = book.levels.begin();
    while (index >= level->second.size()) index -= level->second.size(), ++level;
    Order& order = level->second[index];
    if (order.lots > 1 && random_.uniform() < 0.2) {
      writer_.cancel(now_ns(), kLocate, order.reference, shares(1));
      --order.lots;
    } else {
      writer_.remove(now_ns(), kLocate, order.reference);
      drop(book, level, index);
    }
  }

  static void drop(SideBook& book, std::map<std::int64_t, Queue>::iterator level, std::size_t index) {
    level->second.erase(level->second.begin() + static_cast<std::ptrdiff_t>(index));
    if (level->second.empty()) book.levels.erase(level);
    --book.orders;
  }

  [[nodiscard]] BookTouch touch() const {
    BookTouch touch{best(kBid), 0, best(kAsk), 0};
    for (const Order& each : books_[kBid].levels.rbegin()->second) touch.bid_lots += each.lots;
    for (const Order& each : books_[kAsk].levels.rbegin()->second) touch.ask_lots += each.lots;
    return touch;
  }

  void count_change() {
    const BookTouch now = touch();
    if (now != last_touch_) ++result_.touch_changes;
    last_touch_ = now;
  }

  const SimulatorParameters& p_;
  Random random_;
  ItchWriter writer_;
  SimulatorResult result_;
  std::array<double, kDepth> limit_rates_{};
  std::array<SideBook, 2> books_;
  BookTouch last_touch_;
  double time_s_ = 0;
  double signal_ = 0;
  std::uint64_t references_ = 0;
  std::uint64_t matches_ = 0;
};

}  // namespace

SimulatorResult simulate_itch50(std::uint64_t seed, double seconds, std::uint64_t touch_changes,
                                const SimulatorParameters& parameters) {
  return Simulation(seed, parameters).run(seconds, touch_changes);
}

}  // namespace ringcraft
