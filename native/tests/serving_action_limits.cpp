#include <doctest/doctest.h>

#include <cstdint>

#include "serving/action_limits.hpp"

namespace ringcraft {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;

ModelPlan limited(std::int64_t lots, double notional = kNoLimit) {
  ModelPlan plan;
  plan.position_lots_max = lots;
  plan.notional_max = notional;
  return plan;
}

}  // namespace

TEST_CASE("each side of a position may be brought to its limit and not beyond") {
  const ModelPlan plan = limited(2);
  CHECK(room_of({1, 0, 0}, 0, 0, plan).buy == AbstainReason::kNone);
  CHECK(room_of({2, 0, 0}, 0, 0, plan).buy == AbstainReason::kPositionLimit);
  CHECK(room_of({2, 1, 0}, 0, 0, plan).sell == AbstainReason::kNone);
  // Flat for now; once what was bought is closed, a third lot sold would be one too many.
  CHECK(room_of({2, 2, 0}, 0, 0, plan).sell == AbstainReason::kPositionLimit);
}

TEST_CASE("open lots of both sides and of other instruments count towards the notional limit") {
  const ModelPlan plan = limited(100, 1000.0);
  CHECK(room_of({0, 0, 0}, 400, 600, plan).buy == AbstainReason::kNone);
  CHECK(room_of({0, 0, 0}, 401, 600, plan).buy == AbstainReason::kNotionalLimit);
  CHECK(room_of({1, 1, 0}, 333, 0, plan).sell == AbstainReason::kNone);
  CHECK(room_of({1, 1, 0}, 334, 0, plan).sell == AbstainReason::kNotionalLimit);
  CHECK(room_of({0, 0, 0}, std::nan(""), 0, plan).sell == AbstainReason::kNotionalLimit);
  CHECK(room_of({0, 0, 0}, std::nan(""), 0, limited(100)).sell == AbstainReason::kNone);
}

TEST_CASE("an answer without room for its action abstains and keeps its output") {
  Answer buy = abstention(AbstainReason::kNone);
  buy.action = 1;
  buy.output[0] = 0.75F;
  const Room full{AbstainReason::kPositionLimit, AbstainReason::kNone};
  CHECK(within(full, buy).action == 0);
  CHECK(within(full, buy).abstain == AbstainReason::kPositionLimit);
  CHECK(within(full, buy).output[0] == 0.75F);
  buy.action = -1;
  CHECK(within(full, buy).action == -1);
}

TEST_CASE("a bucket gives a second's worth at once and then as time passes, never for time that runs back") {
  TokenBucket bucket;
  CHECK(bucket.take(kSecond, 2.0));
  CHECK(bucket.take(kSecond, 2.0));
  CHECK_FALSE(bucket.take(kSecond, 2.0));
  CHECK_FALSE(bucket.take(kSecond + kSecond / 2 - 1000, 2.0));
  CHECK(bucket.take(kSecond + kSecond / 2, 2.0));
  CHECK_FALSE(bucket.take(kSecond, 2.0));
  CHECK_FALSE(bucket.take(kSecond + kSecond / 2, 2.0));
  CHECK(bucket.take(100 * kSecond, 2.0));
}

TEST_CASE("less than one decision a second is still one, once in so many seconds") {
  TokenBucket bucket;
  CHECK(bucket.take(kSecond, 0.1));
  CHECK_FALSE(bucket.take(2 * kSecond, 0.1));
  CHECK(bucket.take(11 * kSecond, 0.1));
  CHECK(bucket.take(11 * kSecond, kNoLimit));
}

TEST_CASE("a version whose training data ends too long before the event is not asked") {
  ModelPlan plan;
  LoadedSlot slot;
  slot.trained_until_ns = 100 * kSecond;
  Terms terms;
  terms.trained_since_ns = trained_since_ns(plan, 1000 * kSecond);
  CHECK(fresh(slot, terms));
  plan.model_age_max_ns = 10 * kSecond;
  terms.trained_since_ns = trained_since_ns(plan, 110 * kSecond);
  CHECK(fresh(slot, terms));
  terms.trained_since_ns = trained_since_ns(plan, 110 * kSecond + 1);
  CHECK_FALSE(fresh(slot, terms));
  CHECK_FALSE(fresh(LoadedSlot{}, terms));  // nobody knows how old: not met
}

}  // namespace ringcraft
