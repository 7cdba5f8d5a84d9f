#include "market_data/tape_flow.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "market_data/tape_auction.hpp"

namespace ringcraft {
namespace {

constexpr double kSignalStepS = 0.05;
constexpr std::uint32_t kRoundLot = 100;
constexpr std::uint32_t kPricePerTick = 100;  // 0.01 in the feed's 1/10000
constexpr double kRemoveShare = 0.8;          // of cancellations; the others take a round lot off or replace
constexpr double kReduceShare = 0.1;
constexpr double kCancelInHalt = 0.1;      // hardly anybody moves while nothing can trade
constexpr std::int32_t kAuctionReach = 3;  // in an auction orders come this many ticks into the other side
constexpr int kFurthest = 60;              // ticks from the efficient price

enum Kind : std::size_t { kBuyMarket, kSellMarket, kBidLimit, kAskLimit, kBidCancel, kAskCancel };

std::uint32_t draw_lots(Random& random) { return kRoundLot * static_cast<std::uint32_t>(random.lots()); }

}  // namespace

TapeFlow::TapeFlow(std::uint64_t seed, std::uint16_t locate, std::string stock,
                   const FlowParameters& parameters, const FlowSchedule& schedule, TapeOutput& output)
    : p_(parameters),
      schedule_(schedule),
      output_(output),
      random_(seed),
      locate_(locate),
      stock_(std::move(stock)),
      book_(2 * parameters.start_ticks),
      hawkes_(parameters.decay_per_s * parameters.activity, parameters.branching),
      overlap_references_(schedule.overlaps.size()),
      overlap_handles_(schedule.overlaps.size()),
      keep_(exact_exp(-kSignalStepS / parameters.relaxation_s)),
      renew_(std::sqrt(1.0 - keep_ * keep_)),
      efficient_(parameters.start_ticks) {
  plan_moments();
}

void TapeFlow::plan_moments() {
  const auto plan = [this](double at_s, What what, std::size_t index) {
    if (at_s < std::numeric_limits<double>::infinity()) moments_.push_back({at_s, what, index});
  };
  for (std::size_t i = 0; i < schedule_.windows.size(); ++i) {
    plan(schedule_.windows[i].start_s, What::kWindow, i);
    plan(schedule_.windows[i].end_s, What::kWindow, i);
  }
  for (std::size_t i = 0; i < schedule_.halts.size(); ++i) {
    plan(schedule_.halts[i].start_s, What::kHalt, i);
    plan(schedule_.halts[i].quote_s, What::kQuote, i);
    plan(schedule_.halts[i].end_s, What::kReopen, i);
  }
  for (std::size_t i = 0; i < schedule_.overlaps.size(); ++i) {
    plan(schedule_.overlaps[i].start_s, What::kOverlap, i);
    plan(schedule_.overlaps[i].end_s, What::kOverlapEnd, i);
  }
  for (std::size_t i = 0; i < schedule_.notices_s.size(); ++i) plan(schedule_.notices_s[i], What::kNotice, i);
  std::stable_sort(moments_.begin(), moments_.end(),
                   [](const Moment& a, const Moment& b) { return a.at_s < b.at_s; });
}

void TapeFlow::open() {
  signal_ = random_.normal();
  for (std::int32_t depth = 0; depth < 8; ++depth) {
    for (int i = 0; i < 2; ++i) {
      rest(Side::kBuy, p_.start_ticks - depth, draw_lots(random_));
      rest(Side::kSell, p_.start_ticks + 1 + depth, draw_lots(random_));
    }
  }
  while (next_moment_ < moments_.size() && moments_[next_moment_].at_s <= 0) happen(moments_[next_moment_++]);
  schedule_next();
}

void TapeFlow::schedule_next() {
  update_baseline();
  arrival_ = hawkes_.draw(baseline_total_, random_);
  next_s_ = std::min(time_s_ + arrival_.after_s, kSignalStepS * static_cast<double>(signal_steps_ + 1));
  if (next_moment_ < moments_.size()) next_s_ = std::min(next_s_, moments_[next_moment_].at_s);
}

void TapeFlow::step() {
  const double arrival_s = time_s_ + arrival_.after_s;
  hawkes_.pass(next_s_ - time_s_);
  time_s_ = next_s_;
  if (next_moment_ < moments_.size() && time_s_ == moments_[next_moment_].at_s) {
    happen(moments_[next_moment_++]);
  } else if (time_s_ == arrival_s) {
    arrive(hawkes_.kind(arrival_, baseline_, baseline_total_, random_));
  } else {
    move_signal();
  }
  schedule_next();
}

void TapeFlow::move_signal() {
  ++signal_steps_;
  const double before = signal_;
  signal_ = signal_ * keep_ + renew_ * random_.normal();
  const double drift = p_.edge_ticks_per_s * now_.edge * 0.5 * (before + signal_) + now_.drift_ticks_per_s;
  const double noise = p_.volatility_ticks * now_.volatility * std::sqrt(kSignalStepS) * random_.normal();
  // Far from here the grid of prices ends.
  efficient_ =
      std::clamp(efficient_ + drift * kSignalStepS + noise, 0.25 * p_.start_ticks, 1.75 * p_.start_ticks);
}

void TapeFlow::follow_windows() {
  now_ = {0, 0};
  for (const FlowWindow& each : schedule_.windows) {
    if (time_s_ < each.start_s || time_s_ >= each.end_s) continue;
    now_.market *= each.market, now_.limit *= each.limit, now_.cancel *= each.cancel;
    now_.buys *= each.buys, now_.sells *= each.sells, now_.bids *= each.bids, now_.asks *= each.asks;
    now_.drift_ticks_per_s += each.drift_ticks_per_s;
    now_.volatility *= each.volatility, now_.edge *= each.edge;
  }
}

void TapeFlow::update_baseline() {
  const double part = p_.activity * (1.0 - p_.branching_ratio);
  const double expected = efficient_ + p_.lead_ticks * now_.edge * signal_;
  const bool buy = expected > book_.best(Side::kSell);
  const bool sell = expected < book_.best(Side::kBuy);
  const double market = phase_ == Phase::kTrading ? part * p_.market_rate * now_.market : 0.0;
  const double limit = phase_ == Phase::kHalted ? 0.0 : part * p_.limit_rate * now_.limit;
  const double cancel =
      part * p_.cancel_rate * now_.cancel * (phase_ == Phase::kHalted ? kCancelInHalt : 1.0);
  baseline_[kBuyMarket] =
      market * now_.buys * (1.0 - p_.informed_share + (buy ? 2.0 * p_.informed_share : 0.0));
  baseline_[kSellMarket] =
      market * now_.sells * (1.0 - p_.informed_share + (sell ? 2.0 * p_.informed_share : 0.0));
  baseline_[kBidLimit] = limit * now_.bids;
  baseline_[kAskLimit] = limit * now_.asks;
  baseline_[kBidCancel] = cancel * static_cast<double>(book_.orders(Side::kBuy));
  baseline_[kAskCancel] = cancel * static_cast<double>(book_.orders(Side::kSell));
  baseline_total_ = 0;
  for (const double each : baseline_) baseline_total_ += each;
}

void TapeFlow::arrive(std::size_t kind) {
  const Side side = kind % 2 == 0 ? Side::kBuy : Side::kSell;  // the buyer's, or the bid's
  bool happened = false;
  if (kind <= kSellMarket) {
    happened = phase_ == Phase::kTrading && trade(side == Side::kBuy ? Side::kSell : Side::kBuy);
  } else if (kind <= kAskLimit) {
    happened = phase_ != Phase::kHalted && place(side);
  } else {
    happened = cancel(side);
  }
  if (!happened) return;
  ++arrivals_;
  if (arrival_.excited) ++excited_;
  hawkes_.excite(kind);
}

std::int32_t TapeFlow::limit_price(Side side) {
  const double draw = exact_log(random_.uniform()) / exact_log(p_.limit_decay);
  const std::int32_t distance = draw < kFurthest ? static_cast<std::int32_t>(draw) : kFurthest;
  const auto inner = static_cast<std::int32_t>(std::floor(efficient_));
  const std::int32_t reach = phase_ == Phase::kAuction ? kAuctionReach : 0;
  std::int32_t ticks = side == Side::kBuy ? inner + reach - distance : inner + 1 - reach + distance;
  if (phase_ == Phase::kTrading) {  // a limit order rests; what would trade at once is a market order here
    const std::int32_t bid = book_.best(Side::kBuy);
    const std::int32_t ask = book_.best(Side::kSell);
    if (side == Side::kBuy && ask != 0) ticks = std::min(ticks, ask - 1);
    if (side == Side::kSell) ticks = std::max(ticks, bid + 1);
  }
  return std::clamp(ticks, 1, book_.highest_ticks() - 1);
}

bool TapeFlow::place(Side side) {
  // One draw a statement: compilers differ in which argument they evaluate first.
  const std::uint32_t lots = draw_lots(random_);
  rest(side, limit_price(side), lots);
  return true;
}

void TapeFlow::rest(Side side, std::int32_t ticks, std::uint32_t lots) {
  const std::uint64_t reference = output_.next_reference();
  book_.add(reference, side, ticks, lots);
  output_.writer.add(now_ns(), locate_, reference, side, lots, stock_,
                     static_cast<std::uint32_t>(ticks) * kPricePerTick);
  tell();
}

/// Takes from the best orders, oldest first; never the side's last order.
bool TapeFlow::trade(Side taken_from) {
  std::uint32_t wanted = draw_lots(random_);
  bool traded = false;
  while (wanted > 0 && book_.orders(taken_from) > 1) {
    const std::uint32_t front = book_.front(taken_from);
    const std::uint32_t lots = std::min(wanted, book_.order(front).lots);
    take(front, lots);
    wanted -= lots;
    traded = true;
  }
  return traded;
}

void TapeFlow::take(std::uint32_t handle, std::uint32_t lots) {
  const std::uint64_t reference = book_.order(handle).reference;
  book_.reduce(handle, lots);
  output_.writer.execute(now_ns(), locate_, reference, lots, output_.next_match());
  tell();
}

bool TapeFlow::cancel(Side side) {
  if (book_.orders(side) <= 1) return false;
  const std::uint32_t handle = book_.any(side, random_.below(book_.orders(side)));
  const TapeBook::Order order = book_.order(handle);
  const double draw = random_.uniform();
  if (draw < kReduceShare && order.lots > kRoundLot) {
    book_.reduce(handle, kRoundLot);
    output_.writer.cancel(now_ns(), locate_, order.reference, kRoundLot);
  } else if (draw < kReduceShare || draw >= 1.0 - kRemoveShare || phase_ == Phase::kHalted) {
    book_.reduce(handle, order.lots);
    output_.writer.remove(now_ns(), locate_, order.reference);
  } else {
    book_.reduce(handle, order.lots);
    const std::uint64_t reference = output_.next_reference();
    const std::int32_t ticks = limit_price(side);
    const std::uint32_t lots = draw_lots(random_);
    book_.add(reference, side, ticks, lots);
    output_.writer.replace(now_ns(), locate_, order.reference, reference, lots,
                           static_cast<std::uint32_t>(ticks) * kPricePerTick);
  }
  tell();
  return true;
}

void TapeFlow::happen(const Moment& moment) {
  switch (moment.what) {
    case What::kWindow:
      follow_windows();
      return;
    case What::kHalt:
      phase_ = Phase::kHalted;
      state_ = kHalted;
      hawkes_.calm();
      output_.writer.trading_action(now_ns(), locate_, stock_, 'H');
      return tell();
    case What::kQuote:
      phase_ = Phase::kAuction;
      state_ = kAuction;
      output_.writer.trading_action(now_ns(), locate_, stock_, 'Q');
      return tell();
    case What::kReopen:
      return reopen();
    case What::kOverlap: {
      const FlowOverlap& overlap = schedule_.overlaps[moment.index];
      const std::uint64_t reference = output_.next_reference();
      const std::int32_t ticks = std::min(book_.best(Side::kSell) + overlap.ticks, book_.highest_ticks() - 1);
      overlap_references_[moment.index] = reference;
      overlap_handles_[moment.index] = book_.add(reference, Side::kBuy, ticks, overlap.lots);
      output_.writer.add(now_ns(), locate_, reference, Side::kBuy, overlap.lots, stock_,
                         static_cast<std::uint32_t>(ticks) * kPricePerTick);
      return tell();
    }
    case What::kOverlapEnd: {
      const std::uint32_t handle = overlap_handles_[moment.index];
      const TapeBook::Order order = book_.order(handle);
      if (order.reference != overlap_references_[moment.index] || order.lots == 0) return;  // it has traded
      book_.reduce(handle, order.lots);
      output_.writer.remove(now_ns(), locate_, order.reference);
      return tell();
    }
    case What::kNotice:
      output_.writer.short_sale(now_ns(), locate_, stock_, '1');
      return tell();
  }
}

void TapeFlow::indicate() {
  const AuctionOutcome outcome = clear_auction(book_, static_cast<std::int32_t>(efficient_));
  const auto price = static_cast<std::uint32_t>(outcome.ticks) * kPricePerTick;
  output_.writer.imbalance(now_ns(), locate_, stock_, static_cast<std::uint64_t>(outcome.lots),
                           outcome.imbalance_lots, price, 'H');
  tell();
}

void TapeFlow::reopen() {
  indicate();
  const AuctionOutcome outcome = clear_auction(book_, static_cast<std::int32_t>(efficient_));
  const auto price = static_cast<std::uint32_t>(outcome.ticks) * kPricePerTick;
  const std::uint64_t match = output_.next_match();
  for (std::int64_t left = outcome.lots; left > 0;) {
    const std::uint32_t bid = book_.front(Side::kBuy);
    const std::uint32_t ask = book_.front(Side::kSell);
    const std::uint32_t lots = std::min(book_.order(bid).lots, book_.order(ask).lots);
    for (const std::uint32_t handle : {bid, ask}) {
      const std::uint64_t reference = book_.order(handle).reference;
      book_.reduce(handle, lots);
      output_.writer.execute_at(now_ns(), locate_, reference, lots, match, false, price);
      tell();
    }
    left -= lots;
  }
  output_.writer.cross(now_ns(), locate_, stock_, static_cast<std::uint64_t>(outcome.lots), price, match,
                       'H');
  tell();
  phase_ = Phase::kTrading;
  state_ = 0;
  output_.writer.trading_action(now_ns(), locate_, stock_, 'T');
  tell();
}

}  // namespace ringcraft
