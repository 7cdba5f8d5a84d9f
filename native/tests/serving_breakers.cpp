#include <doctest/doctest.h>

#include <random>

#include "tests/engine_bench.hpp"
#include "tests/serving_allocations.hpp"

namespace ringcraft {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;

BreakerLimits strict() {
  BreakerLimits limits;
  limits.failed_of_64 = 4;
  limits.late_of_64 = 6;
  limits.same_in_a_row = 5;
  limits.probes = 3;
  limits.open_ns = kSecond;
  return limits;
}

BreakerSample good(std::uint64_t input) {
  return {false, false, {static_cast<float>(input), 0, 0, 0}, input};
}

BreakerSample failure(std::uint64_t input) { return {true, false, {}, input}; }

/// Answers its first feature, or fails while told to.
class Switch final : public Model {
 public:
  explicit Switch(const bool& broken) : Model({1, 16, 3, false}, "switch"), broken_(broken) {}

  bool predict(const float* in, float* out) noexcept override {
    out[0] = out[1] = 0;
    out[2] = broken_ ? std::nanf("") : in[0];
    return true;
  }

 private:
  const bool& broken_;
};

struct Guarded : Bench {
  Guarded() {
    BreakerLimits limits = strict();
    limits.late_of_64 = 0;
    limits.same_in_a_row = 0;
    engine.protect(limits);
    for (std::uint32_t version = 1; version <= 2; ++version) {
      LoadedSlot slot;
      slot.version = version;
      slot.threshold = 0.5;
      slot.latency_budget_ns = 1000 * kSecond;
      slot.live = std::make_shared<Switch>(broken[version - 1]);
      slot.shadow = std::make_shared<Switch>(broken[version - 1]);
      holdings.put(0, version - 1, std::make_unique<const LoadedSlot>(std::move(slot)));
    }
    engine.adopt();
  }

  /// Version 1 alone, or version 1 on trial as champion with version 2 as its control.
  void champion(Phase phase) {
    Route route = ab_route();
    route.share_bps = 0;
    route.phase = static_cast<std::uint8_t>(phase);
    if (phase == Phase::kIdle) {
      route.rollout_id = 0;
      route.challenger_version = kNoVersion;
    }
    routing.publish({route});
  }

  DecisionRecord ask(float value) {
    row[0] = value;
    InferRequest asked;
    asked.rows = row.data();
    asked.row_floats = row.size();
    asked.count = 1;
    asked.receive_ns = now_ns;
    routing.beat();
    engine.on_request(asked);
    return records<DecisionRecord>(RecordType::kDecision).back();
  }

  std::array<bool, 2> broken{};
  std::array<float, 16> row{};
  std::int64_t now_ns = monotonic_ns();
};

}  // namespace

TEST_CASE("a breaker opens at its limit of failures among the last 64, not below") {
  Breaker breaker;
  for (std::uint64_t i = 0; i < 3; ++i) CHECK_FALSE(breaker.answered(strict(), failure(i), 0));
  for (std::uint64_t i = 0; i < 64; ++i) CHECK_FALSE(breaker.answered(strict(), good(i), 0));
  for (std::uint64_t i = 0; i < 3; ++i) CHECK_FALSE(breaker.answered(strict(), failure(i), 0));
  CHECK(breaker.answered(strict(), failure(9), 0));
  CHECK(breaker.open());
  CHECK(breaker.cause() == BreakerCause::kFailed);
}

TEST_CASE("an open breaker waits, lets probes through, and closes after enough good ones") {
  Breaker breaker;
  for (std::uint64_t i = 0; i < 4; ++i) breaker.answered(strict(), failure(i), 0);
  breaker.turn(strict(), kSecond - 1);
  CHECK(breaker.open());
  breaker.turn(strict(), kSecond);
  CHECK(breaker.state() == BreakerState::kHalfOpen);
  breaker.answered(strict(), good(1), kSecond);
  breaker.answered(strict(), good(2), kSecond);
  CHECK(breaker.answered(strict(), failure(3), kSecond));  // one bad probe is enough
  CHECK(breaker.times_opened() == 2);
  breaker.turn(strict(), 2 * kSecond);
  for (std::uint64_t i = 0; i < 3; ++i) breaker.answered(strict(), good(i), 2 * kSecond);
  CHECK(breaker.state() == BreakerState::kClosed);
}

