#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <limits>
#include <memory>
#include <thread>
#include <vector>

#include "serving/feature_window.hpp"
#include "tests/engine_bench.hpp"
#include "tests/serving_allocations.hpp"

namespace ringcraft {
namespace {

constexpr std::size_t kWidth = 3;
using Row = std::array<float, kWidth>;

Row row_of(std::uint64_t number) {
  const auto value = static_cast<float>(number);
  return {value, value + 0.25F, value + 0.5F};
}

void push(FeatureWindow& window, std::uint64_t number) { window.push(row_of(number).data(), true); }

}  // namespace

TEST_CASE("the newest rows lie side by side, oldest first, at every place of the history") {
  FeatureWindow window(kWidth);
  for (std::uint64_t number = 0; number < 3 * FeatureWindow::kRows; ++number) {
    push(window, number);
    const std::size_t rows = std::min<std::size_t>(number + 1, FeatureWindow::kLongest);
    const float* newest = window.newest(rows);
    REQUIRE(newest[0] == row_of(number + 1 - rows)[0]);
    REQUIRE(newest[(rows - 1) * kWidth + 2] == row_of(number)[2]);
    REQUIRE(newest[(rows / 2) * kWidth + 1] == row_of(number + 1 - rows + rows / 2)[1]);
  }
}

TEST_CASE("a window is read once it is full, and not over a value that is no number") {
  FeatureWindow window(kWidth);
  push(window, 0);
  CHECK(window.mark().unfit(2) == AbstainReason::kNotWarm);
  CHECK(window.mark().unfit(1) == AbstainReason::kNone);
  push(window, 1);
  CHECK(window.mark().unfit(2) == AbstainReason::kNone);
  window.push(row_of(2).data(), false);
  push(window, 3);
  CHECK(window.mark().unfit(2) == AbstainReason::kBadFeature);
  CHECK(window.mark().unfit(5) == AbstainReason::kNotWarm);
  push(window, 4);
  CHECK(window.mark().unfit(2) == AbstainReason::kNone);
  CHECK(window.mark().unfit(3) == AbstainReason::kBadFeature);
  window.clear();
  CHECK(window.mark().unfit(2) == AbstainReason::kNotWarm);
  CHECK(FeatureWindow::Mark().unfit(2) == AbstainReason::kNotWarm);
}

TEST_CASE("a mark's rows can be copied until they are overwritten, and then nobody is given others") {
  FeatureWindow window(kWidth);
  for (std::uint64_t number = 0; number < 5; ++number) push(window, number);
  const FeatureWindow::Mark mark = window.mark();
  std::vector<float> rows(4 * kWidth);
  std::uint64_t number = 5;
  for (; number < 1 + FeatureWindow::kRows; ++number) {
    push(window, number);
    REQUIRE(mark.history->copy(mark.end, 4, rows.data()));
    REQUIRE(rows[0] == row_of(1)[0]);
    REQUIRE(rows[3 * kWidth + 2] == row_of(4)[2]);
  }
  push(window, number);  // over the first of them
  CHECK_FALSE(mark.history->copy(mark.end, 4, rows.data()));
  CHECK(mark.history->copy(mark.end, 3, rows.data()));
}

TEST_CASE("whoever copies while the history is written gets whole windows or is told that they are gone") {
  FeatureWindow window(kWidth);
  for (std::uint64_t number = 0; number < 8; ++number) push(window, number);
  std::atomic<std::uint64_t> end{8};
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    for (std::uint64_t number = 8; number < 400'000; ++number) {
      push(window, number);
      end.store(number + 1, std::memory_order_release);
    }
    stop = true;
  });
  std::vector<float> rows(8 * kWidth);
  std::uint64_t torn = 0;
  std::uint64_t whole = 0;
  while (!stop) {
    const std::uint64_t until = end.load(std::memory_order_acquire);
    // Now the newest, now one about to be overwritten.
    const std::uint64_t at =
        until > FeatureWindow::kRows && whole % 2 == 0 ? until - FeatureWindow::kRows + 8 : until;
    if (window.copy(at, 8, rows.data())) {
      ++whole;
      for (std::size_t i = 0; i < 8; ++i) {
        torn += rows[i * kWidth + 2] == row_of(at - 8 + i)[2] ? 0 : 1;
      }
    }
  }
  writer.join();
  CHECK(torn == 0);
  CHECK(whole > 0);
}

TEST_CASE("an event adds one row, none where its touch is unusable, and a session begins with none") {
  Bench bench;
  ModelPlan windowed = plan();
  windowed.window = 4;
  bench.holdings.plan(0, std::make_unique<const ModelPlan>(windowed));
  bench.engine.adopt();
  bench.routing.publish({ab_route()});
  const auto sent = [&](std::int64_t number, std::uint16_t flags, std::int64_t silence_ns) {
    MarketEvent event = event_at(number);
    event.event_ns += silence_ns;
    event.flags = flags;
    bench.engine.on_event(event, monotonic_ns());
    ShadowJob* job = bench.shadows.queue().front();
    const FeatureWindow::Mark mark = job != nullptr ? job->window : FeatureWindow::Mark{nullptr, 0, 0, 0};
    if (job != nullptr) bench.shadows.queue().release();
    return mark;
  };
  for (std::int64_t i = 0; i < 199; ++i) CHECK(sent(i, 0, 0).end == 0);
  CHECK(sent(199, 0, 0).held == 1);
  CHECK(sent(200, 0, 0).held == 2);
  CHECK(sent(201, kCrossed, 0).end == 0);  // asks nobody
  CHECK(sent(202, 0, 0).end == 3);
  constexpr std::int64_t kNight = 3'600'000'000'000;
  for (std::int64_t i = 203; i < 402; ++i) CHECK(sent(i, 0, kNight).end == 0);
  const FeatureWindow::Mark mark = sent(402, 0, kNight);
  CHECK(mark.end == 4);
  CHECK(mark.held == 1);
}

TEST_CASE(
    "keeping a window allocates nothing on the decision path, and a new feed's takes the old one's place") {
  Bench bench;
  ModelPlan windowed = plan();
  windowed.window = 50;
  bench.holdings.plan(0, std::make_unique<const ModelPlan>(windowed));
  bench.engine.adopt();
  std::int64_t i = 0;
  for (; i < 400; ++i) bench.engine.on_event(event_at(i), monotonic_ns());
  const std::uint64_t before = allocations_of_this_thread();
  for (; i < 5000; ++i) bench.engine.on_event(event_at(i), monotonic_ns());
  CHECK(allocations_of_this_thread() == before);
  REQUIRE(bench.shadows.queue().front() != nullptr);
  const FeatureWindow* history = bench.shadows.queue().front()->window.history;
  while (bench.shadows.queue().front() != nullptr) bench.shadows.queue().release();
  bench.engine.begin_feed({{{"A:B", 0.1, 60'000'000'000, "USD", 1.0}}, "", Arm::kNone});
  for (; i < 5250; ++i) bench.engine.on_event(event_at(i), monotonic_ns());
  REQUIRE(bench.shadows.queue().front() != nullptr);
  CHECK(bench.shadows.queue().front()->window.history == history);
  CHECK(bench.shadows.queue().front()->window.held == 1);
}

}  // namespace ringcraft
