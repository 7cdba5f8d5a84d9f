#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "tests/engine_bench.hpp"
#include "tests/serving_allocations.hpp"
#include "tests/sum_model.hpp"

namespace ringcraft {
namespace {

constexpr std::size_t kWidth = SumModel::kWidth;

struct Asked : Bench {
  Asked() {
    holdings.put(0, 0, sums(1));
    holdings.put(0, 1, sums(2));
    engine.adopt();
  }

  [[nodiscard]] InferRequest request(std::size_t count = 1) const {
    InferRequest asked;
    asked.rows = rows.data();
    asked.row_floats = kWidth;
    asked.count = count;
    asked.receive_ns = monotonic_ns();
    return asked;
  }

  [[nodiscard]] DecisionRecord last() { return records<DecisionRecord>(RecordType::kDecision).back(); }
  [[nodiscard]] MarkoutRecord last_markout() { return records<MarkoutRecord>(RecordType::kMarkout).back(); }

  std::vector<float> rows = std::vector<float>(kMaxRows * kWidth * 4, 1.0F);
};

}  // namespace

TEST_CASE(
    "a request is a decision like any: routed, shadowed, journalled, and never marked without a touch") {
  Asked bench;
  const InferReply reply = bench.engine.on_request(bench.request());
  REQUIRE(reply.status == InferStatus::kAnswered);
  REQUIRE(reply.rows.size() == 1);
  CHECK(reply.outputs == 3);
  CHECK(reply.rows[0].action == 1);
  CHECK(reply.rows[0].output[2] == 4.0F);
  const DecisionRecord decision = bench.last();
  CHECK(decision.decision_id == reply.rows[0].decision_id);
  CHECK(decision.version == reply.version);
  CHECK(decision.door == DoorKind::kRest);
  CHECK(decision.instrument == kNoInstrument);
  CHECK(decision.expected_shadows == 1);
  REQUIRE(bench.shadows.queue().front() != nullptr);
  CHECK(bench.shadows.queue().front()->width == kWidth);
  CHECK(bench.last_markout().decision_id == decision.decision_id);
  CHECK(bench.last_markout().status == MarkoutStatus::kNever);
}

TEST_CASE("requests allocate nothing") {
  Asked bench;
  static_cast<void>(bench.engine.on_request(bench.request()));
  const std::uint64_t before = allocations_of_this_thread();
  for (int i = 0; i < 1000; ++i) {
    static_cast<void>(bench.engine.on_request(bench.request(4)));
  }
  CHECK(allocations_of_this_thread() == before);
}

TEST_CASE("by request key a key keeps its arm, and a request without one goes by its id and is counted") {
  Asked bench;
  Route route = ab_route();
  route.assign_by = AssignBy::kRequestKey;
  route.salt = 7;
  bench.routing.publish({route});
  std::array<int, 2> arms{};
  for (std::uint64_t key = 1; key <= 200; ++key) {
    InferRequest asked = bench.request();
    asked.key = splitmix64(key);
    const Arm expected = falls_to_challenger(*asked.key, 7, 5000) ? Arm::kChallenger : Arm::kChampion;
    for (int again = 0; again < 3; ++again) {
      CHECK(bench.engine.on_request(asked).arm == expected);
    }
    const DecisionRecord decision = bench.last();
    CHECK(decision.assigned_by == AssignBy::kRequestKey);
    CHECK(decision.request_key == *asked.key);
    ++arms[static_cast<std::size_t>(expected)];
  }
  CHECK(std::min(arms[0], arms[1]) > 60);
  CHECK(bench.counters.keys_absent.load() == 0);
  const InferReply reply = bench.engine.on_request(bench.request());
  const Arm by_id =
      falls_to_challenger(reply.rows[0].decision_id, 7, 5000) ? Arm::kChallenger : Arm::kChampion;
  CHECK(reply.arm == by_id);
  CHECK(bench.last().assigned_by == AssignBy::kDecision);
  CHECK(bench.counters.keys_absent.load() == 1);
}

TEST_CASE("the key of a request is journalled whatever drew its arm") {
  Asked bench;
  InferRequest asked = bench.request();
  asked.key = splitmix64(7);
  bench.engine.on_request(asked);
  CHECK(bench.last().assigned_by == AssignBy::kDecision);
  CHECK(bench.last().request_key == *asked.key);
  bench.engine.on_request(bench.request());
  CHECK(bench.last().request_key == 0);
}

TEST_CASE("rows of one request share one draw, and say so") {
  Asked bench;
  const InferReply reply = bench.engine.on_request(bench.request(3));
  REQUIRE(reply.rows.size() == 3);
  const auto decisions = bench.records<DecisionRecord>(RecordType::kDecision);
  for (const DecisionRecord& decision : decisions) {
    CHECK(decision.version == reply.version);
    CHECK(decision.assigned_by == AssignBy::kRequestKey);
    CHECK(decision.request_key == decisions[0].decision_id);
  }
}

TEST_CASE("rows of one request are run together where the model can, and answered one by one") {
  Asked bench;
  auto model = std::make_shared<TogetherModel>();
  for (const std::uint32_t version : {1U, 2U}) {
    LoadedSlot slot = *sums(version);
    slot.live = model;
    bench.holdings.put(0, version - 1, std::make_unique<const LoadedSlot>(slot));
  }
  for (std::size_t row = 0; row < 4; ++row) bench.rows[row * kWidth] = static_cast<float>(row);
  bench.rows[2 * kWidth] = std::numeric_limits<float>::quiet_NaN();
  const InferReply reply = bench.engine.on_request(bench.request(4));
  REQUIRE(reply.rows.size() == 4);
  CHECK(model->runs == 1);
  CHECK(model->alone == 0);
  for (const std::size_t row : {0U, 1U, 3U}) {
    CHECK(reply.rows[row].output[2] == 3.0F + static_cast<float>(row));
    CHECK(reply.rows[row].abstain == AbstainReason::kNone);
  }
  CHECK(reply.rows[2].abstain == AbstainReason::kBadFeature);
  SUBCASE("a single row is not") {
    static_cast<void>(bench.engine.on_request(bench.request()));
    CHECK(model->runs == 1);
    CHECK(model->alone == 1);
  }
  SUBCASE("nor where the run fails: each is asked") {
    model->fails = true;
    CHECK(bench.engine.on_request(bench.request(4)).rows[3].output[2] == 6.0F);
    CHECK(model->alone == 3);
  }
}

TEST_CASE("a version asked for by number answers, is overridden and brings no shadow") {
  Asked bench;
  InferRequest asked = bench.request();
  asked.version = 2;
  CHECK(bench.engine.on_request(asked).arm == Arm::kChallenger);
  CHECK(bench.last().overridden == 1);
  CHECK(bench.last().expected_shadows == 0);
  asked.version = 3;
  CHECK(bench.engine.on_request(asked).status == InferStatus::kUnknownVersion);
  bench.routing.publish({ab_route()});
  asked.version = kNoVersion;
  asked.asked = Arm::kChallenger;
  CHECK(bench.engine.on_request(asked).version == 2);
  CHECK(bench.last().overridden == 1);
}

TEST_CASE("a request that names a fed instrument uses its touch, keeps to its limits and is marked out") {
  Asked bench;
  ModelPlan limited = plan();
  limited.position_lots_max = 1;
  bench.holdings.plan(0, std::make_unique<const ModelPlan>(limited));
  bench.engine.adopt();
  InferRequest asked = bench.request();
  asked.instrument = "A:B";
  static_cast<void>(bench.engine.on_request(asked));
  CHECK(bench.last().instrument == kNoInstrument);  // nothing was fed yet
  const MarketEvent event = event_at(0);
  bench.engine.on_event(event, monotonic_ns());
  asked.receive_ns = monotonic_ns();
  CHECK(bench.engine.on_request(asked).rows[0].abstain == AbstainReason::kNone);
  const DecisionRecord decision = bench.last();
  CHECK(decision.bid_ticks == event.bid_ticks);
  CHECK(decision.event_ns >= event.event_ns);
  CHECK(decision.event_ns < event.event_ns + 1'000'000'000);
  CHECK(bench.engine.on_request(asked).rows[0].abstain == AbstainReason::kPositionLimit);
  for (std::int64_t i = 1; i < 20; ++i) {
    bench.engine.on_event(event_at(i), monotonic_ns());
  }
  const auto markouts = bench.records<MarkoutRecord>(RecordType::kMarkout);
  const auto marked = std::find_if(markouts.begin(), markouts.end(), [&](const MarkoutRecord& one) {
    return one.decision_id == decision.decision_id;
  });
  REQUIRE(marked != markouts.end());
  CHECK(marked->status == MarkoutStatus::kOk);
  CHECK(marked->resolved_event_ns == decision.event_ns + limited.horizon_ns);
  MarketEvent halted = event_at(20);
  halted.flags = kHalted;
  bench.engine.on_event(halted, monotonic_ns());
  CHECK(bench.engine.on_request(asked).rows[0].abstain == AbstainReason::kHalted);
}

TEST_CASE("a book that is being built again, or not heard of, is abstained from with its own reason") {
  Asked bench;
  InferRequest asked = bench.request();
  asked.instrument = "A:B";
  const auto reason_after = [&](std::int64_t number, std::uint16_t flags) {
    MarketEvent event = event_at(number);
    event.flags = flags;
    bench.engine.on_event(event, monotonic_ns());
    CHECK(bench.last().abstain != AbstainReason::kNone);  // the feed's own decision: features are not warm
    const RowAnswer answer = bench.engine.on_request(asked).rows[0];
    CHECK((answer.action == 0) == (answer.abstain != AbstainReason::kNone));
    return answer.abstain;
  };
  CHECK(reason_after(0, 0) == AbstainReason::kNone);
  CHECK(reason_after(1, kResync) == AbstainReason::kResync);
  CHECK(bench.last().abstain == AbstainReason::kResync);
  CHECK(reason_after(2, kResync | kGap | kOneSided | kStale) == AbstainReason::kResync);
  CHECK(reason_after(3, kGap | kStale) == AbstainReason::kGap);
  CHECK(reason_after(4, kStale) == AbstainReason::kStale);
  CHECK(reason_after(5, kStale | kHalted) == AbstainReason::kHalted);
  CHECK(reason_after(6, 0) == AbstainReason::kNone);
  // By the clock too: the feed goes quiet for longer than the instrument allows.
  asked.receive_ns = monotonic_ns() + 61'000'000'000;
  CHECK(bench.engine.on_request(asked).rows[0].abstain == AbstainReason::kStale);
}

TEST_CASE("what cannot be answered is refused or abstained from with its reason") {
  Asked bench;
  InferRequest asked = bench.request();
  asked.model = 3;
  CHECK(bench.engine.on_request(asked).status == InferStatus::kUnknownModel);
  asked = bench.request();
  asked.row_floats = kWidth + 1;
  CHECK(bench.engine.on_request(asked).status == InferStatus::kBadRow);
  asked = bench.request(0);
  CHECK(bench.engine.on_request(asked).status == InferStatus::kBadCount);
  asked = bench.request();
  asked.deadline_ns = monotonic_ns() - 1;
  CHECK(bench.engine.on_request(asked).rows[0].abstain == AbstainReason::kDeadline);
  asked = bench.request();
  asked.load = Load::kNobody;
  CHECK(bench.engine.on_request(asked).rows[0].abstain == AbstainReason::kOverload);
  asked = bench.request();
  asked.load = Load::kNoChallenger;
  for (int i = 0; i < 32; ++i) {
    CHECK(bench.engine.on_request(asked).arm == Arm::kChampion);
  }
  CHECK(bench.counters.shadows_shed.load() == 32);
  bench.rows[1] = std::nanf("");
  CHECK(bench.engine.on_request(bench.request()).rows[0].abstain == AbstainReason::kBadFeature);
}

TEST_CASE("a window in a request is read by every version as far as it reads back") {
  Asked bench;
  ModelPlan windowed = plan();
  windowed.window = 3;
  bench.holdings.plan(0, std::make_unique<const ModelPlan>(windowed));
  bench.holdings.put(0, 0, sums(1, 1));
  bench.holdings.put(0, 1, sums(2, 3));
  bench.engine.adopt();
  for (std::size_t i = 0; i < 3 * kWidth; ++i) {
    bench.rows[i] = static_cast<float>(i / kWidth);
  }
  InferRequest asked = bench.request();
  asked.row_floats = 3 * kWidth;
  asked.asked = Arm::kChampion;
  CHECK(bench.engine.on_request(asked).rows[0].output[2] == 8.0F);  // the newest vector: four twos
  asked.asked = Arm::kChallenger;
  CHECK(bench.engine.on_request(asked).rows[0].output[2] == 12.0F);
  while (bench.shadows.run_once() > 0) {
  }
  CHECK(bench.counters.shadows_scored.load() == 2);
}

}  // namespace ringcraft