TEST_CASE("late answers open it by themselves, and must be in time again to close it") {
  Breaker breaker;
  BreakerSample late = good(0);
  late.late = true;
  for (std::uint64_t i = 0; i < 6; ++i) {
    late.output[0] = static_cast<float>(i);
    CHECK(breaker.answered(strict(), late, 0) == (i == 5));
  }
  CHECK(breaker.cause() == BreakerCause::kLate);
  breaker.turn(strict(), kSecond);
  CHECK(breaker.answered(strict(), late, kSecond));
}

TEST_CASE("the same output opens it only where inputs differ, and another output closes it") {
  Breaker breaker;
  BreakerSample stuck{false, false, {1, 2, 3, 0}, 7};
  for (int i = 0; i < 100; ++i) CHECK_FALSE(breaker.answered(strict(), stuck, 0));
  for (std::uint64_t i = 0; i < 5; ++i) {
    stuck.input_hash = 100 + i;
    CHECK(breaker.answered(strict(), stuck, 0) == (i == 4));
  }
  CHECK(breaker.cause() == BreakerCause::kConstant);
  breaker.turn(strict(), kSecond);
  CHECK_FALSE(breaker.answered(strict(), stuck, kSecond));  // the same input again says nothing
  CHECK(breaker.state() == BreakerState::kHalfOpen);
  stuck.input_hash = 200;
  CHECK(breaker.answered(strict(), stuck, kSecond));
  breaker.turn(strict(), 2 * kSecond);
  for (std::uint64_t i = 0; i < 3; ++i) breaker.answered(strict(), good(i), 2 * kSecond);
  CHECK(breaker.state() == BreakerState::kClosed);
}

TEST_CASE("limits of 0 are not looked at") {
  BreakerLimits none = strict();
  none.failed_of_64 = none.late_of_64 = 0;
  none.same_in_a_row = 0;
  Breaker breaker;
  for (std::uint64_t i = 0; i < 1000; ++i) {
    CHECK_FALSE(breaker.answered(none, {i % 2 == 0, true, {}, i}, 0));
  }
}

TEST_CASE("whatever comes: open only by answers, half-open only by time, closed only by enough good probes") {
  std::mt19937_64 random(3);
  const BreakerLimits limits = strict();
  for (int round = 0; round < 200; ++round) {
    Breaker breaker;
    std::int64_t now_ns = 0;
    std::int64_t opened_ns = 0;
    std::uint32_t opened = 0;
    std::uint32_t probes = 0;
    for (std::uint64_t i = 0; i < 500; ++i) {
      now_ns += static_cast<std::int64_t>(random() % (kSecond / 20));
      const BreakerState before = breaker.state();
      breaker.turn(limits, now_ns);
      const bool waited = before == BreakerState::kOpen && now_ns - opened_ns >= limits.open_ns;
      REQUIRE(breaker.state() == (waited ? BreakerState::kHalfOpen : before));
      probes = waited ? 0 : probes;
      if (breaker.open()) continue;
      BreakerSample sample = good(random() % 3);
      sample.failed = random() % 8 == 0;
      sample.late = random() % 4 == 0;
      const BreakerState asked = breaker.state();
      const bool opens = breaker.answered(limits, sample, now_ns);
      REQUIRE(opens == breaker.open());
      REQUIRE(breaker.times_opened() == (opened += opens ? 1U : 0U));
      opened_ns = opens ? now_ns : opened_ns;
      if (asked == BreakerState::kHalfOpen) {
        REQUIRE(opens == (breaker.state() == BreakerState::kOpen));
        if (sample.failed) REQUIRE(opens);
        ++probes;
        if (breaker.state() == BreakerState::kClosed) REQUIRE(probes >= limits.probes);
      }
    }
  }
}

