#include "serving/engine.hpp"

#include <algorithm>
#include <utility>

namespace ringcraft {
namespace {

constexpr std::size_t kLiveTrades = 262'144;

}  // namespace

Engine::Engine(Holdings& holdings, const RoutingTable& routing, ShadowRunner& shadows, RecordRing& decisions,
               Counters& counters, std::uint8_t worker, std::int64_t heartbeat_timeout_ns)
    : holdings_(holdings),
      routing_(routing),
      shadows_(shadows),
      ring_(decisions),
      counters_(counters),
      worker_(worker),
      heartbeat_timeout_ns_(heartbeat_timeout_ns),
      trades_(kLiveTrades) {
  for (ModelState& state : models_) {
    state.drops_seen = decisions.dropped();
  }
}

void Engine::on_event(const MarketEvent& event, std::int64_t receive_ns) noexcept {
  if (routing_.stamp() != routes_stamp_) {
    adopt_routes();
  }
  adopt_heartbeat(receive_ns);
  InstrumentState& instrument = *feed_[event.instrument];
  MarketEvent own = event;
  own.instrument = instrument.id;
  add(counters_.events);
  counters_.last_event_ns.store(static_cast<std::uint64_t>(event.event_ns), std::memory_order_relaxed);
  instrument.tracker->on_event(own, [&](const Markout& markout) { on_markout(markout); });
  update_features(instrument, own);
  for (Binding& binding : instrument.bindings) {
    const ModelState& state = models_[binding.model];
    const bool due =
        !binding.decided || own.event_ns - state.plan->min_interval_ns >= binding.last_decision_ns;
    if (state.routed && due) {
      decide(instrument, binding, own, receive_ns);
      receive_ns = instrument.bindings.size() > 1 ? monotonic_ns() : receive_ns;
    }
  }
}

void Engine::update_features(InstrumentState& instrument, const MarketEvent& event) noexcept {
  for (FeatureFeed& feed : instrument.features) {
    feed.warm = feed.engine != nullptr && feed.engine->update(event, feed.vector.data());
    if (!feed.warm) {
      continue;
    }
    const std::size_t width = feed.engine->width();
    feed.finite = std::all_of(feed.vector.begin(), feed.vector.begin() + static_cast<std::ptrdiff_t>(width),
                              [](float value) { return std::isfinite(value); });
    feed.hash = fnv1a(feed.vector.data(), width * sizeof(float));
  }
}

Engine::Routed Engine::route(const ModelState& state, std::uint64_t decision_id) const noexcept {
  const Route& route = state.route;
  const bool sharing = route.phase == static_cast<std::uint8_t>(Phase::kAb) ||
                       route.phase == static_cast<std::uint8_t>(Phase::kPaused);
  const bool ready = holdings_.slot(route.model, route.challenger_slot, route.challenger_version) != nullptr;
  const bool shares =
      sharing && ready && !state.masked && !heartbeat_lost_ && route.challenger_version != kNoVersion;
  const std::uint16_t share = shares ? route.share_bps : std::uint16_t{0};
  if (splitmix64(decision_id ^ route.salt) % 10'000 < share) {
    return {Arm::kChallenger, route.challenger_version, route.challenger_slot, share};
  }
  return {Arm::kChampion, route.champion_version, route.champion_slot, share};
}

AbstainReason Engine::unfit(const FeatureFeed& features, const MarketEvent& event) noexcept {
  const AbstainReason touch = unusable_touch(event.flags);
  if (touch != AbstainReason::kNone) return touch;
  if (!features.warm) return AbstainReason::kNotWarm;
  if (!features.finite) return AbstainReason::kBadFeature;
  return AbstainReason::kNone;
}

void Engine::decide(InstrumentState& instrument, Binding& binding, const MarketEvent& event,
                    std::int64_t receive_ns) noexcept {
  ModelState& state = models_[binding.model];
  const FeatureFeed& features = instrument.features[binding.feature_feed];
  check_trips(state);
  DecisionRecord record{};
  record.decision_id = next_decision_id_++;
  const Routed routed = route(state, record.decision_id);
  const LoadedSlot* slot = holdings_.slot(binding.model, routed.slot, routed.version);
  const AbstainReason input = unfit(features, event);
  const Answer answer =
      input == AbstainReason::kNone ? answer_of(state, routed, slot, features) : abstention(input);
  const std::int64_t answer_ns = monotonic_ns();
  describe(record, instrument, binding, features, event);
  describe(record, routed, answer);
  record.receive_ns = clock_.wall_ns(receive_ns);
  record.answer_ns = clock_.wall_ns(answer_ns);
  record.late = slot != nullptr && answer_ns - receive_ns > slot->latency_budget_ns ? 1 : 0;
  send_shadows(state, record, features, input);
  binding.last_decision_ns = event.event_ns;
  binding.decided = true;
  follow_markout(instrument, state, record);
  count(record);
  if (input == AbstainReason::kNone && routed.version != kNoVersion) {
    const auto limit =
        state.limits.answered(record.arm, record.abstain, record.late != 0, state.plan->late_or_failed_of_64);
    if (limit) {
      trip(state, *limit);
    }
  }
}

void Engine::describe(DecisionRecord& record, const InstrumentState& instrument, const Binding& binding,
                      const FeatureFeed& features, const MarketEvent& event) const noexcept {
  record.event_ns = event.event_ns;
  record.sequence = event.sequence;
  record.feature_hash = features.warm ? features.hash : 0;
  record.bid_ticks = event.bid_ticks;
  record.ask_ticks = event.ask_ticks;
  record.epoch = static_cast<std::uint32_t>(routes_.epoch);
  record.instrument = instrument.id;
  record.model = static_cast<std::uint16_t>(binding.model);
}

void Engine::describe(DecisionRecord& record, const Routed& routed, const Answer& answer) noexcept {
  std::copy(answer.output.begin(), answer.output.end(), record.output);
  record.version = routed.version;
  record.share_bps = routed.share_bps;
  record.arm = routed.arm;
  record.action = answer.action;
  record.abstain = answer.abstain;
}

Answer Engine::answer_of(const ModelState& state, const Routed& routed, const LoadedSlot* slot,
                         const FeatureFeed& features) noexcept {
  if (routed.version == kNoVersion) {
    return abstention(AbstainReason::kNoChampion);
  }
  if (slot == nullptr || slot->live->inputs() != features.engine->width()) {
    return abstention(AbstainReason::kModelFailed);
  }
  return ask(*slot->live, *slot, features.vector.data(), state.plan->output_abs_max);
}

void Engine::count(const DecisionRecord& record) noexcept {
  add(counters_.decisions);
  add(counters_.abstentions, record.abstain == AbstainReason::kNone ? 0 : 1);
  add(counters_.late, record.late);
}

void Engine::check_trips(ModelState& state) noexcept {
  write_owed(state);
  const std::uint64_t drops = ring_.dropped();
  const std::uint64_t lost = drops - std::exchange(state.drops_seen, drops);
  const std::uint32_t rollout = state.route.rollout_id;
  if (rollout == 0 || state.masked) {
    return;
  }
  if (shadows_.bad_rollout(state.route.model) == rollout) {
    trip(state, {TripKind::kBadOutput, kBadOutputsInARow, kBadOutputsInARow});
  }
  if (lost > 0) {
    trip(state, {TripKind::kJournalDrops, static_cast<double>(lost), 0});
  }
}

void Engine::send_shadows(const ModelState& state, const DecisionRecord& decision,
                          const FeatureFeed& features, AbstainReason unfit) noexcept {
  const Route& route = state.route;
  const bool challenger_acts = decision.arm == Arm::kChallenger;
  const std::uint32_t other = challenger_acts ? route.champion_version : route.challenger_version;
  DecisionRecord expecting = decision;
  expecting.expected_shadows = other != kNoVersion ? 1 : 0;
  for (const std::uint32_t version : route.shadow_versions) {
    expecting.expected_shadows =
        static_cast<std::uint8_t>(expecting.expected_shadows + (version != kNoVersion ? 1 : 0));
  }
  // The decision goes first, so that its shadows' records can only follow it.
  push(RecordType::kDecision, expecting);
  if (other != kNoVersion) {
    send_shadow(state, decision, features, unfit, challenger_acts ? Arm::kChampion : Arm::kChallenger,
                challenger_acts ? route.champion_slot : route.challenger_slot, other);
  }
  for (std::size_t i = 0; i < kMaxShadows; ++i) {
    if (route.shadow_versions[i] != kNoVersion) {
      send_shadow(state, decision, features, unfit, Arm::kShadow, route.shadow_slots[i],
                  route.shadow_versions[i]);
    }
  }
}

void Engine::send_shadow(const ModelState& state, const DecisionRecord& decision, const FeatureFeed& features,
                         AbstainReason unfit, Arm arm, std::uint8_t slot, std::uint32_t version) noexcept {
  add(counters_.shadows_expected);
  ShadowJob spare;
  const bool fit = unfit == AbstainReason::kNone;
  ShadowJob* place = fit ? shadows_.queue().claim() : nullptr;
  ShadowJob& job = place != nullptr ? *place : spare;
  job.decision_id = decision.decision_id;
  job.epoch = decision.epoch;
  job.version = version;
  job.rollout_id = state.route.rollout_id;
  job.model = decision.model;
  job.slot = slot;
  job.arm = arm;
  const auto phase = static_cast<Phase>(state.route.phase);
  job.on_trial = arm == Arm::kChallenger && (phase == Phase::kShadow || phase == Phase::kAb);
  job.output_abs_max = state.plan->output_abs_max;
  if (place != nullptr) {
    job.features = features.vector;
    job.width = features.engine->width();
    shadows_.queue().publish();
    return;
  }
  // What nobody could have answered needs no model; what the queue cannot take is dropped and counted.
  ShadowRecord record = unscored(job, worker_, fit);
  if (!fit) {
    record.abstain = unfit;
    std::fill(std::begin(record.output), std::end(record.output), kNoOutput);
  }
  add(counters_.shadows_queue_full, fit ? 1 : 0);
  push(RecordType::kShadow, record);
}

void Engine::follow_markout(InstrumentState& instrument, const ModelState& state,
                            const DecisionRecord& decision) noexcept {
  if (decision.arm == Arm::kChallenger && decision.action != 0) {
    trades_.add({decision.decision_id, state.route.rollout_id, decision.action});
  }
  const bool taken = instrument.tracker->add(decision.decision_id, decision.model, decision.event_ns,
                                             state.plan->entry_latency_ns, state.plan->horizon_ns);
  if (!taken) {
    Markout never{};
    never.decision_id = decision.decision_id;
    never.model = decision.model;
    never.instrument = decision.instrument;
    never.decision_event_ns = decision.event_ns;
    never.resolved_event_ns = decision.event_ns;
    never.status = MarkoutStatus::kNever;
    on_markout(never);
  }
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
  push(RecordType::kMarkout, record);
  add(counters_.markouts);
  const LiveTrades::Trade* trade = trades_.find(markout.decision_id);
  ModelState& state = models_[markout.model];
  const bool counts = trade != nullptr && markout.status == MarkoutStatus::kOk && state.plan != nullptr &&
                      state.route.rollout_id == trade->rollout_id;
  if (!counts) {
    return;
  }
  const double pnl_bps = trade->action > 0 ? markout.buy_pnl_bps : markout.sell_pnl_bps;
  const auto limit = state.limits.earned(pnl_bps, state.plan->loss_budget_bps);
  if (limit) {
    trip(state, *limit);
  }
}

void Engine::trip(ModelState& state, const Trip& trip) noexcept {
  // In the bake phase the challenger's place holds the old champion as control: there is nothing to take off.
  const bool on_trial = static_cast<Phase>(state.route.phase) != Phase::kBake && state.route.rollout_id != 0;
  if (state.masked || !on_trial) {
    return;
  }
  state.masked = true;
  // Lost records say nothing against the version: its share is back once the controller has said so by an
  // epoch.
  if (trip.kind != TripKind::kJournalDrops) {
    state.masked_rollout = state.route.rollout_id;
  }
  TripRecord& record = state.owed.emplace();
  record.decision_id = next_decision_id_ - 1;
  record.wall_ns = clock_.wall_ns(monotonic_ns());
  record.epoch = routes_.epoch;
  record.value = trip.value;
  record.limit = trip.limit;
  record.version = state.route.challenger_version;
  record.rollout_id = state.route.rollout_id;
  record.model = state.route.model;
  record.kind = trip.kind;
  record.arm = Arm::kChallenger;
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
