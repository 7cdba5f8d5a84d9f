#include <doctest/doctest.h>

#include <algorithm>
#include <limits>
#include <random>
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

TEST_CASE("an unknown set makes no engine") { CHECK(FeatureEngine::make("touch_v0") == nullptr); }

TEST_CASE("one half-life halves order flow") {
  const auto engine = FeatureEngine::make("touch_v1");
  std::vector<float> x(engine->width());
  engine->update(touch(0, 100, 10, 101, 10), x.data());
  engine->update(touch(0, 100, 30, 101, 10), x.data());
  // 20 lots joined the bid; mean depth over the two events is (10 + 20) / 2 = 15.
  CHECK(x[3] == doctest::Approx(20.0 / 15.0));
  engine->update(touch(kSecond, 100, 30, 101, 10), x.data());
  // Flow 10 after one half-life; depth 15 + 20 = 35 over a weight of 1 + 1 = 2.
  CHECK(x[3] == doctest::Approx(10.0 / 17.5));
  CHECK(x[1] == doctest::Approx(0.5));
  CHECK(x[2] == doctest::Approx(0.25));
}

TEST_CASE("an unusable event repeats the last vector, a long silence starts afresh") {
  const auto engine = FeatureEngine::make("touch_v1");
  std::vector<float> before(engine->width());
  std::vector<float> after(engine->width());
  bool warm = false;
  for (int i = 0; i < 200; ++i)
    warm = engine->update(touch(i * kSecond, 100 + i % 3, 5, 103, 7), before.data());
  CHECK(warm);
  MarketEvent crossed = touch(300 * kSecond, 110, 5, 103, 7);
  crossed.flags = kCrossed;
  CHECK(engine->update(crossed, after.data()));
  CHECK(before == after);
  CHECK_FALSE(engine->update(touch(5000 * kSecond, 100, 5, 101, 5), after.data()));
  CHECK(after[9] == 0.0F);
}

TEST_CASE("hostile events do no harm") {
  std::mt19937_64 random(1);
  for (const auto& spec : feature_set_specs()) {
    const auto engine = FeatureEngine::make(spec.name);
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
      engine->update(event, x.data());
    }
    CHECK(x.size() == engine->width());
  }
}
