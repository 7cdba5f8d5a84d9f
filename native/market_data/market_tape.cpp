#include "market_data/market_tape.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <string_view>

#include "market_data/books.hpp"
#include "market_data/itch50_writer.hpp"
#include "market_data/random.hpp"

namespace ringcraft {
namespace {

constexpr std::uint64_t kOpenNs = 34'200'000'000'000;  // 09:30 after midnight
constexpr double kDayNs = 23'400e9;                    // until 16:00
constexpr std::uint32_t kCent = 100;                   // in the feed's 1/10000
constexpr std::string_view kOtherTypes = "YLVWKJhQBINO";

}  // namespace

class MarketTape::Flow {
 public:
  explicit Flow(const MarketTapeParameters& parameters)
      : p_(parameters),
        random_(parameters.seed),
        books_(parameters.stocks + 1U),
        mids_(parameters.stocks + 1U) {
    double total = 0;
    for (std::uint32_t i = 1; i <= p_.stocks; ++i) activity_.push_back(total += 1.0 / i);
    open();
  }

  std::vector<std::uint8_t> next(std::uint64_t messages) {
    const std::uint64_t until = std::min(p_.messages, made_ + messages);
    writer_.out.reserve(writer_.out.size() + (until - made_) * 34 + 64);
    const double step_ns = kDayNs / static_cast<double>(std::max<std::uint64_t>(p_.messages, 1));
    for (; made_ < until; ++made_) {
      now_ns_ = kOpenNs + static_cast<std::uint64_t>(clock_ = clock_ + step_ns);
      act();
    }
    if (made_ == p_.messages && !closed_) close();
    return writer_.take();
  }

 private:
  struct Live {
    std::uint64_t reference;
    std::uint16_t locate;
  };

