#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "serving/stream_follower.hpp"
#include "tests/engine_bench.hpp"
#include "tests/serving_allocations.hpp"

namespace ringcraft {
namespace {

constexpr std::size_t kWidth = 2;

/// Answers with the sum of its stream's first features, and how many there were.
class Tally final : public StreamModel {
 public:
  explicit Tally(std::size_t streams, std::size_t width = kWidth, std::size_t outputs = 3)
      : StreamModel({1, width, outputs, true}, "tally", streams), sums_(streams), steps_(streams) {}

  [[nodiscard]] bool predict(const float* in, float* out) noexcept override {
    if (!std::isfinite(in[0])) return false;
    out[0] = sums_[selected_] += in[0];
    out[1] = static_cast<float>(++steps_[selected_]);
    out[2] = 0;
    return true;
  }
  void select(std::size_t stream) noexcept override { selected_ = stream; }
  void restart(std::size_t stream) noexcept override {
    sums_[stream] = 0;
    steps_[stream] = 0;
  }

 private:
  std::vector<float> sums_;
  std::vector<int> steps_;
  std::size_t selected_ = 0;
};

/// A history, and a follower that makes up at most 8 rows.
struct Along {
  void push(float first, bool finite = true) {
    const std::array<float, kWidth> row = {first, 1.0F};
    history.push(row.data(), finite);
  }

  /// Asks about the newest row; sum and steps, steps 0 where it cannot be asked.
  std::pair<float, float> ask(std::size_t stream = 0) {
    const FeatureWindow::Mark mark = history.mark();
    if (!follower.lead_up(stream, mark, limits, cut)) return {0.0F, 0.0F};
    follower.asked(stream, mark);
    std::array<float, kMaxOutputs> out{};
    REQUIRE(model->predict(history.newest(1), out.data()));
    return {out[0], out[1]};
  }

