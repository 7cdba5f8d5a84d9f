// Decisions that a door asks for.
#include <algorithm>
#include <cmath>

#include "serving/engine.hpp"

namespace ringcraft {

InferReply Engine::on_request(const InferRequest& request) noexcept {
  InferReply reply;
  if (routing_.stamp() != routes_stamp_) {
    adopt_routes();
  }
  adopt_heartbeat(request.receive_ns);
  const auto refused = [&](InferStatus status) {
    reply.status = status;
    return reply;
  };
  if (request.model >= kMaxModels || route_of(request.model) == nullptr) {
    return refused(InferStatus::kUnknownModel);
  }
  if (request.count == 0 || request.count > kMaxRows) {
    return refused(InferStatus::kBadCount);
  }
  ModelState& state = models_[request.model];
  if (asks_stream(request)) {
    return refused(InferStatus::kStream);
  }
  const std::size_t width = width_of(request.model);
  if (width == 0) {
    return refused(InferStatus::kNotReady);
  }
  reply.expected_floats = state.plan->window * width;
  if (request.row_floats != reply.expected_floats) {
    return refused(InferStatus::kBadRow);
  }
  add(counters_.requests);
  check_trips(state);
  InstrumentState* instrument = fed_instrument(request.instrument);
  AssignmentKeys keys{next_decision_id_, std::nullopt, request.account, request.key};
  if (!request.instrument.empty()) {
    keys.instrument = assignment_key(request.instrument);
  }
  turn_breakers(state, request.receive_ns);
  Routed routed{};
  if (request.version != kNoVersion) {
    const InferStatus status = route_version(state, request.model, request.version, routed);
    if (status != InferStatus::kAnswered) return refused(status);
  } else {
    const bool spare = request.load >= Load::kNoChallenger;
    add(counters_.shares_shed, spare && state.route.share_bps > 0 ? 1 : 0);
    // A challenger that carries its state decides on its feed's events alone; requests are the champion's.
    const bool stream = is_stream(request.model, state.route.challenger_slot, state.route.challenger_version);
    routed = route(state, {keys, request.asked, spare || stream});
  }
  reply.arm = routed.arm;
  reply.version = routed.version;
  const Together together = run_together(request, routed);
  for (std::size_t row = 0; row < request.count; ++row) {
    decide_row(request, routed, instrument, together, row, reply);
  }
  reply.rows = {answers_.data(), request.count};
  return reply;
}

bool Engine::is_stream(std::size_t model, std::size_t slot, std::uint32_t version) const noexcept {
  const LoadedSlot* held = version == kNoVersion ? nullptr : holdings_.slot(model, slot, version);
  return held != nullptr && held->live_stream != nullptr;
}

bool Engine::asks_stream(const InferRequest& request) const noexcept {
  const Route& route = models_[request.model].route;
  if (request.version == kNoVersion) {
    return is_stream(request.model, route.champion_slot, route.champion_version);
  }
  bool found = false;
  for (std::size_t slot = 0; slot < kMaxSlots; ++slot) {
    found = found || is_stream(request.model, slot, request.version);
  }
  return found;
}

InferStatus Engine::route_version(const ModelState& state, std::size_t model, std::uint32_t version,
                                  Routed& routed) const noexcept {
  const Route& route = state.route;
  routed = {Arm::kShadow, version, kNoSlot, 0, true, AssignBy::kDecision};
  for (std::size_t slot = 0; slot < kMaxSlots && routed.slot == kNoSlot; ++slot) {
    if (holdings_.slot(model, slot, version) != nullptr) {
      routed.slot = static_cast<std::uint8_t>(slot);
    }
  }
  if (routed.slot == kNoSlot) {
    return InferStatus::kUnknownVersion;
  }
  if (version == route.champion_version) {
    routed.arm = Arm::kChampion;
  } else if (version == route.challenger_version) {
    routed.arm = Arm::kChallenger;
  }
  // Asking does not bring back what a limit took off, nor what nobody judges.
  const bool off = state.masked && state.masked_off.arm == routed.arm;
  const bool unjudged = routed.arm == Arm::kChallenger && (heartbeat_lost_ || state.drops_told);
  return off || unjudged ? InferStatus::kTakenOff : InferStatus::kAnswered;
}

Engine::Together Engine::run_together(const InferRequest& request, const Routed& routed) noexcept {
  const LoadedSlot* slot = holdings_.slot(request.model, routed.slot, routed.version);
  const bool use = request.count > 1 && request.load != Load::kNobody && slot != nullptr &&
                   slot->live->batches() && slot->live->inputs() == request.row_floats &&
                   !breakers_.open(request.model, routed.slot, routed.version);
  if (!use) return {};
  const std::int64_t start_ns = monotonic_ns();
  // Rows that may not be asked are among them: what comes of those nobody reads.
  if (!slot->live->predict_rows(request.rows, request.count, together_.data())) return {};
  return {together_.data(), (monotonic_ns() - start_ns) / static_cast<std::int64_t>(request.count)};
}

void Engine::decide_row(const InferRequest& request, const Routed& routed, InstrumentState* instrument,
                        const Together& together, std::size_t row, InferReply& reply) noexcept {
  ModelState& state = models_[request.model];
  // Each row took its part of a common run, as far as limits on a version's latency go.
  const bool first = row == 0 && together.outputs == nullptr;
  const std::int64_t receive_ns = first ? request.receive_ns : monotonic_ns() - together.each_ns;
  const float* floats = request.rows + row * request.row_floats;
  const std::size_t width = request.row_floats / state.plan->window;
  bool finite = false;
  Input input = input_of(state, floats, request.row_floats, width, finite);
  DecisionRecord record{};
  record.decision_id = next_decision_id_++;
  record.event_ns = feed_time_ns(receive_ns);
  record.instrument = kNoInstrument;
  if (instrument != nullptr) {
    record.instrument = instrument->id;
    record.bid_ticks = instrument->newest.bid_ticks;
    record.ask_ticks = instrument->newest.ask_ticks;
  }
  record.feature_hash = fnv1a(floats, request.row_floats * sizeof(float));
  record.epoch = static_cast<std::uint32_t>(routes_.epoch);
  record.model = static_cast<std::uint16_t>(request.model);
  record.door = request.door;
  const LoadedSlot* slot = holdings_.slot(request.model, routed.slot, routed.version);
  if (together.outputs != nullptr) input.known = together.outputs + row * slot->live->outputs();
  const Terms terms = terms_of(state, instrument, request, record, finite);
  Answer answer = answer_of(state, routed, slot, input, terms);
  const std::int64_t answer_ns = monotonic_ns();
  if (answer_ns > request.deadline_ns && answer.abstain == AbstainReason::kNone) {
    answer.action = 0;
    answer.abstain = AbstainReason::kDeadline;
  }
  describe(record, routed, answer);
  if (request.count > 1 && routed.assigned_by == AssignBy::kDecision && !routed.overridden) {
    // One draw for all rows: they are no draws of their own, whoever counts them.
    record.assigned_by = AssignBy::kRequestKey;
    record.request_key = record.decision_id - row;
  } else if (request.key) {
    record.request_key = *request.key;
  }
  record.receive_ns = clock_.wall_ns(receive_ns);
  record.answer_ns = clock_.wall_ns(answer_ns);
  record.late = slot != nullptr && answer_ns - receive_ns > slot->latency_budget_ns ? 1 : 0;
  if (request.version != kNoVersion) {
    push(RecordType::kDecision, record);  // nobody drew it: there is nothing to compare it with
  } else {
    send_shadows(state, record, input, terms, answer_ns, request.load);
  }
  if (instrument != nullptr) {
    follow_markouts(*instrument, state, record);
  } else {
    mark_never(record);
  }
  count(state, record);
  add(counters_.requests_late, record.abstain == AbstainReason::kDeadline ? 1 : 0);
  add(counters_.overloads, record.abstain == AbstainReason::kOverload ? 1 : 0);
  check_answer(state, record, routed, terms);
  inform_breaker(routed, slot, terms, record, receive_ns);
  answers_[row] = {record.decision_id, answer.output, answer.action, answer.abstain};
  reply.late = reply.late || record.late != 0;
  reply.outputs = slot != nullptr ? slot->live->outputs() : 0;
}

Engine::Input Engine::input_of(ModelState& state, const float* row, std::size_t floats, std::size_t width,
                               bool& finite) const noexcept {
  const auto sound = [](const float* first, std::size_t count) {
    return std::all_of(first, first + count, [](float value) { return std::isfinite(value); });
  };
  finite = sound(row, floats);
  const float* newest = row + floats - width;
  if (floats == width || state.window == nullptr || state.window->width() != width) {
    return {newest, width, nullptr, {}};
  }
  state.window->clear();
  for (const float* vector = row; vector < row + floats; vector += width) {
    state.window->push(vector, sound(vector, width));
  }
  return {newest, width, state.window, state.window->mark()};
}

Terms Engine::terms_of(ModelState& state, InstrumentState* instrument, const InferRequest& request,
                       const DecisionRecord& record, bool finite) noexcept {
  const auto unfit = [&] {
    if (request.load == Load::kNobody) return AbstainReason::kOverload;
    if (monotonic_ns() > request.deadline_ns) return AbstainReason::kDeadline;
    if (!finite) return AbstainReason::kBadFeature;
    if (instrument != nullptr) {
      const AbstainReason touch = unusable_touch(instrument->newest.flags);
      if (touch != AbstainReason::kNone) return touch;
      if (record.event_ns - instrument->newest.event_ns > instrument->facts.stale_after_ns) {
        return AbstainReason::kStale;
      }
    }
    return state.pace.take(record.event_ns, state.plan->decisions_per_second_max) ? AbstainReason::kNone
                                                                                  : AbstainReason::kRateLimit;
  };
  Terms terms;
  terms.unfit = unfit();
  if (terms.unfit == AbstainReason::kNone && instrument != nullptr) {
    terms.room = room_at(state, *instrument);
  }
  terms.trained_since_ns = trained_since_ns(*state.plan, record.event_ns);
  return terms;
}

std::int64_t Engine::feed_time_ns(std::int64_t monotonic) const noexcept {
  // One clock for what is fed and what is asked, whether the feed is live or a recording.
  return feed_at_ns_ == 0 ? clock_.wall_ns(monotonic)
                          : feed_event_ns_ + std::max<std::int64_t>(monotonic - feed_at_ns_, 0);
}

void Engine::mark_never(const DecisionRecord& decision) noexcept {
  if (!nowhere_named_) {
    nowhere_named_ = true;
    write_name(kInstrumentName, kNoInstrument, "none");
  }
  MarkoutRecord record{};
  record.decision_id = decision.decision_id;
  record.decision_event_ns = decision.event_ns;
  record.resolved_event_ns = decision.event_ns;
  record.instrument = decision.instrument;
  record.model = decision.model;
  record.status = MarkoutStatus::kNever;
  push(RecordType::kMarkout, record);
  add(counters_.markouts);
}

Engine::InstrumentState* Engine::fed_instrument(std::string_view symbol) noexcept {
  if (symbol.empty() || feed_at_ns_ == 0) {
    return nullptr;
  }
  const auto found = std::find_if(feed_.begin(), feed_.end(),
                                  [&](const InstrumentState* one) { return one->facts.symbol == symbol; });
  return found != feed_.end() && (*found)->newest.known ? *found : nullptr;
}

std::optional<std::size_t> Engine::model_named(std::string_view name) const noexcept {
  for (std::size_t i = 0; i < models_.size(); ++i) {
    if (route_of(i) != nullptr && models_[i].plan->name == name) {
      return i;
    }
  }
  return std::nullopt;
}

std::size_t Engine::width_of(std::size_t model) const noexcept {
  const Route& route = models_[model].route;
  const auto width = [&](std::uint8_t slot, std::uint32_t version) -> std::size_t {
    const LoadedSlot* held = version == kNoVersion ? nullptr : holdings_.slot(model, slot, version);
    return held != nullptr ? held->live->width() : 0;
  };
  std::size_t found = width(route.champion_slot, route.champion_version);
  if (found == 0) found = width(route.challenger_slot, route.challenger_version);
  for (std::size_t i = 0; i < kMaxShadows && found == 0; ++i) {
    found = width(route.shadow_slots[i], route.shadow_versions[i]);
  }
  return found;
}

void Engine::keep_window(ModelState& state, std::size_t model) {
  const std::size_t width = state.plan != nullptr && state.plan->window > 1 ? width_of(model) : 0;
  if (width == 0 || (state.window != nullptr && state.window->width() == width)) {
    return;
  }
  const auto known = std::find_if(state.windows.begin(), state.windows.end(),
                                  [&](const auto& one) { return one->width() == width; });
  if (known == state.windows.end()) {
    state.windows.push_back(std::make_unique<FeatureWindow>(width));
    state.window = state.windows.back().get();
    return;
  }
  state.window = known->get();
}

}  // namespace ringcraft
