#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <random>
#include <vector>

#include "market_data/books.hpp"
#include "market_data/itch50_books.hpp"
#include "market_data/market_tape.hpp"
#include "tests/serving_allocations.hpp"

using namespace ringcraft;

namespace {

std::size_t bit(std::uint16_t flag) { return static_cast<std::size_t>(__builtin_ctz(flag)); }

struct Silent {
  void before(ItchMessage) const noexcept {}
  void operator()(ItchMessage, std::uint64_t, const ItchTrade&) const noexcept {}
};

}  // namespace

TEST_CASE("orders of a level stand in a queue, and keep their place when they shrink") {
  Books<true> books(2);
  books.add(1, 10, Side::kBuy, 100, 5);
  books.add(1, 11, Side::kBuy, 100, 7);
  books.add(1, 12, Side::kBuy, 100, 9);
  CHECK(books.front(1, Side::kBuy) == 10);
  CHECK(books.place_of(12).position == 2);
  CHECK(books.place_of(12).ahead_lots == 12);
  CHECK(books.reduce(1, 10, 3).left == 2);
  CHECK(books.place_of(12).ahead_lots == 9);
  CHECK(books.remove(1, 11).lots == 7);
  CHECK(books.place_of(12).position == 1);
  CHECK(books.place_of(12).ticks == 100);
  CHECK(books.place_of(12).instrument == 1);
  CHECK(books.place_of(77).lots == 0);
  books.remove(1, 10);
  CHECK(books.front(1, Side::kBuy) == 12);
  CHECK(books.level(1, Side::kBuy, 0).orders == 1);
}

TEST_CASE("what cannot be applied changes nothing") {
  Books<true> books(2);
  CHECK(books.add(0, 1, Side::kSell, 101, 5) == AddStatus::kAdded);
  CHECK(books.add(0, 1, Side::kSell, 102, 5) == AddStatus::kDuplicate);
  CHECK(books.add(0, 2, Side::kSell, 102, 0) == AddStatus::kEmpty);
  CHECK(books.reduce(0, 9, 1).lots == 0);
  CHECK(books.reduce(1, 1, 1).lots == 0);  // another instrument's order
  CHECK(books.best(0) == BookTouch{0, 0, 101, 5});
  CHECK(books.reduce(0, 1, 9).lots == 5);
  CHECK(books.orders() == 0);
  CHECK(books.best(0) == BookTouch{});
}

TEST_CASE("a level-fed book holds what it is told") {
  Books<false> books(1);
  CHECK(books.set_level(0, Side::kBuy, 100, 5));
  CHECK(books.set_level(0, Side::kBuy, 99, 8));
  CHECK(books.set_level(0, Side::kSell, 101, 3));
  CHECK(books.best(0) == BookTouch{100, 5, 101, 3});
  CHECK(books.set_level(0, Side::kBuy, 100, 0));
  CHECK(books.set_level(0, Side::kBuy, 42, 0));
  CHECK(books.best(0) == BookTouch{99, 8, 101, 3});
  CHECK(books.set_level(0, Side::kBuy, 99, 2));
  CHECK(books.best(0).bid_lots == 2);
  books.add(0, 1, Side::kBuy, 98, 4);
  CHECK_FALSE(books.set_level(0, Side::kBuy, 98, 1));  // orders rest there
}

