#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "serving/worker.hpp"
#include "tests/engine_bench.hpp"
#include "tests/serving_allocations.hpp"

namespace ringcraft {
TEST_CASE("the decision path allocates nothing once it is warm") {
  Bench bench;
  for (std::int64_t i = 0; i < 1000; ++i) {
    bench.engine.on_event(event_at(i), monotonic_ns());
  }
  const std::uint64_t before = allocations_of_this_thread();
  for (std::int64_t i = 1000; i < 5000; ++i) {
    bench.engine.on_event(event_at(i), monotonic_ns());
  }
  CHECK(allocations_of_this_thread() == before);
  CHECK(bench.engine.decisions() == 5000);
}

TEST_CASE("a version that is not held fails as champion and gets no share as challenger") {
  Bench bench;
  for (std::int64_t i = 0; i < 400; ++i) {
    bench.engine.on_event(event_at(i), monotonic_ns());
  }
  const auto decisions = bench.records<DecisionRecord>(RecordType::kDecision);
  REQUIRE(decisions.size() == 400);
  CHECK(decisions.back().abstain == AbstainReason::kModelFailed);
  CHECK(decisions.back().share_bps == 0);
  CHECK(decisions.back().arm == Arm::kChampion);
  CHECK(decisions.back().expected_shadows == 1);
}

TEST_CASE("an epoch is written before the first decision it routes") {
  Bench bench;
  bench.engine.on_event(event_at(0), monotonic_ns());
  bench.routing.publish({ab_route()});
  bench.engine.on_event(event_at(1), monotonic_ns());
  const auto epochs = bench.records<EpochRecord>(RecordType::kEpoch);
  REQUIRE(epochs.size() == 2);
  CHECK(epochs[1].epoch == 2);
  CHECK(epochs[1].next_decision_id == 2);
  CHECK(bench.records<DecisionRecord>(RecordType::kDecision)[1].epoch == 2);
}

TEST_CASE("without a champion the decision says so and the challenger is still to be scored") {
  Bench bench;
  Route route = ab_route();
  route.champion_version = kNoVersion;
  route.phase = static_cast<std::uint8_t>(Phase::kShadow);
  bench.routing.publish({route});
  for (std::int64_t i = 0; i < 300; ++i) {
    bench.engine.on_event(event_at(i), monotonic_ns());
  }
  const auto decisions = bench.records<DecisionRecord>(RecordType::kDecision);
  CHECK(decisions.back().abstain == AbstainReason::kNoChampion);
  CHECK(decisions.back().expected_shadows == 1);
  CHECK(bench.shadows.queue().front() != nullptr);
}

TEST_CASE("a full shadow queue drops and says which, so that every expected record comes") {
  Bench bench;
  for (std::int64_t i = 0; i < 400; ++i) {
    bench.engine.on_event(event_at(i), monotonic_ns());
  }
  const auto shadows = bench.records<ShadowRecord>(RecordType::kShadow);
  std::size_t dropped = 0;
  for (const ShadowRecord& record : shadows) {
    dropped += record.dropped;
  }
  CHECK(dropped == 400 - 199 - 64);  // all but those before the features are warm and what the queue took
  CHECK(shadows.size() + 64 == 400);
}

TEST_CASE("further horizons get mark-outs of their own, and none that is full takes the judged one's place") {
  Bench bench;
  ModelPlan longer = plan();
  longer.extra_horizons_ns = {1'000'000'000, 4'000'000'000};
  bench.holdings.plan(0, std::make_unique<const ModelPlan>(longer));
  bench.engine.adopt();
  for (std::int64_t i = 0; i < 400; ++i) {
    bench.engine.on_event(event_at(i), monotonic_ns());
  }
  bench.engine.end_feed();
  std::array<std::uint64_t, 3> counts{};
  for (const MarkoutRecord& record : bench.records<MarkoutRecord>(RecordType::kMarkout)) {
    REQUIRE(record.horizon < counts.size());
    ++counts[record.horizon];
    const std::array<std::int64_t, 3> horizons_ns = {2'000'000'000, 1'000'000'000, 4'000'000'000};
    if (record.status == MarkoutStatus::kOk) {
      CHECK(record.resolved_event_ns - record.decision_event_ns == horizons_ns[record.horizon]);
    }
  }
  CHECK(counts == std::array<std::uint64_t, 3>{400, 400, 400});
  CHECK(bench.counters.markouts.load() == 400);
  CHECK(bench.counters.markouts_extra.load() == 800);
}

TEST_CASE("more decisions a second than the plan allows abstain") {
  Bench bench;
  ModelPlan slow = plan();
  slow.decisions_per_second_max = 1.0;  // of two events a second
  bench.holdings.plan(0, std::make_unique<const ModelPlan>(slow));
  bench.engine.adopt();
  for (std::int64_t i = 0; i < 400; ++i) {
    bench.engine.on_event(event_at(i), monotonic_ns());
  }
  const auto decisions = bench.records<DecisionRecord>(RecordType::kDecision);
  const auto limited = std::count_if(decisions.begin(), decisions.end(), [](const DecisionRecord& record) {
    return record.abstain == AbstainReason::kRateLimit;
  });
  CHECK(limited == 100);  // half of those since the features were warm
}

TEST_CASE(
    "an event that was old when it came is not acted on, one that comes after newer ones not decided on") {
  Bench bench;
  for (std::int64_t i = 0; i < 400; ++i) {
    bench.engine.on_event(event_at(i), monotonic_ns());
  }
  bench.engine.on_event(event_at(399 - 130), monotonic_ns());
  MarketEvent late = event_at(400);
  late.receive_ns = late.event_ns + 61'000'000'000;
  bench.engine.on_event(late, monotonic_ns());
  bench.engine.on_event(event_at(401), monotonic_ns());
  const auto decisions = bench.records<DecisionRecord>(RecordType::kDecision);
  CHECK(decisions[400].abstain == AbstainReason::kStale);
  CHECK(decisions[401].abstain == AbstainReason::kModelFailed);
  CHECK(decisions.size() == 402);
}

TEST_CASE(
    "a feed that asks for an arm is marked, and one without the policy's key goes by decision and is "
    "counted") {
  Bench bench;
  Route route = ab_route();
  route.assign_by = AssignBy::kAccount;
  bench.routing.publish({route});
  bench.engine.begin_feed({{{"A:B", 0.1, 60'000'000'000, "USD", 1.0}}, "", Arm::kChallenger});
  bench.engine.on_event(event_at(0), monotonic_ns());
  bench.engine.begin_feed({{{"A:B", 0.1, 60'000'000'000, "USD", 1.0}}, "fund-1", Arm::kNone});
  bench.engine.on_event(event_at(1), monotonic_ns());
  const auto decisions = bench.records<DecisionRecord>(RecordType::kDecision);
  REQUIRE(decisions.size() == 2);
  CHECK(decisions[0].overridden == 1);
  CHECK(decisions[0].arm == Arm::kChampion);  // its challenger is not held
  CHECK(decisions[0].assigned_by == AssignBy::kDecision);
  CHECK(decisions[1].overridden == 0);
  CHECK(decisions[1].assigned_by == AssignBy::kAccount);
  CHECK(bench.counters.overridden.load() == 1);
  CHECK(bench.counters.keys_absent.load() == 1);
  CHECK(bench.records<EpochRecord>(RecordType::kEpoch).back().assign_by == AssignBy::kAccount);
}

TEST_CASE("records lost to a full ring take the challenger's share until the next epoch") {
  Bench bench(16);
  for (std::int64_t i = 0; i < 20; ++i) {
    bench.engine.on_event(event_at(i), monotonic_ns());
  }
  CHECK(bench.rings.ring(0).dropped() > 0);
  bench.rings.ring(0).consume_to(bench.rings.ring(0).produced());
  bench.engine.on_event(event_at(20), monotonic_ns());
  bench.engine.on_event(event_at(21), monotonic_ns());
  CHECK(bench.counters.trips.load() == 1);
}

TEST_CASE("the trip for lost records is itself written, once the ring that lost them has room") {
  Bench bench(16);
  for (std::int64_t i = 0; i < 20; ++i) {
    bench.engine.on_event(event_at(i), monotonic_ns());
  }
  CHECK(bench.counters.trips.load() == 1);
  CHECK(bench.records<TripRecord>(RecordType::kTrip).empty());
  bench.rings.ring(0).consume_to(bench.rings.ring(0).produced());
  bench.engine.adopt();
  bench.engine.adopt();
  const auto trips = bench.records<TripRecord>(RecordType::kTrip);
  REQUIRE(trips.size() == 1);
  CHECK(trips[0].kind == TripKind::kJournalDrops);
  CHECK(trips[0].rollout_id == 1);
}

TEST_CASE("an epoch says after which time outcomes are due, and again where that changes") {
  Bench bench;
  bench.engine.on_event(event_at(0), monotonic_ns());
  ModelPlan longer = plan();
  longer.horizon_ns = 9'000'000'000;
  bench.holdings.plan(0, std::make_unique<const ModelPlan>(longer));
  bench.engine.adopt();
  bench.engine.adopt();
  const auto epochs = bench.records<EpochRecord>(RecordType::kEpoch);
  REQUIRE(epochs.size() == 2);
  CHECK(epochs[0].horizon_ns == plan().horizon_ns);
  CHECK(epochs[1].horizon_ns == 9'000'000'000);
  CHECK(epochs[1].epoch == epochs[0].epoch);
}

TEST_CASE("a model without a rollout does not hide lost records from one that has one") {
  Bench bench(16);
  ModelPlan second = plan();
  second.index = 1;
  bench.holdings.plan(1, std::make_unique<const ModelPlan>(second));
  Route idle;
  idle.champion_version = 1;
  idle.champion_slot = 0;
  Route on_trial = ab_route();
  on_trial.model = 1;
  bench.routing.publish({idle, on_trial});
  bench.engine.adopt();
  RecordRing& ring = bench.rings.ring(0);
  for (std::int64_t i = 0; i < 20; ++i) {
    // Room for the first model's record alone.
    while (ring.has_room()) {
      const RecordBytes filler{};
      ring.push(&filler);
    }
    ring.consume_to(ring.consumed() + 1);
    bench.engine.on_event(event_at(i), monotonic_ns());
  }
  ring.consume_to(ring.produced());
  bench.engine.adopt();
  const auto trips = bench.records<TripRecord>(RecordType::kTrip);
  REQUIRE(trips.size() == 1);
  CHECK(trips[0].model == 1);
}

TEST_CASE("what was replaced is freed only when both readers have come round twice") {
  Holdings holdings;
  holdings.plan(0, std::make_unique<const ModelPlan>(plan()));
  holdings.plan(0, std::make_unique<const ModelPlan>(plan()));
  CHECK(holdings.reclaim() == 1);
  holdings.pass(Holdings::kDecisions);
  holdings.pass(Holdings::kDecisions);
  CHECK(holdings.reclaim() == 1);
  holdings.pass(Holdings::kShadows);
  holdings.pass(Holdings::kShadows);
  CHECK(holdings.reclaim() == 0);
}

TEST_CASE("the next decision's id follows the journal's last") {
  Bench bench;
  Resumption resumption;
  resumption.next_decision_id = 42;
  resumption.masked[0] = {1, Arm::kChallenger};
  bench.engine.resume(resumption);
  bench.routing.publish({ab_route()});
  bench.engine.on_event(event_at(0), monotonic_ns());
  const auto decisions = bench.records<DecisionRecord>(RecordType::kDecision);
  CHECK(decisions[0].decision_id == 42);
  CHECK(decisions[0].share_bps == 0);  // its challenger was taken off before the restart
}

TEST_CASE("a worker writes everything it decided before it stops, and a second one cannot have its rings") {
  const Folder folder;
  WorkerConfig config;
  config.journal_folder = folder.file("journal");
  config.rings_path = folder.file("rings");
  config.routing_path = folder.file("routing");
  RoutingTable::create(config.routing_path).publish({ab_route()});
  {
    Worker worker(config);
    CHECK(worker.port() != 0);
    CHECK_THROWS_AS(Worker{config}, std::runtime_error);
    worker.holdings().plan(0, std::make_unique<const ModelPlan>(plan()));
    std::vector<MarketEvent> events;
    for (std::int64_t i = 0; i < 3000; ++i) {
      events.push_back(event_at(i));
    }
    CHECK(worker.replay({{{"A:B", 0.1, 60'000'000'000, "USD", 1.0}}, "", Arm::kNone}, events).size() == 3000);
    worker.stop();
    CHECK(worker.counters().at("journal_waiting") == 0);
  }
  const JournalWriter journal(config.journal_folder);
  std::uint64_t decisions = 0;
  std::uint64_t markouts = 0;
  std::uint64_t shadows = 0;
  journal.read_back(100, [&](const RecordBytes& bytes) {
    RecordHeader header{};
    std::memcpy(&header, bytes.data(), sizeof header);
    decisions += header.type == RecordType::kDecision ? 1 : 0;
    markouts += header.type == RecordType::kMarkout ? 1 : 0;
    shadows += header.type == RecordType::kShadow ? 1 : 0;
  });
  CHECK(decisions == 3000);
  CHECK(markouts == 3000);
  CHECK(shadows == 3000);
}

TEST_CASE("a worker that is started stops at once when it is asked to") {
  const Folder folder;
  WorkerConfig config;
  config.journal_folder = folder.file("journal");
  config.rings_path = folder.file("rings");
  config.routing_path = folder.file("routing");
  Worker worker(config);
  worker.start();
  const std::int64_t asked = monotonic_ns();
  worker.stop();
  worker.stop();
  CHECK(monotonic_ns() - asked < 2'000'000'000);
}

}  // namespace ringcraft
