#include <doctest/doctest.h>

#include "serving/answer.hpp"
#include "serving/hard_limits.hpp"

namespace ringcraft {

TEST_CASE("three bad outputs in a row trip, two and a good one do not") {
  HardLimits limits;
  limits.begin(1, {});
  CHECK_FALSE(limits.answered(Arm::kChallenger, AbstainReason::kBadOutput, false, 64, 0));
  CHECK_FALSE(limits.answered(Arm::kChallenger, AbstainReason::kBadOutput, false, 64, 0));
  CHECK_FALSE(limits.answered(Arm::kChallenger, AbstainReason::kNone, false, 64, 0));
  CHECK_FALSE(limits.answered(Arm::kChallenger, AbstainReason::kBadOutput, false, 64, 0));
  CHECK_FALSE(limits.answered(Arm::kChallenger, AbstainReason::kBadOutput, false, 64, 0));
  const auto trip = limits.answered(Arm::kChallenger, AbstainReason::kBadOutput, false, 64, 0);
  REQUIRE(trip);
  CHECK(trip->kind == TripKind::kBadOutput);
}

TEST_CASE("late answers trip at the limit, but not while the champion is late as well") {
  HardLimits limits;
  limits.begin(1, {});
  for (int i = 0; i < 9; ++i) {
    CHECK_FALSE(limits.answered(Arm::kChallenger, AbstainReason::kNone, true, 10, 0));
  }
  for (int i = 0; i < 6; ++i) {
    CHECK_FALSE(limits.answered(Arm::kChampion, AbstainReason::kNone, true, 10, 0));
  }
  CHECK_FALSE(limits.answered(Arm::kChallenger, AbstainReason::kNone, true, 10, 0));
  for (int i = 0; i < 64; ++i) {
    CHECK_FALSE(limits.answered(Arm::kChampion, AbstainReason::kNone, false, 10, 0));
  }
  const auto trip = limits.answered(Arm::kChallenger, AbstainReason::kModelFailed, false, 10, 0);
  REQUIRE(trip);
  CHECK(trip->kind == TripKind::kLateOrFailed);
  CHECK(trip->value == 11);
}

TEST_CASE("in a bake the champion is on trial, and its control's scores say whether the machine stalls") {
  HardLimits limits;
  limits.begin(1, {});
  limits.adopt(Phase::kBake);
  limits.adopt(Phase::kPaused);
  CHECK(limits.trial() == Arm::kChampion);
  for (int i = 0; i < 12; ++i) {
    CHECK_FALSE(limits.answered(Arm::kChampion, AbstainReason::kNone, true, 10, 6));
  }
  CHECK(limits.answered(Arm::kChampion, AbstainReason::kNone, true, 10, 5));
  limits.begin(2, {});
  CHECK(limits.trial() == Arm::kChallenger);
  limits.adopt(Phase::kBakePaused);  // what was paused before anybody took it up
  CHECK(limits.trial() == Arm::kChampion);
  limits.begin(3, {});
  limits.adopt(Phase::kAb);
  for (int i = 0; i < 9; ++i) {
    CHECK_FALSE(limits.answered(Arm::kChallenger, AbstainReason::kNone, true, 10, 64));
  }
  CHECK(limits.answered(Arm::kChallenger, AbstainReason::kNone, true, 10, 64));  // of a bake that is over
}

TEST_CASE("a loss budget trips on the sum, with what was earned before a restart in it") {
  HardLimits limits;
  limits.begin(1, {-60, 0});
  CHECK_FALSE(limits.earned(-30, 100, kNoLimit));
  CHECK_FALSE(limits.earned(5, 100, kNoLimit));
  CHECK_FALSE(limits.earned(-15, 100, kNoLimit));  // -100 is not beyond -100
  const auto trip = limits.earned(-0.5, 100, kNoLimit);
  REQUIRE(trip);
  CHECK(trip->kind == TripKind::kLossBudget);
  CHECK(trip->value == -100.5);
}

TEST_CASE("an action needs a score beyond the threshold") {
  const std::array<float, 3> up = {0.2F, 0.1F, 0.7F};
  CHECK(action_of(RuleKind::kUpMinusDown, 0.4, up.data()) == 1);
  CHECK(action_of(RuleKind::kUpMinusDown, 0.6, up.data()) == 0);
  const std::array<float, 3> down = {0.7F, 0.1F, 0.2F};
  CHECK(action_of(RuleKind::kUpMinusDown, 0.4, down.data()) == -1);
  const std::array<float, 1> bps = {-1.5F};
  CHECK(action_of(RuleKind::kExpectedBps, 1.0, bps.data()) == -1);
  CHECK(action_of(RuleKind::kExpectedBps, 1.5, bps.data()) == 0);
}

TEST_CASE("a drawdown trips below the best that was ever earned, before a restart as well") {
  HardLimits limits;
  limits.begin(1, {10, 40});
  CHECK_FALSE(limits.earned(-10, 1000, 40));  // 40 below the best is not beyond it
  CHECK_FALSE(limits.earned(60, 1000, 40));
  CHECK_FALSE(limits.earned(-40, 1000, 40));
  const auto trip = limits.earned(-0.5, 1000, 40);
  REQUIRE(trip);
  CHECK(trip->kind == TripKind::kDrawdown);
  CHECK(trip->value == 40.5);
  CHECK(trip->limit == 40);
}

TEST_CASE("a mark-out that is no number is beyond every budget") {
  HardLimits limits;
  limits.begin(1, {});
  CHECK(limits.earned(std::nan(""), 1000, kNoLimit));
}

}  // namespace ringcraft
