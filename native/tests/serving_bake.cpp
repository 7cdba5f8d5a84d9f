// What the decision path does while a new champion is on trial against the one it replaced.
#include <doctest/doctest.h>

#include "tests/engine_bench.hpp"

namespace ringcraft {
namespace {

/// Version 2 is champion on trial, version 1 its control.
Route bake_route() {
  Route route;
  route.rollout_id = 3;
  route.champion_version = 2;
  route.challenger_version = 1;
  route.champion_slot = 1;
  route.challenger_slot = 0;
  route.phase = static_cast<std::uint8_t>(Phase::kBake);
  return route;
}

}  // namespace

TEST_CASE("records lost during a bake are told of, and the new champion goes on") {
  Bench bench(16);
  bench.routing.publish({bake_route()});
  for (std::int64_t i = 0; i < 20; ++i) {
    bench.engine.on_event(event_at(i), monotonic_ns());
  }
  bench.rings.ring(0).consume_to(bench.rings.ring(0).produced());
  bench.engine.on_event(event_at(20), monotonic_ns());
  const auto trips = bench.records<TripRecord>(RecordType::kTrip);
  REQUIRE(trips.size() == 1);
  CHECK(trips[0].kind == TripKind::kJournalDrops);
  CHECK(trips[0].version == 2);
  CHECK(trips[0].arm == Arm::kChampion);
  CHECK(bench.records<DecisionRecord>(RecordType::kDecision).back().arm == Arm::kChampion);
}

TEST_CASE("a new champion that fails is taken off in the bake, and its control answers the next decision") {
  Bench bench;
  bench.routing.publish({bake_route()});
  for (std::int64_t i = 0; i < 400; ++i) {
    bench.engine.on_event(event_at(i), monotonic_ns());
  }
  const auto trips = bench.records<TripRecord>(RecordType::kTrip);
  REQUIRE(trips.size() == 1);
  CHECK(trips[0].kind == TripKind::kLateOrFailed);
  CHECK(trips[0].version == 2);
  CHECK(trips[0].rollout_id == 3);
  CHECK(trips[0].arm == Arm::kChampion);
  const auto decisions = bench.records<DecisionRecord>(RecordType::kDecision);
  REQUIRE(decisions.size() == 400);
  for (const DecisionRecord& decision : decisions) {
    const bool before = decision.decision_id <= trips[0].decision_id;
    CHECK(decision.version == (before ? 2U : 1U));
    CHECK(decision.arm == (before ? Arm::kChampion : Arm::kChallenger));
    CHECK(decision.share_bps == (before ? 0 : kShareParts));
    CHECK(decision.expected_shadows == 1);  // the other one's
  }
  Route over = bake_route();
  over.rollout_id = 0;
  over.phase = static_cast<std::uint8_t>(Phase::kIdle);
  over.champion_version = 1;
  over.champion_slot = 0;
  over.challenger_version = kNoVersion;
  bench.routing.publish({over});
  bench.engine.on_event(event_at(400), monotonic_ns());
  const DecisionRecord last = bench.records<DecisionRecord>(RecordType::kDecision).back();
  CHECK(last.version == 1);
  CHECK(last.arm == Arm::kChampion);
}

TEST_CASE("whoever asks for the control is not given it while the bake is paused") {
  Bench bench;
  Route paused = bake_route();
  paused.phase = static_cast<std::uint8_t>(Phase::kBakePaused);
  bench.routing.publish({paused});
  bench.engine.begin_feed({{{"A:B", 0.1, 60'000'000'000, "USD", 1.0}}, "", Arm::kChallenger});
  bench.engine.on_event(event_at(0), monotonic_ns());
  const auto decisions = bench.records<DecisionRecord>(RecordType::kDecision);
  REQUIRE(decisions.size() == 1);
  CHECK(decisions[0].overridden == 1);
  CHECK(decisions[0].arm == Arm::kChampion);
  CHECK(decisions[0].version == 2);
}

TEST_CASE("a bake that a limit ended stays ended, without a controller, while paused, and after a restart") {
  Bench bench;
  Resumption resumption;
  resumption.masked[0] = {3, Arm::kChampion};
  bench.engine.resume(resumption);
  Route paused = bake_route();
  paused.phase = static_cast<std::uint8_t>(Phase::kPaused);
  bench.routing.publish({bake_route()});
  bench.engine.on_event(event_at(0), monotonic_ns());
  bench.engine.on_event(event_at(1), monotonic_ns() + 3'000'000'000);  // the controller's heartbeat is gone
  bench.routing.publish({paused});
  bench.engine.on_event(event_at(2), monotonic_ns());
  for (const DecisionRecord& decision : bench.records<DecisionRecord>(RecordType::kDecision)) {
    CHECK(decision.version == 1);
  }
  CHECK(bench.records<TripRecord>(RecordType::kTrip).empty());
}

}  // namespace ringcraft