TEST_CASE("a lone champion that answers NaN is no longer asked, says why, and comes back by probes") {
  Guarded bench;
  bench.champion(Phase::kIdle);
  CHECK(bench.ask(1).abstain == AbstainReason::kNone);
  bench.broken[0] = true;
  for (float i = 0; i < 4; ++i) CHECK(bench.ask(i).abstain == AbstainReason::kBadOutput);
  const DecisionRecord open = bench.ask(5);
  CHECK(open.abstain == AbstainReason::kBreakerOpen);
  CHECK(open.version == 1);
  CHECK(open.action == 0);
  CHECK(std::isnan(open.output[2]));
  CHECK(bench.counters.breakers_opened.load() == 1);
  CHECK(bench.counters.breaker_abstentions.load() == 1);
  CHECK(bench.engine.breakers().standing(0, 0).state == BreakerState::kOpen);
  CHECK(bench.engine.breakers().standing(0, 0).cause == BreakerCause::kFailed);
  bench.broken[0] = false;
  CHECK(bench.ask(6).abstain == AbstainReason::kBreakerOpen);
  bench.now_ns += kSecond;
  for (float i = 7; i < 10; ++i) CHECK(bench.ask(i).abstain == AbstainReason::kNone);
  CHECK(bench.engine.breakers().standing(0, 0).state == BreakerState::kClosed);
}

TEST_CASE("a challenger whose breaker is open has no share; the champion answers as champion") {
  Guarded bench;
  Route route = ab_route();
  route.share_bps = kShareParts;
  route.rollout_id = 0;  // no hard limit comes first
  bench.routing.publish({route});
  bench.broken[1] = true;
  for (float i = 0; i < 4; ++i) CHECK(bench.ask(i).version == 2);
  const DecisionRecord after = bench.ask(5);
  CHECK(after.version == 1);
  CHECK(after.arm == Arm::kChampion);
  CHECK(after.share_bps == 0);
  CHECK(after.abstain == AbstainReason::kNone);
  bench.now_ns += kSecond;
  CHECK(bench.ask(6).version == 2);  // a probe, which fails
  CHECK(bench.ask(7).version == 1);
}

TEST_CASE(
    "while the last champion is held it stands in for the champion, never judged by that, unless told not "
    "to") {
  for (const bool stand_in : {true, false}) {
    Guarded bench;
    BreakerLimits limits = strict();
    limits.late_of_64 = 0;
    limits.failed_of_64 = 2;  // below the hard limit of three bad outputs in a row
    limits.stand_in = stand_in;
    bench.engine.protect(limits);
    bench.champion(Phase::kBake);
    bench.broken[0] = true;
    bench.ask(1);
    bench.ask(2);
    const DecisionRecord after = bench.ask(3);
    if (stand_in) {
      CHECK(after.version == 2);
      CHECK(after.arm == Arm::kChallenger);
      CHECK(after.overridden == 1);
      CHECK(after.abstain == AbstainReason::kNone);
      CHECK(bench.counters.breaker_stand_ins.load() == 1);
      bench.broken[1] = true;
      bench.ask(4);
      bench.ask(5);
      CHECK(bench.ask(6).abstain == AbstainReason::kBreakerOpen);  // nobody is left
    } else {
      CHECK(after.version == 1);
      CHECK(after.abstain == AbstainReason::kBreakerOpen);
    }
  }
}

TEST_CASE("whoever asks for a version cannot open its breaker, nor get past one that is open") {
  Guarded bench;
  bench.champion(Phase::kIdle);
  bench.broken[0] = true;
  InferRequest asked;
  asked.rows = bench.row.data();
  asked.row_floats = bench.row.size();
  asked.count = 1;
  asked.version = 1;
  asked.receive_ns = bench.now_ns;
  for (int i = 0; i < 100; ++i) bench.engine.on_request(asked);
  CHECK(bench.engine.breakers().standing(0, 0).version == kNoVersion);
  for (float i = 0; i < 4; ++i) bench.ask(i);
  CHECK(bench.engine.on_request(asked).rows[0].abstain == AbstainReason::kBreakerOpen);
}

TEST_CASE("breakers cost the decision path no allocation") {
  Guarded bench;
  bench.champion(Phase::kIdle);
  bench.ask(0);
  InferRequest asked;
  asked.rows = bench.row.data();
  asked.row_floats = bench.row.size();
  asked.count = 1;
  bench.broken[0] = true;
  const std::uint64_t before = allocations_of_this_thread();
  for (std::int64_t i = 0; i < 100; ++i) {
    asked.receive_ns = bench.now_ns + i * kSecond / 10;
    bench.engine.on_request(asked);
  }
  CHECK(allocations_of_this_thread() == before);
  CHECK(bench.counters.breakers_opened.load() > 1);
}

}  // namespace ringcraft
