// What follows a decision: its mark-outs, what they come to, and the limits that they trip.
#include <algorithm>

#include "serving/engine.hpp"

namespace ringcraft {

void Engine::follow_markouts(InstrumentState& instrument, ModelState& state,
                             const DecisionRecord& decision) noexcept {
  const bool counts =
      decision.arm == state.limits.trial() && decision.action != 0 && decision.overridden == 0;
  DecisionTag tag{counts ? state.route.rollout_id : 0, decision.action, 0};
  OpenLots& open = instrument.open[decision.model];
  open.take(decision.action, 1);
  revalue(instrument, state, open);
  follow_markout(*instrument.tracker, state, decision, state.plan->horizon_ns, tag);
  if (instrument.extra_tracker == nullptr) {
    return;
  }
  for (const std::int64_t horizon_ns : state.plan->extra_horizons_ns) {
    ++tag.horizon;
    follow_markout(*instrument.extra_tracker, state, decision, horizon_ns, tag);
  }
}

void Engine::follow_markout(MarkoutTracker& tracker, const ModelState& state, const DecisionRecord& decision,
                            std::int64_t horizon_ns, const DecisionTag& tag) noexcept {
  if (tracker.add(decision.decision_id, decision.model, decision.event_ns, state.plan->entry_latency_ns,
                  horizon_ns, tag)) {
    return;
  }
  Markout never{};
  never.decision_id = decision.decision_id;
  never.tag = tag;
  never.model = decision.model;
  never.instrument = decision.instrument;
  never.decision_event_ns = decision.event_ns;
  never.resolved_event_ns = decision.event_ns;
  never.status = MarkoutStatus::kNever;
  on_markout(never);
}

void Engine::on_markout(const Markout& markout) noexcept {
  MarkoutRecord record{};
  record.decision_id = markout.decision_id;
  record.decision_event_ns = markout.decision_event_ns;
  record.resolved_event_ns = markout.resolved_event_ns;
  record.buy_pnl_bps = markout.buy_pnl_bps;
  record.sell_pnl_bps = markout.sell_pnl_bps;
  record.entry_bid_ticks = markout.entry_bid_ticks;
  record.entry_ask_ticks = markout.entry_ask_ticks;
  record.mark_mid_x2_ticks = markout.mark_mid_x2_ticks;
  record.instrument = markout.instrument;
  record.model = markout.model;
  record.status = markout.status;
  record.horizon = markout.tag.horizon;
  push(RecordType::kMarkout, record);
  if (markout.tag.horizon != 0) {
    add(counters_.markouts_extra);
    return;
  }
  add(counters_.markouts);
  ModelState& state = models_[markout.model];
  InstrumentState& instrument = *instruments_[markout.instrument];
  OpenLots& open = instrument.open[markout.model];
  open.take(markout.tag.action, -1);
  revalue(instrument, state, open);
  const bool counts = markout.tag.rollout_id != 0 && markout.status == MarkoutStatus::kOk &&
                      state.plan != nullptr && state.route.rollout_id == markout.tag.rollout_id;
  if (!counts) {
    return;
  }
  const double pnl_bps = markout.tag.action > 0 ? markout.buy_pnl_bps : markout.sell_pnl_bps;
  const auto limit =
      state.limits.earned(pnl_bps, state.plan->loss_budget_bps, state.plan->drawdown_budget_bps);
  if (limit) {
    trip(state, *limit);
  }
}

void Engine::revalue(InstrumentState& instrument, ModelState& state, OpenLots& open) noexcept {
  const double value = open.value_at(instrument.lot_value);
  state.open_values[instrument.currency] += value - open.value;
  open.value = value;
}

void Engine::trip(ModelState& state, const Trip& trip) noexcept {
  const bool drops = trip.kind == TripKind::kJournalDrops;
  if (state.route.rollout_id == 0 || state.masked || (drops && state.drops_told)) {
    return;
  }
  const Arm trial = state.limits.trial();
  if (drops) {
    // Lost records say nothing against the version: a challenger's share is back once the controller has said
    // so by an epoch, and a new champion goes on.
    state.drops_told = true;
  } else {
    state.masked = true;
    state.masked_off = {state.route.rollout_id, trial};
  }
  TripRecord& record = state.owed.emplace();
  record.decision_id = next_decision_id_ - 1;
  record.wall_ns = clock_.wall_ns(monotonic_ns());
  record.epoch = routes_.epoch;
  record.value = trip.value;
  record.limit = trip.limit;
  record.version = trial == Arm::kChampion ? state.route.champion_version : state.route.challenger_version;
  record.rollout_id = state.route.rollout_id;
  record.model = state.route.model;
  record.kind = trip.kind;
  record.arm = trial;
  add(counters_.trips);
  write_owed(state);
}

void Engine::write_owed(ModelState& state) noexcept {
  // The ring that lost records is full, and losing the trip with them would leave the rollout unpaused.
  if (state.owed && ring_.has_room()) {
    push(RecordType::kTrip, *state.owed);
    state.owed.reset();
  }
}

}  // namespace ringcraft
