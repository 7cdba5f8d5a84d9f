// What the engine takes up from outside between two events: feeds, plans, routes, the controller's heartbeat.
#include <algorithm>
#include <cstring>
#include <utility>

#include "serving/engine.hpp"

namespace ringcraft {
namespace {

/// Decisions of one instrument that may wait for their mark-outs at once.
constexpr std::size_t kPendingMarkouts = 65'536;

}  // namespace

void Engine::resume(const Resumption& resumption) {
  next_decision_id_ = resumption.next_decision_id;
  earned_before_ = resumption.earned;
  for (const auto& [model, off] : resumption.masked) {
    if (model < models_.size()) {
      models_[model].masked_off = off;
    }
  }
}

void Engine::begin_feed(const Introduction& introduction) {
  end_feed();
  feed_.clear();
  asked_ = introduction.asked;
  account_.reset();
  if (!introduction.account.empty()) {
    account_ = assignment_key(introduction.account);
  }
  for (const FedInstrument& facts : introduction.instruments) {
    InstrumentState& state = instrument_of(facts.symbol);
    state.facts = facts;
    state.key = assignment_key(facts.symbol);
    state.currency = currency_of(facts.currency);
    state.extra_tracker.reset();
    state.tracker = std::make_unique<MarkoutTracker>(facts.fee_bps, facts.stale_after_ns, kPendingMarkouts);
    state.features.clear();
    state.bindings.clear();
    bind(state);
    write_name(kInstrumentName, state.id, facts.symbol);
    feed_.push_back(&state);
  }
  link_leaders();
  for (ModelState& state : models_) {
    state.open_values.assign(currencies_.size(), 0.0);  // nothing is open between two feeds
  }
}

std::size_t Engine::currency_of(const std::string& currency) {
  const auto known = std::find(currencies_.begin(), currencies_.end(), currency);
  const auto place = static_cast<std::size_t>(known - currencies_.begin());
  if (known == currencies_.end()) {
    currencies_.push_back(currency);
  }
  return place;
}

Engine::InstrumentState& Engine::instrument_of(const std::string& symbol) {
  for (const auto& known : instruments_) {
    if (known->facts.symbol == symbol) {
      return *known;
    }
  }
  instruments_.push_back(std::make_unique<InstrumentState>());
  instruments_.back()->id = static_cast<std::uint32_t>(instruments_.size() - 1);
  return *instruments_.back();
}

void Engine::end_feed() noexcept {
  feed_at_ns_ = 0;
  for (const auto& instrument : instruments_) {
    instrument->newest.known = false;
    const auto sink = [&](const Markout& markout) { on_markout(markout); };
    instrument->tracker->finish(sink);
    if (instrument->extra_tracker != nullptr) {
      instrument->extra_tracker->finish(sink);
    }
  }
}

void Engine::adopt() {
  if (holdings_.generation() != plans_generation_) {
    adopt_plans();
  }
  if (routing_.stamp() != routes_stamp_) {
    adopt_routes();
  }
  adopt_heartbeat(monotonic_ns());
  for (std::size_t i = 0; i < models_.size(); ++i) {
    write_owed(models_[i]);
    keep_window(models_[i], i);
  }
}

void Engine::adopt_plans() {
  plans_generation_ = holdings_.generation();
  for (std::size_t i = 0; i < models_.size(); ++i) {
    ModelState& state = models_[i];
    state.plan = holdings_.plan(i);
    const std::int64_t horizon_ns = state.plan != nullptr ? state.plan->horizon_ns : 0;
    const bool other_horizon = std::exchange(state.horizon_ns, horizon_ns) != horizon_ns;
    if (state.plan != nullptr && state.named != state.plan->name) {
      state.named = state.plan->name;
      write_name(kModelName, static_cast<std::uint32_t>(i), state.named);
    }
    if (other_horizon && state.routed && heartbeat_known_) {
      write_epoch(state);  // the journal must say by when outcomes are due
    }
  }
  for (const auto& instrument : instruments_) {
    bind(*instrument);
  }
  link_leaders();
}

void Engine::link_leaders() {
  for (const auto& instrument : instruments_) {
    instrument->followers.clear();
  }
  for (const InstrumentState* own : feed_) {
    for (const FeatureFeed& feed : own->features) {
      for (InstrumentState* other : feed_) {
        if (feed.engine != nullptr && other->facts.symbol == feed.definition.leader) {
          other->followers.push_back(feed.engine.get());
        }
      }
    }
  }
}

void Engine::bind(InstrumentState& instrument) {
  std::vector<Binding> bindings;
  for (std::size_t i = 0; i < models_.size(); ++i) {
    const ModelPlan* plan = models_[i].plan;
    const auto serves = [&](const std::vector<std::string>& symbols) {
      return symbols.empty() ||
             std::find(symbols.begin(), symbols.end(), instrument.facts.symbol) != symbols.end();
    };
    if (plan == nullptr || !serves(plan->instruments)) {
      continue;
    }
    const auto known =
        std::find_if(instrument.features.begin(), instrument.features.end(),
                     [&](const FeatureFeed& feed) { return feed.definition == plan->features; });
    const auto place = static_cast<std::size_t>(known - instrument.features.begin());
    if (known == instrument.features.end()) {
      FeatureFeed feed;
      feed.definition = plan->features;
      feed.engine = FeatureEngine::make(plan->features, ZoneClock(instrument.facts.utc_offsets));
      instrument.features.push_back(std::move(feed));
    }
    if (plan->window > 1 || holdings_.holds_stream(i)) {
      keep_window(instrument, instrument.features[place]);
    }
    Binding binding{i, place};
    for (const Binding& old : instrument.bindings) {
      if (old.model == i) {
        binding.last_decision_ns = old.last_decision_ns;
        binding.decided = old.decided;
      }
    }
    bindings.push_back(binding);
    if (!plan->extra_horizons_ns.empty() && instrument.extra_tracker == nullptr) {
      // Of its own, so that a longer horizon cannot take the judged one's places.
      instrument.extra_tracker = std::make_unique<MarkoutTracker>(
          instrument.facts.fee_bps, instrument.facts.stale_after_ns, kPendingMarkouts);
    }
  }
  instrument.bindings = std::move(bindings);
}

void Engine::keep_window(InstrumentState& instrument, FeatureFeed& feed) {
  if (feed.window != nullptr || feed.engine == nullptr) {
    return;
  }
  const std::size_t width = feed.engine->width();
  const auto spare = [&](const std::unique_ptr<FeatureWindow>& window) {
    return window->width() == width &&
           std::none_of(instrument.features.begin(), instrument.features.end(),
                        [&](const FeatureFeed& other) { return other.window == window.get(); });
  };
  auto free = std::find_if(instrument.windows.begin(), instrument.windows.end(), spare);
  if (free == instrument.windows.end()) {
    instrument.windows.push_back(std::make_unique<FeatureWindow>(width));
    free = std::prev(instrument.windows.end());
  }
  feed.window = free->get();
  feed.window->clear();
  feed.session = feed.engine->sessions();
}

void Engine::adopt_routes() noexcept {
  const std::uint64_t stamp = routing_.stamp();
  RoutingSnapshot snapshot{};
  if (!routing_.try_read(snapshot)) {
    return;  // being overtaken by a live writer: what is in force stays, the next pass looks again
  }
  routes_stamp_ = stamp;
  routes_ = snapshot;
  counters_.epoch.store(snapshot.epoch, std::memory_order_relaxed);
  std::array<bool, kMaxModels> named{};
  for (std::size_t i = 0; i < snapshot.count; ++i) {
    const Route& route = snapshot.routes[i];
    if (route.model < kMaxModels) {
      named[route.model] = true;
      adopt_route(models_[route.model], route);
    }
  }
  for (std::size_t i = 0; i < kMaxModels; ++i) {
    models_[i].routed = named[i];
  }
}

void Engine::adopt_route(ModelState& state, const Route& route) noexcept {
  state.route = route;
  if (state.limits.rollout_id() != route.rollout_id) {
    const auto before = earned_before_.find({route.model, route.rollout_id});
    state.limits.begin(route.rollout_id, before == earned_before_.end() ? Earned{} : before->second);
  }
  state.limits.adopt(static_cast<Phase>(route.phase));
  state.masked = route.rollout_id != 0 && state.masked_off.rollout_id == route.rollout_id;
  state.drops_told = false;
  state.routed = true;
  if (heartbeat_known_) {
    write_epoch(state);
  }
}

void Engine::adopt_heartbeat(std::int64_t now_ns) noexcept {
  const bool lost = routing_.age_at(now_ns) > heartbeat_timeout_ns_;
  if (heartbeat_known_ && lost == heartbeat_lost_) {
    return;
  }
  heartbeat_known_ = true;
  heartbeat_lost_ = lost;
  counters_.heartbeat_lost.store(lost ? 1 : 0, std::memory_order_relaxed);
  for (const ModelState& state : models_) {
    if (state.routed) {
      write_epoch(state);
    }
  }
}

void Engine::write_name(std::uint32_t kind, std::uint32_t index, const std::string& name) noexcept {
  NameRecord record{};
  record.kind = kind;
  record.index = index;
  std::memcpy(record.name, name.data(), std::min(name.size(), sizeof record.name));
  push(RecordType::kName, record);
}

void Engine::write_epoch(const ModelState& state) noexcept {
  const Route& route = state.route;
  EpochRecord record{};
  record.epoch = routes_.epoch;
  record.wall_ns = clock_.wall_ns(monotonic_ns());
  record.salt = route.salt;
  record.next_decision_id = next_decision_id_;
  record.rollout_id = route.rollout_id;
  record.champion = route.champion_version;
  record.challenger = route.challenger_version;
  std::copy(route.shadow_versions.begin(), route.shadow_versions.end(), record.shadows);
  record.model = route.model;
  record.share_bps = route.share_bps;
  record.phase = static_cast<Phase>(route.phase);
  record.step = route.step;
  record.heartbeat_lost = heartbeat_lost_ ? 1 : 0;
  record.assign_by = route.assign_by;
  record.horizon_ns = state.horizon_ns;
  push(RecordType::kEpoch, record);
}

}  // namespace ringcraft