  void open() {
    now_ns_ = kOpenNs - 60'000'000'000;
    writer_.system(now_ns_, 'O');
    for (std::uint32_t locate = 1; locate <= p_.stocks; ++locate) {
      mids_[locate] = static_cast<std::int32_t>(500 + random_.below(30'000));
      writer_.directory(now_ns_, static_cast<std::uint16_t>(locate), symbol(locate), 100);
      writer_.trading_action(now_ns_, static_cast<std::uint16_t>(locate), symbol(locate), 'T');
    }
    writer_.system(now_ns_, 'S');
    writer_.system(now_ns_, 'Q');
  }

  void close() {
    closed_ = true;
    writer_.system(now_ns_, 'M');
    writer_.system(now_ns_, 'E');
    writer_.system(now_ns_, 'C');
  }

  void act() {
    const double draw = random_.uniform();
    const bool full = live_.size() >= p_.live_orders;
    // Below its number of orders the book fills; at it, adds and deletes are about as many.
    if (draw < (full ? 0.42 : 0.72) || live_.empty()) return add();
    if (draw < 0.86) return remove();
    if (draw < 0.93) return replace();
    if (draw < 0.965) return execute();
    if (draw < 0.98) return cancel();
    if (draw < 0.99) return hidden();
    const char type = kOtherTypes[random_.below(kOtherTypes.size())];
    const std::uint16_t locate = any_stock();
    // An operational halt of bare spaces halts nothing.
    writer_.bare(type, now_ns_, type == 'V' || type == 'W' || type == 'B' ? std::uint16_t{0} : locate,
                 symbol(locate));
  }

  void add() {
    const std::uint16_t locate = any_stock();
    if (random_.below(50) == 0)
      mids_[locate] = std::max(200, mids_[locate] + (random_.below(2) == 0 ? -1 : 1));
    const Side side = random_.below(2) == 0 ? Side::kBuy : Side::kSell;
    const std::int32_t ticks = price(locate, side);
    const std::uint32_t shares = 100 * static_cast<std::uint32_t>(random_.lots());
    const std::uint64_t reference = next_reference();
    rest(locate, reference, side, ticks, shares);
    const auto in_feed = static_cast<std::uint32_t>(ticks) * kCent;
    if (random_.below(20) == 0) {
      writer_.add_attributed(now_ns_, locate, reference, side, shares, symbol(locate), in_feed);
    } else {
      writer_.add(now_ns_, locate, reference, side, shares, symbol(locate), in_feed);
    }
  }

  void remove() {
    const Live order = take_any_order();
    if (order.reference == 0) return add();
    books_.remove(order.locate, order.reference);
    writer_.remove(now_ns_, order.locate, order.reference);
  }

  void replace() {
    const Live old = take_any_order();
    if (old.reference == 0) return add();
    const Side side = books_.remove(old.locate, old.reference).side;
    const std::int32_t ticks = price(old.locate, side);
    const std::uint32_t shares = 100 * static_cast<std::uint32_t>(random_.lots());
    const std::uint64_t reference = next_reference();
    rest(old.locate, reference, side, ticks, shares);
    writer_.replace(now_ns_, old.locate, old.reference, reference, shares,
                    static_cast<std::uint32_t>(ticks) * kCent);
  }

  void execute() {
    const std::uint16_t locate = any_stock();
    const Side side = random_.below(2) == 0 ? Side::kBuy : Side::kSell;
    if (books_.level_count(locate, side) == 0) return add();
    const std::uint64_t reference = books_.front(locate, side);
    const std::uint32_t lots = books_.lots_of(reference) / 100;
    const auto shares = static_cast<std::uint32_t>(100 * (1 + random_.below(lots)));
    const Taken taken = books_.reduce(locate, reference, shares);
    if (random_.below(20) == 0) {
      const auto in_feed = static_cast<std::uint32_t>(taken.ticks) * kCent;
      writer_.execute_at(now_ns_, locate, reference, shares, ++matches_, random_.below(2) == 0, in_feed);
    } else {
      writer_.execute(now_ns_, locate, reference, shares, ++matches_);
    }
  }

  void cancel() {
    const Live order = any_order();
    if (order.reference == 0 || books_.lots_of(order.reference) <= 100) return add();
    books_.reduce(order.locate, order.reference, 100);
    writer_.cancel(now_ns_, order.locate, order.reference, 100);
  }

  void hidden() {
    const std::uint16_t locate = any_stock();
    writer_.trade(now_ns_, locate, 100, symbol(locate), static_cast<std::uint32_t>(mids_[locate]) * kCent,
                  ++matches_);
  }

  void rest(std::uint16_t locate, std::uint64_t reference, Side side, std::int32_t ticks,
            std::uint32_t shares) {
    books_.add(locate, reference, side, ticks, shares);
    live_.push_back({reference, locate});
  }

  /// Near the mid, and short of the other side's best.
  std::int32_t price(std::uint16_t locate, Side side) {
    const auto distance = 1 + static_cast<std::int32_t>(random_.exponential(0.25));
    const BookTouch touch = books_.best(locate);
    if (side == Side::kBuy) {
      const std::int32_t wanted = mids_[locate] - distance;
      const std::int64_t most =
          touch.ask_lots == 0 ? wanted : std::min<std::int64_t>(wanted, touch.ask_ticks - 1);
      return std::max(1, static_cast<std::int32_t>(most));
    }
    const std::int32_t wanted = mids_[locate] + distance;
    return static_cast<std::int32_t>(
        touch.bid_lots == 0 ? wanted : std::max<std::int64_t>(wanted, touch.bid_ticks + 1));
  }

  std::uint64_t next_reference() { return references_ += p_.reference_step; }

  std::uint16_t any_stock() {
    const double draw = random_.uniform() * activity_.back();
    const auto found = std::lower_bound(activity_.begin(), activity_.end(), draw);
    return static_cast<std::uint16_t>(1 + (found - activity_.begin()));
  }

  /// A random order that rests still; executed ones are dropped on the way. Reference 0: none was met.
  Live any_order() {
    while (!live_.empty()) {
      drawn_ = random_.below(live_.size());
      if (books_.lots_of(live_[drawn_].reference) != 0) return live_[drawn_];
      live_[drawn_] = live_.back();
      live_.pop_back();
    }
    return {0, 0};
  }
  Live take_any_order() {
    const Live order = any_order();
    if (order.reference != 0) {
      live_[drawn_] = live_.back();
      live_.pop_back();
    }
    return order;
  }

  std::string_view symbol(std::uint32_t locate) {
    std::snprintf(symbol_.data(), symbol_.size(), "S%05u  ", locate);
    return {symbol_.data(), 8};
  }

  MarketTapeParameters p_;
  Random random_;
  Books<true> books_;
  std::vector<std::int32_t> mids_;
  std::vector<double> activity_;  ///< summed up
  std::vector<Live> live_;
  ItchWriter writer_;
  std::array<char, 16> symbol_{};
  std::size_t drawn_ = 0;
  std::uint64_t now_ns_ = 0;
  double clock_ = 0;
  std::uint64_t made_ = 0;
  bool closed_ = false;
  std::uint64_t references_ = 0;
  std::uint64_t matches_ = 0;
};

MarketTape::MarketTape(const MarketTapeParameters& parameters) : flow_(std::make_unique<Flow>(parameters)) {}
MarketTape::~MarketTape() = default;
std::vector<std::uint8_t> MarketTape::next(std::uint64_t messages) { return flow_->next(messages); }

std::vector<std::uint8_t> write_market_tape(const MarketTapeParameters& parameters) {
  return MarketTape(parameters).next(parameters.messages);
}

}  // namespace ringcraft
