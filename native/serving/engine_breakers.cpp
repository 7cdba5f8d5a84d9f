// What the decision path tells the breakers, and asks of them in between.
#include <algorithm>

#include "serving/engine.hpp"

namespace ringcraft {
namespace {

/// Whether the version was run: what is refused before says nothing of it.
bool was_run(AbstainReason abstain) noexcept {
  switch (abstain) {
    case AbstainReason::kNone:
    case AbstainReason::kBadOutput:
    case AbstainReason::kModelFailed:
    case AbstainReason::kPositionLimit:
    case AbstainReason::kNotionalLimit:
    case AbstainReason::kDeadline:
      return true;
    default:
      return false;
  }
}

}  // namespace

void Engine::turn_breakers(const ModelState& state, std::int64_t now_ns) noexcept {
  breakers_.turn(breaker_limits_, state.route.model, state.route.champion_slot, now_ns);
  breakers_.turn(breaker_limits_, state.route.model, state.route.challenger_slot, now_ns);
}

void Engine::inform_breaker(const Routed& routed, const LoadedSlot* slot, const Terms& terms,
                            const DecisionRecord& record, std::int64_t now_ns) noexcept {
  add(counters_.breaker_stand_ins, routed.standing_in ? 1 : 0);
  add(counters_.breaker_abstentions, record.abstain == AbstainReason::kBreakerOpen ? 1 : 0);
  // Whoever asks for an arm must not be able to open its breaker.
  const bool drawn = !routed.overridden || routed.standing_in;
  if (slot == nullptr || terms.unfit != AbstainReason::kNone || !drawn || !was_run(record.abstain)) {
    return;
  }
  BreakerSample sample;
  sample.failed =
      record.abstain == AbstainReason::kBadOutput || record.abstain == AbstainReason::kModelFailed;
  sample.late = record.late != 0;
  std::copy(std::begin(record.output), std::end(record.output), sample.output.begin());
  sample.input_hash = record.feature_hash;
  const bool opened =
      breakers_.answered(breaker_limits_, record.model, routed.slot, routed.version, sample, now_ns);
  add(counters_.breakers_opened, opened ? 1 : 0);
}

}  // namespace ringcraft
