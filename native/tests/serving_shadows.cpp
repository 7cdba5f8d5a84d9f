#include <doctest/doctest.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "models/onnx_model.hpp"
#include "serving/shadow_runner.hpp"
#include "tests/folder.hpp"

namespace ringcraft {
namespace {

/// output = features + features, opset 13, features [batch, 2].
constexpr std::array<unsigned char, 102> kDoubling = {
    0x08, 0x08, 0x3a, 0x5c, 0x0a, 0x21, 0x0a, 0x08, 0x66, 0x65, 0x61, 0x74, 0x75, 0x72, 0x65, 0x73, 0x0a,
    0x08, 0x66, 0x65, 0x61, 0x74, 0x75, 0x72, 0x65, 0x73, 0x12, 0x06, 0x6f, 0x75, 0x74, 0x70, 0x75, 0x74,
    0x22, 0x03, 0x41, 0x64, 0x64, 0x12, 0x05, 0x6b, 0x6e, 0x6f, 0x77, 0x6e, 0x5a, 0x18, 0x0a, 0x08, 0x66,
    0x65, 0x61, 0x74, 0x75, 0x72, 0x65, 0x73, 0x12, 0x0c, 0x0a, 0x0a, 0x08, 0x01, 0x12, 0x06, 0x0a, 0x00,
    0x0a, 0x02, 0x08, 0x02, 0x62, 0x16, 0x0a, 0x06, 0x6f, 0x75, 0x74, 0x70, 0x75, 0x74, 0x12, 0x0c, 0x0a,
    0x0a, 0x08, 0x01, 0x12, 0x06, 0x0a, 0x00, 0x0a, 0x02, 0x08, 0x02, 0x42, 0x04, 0x0a, 0x00, 0x10, 0x0d};

/// A shadow thread's work without the thread, with version 2 in slot 1 of model 0.
struct Bench {
  explicit Bench(const std::string& runtime)
      : rings(RecordRings::open_or_create(folder.file("rings"), 64)),
        runner(holdings, rings.ring(1), counters, 0, 64, 1'000'000'000) {
    const std::string graph = folder.file("doubling.onnx");
    std::ofstream(graph, std::ios::binary)
        .write(reinterpret_cast<const char*>(kDoubling.data()), kDoubling.size());
    const auto model = [&] { return std::make_shared<OnnxModel>(graph, runtime); };
    holdings.put(0, 1,
                 std::make_unique<const LoadedSlot>(
                     LoadedSlot{2, RuleKind::kExpectedBps, 1.0, 1'000'000'000, 0, model(), model()}));
  }

  void score(std::uint32_t rollout_id, double output_abs_max) {
    ShadowJob* job = runner.queue().claim();
    REQUIRE(job != nullptr);
    *job = ShadowJob{1,
                     1,
                     2,
                     rollout_id,
                     0,
                     1,
                     Arm::kChallenger,
                     true,
                     false,
                     output_abs_max,
                     {},
                     monotonic_ns(),
                     2,
                     {},
                     {1.5F, -4.0F}};
    runner.queue().publish();
    CHECK(runner.run_once() == 1);
  }

  [[nodiscard]] ShadowRecord last() {
    ShadowRecord record{};
    RecordRing& ring = rings.ring(1);
    std::memcpy(&record, ring.at(ring.produced() - 1).data(), sizeof record);
    return record;
  }

  Folder folder;
  Holdings holdings;
  Counters counters;
  RecordRings rings;
  ShadowRunner runner;
};

constexpr double kAny = 1e6;
constexpr double kNothing = 0;  // no output is so small, so every one is bad

}  // namespace

TEST_CASE("a job that waited beyond the deadline, or whose version has gone, is dropped and says which") {
  const Folder folder;
  Holdings holdings;
  Counters counters;
  RecordRings rings = RecordRings::open_or_create(folder.file("rings"), 64);
  ShadowRunner runner(holdings, rings.ring(1), counters, 0, 64, 1'000'000'000);
  for (const std::int64_t waited_ns : {2'000'000'000LL, 0LL}) {
    ShadowJob* job = runner.queue().claim();
    REQUIRE(job != nullptr);
    *job = ShadowJob{};
    job->decision_id = 7;
    job->version = 2;
    job->queued_ns = monotonic_ns() - waited_ns;
    runner.queue().publish();
    CHECK(runner.run_once() == 1);
  }
  CHECK(counters.shadows_overdue.load() == 1);
  CHECK(counters.shadows_unready.load() == 1);
  for (std::uint64_t i = 0; i < 2; ++i) {
    ShadowRecord record{};
    std::memcpy(&record, rings.ring(1).at(i).data(), sizeof record);
    CHECK(record.decision_id == 7);
    CHECK(record.dropped == 1);
  }
}

TEST_CASE("a shadow is scored by its version, and bad outputs in a row of one rollout name that rollout") {
  const char* runtime = std::getenv("RINGCRAFT_ONNXRUNTIME");
  if (runtime == nullptr) {
    MESSAGE("RINGCRAFT_ONNXRUNTIME names no library: not run");
    return;
  }
  Bench bench(runtime);
  bench.score(1, kAny);
  CHECK(bench.last().output[0] == 3.0F);
  CHECK(bench.last().action == 1);

  bench.score(1, kNothing);
  CHECK(bench.last().abstain == AbstainReason::kBadOutput);
  bench.score(1, kNothing);
  // The next rollout's challenger answers for its own outputs alone.
  bench.score(2, kNothing);
  CHECK(bench.runner.bad_rollout(0) == 0);
  bench.score(2, kNothing);
  bench.score(2, kNothing);
  CHECK(bench.runner.bad_rollout(0) == 2);
}

}  // namespace ringcraft
