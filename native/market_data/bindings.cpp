#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "market_data/batch.hpp"
#include "market_data/numpy_arrays.hpp"
#include "market_data/simulator.hpp"

namespace nb = nanobind;

namespace ringcraft {

void bind_dbn(nb::module_& module);
void bind_feeds(nb::module_& module);
void bind_level_feeds(nb::module_& module);
void bind_tapes(nb::module_& module);
void bind_receiving(nb::module_& module);

namespace {

std::span<const std::uint8_t> events_view(const Bytes& bytes) {
  if (bytes.size() % sizeof(MarketEvent) != 0)
    throw nb::value_error("events: expected whole 80-byte market events");
  return view(bytes);
}

using Levels = nb::ndarray<const std::int64_t, nb::shape<-1, 4, kDepthLevels>, nb::c_contig, nb::device::cpu>;
/// From when on, UTC ns, and seconds ahead of UTC.
using Offsets = std::vector<std::pair<std::int64_t, std::int32_t>>;

std::unique_ptr<FeatureEngine> make_engine(const std::string& set_name,
                                           const std::vector<double>& microprice_ticks,
                                           const std::string& leader, const Offsets& utc_offsets) {
  std::vector<OffsetChange> changes;
  for (const auto& [from_ns, offset_s] : utc_offsets) changes.push_back({from_ns, offset_s});
  auto engine = FeatureEngine::make({set_name, microprice_ticks, leader}, ZoneClock(std::move(changes)));
  if (engine == nullptr) {
    throw nb::value_error(("no feature set " + set_name + " that takes what was given").c_str());
  }
  return engine;
}

const BookDepth* depths_of(const std::optional<Levels>& depth, std::size_t events) {
  if (!depth) return nullptr;
  if (depth->shape(0) != events) throw nb::value_error("depth: expected as many as events");
  return reinterpret_cast<const BookDepth*>(depth->data());
}

nb::tuple engine_update(FeatureEngine& engine, const Bytes& event, const std::optional<Levels>& depth) {
  if (event.size() != sizeof(MarketEvent)) throw nb::value_error("event: expected 80 bytes");
  auto vector = std::make_unique<float[]>(engine.width());
  const bool warm = engine.update(event_at(view(event), 0), depths_of(depth, 1), vector.get());
  return nb::make_tuple(to_numpy(std::move(vector), {engine.width()}), warm);
}

void engine_lead(FeatureEngine& engine, const Bytes& event) {
  if (event.size() != sizeof(MarketEvent)) throw nb::value_error("event: expected 80 bytes");
  engine.lead(event_at(view(event), 0));
}

nb::tuple compute_features(FeatureEngine& engine, const Bytes& events, const std::optional<Levels>& depth,
                           const std::optional<Bytes>& leader) {
  const auto bytes = events_view(events);
  const auto led = leader ? events_view(*leader) : std::span<const std::uint8_t>();
  const std::size_t count = bytes.size() / sizeof(MarketEvent);
  const BookDepth* depths = depths_of(depth, count);
  auto matrix = std::make_unique<float[]>(count * engine.width());
  auto ready = std::make_unique<bool[]>(count);
  {
    nb::gil_scoped_release released;
    batch_features(engine, bytes, depths, led, matrix.get(), ready.get());
  }
  return nb::make_tuple(to_numpy(std::move(matrix), {count, engine.width()}),
                        to_numpy(std::move(ready), {count}));
}

nb::tuple compute_markouts(const Bytes& events, double fee_bps, std::int64_t stale_after_ns,
                           std::int64_t entry_latency_ns, std::int64_t horizon_ns) {
  const auto bytes = events_view(events);
  const std::size_t count = bytes.size() / sizeof(MarketEvent);
  auto values = std::make_unique<double[]>(count * 3);
  auto status = std::make_unique<std::uint8_t[]>(count);
  {
    nb::gil_scoped_release released;
    const auto outcomes = batch_markouts(bytes, fee_bps, stale_after_ns, entry_latency_ns, horizon_ns);
    for (std::size_t i = 0; i < count; ++i) {
      values[3 * i] = outcomes[i].buy_pnl_bps;
      values[3 * i + 1] = outcomes[i].sell_pnl_bps;
      values[3 * i + 2] = outcomes[i].mid_move_bps;
      status[i] = static_cast<std::uint8_t>(outcomes[i].status);
    }
  }
  return nb::make_tuple(to_numpy(std::move(values), {count, std::size_t{3}}),
                        to_numpy(std::move(status), {count}));
}

nb::dict describe_feature_sets() {
  nb::dict sets;
  for (const FeatureSetSpec& spec : feature_set_specs()) {
    nb::list names;
    for (const auto name : spec.features) names.append(nb::str(name.data(), name.size()));
    nb::list half_lives;
    for (const double half_life : spec.half_lives_s) half_lives.append(half_life);
    nb::dict about;
    about["features"] = names;
    about["half_lives_s"] = half_lives;
    about["needs_sizes"] = spec.needs.sizes;
    about["needs_depth"] = spec.needs.depth;
    about["needs_leader"] = spec.needs.leader;
    about["session_gap_s"] = spec.session_gap_s;
    about["warm_up_events"] = spec.warm_up_events;
    sets[nb::str(spec.name.data(), spec.name.size())] = about;
  }
  return sets;
}

nb::tuple run_simulator(std::uint64_t seed, double seconds, std::uint64_t touch_changes,
                        const SimulatorParameters& parameters) {
  SimulatorResult result;
  {
    nb::gil_scoped_release released;
    result = simulate_itch50(seed, seconds, touch_changes, parameters);
  }
  return nb::make_tuple(nb::bytes(result.itch.data(), result.itch.size()), copy_to_numpy(result.signal),
                        copy_to_numpy(result.mid_ticks), result.touch_changes, result.seconds);
}

nb::tuple simulate_from_python(std::uint64_t seed, double seconds, std::uint64_t touch_changes,
                               double relaxation_s, double market_rate, double market_tilt, double limit_rate,
                               double limit_decay, double limit_tilt, double cancel_rate, double cancel_tilt,
                               std::int64_t start_ticks) {
  return run_simulator(seed, seconds, touch_changes,
                       {relaxation_s, market_rate, market_tilt, limit_rate, limit_decay, limit_tilt,
                        cancel_rate, cancel_tilt, start_ticks});
}

}  // namespace

void bind_market_data(nb::module_& module) {
  nb::class_<FeatureEngine>(module, "FeatureEngine")
      .def(nb::new_(&make_engine), nb::arg("set_name"), nb::kw_only(),
           nb::arg("microprice_ticks") = std::vector<double>(), nb::arg("leader") = "",
           nb::arg("utc_offsets") = Offsets())
      .def_prop_ro("width", &FeatureEngine::width)
      .def("update", &engine_update, nb::arg("event"), nb::arg("depth") = nb::none())
      .def("lead", &engine_lead, nb::arg("event"))
      .def("reset", &FeatureEngine::reset);
  module.def("compute_features", &compute_features, nb::arg("engine"), nb::arg("events"), nb::kw_only(),
             nb::arg("depth") = nb::none(), nb::arg("leader") = nb::none());
  module.def("compute_markouts", &compute_markouts, nb::arg("events"), nb::kw_only(), nb::arg("fee_bps"),
             nb::arg("stale_after_ns"), nb::arg("entry_latency_ns"), nb::arg("horizon_ns"));
  module.def("simulate_itch50", &simulate_from_python, nb::kw_only(), nb::arg("seed"), nb::arg("seconds"),
             nb::arg("touch_changes"), nb::arg("relaxation_s"), nb::arg("market_rate"),
             nb::arg("market_tilt"), nb::arg("limit_rate"), nb::arg("limit_decay"), nb::arg("limit_tilt"),
             nb::arg("cancel_rate"), nb::arg("cancel_tilt"), nb::arg("start_ticks"));
  module.attr("FEATURE_SETS") = describe_feature_sets();
  module.attr("MICROPRICE_SHAPE") = nb::make_tuple(kMicropriceSpreads, kMicropriceBins);
  bind_feeds(module);
  bind_level_feeds(module);
  bind_tapes(module);
  bind_dbn(module);
  bind_receiving(module);
}

}  // namespace ringcraft
