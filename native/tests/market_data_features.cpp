#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "market_data/features.hpp"

using namespace ringcraft;

namespace {

MarketEvent touch(std::int64_t event_ns, std::int64_t bid, std::int64_t bid_lots, std::int64_t ask,
                  std::int64_t ask_lots) {
  MarketEvent event{};
  event.event_ns = event_ns;
  event.bid_ticks = bid;
  event.bid_lots = bid_lots;
  event.ask_ticks = ask;
  event.ask_lots = ask_lots;
  return event;
}

constexpr std::int64_t kSecond = 1'000'000'000;

}  // namespace

TEST_CASE("an unknown set makes no engine") { CHECK(FeatureEngine::make({"touch_v0", {}, {}}) == nullptr); }

TEST_CASE("a set is not made with what is not its own") {
  const std::vector<double> table(kMicropriceSpreads * kMicropriceBins, 0.0);
  std::vector<double> broken = table;
  broken[3] = std::numeric_limits<double>::quiet_NaN();
  CHECK(FeatureEngine::make({"touch_v1", table, {}}) == nullptr);
  CHECK(FeatureEngine::make({"touch_v1", {}, "A:B"}) == nullptr);
  CHECK(FeatureEngine::make({"depth_v1", {}, {}}) == nullptr);
  CHECK(FeatureEngine::make({"depth_v1", broken, {}}) == nullptr);
  CHECK(FeatureEngine::make({"lead_lag_v1", {}, {}}) == nullptr);
  CHECK(FeatureEngine::make({"depth_v1", table, {}}) != nullptr);
  CHECK(FeatureEngine::make({"lead_lag_v1", {}, "A:B"}) != nullptr);
}

TEST_CASE("the day begins at midnight where the instrument trades, before and after its clocks change") {
  const std::int64_t hour = 3600 * kSecond;
  ZoneClock utc;
  CHECK(utc.day_fraction(36 * hour) == 0.5);
  CHECK(utc.day_fraction(-6 * hour) == 0.75);
  ZoneClock zone({{10 * hour, 3600}, {1000 * hour, 2 * 3600}});
  CHECK(zone.day_fraction(0) == 1.0 / 24);
  CHECK(zone.day_fraction(11 * hour) == 0.5);
  CHECK(zone.day_fraction(1006 * hour) == 0.0);
  CHECK(zone.day_fraction(999 * hour) == 16.0 / 24);
  ZoneClock west({{0, -5 * 3600}});
  CHECK(west.day_fraction(hour) == 20.0 / 24);
}

TEST_CASE("levels that come and go are order flow of all their lots") {
  const std::vector<double> table(kMicropriceSpreads * kMicropriceBins, 0.0);
  const auto engine = FeatureEngine::make({"depth_v1", table, {}});
  std::vector<float> x(engine->width());
  BookDepth depth{};
  depth.bid_ticks[0] = 100;
  depth.ask_ticks[0] = 102;
  depth.bid_lots[0] = depth.ask_lots[0] = 10;
  engine->update(touch(0, 100, 10, 102, 10), &depth, x.data());
  CHECK(x[2] == 0.0F);
  depth.ask_ticks[1] = 103;
  depth.ask_lots[1] = 30;  // a second ask appears: 30 lots of selling pressure
  engine->update(touch(0, 100, 10, 102, 10), &depth, x.data());
  // A level's mean lots are (20 / 2 / 5 + 50 / 2 / 5) / 2 = 3.5.
  CHECK(x[11] == doctest::Approx(-30.0 / 3.5));
  CHECK(x[10] == 0.0F);
  CHECK(x[2] == doctest::Approx(-30.0 / 50.0));
  // Asks: 10 lots within a tick of the mid, 40 within two: (1 x 10 + 2 x 40) / (1 + 4) lots a tick.
  CHECK(x[8] == doctest::Approx(std::log1p(18.0)));
  engine->update(touch(0, 100, 10, 102, 10), nullptr, x.data());
  CHECK(x[8] == doctest::Approx(std::log1p(18.0)));
}

