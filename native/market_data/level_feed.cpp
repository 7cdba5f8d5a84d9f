#include "market_data/level_feed.hpp"

#include <array>
#include <limits>

namespace ringcraft {
namespace {

constexpr std::int64_t kMostTicks = std::numeric_limits<std::int32_t>::max();
constexpr std::int64_t kMostLots = 4'611'686'018'427'387'904;  // 2^62

std::uint16_t touch_state(const BookTouch& touch) noexcept {
  if (touch.bid_ticks <= 0 || touch.ask_ticks <= 0) return kOneSided;
  if (touch.bid_ticks > touch.ask_ticks) return kCrossed;
  return touch.bid_ticks == touch.ask_ticks ? kLocked : 0;
}

/// Fills one side; `top` of 0 ticks: the book's own levels alone. Levels beyond `edge` are left out.
void fill_side(const Books<true>& books, Side side, BookLevel top, std::int64_t edge,
               BookDepth::Levels& ticks, BookDepth::Levels& lots) noexcept {
  const bool buys = side == Side::kBuy;
  std::size_t filled = 0;
  if (top.ticks != 0) {
    ticks[0] = top.ticks;
    lots[0] = top.lots;
    filled = 1;
  }
  const std::uint32_t count = books.level_count(0, side);
  for (std::uint32_t rank = 0; rank < count && filled < kDepthLevels; ++rank) {
    const BookLevel level = books.level(0, side, rank);
    if (buys ? level.ticks < edge : level.ticks > edge) return;
    if (top.ticks != 0 && (buys ? level.ticks >= top.ticks : level.ticks <= top.ticks)) continue;
    ticks[filled] = level.ticks;
    lots[filled] = level.lots;
    ++filled;
  }
}

}  // namespace

LevelFault LevelFeed::read(std::string_view bids, std::string_view asks) {
  bids_.clear();
  asks_.clear();
  newest_ns_ = 0;
  const LevelFault fault = parse_levels(bids, price_, quantity_, bids_, nullptr, newest_ns_);
  return fault.fault != TextFault::kNone
             ? fault
             : parse_levels(asks, price_, quantity_, asks_, &far_levels_, newest_ns_);
}

void LevelFeed::apply() {
  for (const LevelChange& each : bids_) books_.set_level(0, Side::kBuy, each.ticks, each.lots);
  for (const LevelChange& each : asks_) books_.set_level(0, Side::kSell, each.ticks, each.lots);
}

LevelFault LevelFeed::load(std::string_view bids, std::string_view asks) {
  const LevelFault fault = read(bids, asks);
  if (fault.fault != TextFault::kNone) return fault;
  books_.clear(0);
  apply();
  return {};
}

LevelFault LevelFeed::change(std::string_view bids, std::string_view asks, std::uint32_t most) {
  const LevelFault fault = read(bids, asks);
  if (fault.fault != TextFault::kNone) return fault;
  apply();
  if (most != 0) {
    cut(Side::kBuy, most);
    cut(Side::kSell, most);
  }
  return {};
}

void LevelFeed::cut(Side side, std::uint32_t most) {
  for (std::uint32_t count = books_.level_count(0, side); count > most; --count) {
    books_.set_level(0, side, static_cast<std::int32_t>(books_.level(0, side, count - 1).ticks), 0);
  }
}

LevelFault LevelFeed::quote(std::string_view bid, std::string_view bid_lots, std::string_view ask,
                            std::string_view ask_lots) noexcept {
  const std::array<Units, 4> read{ticks_of(bid), lots_of(bid_lots), ticks_of(ask), lots_of(ask_lots)};
  for (std::size_t i = 0; i < read.size(); ++i) {
    if (read[i].fault != TextFault::kNone) return {read[i].fault, i % 2 == 0, 0, read[i].decimals};
  }
  // A side where nothing rests is told as a price or a quantity of 0.
  const bool has_bid = read[0].units != 0 && read[1].units != 0;
  const bool has_ask = read[2].units != 0 && read[3].units != 0;
  quote_ = {has_bid ? read[0].units : 0, has_bid ? read[1].units : 0, has_ask ? read[2].units : 0,
            has_ask ? read[3].units : 0};
  return {};
}

Units LevelFeed::ticks_of(std::string_view price) const noexcept {
  return parse_units(price, price_, kMostTicks);
}

Units LevelFeed::lots_of(std::string_view quantity) const noexcept {
  return parse_units(quantity, quantity_, kMostLots);
}

BookDepth LevelFeed::depth() const noexcept {
  BookDepth found{};
  const BookTouch top = quoted_ ? quote_ : BookTouch{};
  fill_side(books_, Side::kBuy, {top.bid_ticks, top.bid_lots, 0}, lowest_bid_ticks_, found.bid_ticks,
            found.bid_lots);
  fill_side(books_, Side::kSell, {top.ask_ticks, top.ask_lots, 0}, highest_ask_ticks_, found.ask_ticks,
            found.ask_lots);
  return found;
}

void LevelFeed::record(const EventContext& context) {
  const BookTouch now = touch();
  const auto flags = with_bits(context.flags, touch_state(now), true);
  events_.push_back({context.event_ns, context.receive_ns, context.sequence, now.bid_ticks, now.bid_lots,
                     now.ask_ticks, now.ask_lots, context.trade_ticks, context.trade_lots, 0, flags, 0});
  if (keep_depth_) depths_.push_back(depth());
  count_states(flags);
}

void LevelFeed::count_states(std::uint16_t to) noexcept {
  for (std::size_t bit = 0; bit < counts_.entered.size(); ++bit) {
    const bool was = ((std::uint32_t{flags_} >> bit) & 1U) != 0;
    const bool is = ((std::uint32_t{to} >> bit) & 1U) != 0;
    if (was != is) ++(is ? counts_.entered : counts_.left)[bit];
  }
  flags_ = to;
}

}  // namespace ringcraft