  FeatureWindow history{kWidth};
  FeatureLimits limits;
  Counter cut{0};
  std::shared_ptr<Tally> model = std::make_shared<Tally>(3);
  StreamFollower follower{model, 8};
};

std::unique_ptr<const LoadedSlot> tally_slot(std::uint32_t version, std::size_t width) {
  LoadedSlot slot;
  slot.version = version;
  slot.threshold = 1e9;
  slot.latency_budget_ns = 1'000'000'000;
  slot.live = std::make_shared<Tally>(4, width);
  slot.shadow = std::make_shared<Tally>(4, width);
  follow_streams(slot);
  return std::make_unique<const LoadedSlot>(std::move(slot));
}

std::size_t touch_width() {
  return FeatureEngine::make({"touch_v1", {}, {}}, ZoneClock(std::vector<OffsetChange>{}))->width();
}

/// Steps that each decision was over, as far as it was answered.
std::vector<float> steps_of(Bench& bench) {
  std::vector<float> steps;
  for (const DecisionRecord& one : bench.records<DecisionRecord>(RecordType::kDecision)) {
    if (one.abstain == AbstainReason::kNone) steps.push_back(one.output[1]);
  }
  return steps;
}

}  // namespace

TEST_CASE("a stream takes every row of its history, whichever it was asked about") {
  Along along;
  along.push(1);
  CHECK(along.ask() == std::pair(1.0F, 1.0F));
  along.push(2);
  along.push(3);
  along.push(4);
  CHECK(along.ask() == std::pair(10.0F, 4.0F));
  CHECK(along.ask().second == 0);  // that one is behind it
  along.push(5);
  along.follower.keep_up(0, along.history.mark(), along.limits, along.cut);
  along.push(6);
  CHECK(along.ask() == std::pair(21.0F, 6.0F));
  CHECK(along.ask(2) == std::pair(21.0F, 6.0F));  // one that begins late begins with the session
  CHECK(along.cut.load() == 0);
}

TEST_CASE("a row that is not finite, or outside the limits, is no step") {
  Along along;
  const std::array<double, kWidth> low = {-10, -10};
  const std::array<double, kWidth> high = {10, 10};
  along.limits = FeatureLimits(low, high);
  along.push(1);
  along.push(std::nanf(""), false);
  along.push(11);
  along.push(2);
  CHECK(along.ask() == std::pair(3.0F, 2.0F));
}

TEST_CASE("a session, and what interrupts one, begins a stream anew; a window reaches over an interruption") {
  Along along;
  along.push(1);
  CHECK(along.ask().second == 1);
  along.history.interrupt();
  CHECK(along.ask().second == 0);
  along.push(2);
  along.push(3);
  CHECK(along.ask() == std::pair(5.0F, 2.0F));
  CHECK(along.history.mark().unfit(3) == AbstainReason::kNone);
  along.history.interrupt();
  along.push(4);
  CHECK(along.ask() == std::pair(4.0F, 1.0F));
  along.history.clear();
  along.push(5);
  CHECK(along.ask() == std::pair(5.0F, 1.0F));
  CHECK(along.history.mark().unfit(2) == AbstainReason::kNotWarm);
  CHECK(along.cut.load() == 0);
}

TEST_CASE("a stream that missed more than may be made up begins anew with the newest row, and is counted") {
  Along along;
  along.push(1);
  CHECK(along.ask().second == 1);
  for (int i = 0; i < 9; ++i) along.push(1);
  CHECK(along.ask().second == 10);  // eight were missed
  for (int i = 0; i < 10; ++i) along.push(1);
  CHECK(along.ask().second == 1);
  CHECK(along.cut.load() == 1);
  CHECK(along.ask(1).second == 1);  // one that begins late so far into a session has missed nothing
  CHECK(along.cut.load() == 1);
  StreamFollower patient(along.model, 10 * FeatureWindow::kRows);
  along.follower.keep_up(0, along.history.mark(), along.limits, along.cut);
  CHECK(patient.lead_up(2, along.history.mark(), along.limits, along.cut));
  patient.asked(2, along.history.mark());
  for (std::size_t i = 0; i < FeatureWindow::kRows + 10; ++i) along.push(1);
  CHECK(patient.lead_up(2, along.history.mark(), along.limits, along.cut));  // the rows are gone
  CHECK(along.cut.load() == 2);
}

TEST_CASE("nothing is asked without a history, beyond the streams, or of another width") {
  Along along;
  CHECK(along.ask().second == 0);
  along.push(1);
  CHECK_FALSE(along.follower.lead_up(3, along.history.mark(), along.limits, along.cut));
  CHECK_FALSE(along.follower.lead_up(kNoStream, along.history.mark(), along.limits, along.cut));
  CHECK_FALSE(along.follower.lead_up(0, FeatureWindow::Mark(), along.limits, along.cut));
  FeatureWindow wide(kWidth + 1);
  const std::array<float, kWidth + 1> row{};
  wide.push(row.data(), true);
  CHECK_FALSE(along.follower.lead_up(0, wide.mark(), along.limits, along.cut));
}

TEST_CASE("the engine takes both arms along at every event, allocating nothing, and a swap begins anew") {
  Bench bench;
  ModelPlan seldom = plan();
  seldom.min_interval_ns = 1'000'000'000;  // every other event
  bench.holdings.plan(0, std::make_unique<const ModelPlan>(seldom));
  const std::size_t width = touch_width();
  bench.holdings.put(0, 0, tally_slot(1, width));
  bench.holdings.put(0, 1, tally_slot(2, width));
  bench.engine.adopt();
  std::int64_t i = 0;
  for (; i < 210; ++i) bench.engine.on_event(event_at(i), monotonic_ns());
  const std::uint64_t before = allocations_of_this_thread();
  for (; i < 400; ++i) bench.engine.on_event(event_at(i), monotonic_ns());
  CHECK(allocations_of_this_thread() == before);
  const std::vector<float> steps = steps_of(bench);
  REQUIRE(steps.size() == 100);  // warm from the 200th event on
  for (std::size_t at = 0; at < steps.size(); ++at) CHECK(steps[at] == 2 + 2 * static_cast<float>(at));
  CHECK(bench.counters.streams_cut.load() == 0);
  bench.holdings.put(0, 0, tally_slot(1, width));
  bench.holdings.put(0, 1, tally_slot(2, width));
  bench.engine.adopt();
  for (; i < 410; ++i) bench.engine.on_event(event_at(i), monotonic_ns());
  CHECK(steps_of(bench)[100] == 1);  // 200 rows into the session: more than a new version makes up
  CHECK(steps_of(bench)[104] == 9);
  CHECK(bench.counters.streams_cut.load() == 0);
}

TEST_CASE("an arm that was not asked for long has missed nothing; one that was in shadow begins") {
  for (const Phase before : {Phase::kAb, Phase::kShadow}) {
    Bench bench;
    bench.holdings.put(0, 0, tally_slot(1, touch_width()));
    bench.holdings.put(0, 1, tally_slot(2, touch_width()));
    Route idle = ab_route();
    idle.share_bps = 0;
    idle.phase = static_cast<std::uint8_t>(before);
    bench.routing.publish({idle});
    bench.engine.adopt();
    std::int64_t i = 0;
    for (; i < 199 + 100; ++i) bench.engine.on_event(event_at(i), monotonic_ns());
    Route all = ab_route();
    all.share_bps = kShareParts;
    bench.routing.publish({all});
    bench.engine.on_event(event_at(i), monotonic_ns());
    const DecisionRecord last = bench.records<DecisionRecord>(RecordType::kDecision).back();
    CHECK(last.version == 2);
    CHECK(last.abstain == AbstainReason::kNone);
    CHECK(last.output[1] == (before == Phase::kAb ? 101 : 1));
    CHECK(bench.counters.streams_cut.load() == 0);
  }
}

TEST_CASE("a gap begins a stream anew, a touch that is merely unusable does not") {
  for (const std::uint16_t flag : {kGap, kResync, kCrossed}) {
    Bench bench;
    bench.holdings.put(0, 0, tally_slot(1, touch_width()));
    bench.holdings.put(0, 1, tally_slot(2, touch_width()));
    bench.engine.adopt();
    std::int64_t i = 0;
    for (; i < 209; ++i) bench.engine.on_event(event_at(i), monotonic_ns());
    MarketEvent marked = event_at(i++);
    marked.flags = flag;
    bench.engine.on_event(marked, monotonic_ns());
    bench.engine.on_event(event_at(i), monotonic_ns());
    CHECK(steps_of(bench).back() == (flag == kCrossed ? 11 : 1));
    CHECK(bench.counters.streams_cut.load() == 0);
  }
}

TEST_CASE("shadow jobs that are lost are made up by the next one that is not") {
  Bench bench;
  const std::size_t width = touch_width();
  bench.holdings.put(0, 0, tally_slot(1, width));
  bench.holdings.put(0, 1, tally_slot(2, width));
  bench.engine.adopt();
  std::int64_t i = 0;
  for (; i < 210; ++i) bench.engine.on_event(event_at(i), monotonic_ns());
  while (bench.shadows.queue().front() != nullptr) bench.shadows.queue().release();  // eleven are lost
  bench.engine.on_event(event_at(i), monotonic_ns());
  REQUIRE(bench.shadows.run_once() == 1);
  ShadowRecord record{};
  RecordRing& ring = bench.rings.ring(1);
  std::memcpy(&record, ring.at(ring.produced() - 1).data(), sizeof record);
  CHECK(record.abstain == AbstainReason::kNone);
  CHECK(record.output[1] == 12);
}

TEST_CASE("a request to a stream is refused; where the challenger alone is one, the champion answers all") {
  Bench bench;
  const std::size_t width = touch_width();
  bench.holdings.put(0, 0, tally_slot(1, width));
  bench.engine.adopt();
  const std::vector<float> row(width);
  InferRequest asked;
  asked.rows = row.data();
  asked.row_floats = width;
  asked.count = 1;
  asked.receive_ns = monotonic_ns();
  CHECK(bench.engine.on_request(asked).status == InferStatus::kStream);
  asked.version = 1;
  CHECK(bench.engine.on_request(asked).status == InferStatus::kStream);
  CHECK(bench.records<DecisionRecord>(RecordType::kDecision).empty());
  Route other = ab_route();
  other.champion_version = kNoVersion;
  std::swap(other.champion_slot, other.challenger_slot);
  other.challenger_version = 1;
  other.share_bps = kShareParts;
  bench.routing.publish({other});
  asked.version = kNoVersion;
  const InferReply reply = bench.engine.on_request(asked);
  CHECK(reply.status == InferStatus::kAnswered);
  CHECK(reply.arm == Arm::kChampion);
}

}  // namespace ringcraft