TEST_CASE("a leader's event counts from the next nanosecond on, in whatever order it is told") {
  std::vector<std::vector<float>> rows;
  for (const bool leader_first : {true, false}) {
    const auto engine = FeatureEngine::make({"lead_lag_v1", {}, "A:B"});
    std::vector<float> x(engine->width());
    for (std::int64_t i = 0; i < 50; ++i) {
      const MarketEvent leader = touch(i * kSecond, 1000 + (i * 7) % 11, -1, 1002 + (i * 7) % 11, -1);
      const MarketEvent own = touch(i * kSecond, 500 + i % 3, -1, 501 + i % 3, -1);
      if (leader_first) engine->lead(leader);
      engine->update(own, nullptr, x.data());
      if (!leader_first) engine->lead(leader);
      rows.push_back(x);
      CHECK((x[9] != 0.0F) == (i > 0));
    }
  }
  for (std::size_t i = 0; i < 50; ++i) CHECK(rows[i] == rows[50 + i]);
}

TEST_CASE("one half-life halves order flow") {
  const auto engine = FeatureEngine::make({"touch_v1", {}, {}});
  std::vector<float> x(engine->width());
  engine->update(touch(0, 100, 10, 101, 10), nullptr, x.data());
  engine->update(touch(0, 100, 30, 101, 10), nullptr, x.data());
  // 20 lots joined the bid; mean depth over the two events is (10 + 20) / 2 = 15.
  CHECK(x[3] == doctest::Approx(20.0 / 15.0));
  engine->update(touch(kSecond, 100, 30, 101, 10), nullptr, x.data());
  // Flow 10 after one half-life; depth 15 + 20 = 35 over a weight of 1 + 1 = 2.
  CHECK(x[3] == doctest::Approx(10.0 / 17.5));
  CHECK(x[1] == doctest::Approx(0.5));
  CHECK(x[2] == doctest::Approx(0.25));
}

TEST_CASE("an unusable event repeats the last vector, a long silence starts afresh") {
  const auto engine = FeatureEngine::make({"touch_v1", {}, {}});
  std::vector<float> before(engine->width());
  std::vector<float> after(engine->width());
  bool warm = false;
  for (int i = 0; i < 200; ++i)
    warm = engine->update(touch(i * kSecond, 100 + i % 3, 5, 103, 7), nullptr, before.data());
  CHECK(warm);
  MarketEvent crossed = touch(300 * kSecond, 110, 5, 103, 7);
  crossed.flags = kCrossed;
  CHECK(engine->update(crossed, nullptr, after.data()));
  CHECK(before == after);
  CHECK_FALSE(engine->update(touch(5000 * kSecond, 100, 5, 101, 5), nullptr, after.data()));
  CHECK(after[9] == 0.0F);
}

TEST_CASE("hostile events do no harm") {
  std::mt19937_64 random(1);
  for (const auto& spec : feature_set_specs()) {
    const std::vector<double> table(spec.needs.depth ? kMicropriceSpreads * kMicropriceBins : 0, 0.1);
    const auto engine = FeatureEngine::make({std::string(spec.name), table, spec.needs.leader ? "A:B" : ""});
    BookDepth depth{};
    std::vector<float> x(engine->width());
    for (int i = 0; i < 2000; ++i) {
      MarketEvent event{};
      event.event_ns = static_cast<std::int64_t>(random());
      event.bid_ticks = static_cast<std::int64_t>(random());
      event.ask_ticks = static_cast<std::int64_t>(random());
      event.bid_lots = static_cast<std::int64_t>(random());
      event.ask_lots = static_cast<std::int64_t>(random());
      event.trade_ticks = static_cast<std::int64_t>(random());
      event.trade_lots = std::numeric_limits<std::int64_t>::min();
      for (std::size_t level = 0; level < kDepthLevels; ++level) {
        depth.bid_ticks[level] = static_cast<std::int64_t>(random());
        depth.ask_ticks[level] = static_cast<std::int64_t>(random());
        depth.bid_lots[level] = static_cast<std::int64_t>(random());
        depth.ask_lots[level] = static_cast<std::int64_t>(random());
      }
      engine->update(event, &depth, x.data());
      engine->lead(event);
    }
    CHECK(x.size() == engine->width());
  }
}