TEST_CASE("every state is entered and left in plain sight") {
  Books<true> books(2);
  books.add(0, 1, Side::kBuy, 100, 1);
  CHECK(books.state(0) == kOneSided);
  books.add(0, 2, Side::kSell, 100, 1);
  CHECK(books.state(0) == kLocked);
  books.add(0, 3, Side::kSell, 99, 1);
  CHECK(books.state(0) == kCrossed);
  books.remove(0, 1);
  CHECK(books.state(0) == kOneSided);
  books.set_state(0, kHalted | kCrossed, true);  // crossed follows from the touch alone
  CHECK(books.state(0) == (kOneSided | kHalted));
  books.set_state(0, kHalted, false);
  books.set_state(0, kHalted, false);
  books.set_state_of_all(kGap, true);
  CHECK(books.state(1) == (kOneSided | kGap));
  books.clear(0);
  books.set_state(0, kGap, false);
  books.set_state(0, kResync, true);
  CHECK(books.state(0) == (kOneSided | kResync));
  books.heard(0, 1'000);
  books.sweep_stale(2'000, 1'500);
  CHECK((books.state(0) & kStale) == 0);
  books.sweep_stale(3'000, 1'500);
  CHECK((books.state(0) & kStale) != 0);
  CHECK((books.state(1) & kStale) == 0);  // never heard of
  books.heard(0, 3'001);
  const StateCounts& counts = books.state_counts();
  CHECK(counts.entered[bit(kLocked)] == 1);
  CHECK(counts.left[bit(kLocked)] == 1);
  CHECK(counts.entered[bit(kCrossed)] == 1);
  CHECK(counts.left[bit(kCrossed)] == 1);
  CHECK(counts.entered[bit(kHalted)] == 1);
  CHECK(counts.left[bit(kHalted)] == 1);
  CHECK(counts.entered[bit(kGap)] == 2);
  CHECK(counts.left[bit(kGap)] == 1);
  CHECK(counts.entered[bit(kStale)] == 1);
  CHECK(counts.left[bit(kStale)] == 1);
  CHECK(counts.left[bit(kOneSided)] == 1);
  CHECK(counts.entered[bit(kOneSided)] == 1);
}

TEST_CASE("a cleared instrument is empty and the others are not") {
  Books<true> books(3);
  for (std::uint64_t i = 0; i < 500; ++i) {
    // Dense and far references, so that both stores are cleared.
    const std::uint64_t reference = i % 2 == 0 ? i : i << 40U;
    books.add(static_cast<std::uint32_t>(i % 3), reference, i % 4 < 2 ? Side::kBuy : Side::kSell,
              static_cast<std::int32_t>(100 + i % 7), 1);
  }
  const std::size_t before = books.orders();
  books.clear(1);
  CHECK(books.best(1) == BookTouch{});
  CHECK(books.orders() == before - 167);
  CHECK(books.lots_of(1ULL << 40U) == 0);
  CHECK(books.lots_of(0) == 1);
  CHECK(books.add(1, 1ULL << 40U, Side::kBuy, 100, 3) == AddStatus::kAdded);
  CHECK(books.best(1).bid_lots == 3);
}

TEST_CASE("references far and near, kept and freed, answer like a map") {
  std::mt19937_64 random(11);
  Books<true> books(1);
  std::map<std::uint64_t, std::uint32_t> model;
  std::vector<std::uint64_t> pool;
  for (int i = 0; i < 3'000; ++i) {
    const std::uint64_t kind = random() % 4;
    pool.push_back(kind == 0   ? random()
                   : kind == 1 ? random() % 2'000'000
                   : kind == 2 ? random() % 100'000'000
                               : static_cast<std::uint64_t>(i));
  }
  for (int step = 0; step < 60'000; ++step) {
    const std::uint64_t reference = pool[random() % pool.size()];
    const auto lots = static_cast<std::uint32_t>(1 + random() % 5);
    if (random() % 2 == 0) {
      const bool fresh = model.emplace(reference, lots).second;
      CHECK((books.add(0, reference, Side::kBuy, 7, lots) == AddStatus::kAdded) == fresh);
    } else {
      const auto found = model.find(reference);
      const std::uint32_t expected = found == model.end() ? 0 : std::min(lots, found->second);
      CHECK(books.reduce(0, reference, lots).lots == expected);
      if (found != model.end() && (found->second -= expected) == 0) model.erase(found);
    }
    CHECK(books.orders() == model.size());
  }
  std::int64_t total = 0;
  for (const auto& [reference, lots] : model) {
    CHECK(books.lots_of(reference) == lots);
    total += lots;
  }
  CHECK(books.best(0).bid_lots == total);
}

TEST_CASE("a day once seen takes no more memory the second time") {
  const auto tape = write_market_tape({5, 50, 40'000, 2'000, 1});
  ItchBooks<true> state(kItchLocates);
  state.books.reserve(200'000, 1'000'000, 10'000);
  ItchSummary first = run_itch50(tape, state, Silent{});
  CHECK(first.status == ItchStatus::kOk);
  for (std::uint32_t locate = 0; locate < 51; ++locate) state.books.clear(locate);
  CHECK(state.books.orders() == 0);
  const std::uint64_t before = allocations_of_this_thread();
  const ItchSummary second = run_itch50(tape, state, Silent{});
  CHECK(allocations_of_this_thread() == before);
  CHECK(second.unknown_orders + second.duplicate_orders == 0);
  CHECK(state.books.orders() > 1'000);
}

TEST_CASE("a market's tape has every type of message, applies whole and never crosses a book") {
  const auto tape = write_market_tape({9, 300, 60'000, 5'000, 3});
  CHECK(tape == write_market_tape({9, 300, 60'000, 5'000, 3}));
  ItchBooks<true> orders(kItchLocates);
  ItchBooks<false> levels(kItchLocates);
  const ItchSummary summary = run_itch50(tape, orders, Silent{});
  CHECK(run_itch50(tape, levels, Silent{}).status == ItchStatus::kOk);
  CHECK(summary.status == ItchStatus::kOk);
  CHECK(summary.unknown_types == 0);
  for (std::size_t type = 0; type < 256; ++type)
    CHECK((summary.by_type[type] != 0) == (kItchLengths[type] != 0));
  CHECK(summary.unknown_orders + summary.duplicate_orders + summary.off_grid_orders + summary.over_executed ==
        0);
  CHECK(orders.books.state_counts().entered[bit(kCrossed)] == 0);
  CHECK(orders.books.state_counts().entered[bit(kLocked)] == 0);
  for (std::uint32_t locate = 0; locate <= 300; ++locate) {
    CHECK(orders.books.best(locate) == levels.books.best(locate));
    for (const Side side : {Side::kBuy, Side::kSell}) {
      REQUIRE(orders.books.level_count(locate, side) == levels.books.level_count(locate, side));
      for (std::uint32_t rank = 0; rank < orders.books.level_count(locate, side); ++rank) {
        CHECK(orders.books.level(locate, side, rank).lots == levels.books.level(locate, side, rank).lots);
        CHECK(orders.books.level(locate, side, rank).lots > 0);
      }
    }
  }
}

TEST_CASE("looking ahead, at what is whole or garbled, changes no book") {
  auto tape = write_market_tape({9, 300, 20'000, 5'000, 3});
  std::mt19937_64 random(11);
  ItchBooks<true> plain(kItchLocates);
  ItchBooks<true> looked(kItchLocates);
  ItchLookahead<true> lookahead;
  ItchSummary one;
  ItchSummary other;
  ItchSummary read;
  ItchFrames frames(tape);
  std::vector<std::uint8_t> garbled;
  while (const std::uint8_t* at = frames.next(read)) {
    const std::size_t offset = frames.offset_of(at);
    const std::size_t size = std::min<std::size_t>(tape.size() - offset, random() % 2'000);
    garbled.assign(tape.begin() + static_cast<std::ptrdiff_t>(offset),
                   tape.begin() + static_cast<std::ptrdiff_t>(offset + size));  // its end is cut anywhere
    for (std::size_t flips = random() % 4; flips > 0 && !garbled.empty(); --flips) {
      garbled[random() % garbled.size()] = static_cast<std::uint8_t>(random());
    }
    lookahead.look(looked, garbled);
    const ItchMessage message(at);
    ItchTrade trade;
    ItchTrade same;
    REQUIRE(plain.apply(message, message.locate(), one, trade) ==
            looked.apply(message, message.locate(), other, same));
    REQUIRE(trade.ticks == same.ticks);
    const BookTouch a = plain.books.best(message.locate());
    const BookTouch b = looked.books.best(message.locate());
    REQUIRE(a.bid_ticks == b.bid_ticks);
    REQUIRE(a.bid_lots == b.bid_lots);
    REQUIRE(a.ask_ticks == b.ask_ticks);
    REQUIRE(a.ask_lots == b.ask_lots);
  }
  CHECK(read.status == ItchStatus::kOk);
  CHECK(plain.books.orders() == looked.books.orders());
  CHECK(plain.books.bytes() == looked.books.bytes());
  CHECK(one.unknown_orders == other.unknown_orders);
}
