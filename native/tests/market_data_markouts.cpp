#include <doctest/doctest.h>

#include <limits>
#include <vector>

#include "market_data/markouts.hpp"

using namespace ringcraft;

namespace {

constexpr std::int64_t kSecond = 1'000'000'000;

MarketEvent quote(std::int64_t event_ns, std::int64_t bid, std::int64_t ask, std::uint16_t flags = 0) {
  MarketEvent event{};
  event.event_ns = event_ns;
  event.bid_ticks = bid;
  event.ask_ticks = ask;
  event.instrument = 7;
  event.flags = flags;
  return event;
}

struct Fixture {
  MarkoutTracker tracker{0.5, 60 * kSecond, 4};
  std::vector<Markout> seen;

  void event(const MarketEvent& e) {
    tracker.on_event(e, [this](const Markout& m) { seen.push_back(m); });
  }
  bool decide(std::uint64_t id, std::int64_t at, std::int64_t latency = 0, std::int64_t horizon = kSecond) {
    return tracker.add(id, 3, at, latency, horizon);
  }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "a decision enters at the touch after its latency and is marked at mid") {
  event(quote(0, 999, 1001));
  decide(1, 0, 1000);
  event(quote(500, 1000, 1002));  // stands at the entry
  event(quote(2000, 990, 992));   // too late for it
  event(quote(kSecond, 1010, 1014));
  CHECK(seen.empty());  // more events may share the mark's time
  event(quote(kSecond + 1, 1, 3));
  REQUIRE(seen.size() == 1);
  // Mid at entry 1001, at the mark 1012: bought at 1002 earns 10, sold at 1000 loses 12, each less 0.5 bps.
  CHECK(seen[0].buy_pnl_bps == doctest::Approx(1e4 * 10 / 1001 - 0.5));
  CHECK(seen[0].sell_pnl_bps == doctest::Approx(-1e4 * 12 / 1001 - 0.5));
  CHECK(seen[0].mid_move_bps == doctest::Approx(1e4 * 12 / 1000));
  CHECK(seen[0].status == MarkoutStatus::kOk);
  CHECK(seen[0].instrument == 7);
  CHECK(seen[0].model == 3);
  CHECK(seen[0].mark_mid_x2_ticks == 2024);
  CHECK(seen[0].resolved_event_ns == kSecond);
}

TEST_CASE_FIXTURE(Fixture,
                  "unusable entry, unusable mark, stale mark and an ended feed each get their status") {
  event(quote(0, 999, 1001, kCrossed));
  decide(1, 0);
  event(quote(10, 999, 1001));
  decide(2, 10);
  event(quote(20, 999, 0, kOneSided));
  event(quote(2 * kSecond, 999, 1001));
  REQUIRE(seen.size() == 2);
  CHECK(seen[0].status == MarkoutStatus::kEntryUnusable);
  CHECK(seen[1].status == MarkoutStatus::kMarkUnusable);
  CHECK(seen[1].buy_pnl_bps == 0.0);
  decide(3, 2 * kSecond, 0, 100 * kSecond);
  event(quote(200 * kSecond, 999, 1001));
  REQUIRE(seen.size() == 3);
  CHECK(seen[2].status == MarkoutStatus::kStale);
  decide(4, 200 * kSecond);
  tracker.finish([this](const Markout& m) { seen.push_back(m); });
  REQUIRE(seen.size() == 4);
  CHECK(seen[3].status == MarkoutStatus::kNever);
}

TEST_CASE_FIXTURE(Fixture, "a full queue refuses, and hostile numbers harm nobody") {
  constexpr auto kMax = std::numeric_limits<std::int64_t>::max();
  constexpr auto kMin = std::numeric_limits<std::int64_t>::min();
  event(quote(kMin, kMax, kMax));
  for (std::uint64_t id = 1; id <= 4; ++id) CHECK(decide(id, kMin, kMax, kMax));
  CHECK_FALSE(decide(5, kMin));
  event(quote(kMax, kMin, kMin));
  event(quote(kMin, kMax, kMin));
  tracker.finish([this](const Markout& m) { seen.push_back(m); });
  CHECK(seen.size() == 4);
}

TEST_CASE_FIXTURE(Fixture, "decisions with different horizons resolve in order of their marks") {
  event(quote(0, 999, 1001));
  decide(1, 0, 0, 3 * kSecond);
  decide(2, 0, 0, 1 * kSecond);
  decide(3, 0, 0, 3 * kSecond);
  event(quote(10 * kSecond, 999, 1001));
  REQUIRE(seen.size() == 3);
  CHECK(seen[0].decision_id == 2);
  CHECK(seen[1].decision_id == 1);
  CHECK(seen[2].decision_id == 3);
}
