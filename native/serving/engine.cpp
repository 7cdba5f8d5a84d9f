#include "serving/engine.hpp"

#include <algorithm>
#include <utility>

namespace ringcraft {
Engine::Engine(Holdings& holdings, const RoutingTable& routing, ShadowRunner& shadows, RecordRing& decisions,
               Counters& counters, std::uint8_t worker, std::int64_t heartbeat_timeout_ns)
    : holdings_(holdings),
      routing_(routing),
      shadows_(shadows),
      ring_(decisions),
      counters_(counters),
      worker_(worker),
      heartbeat_timeout_ns_(heartbeat_timeout_ns),
      answers_(kMaxRows),
      together_(kMaxRows * kMaxOutputs) {
  for (ModelState& state : models_) {
    state.drops_seen = decisions.dropped();
  }
}

void Engine::on_event(const MarketEvent& event, std::int64_t receive_ns, const BookDepth* depth) noexcept {
  if (routing_.stamp() != routes_stamp_) {
    adopt_routes();
  }
  adopt_heartbeat(receive_ns);
  InstrumentState& instrument = *feed_[event.instrument];
  MarketEvent own = event;
  own.instrument = instrument.id;
  instrument.newest = {own.event_ns, own.bid_ticks, own.ask_ticks, own.flags, true};
  feed_event_ns_ = own.event_ns;
  feed_at_ns_ = receive_ns;
  add(counters_.events);
  counters_.last_event_ns.store(static_cast<std::uint64_t>(event.event_ns), std::memory_order_relaxed);
  const auto sink = [&](const Markout& markout) { on_markout(markout); };
  instrument.tracker->on_event(own, sink);
  if (instrument.extra_tracker != nullptr) {
    instrument.extra_tracker->on_event(own, sink);
  }
  if (unusable_touch(own.flags) == AbstainReason::kNone) {
    instrument.lot_value = lot_value_at(instrument.facts.lot_tick_value, own);
  }
  for (FeatureEngine* follower : instrument.followers) {
    follower->lead(own);
  }
  update_features(instrument, own, depth);
  for (Binding& binding : instrument.bindings) {
    const ModelState& state = models_[binding.model];
    const bool due =
        !binding.decided || own.event_ns - state.plan->min_interval_ns >= binding.last_decision_ns;
    if (state.routed && due) {
      decide(instrument, binding, own, receive_ns);
      receive_ns = instrument.bindings.size() > 1 ? monotonic_ns() : receive_ns;
    }
  }
  for (Binding& binding : instrument.bindings) {
    // All answers are out: what models keep for the next one is made while nobody waits.
    if (Model* answered = std::exchange(binding.answered, nullptr); answered != nullptr) answered->settle();
    keep_streams_up(instrument, binding);
  }
}

void Engine::keep_streams_up(const InstrumentState& instrument, const Binding& binding) noexcept {
  const FeatureWindow::Mark mark = instrument.features[binding.feature_feed].mark();
  const ModelState& state = models_[binding.model];
  if (mark.history == nullptr || !state.routed) return;
  const auto keep_up = [&](std::uint8_t slot, std::uint32_t version) {
    const LoadedSlot* held = version == kNoVersion ? nullptr : holdings_.slot(binding.model, slot, version);
    if (held == nullptr || held->live_stream == nullptr) return;
    held->live_stream->keep_up(instrument.id, mark, held->limits, counters_.streams_cut);
  };
  keep_up(state.route.champion_slot, state.route.champion_version);
  // In shadow it is the shadow thread's alone, and costs no answer anything.
  if (static_cast<Phase>(state.route.phase) != Phase::kShadow) {
    keep_up(state.route.challenger_slot, state.route.challenger_version);
  }
}

void Engine::update_features(InstrumentState& instrument, const MarketEvent& event,
                             const BookDepth* depth) noexcept {
  for (FeatureFeed& feed : instrument.features) {
    feed.warm = feed.engine != nullptr && feed.engine->update(event, depth, feed.vector.data());
    if (feed.warm) {
      const std::size_t width = feed.engine->width();
      feed.finite = std::all_of(feed.vector.begin(), feed.vector.begin() + static_cast<std::ptrdiff_t>(width),
                                [](float value) { return std::isfinite(value); });
      feed.hash = fnv1a(feed.vector.data(), width * sizeof(float));
    }
    if (feed.window != nullptr) {
      update_window(feed, event);
    }
  }
}

void Engine::update_window(FeatureFeed& feed, const MarketEvent& event) noexcept {
  if (std::exchange(feed.session, feed.engine->sessions()) != feed.session) {
    feed.window->clear();
  }
  // What was missed may have been a step; a window, which soon has it behind itself, takes what is there.
  if ((event.flags & (kGap | kResync)) != 0) feed.window->interrupt();
  if (feed.warm && (event.flags & kUnusable) == 0) {
    feed.window->push(feed.vector.data(), feed.finite);
  }
}

Engine::Routed Engine::route(const ModelState& state, const Draw& draw) const noexcept {
  const Route& route = state.route;
  const auto phase = static_cast<Phase>(route.phase);
  const bool ready = holdings_.slot(route.model, route.challenger_slot, route.challenger_version) != nullptr;
  const bool can_act = ready && !state.masked && !state.drops_told && !heartbeat_lost_ &&
                       !draw.spare_challenger && route.challenger_version != kNoVersion &&
                       !breakers_.open(route.model, route.challenger_slot, route.challenger_version);
  const bool sharing = phase == Phase::kAb || phase == Phase::kPaused;
  const std::uint16_t share = sharing && can_act ? route.share_bps : std::uint16_t{0};
  const AssignmentKey key = key_for(route.assign_by, draw.keys);
  const bool overridden = draw.asked != Arm::kNone;
  if (state.masked && state.masked_off.arm == Arm::kChampion) {
    // A bake that a limit ended: the control in the challenger's place answers, or nobody does.
    return {
        Arm::kChallenger, route.challenger_version, route.challenger_slot, kShareParts, overridden, key.by};
  }
  // What may never act is not made to: in a bake the challenger's place holds the old champion as control.
  const bool challenger =
      overridden ? draw.asked == Arm::kChallenger && can_act && (sharing || phase == Phase::kShadow)
                 : falls_to_challenger(key.value, route.salt, share);
  if (challenger) {
    return {Arm::kChallenger, route.challenger_version, route.challenger_slot, share, overridden, key.by};
  }
  const bool baking = phase == Phase::kBake || phase == Phase::kBakePaused;
  const bool standing_in = baking && ready && !overridden && breaker_limits_.stand_in &&
                           breakers_.open(route.model, route.champion_slot, route.champion_version) &&
                           !breakers_.open(route.model, route.challenger_slot, route.challenger_version);
  if (standing_in) {
    // Nobody drew the control: overridden, so that it is never judged by this.
    return {Arm::kChallenger, route.challenger_version, route.challenger_slot, 0, true, key.by, true};
  }
  return {Arm::kChampion, route.champion_version, route.champion_slot, share, overridden, key.by};
}

AbstainReason Engine::unfit(const InstrumentState& instrument, const FeatureFeed& features,
                            const MarketEvent& event) noexcept {
  const AbstainReason touch = unusable_touch(event.flags);
  if (touch != AbstainReason::kNone) return touch;
  if (!features.warm) return AbstainReason::kNotWarm;
  if (!features.finite) return AbstainReason::kBadFeature;
  // Old news already when the recorder had it; one that comes after newer ones is not decided on at all.
  const bool behind = event.receive_ns > event.event_ns;
  if (behind && event.receive_ns - event.event_ns > instrument.facts.stale_after_ns) {
    return AbstainReason::kStale;
  }
  return AbstainReason::kNone;
}

Terms Engine::terms_of(ModelState& state, InstrumentState& instrument, const FeatureFeed& features,
                       const MarketEvent& event) noexcept {
  const ModelPlan& plan = *state.plan;
  Terms terms;
  terms.unfit = unfit(instrument, features, event);
  if (terms.unfit == AbstainReason::kNone &&
      !state.pace.take(event.event_ns, plan.decisions_per_second_max)) {
    terms.unfit = AbstainReason::kRateLimit;
  }
  if (terms.unfit == AbstainReason::kNone) {
    terms.room = room_at(state, instrument);
  }
  terms.trained_since_ns = trained_since_ns(plan, event.event_ns);
  return terms;
}

Room Engine::room_at(ModelState& state, InstrumentState& instrument) noexcept {
  OpenLots& open = instrument.open[state.plan->index];
  revalue(instrument, state, open);
  const double others_value = state.open_values[instrument.currency] - open.value;
  return room_of(open, instrument.lot_value, others_value, *state.plan);
}

void Engine::decide(InstrumentState& instrument, Binding& binding, const MarketEvent& event,
                    std::int64_t receive_ns) noexcept {
  ModelState& state = models_[binding.model];
  const FeatureFeed& features = instrument.features[binding.feature_feed];
  check_trips(state);
  DecisionRecord record{};
  record.decision_id = next_decision_id_++;
  turn_breakers(state, receive_ns);
  const Routed routed =
      route(state, {{record.decision_id, instrument.key, account_, std::nullopt}, asked_, false});
  const LoadedSlot* slot = holdings_.slot(binding.model, routed.slot, routed.version);
  const Terms terms = terms_of(state, instrument, features, event);
  Input input = features.input();
  input.stream = instrument.id;
  const Answer answer = answer_of(state, routed, slot, input, terms);
  const std::int64_t answer_ns = monotonic_ns();
  binding.answered = slot != nullptr ? slot->live.get() : nullptr;
  describe(record, instrument, binding, features, event);
  describe(record, routed, answer);
  record.receive_ns = clock_.wall_ns(receive_ns);
  record.answer_ns = clock_.wall_ns(answer_ns);
  record.late = slot != nullptr && answer_ns - receive_ns > slot->latency_budget_ns ? 1 : 0;
  send_shadows(state, record, input, terms, answer_ns);
  binding.last_decision_ns = event.event_ns;
  binding.decided = true;
  follow_markouts(instrument, state, record);
  count(state, record);
  check_answer(state, record, routed, terms);
  inform_breaker(routed, slot, terms, record, receive_ns);
}

void Engine::check_answer(ModelState& state, const DecisionRecord& record, const Routed& routed,
                          const Terms& terms) noexcept {
  // Whoever asks for an arm must not be able to take it off.
  const bool asked = terms.unfit == AbstainReason::kNone && routed.version != kNoVersion &&
                     record.abstain != AbstainReason::kNotWarm &&
                     record.abstain != AbstainReason::kBadFeature &&
                     record.abstain != AbstainReason::kFeatureLimit;
  if (asked && !routed.overridden) {
    const auto limit =
        state.limits.answered(record.arm, record.abstain, record.late != 0, state.plan->late_or_failed_of_64,
                              shadows_.control_late_or_failed(state.plan->index));
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
  record.overridden = routed.overridden ? 1 : 0;
  record.assigned_by = routed.assigned_by;
}

Answer Engine::answer_of(const ModelState& state, const Routed& routed, const LoadedSlot* slot,
                         const Input& input, const Terms& terms) noexcept {
  if (terms.unfit != AbstainReason::kNone) {
    return abstention(terms.unfit);
  }
  if (routed.version == kNoVersion) {
    return abstention(AbstainReason::kNoChampion);
  }
  if (slot == nullptr) {
    return abstention(AbstainReason::kModelFailed);
  }
  if (breakers_.open(state.route.model, routed.slot, routed.version)) {
    return abstention(AbstainReason::kBreakerOpen);
  }
  const std::size_t window = slot->live->window();
  if (const AbstainReason unfit = input.mark.unfit(window); unfit != AbstainReason::kNone) {
    return abstention(unfit);
  }
  if (slot->live->width() != input.width) {
    return abstention(AbstainReason::kModelFailed);
  }
  if (!fresh(*slot, terms)) {
    return abstention(AbstainReason::kStaleModel);
  }
  if (StreamFollower* stream = slot->live_stream.get(); stream != nullptr) {
    if (!stream->lead_up(input.stream, input.mark, slot->limits, counters_.streams_cut)) {
      return abstention(AbstainReason::kNotWarm);
    }
    stream->asked(input.stream, input.mark);
  }
  const float* rows = window == 1 ? input.vector : input.window->newest(window);
  return within(terms.room, ask(*slot->live, *slot, rows, state.plan->output_abs_max, input.known));
}

void Engine::count(const ModelState& state, const DecisionRecord& record) noexcept {
  add(counters_.decisions);
  add(counters_.abstentions, record.abstain == AbstainReason::kNone ? 0 : 1);
  add(counters_.late, record.late);
  add(counters_.overridden, record.overridden);
  const bool went_by_id =
      record.assigned_by == AssignBy::kDecision ||
      (record.assigned_by == AssignBy::kRequestKey && record.request_key == record.decision_id);
  add(counters_.keys_absent, went_by_id && state.route.assign_by != AssignBy::kDecision ? 1 : 0);
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

void Engine::send_shadows(const ModelState& state, const DecisionRecord& decision, const Input& input,
                          const Terms& terms, std::int64_t answer_ns, Load load) noexcept {
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
    send_shadow(state, decision, input, terms, answer_ns, challenger_acts ? Arm::kChampion : Arm::kChallenger,
                challenger_acts ? route.champion_slot : route.challenger_slot, other, load);
  }
  for (std::size_t i = 0; i < kMaxShadows; ++i) {
    if (route.shadow_versions[i] != kNoVersion) {
      send_shadow(state, decision, input, terms, answer_ns, Arm::kShadow, route.shadow_slots[i],
                  route.shadow_versions[i], load);
    }
  }
}

void Engine::send_shadow(const ModelState& state, const DecisionRecord& decision, const Input& input,
                         const Terms& terms, std::int64_t answer_ns, Arm arm, std::uint8_t slot,
                         std::uint32_t version, Load load) noexcept {
  add(counters_.shadows_expected);
  ShadowJob spare;
  const bool fit = terms.unfit == AbstainReason::kNone;
  const bool shed = load != Load::kNormal;
  ShadowJob* place = fit && !shed ? shadows_.queue().claim() : nullptr;
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
  job.control = arm == Arm::kChallenger && phase == Phase::kBake;
  job.output_abs_max = state.plan->output_abs_max;
  job.terms = terms;
  job.queued_ns = answer_ns;
  if (place != nullptr) {
    std::copy_n(input.vector, input.width, job.features.begin());
    job.width = input.width;
    job.window = input.mark;
    job.stream = input.stream;
    shadows_.queue().publish();
    return;
  }
  // What nobody could have answered needs no model; what the queue cannot take is dropped and counted.
  ShadowRecord record = unscored(job, worker_, fit);
  if (!fit) {
    record.abstain = terms.unfit;
    std::fill(std::begin(record.output), std::end(record.output), kNoOutput);
  }
  add(shed ? counters_.shadows_shed : counters_.shadows_queue_full, fit ? 1 : 0);
  push(RecordType::kShadow, record);
}

}  // namespace ringcraft
