#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/array.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <tuple>

#include "serving/crc32c.hpp"
#include "serving/worker.hpp"

namespace nb = nanobind;

namespace ringcraft {
namespace {

using Bytes = nb::ndarray<const std::uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Records = nb::ndarray<const std::uint8_t, nb::shape<-1, 128>, nb::c_contig, nb::device::cpu>;
/// symbol, fee_bps, stale_after_ns, currency, lot_tick_value, when clocks change: from_ns, offset_s
using Introduced = std::vector<std::tuple<std::string, double, std::int64_t, std::string, double,
                                          std::vector<std::pair<std::int64_t, std::int32_t>>>>;
using Keys = nb::ndarray<const std::uint64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

std::vector<FedInstrument> fed(const Introduced& introduced) {
  std::vector<FedInstrument> instruments;
  for (const auto& [symbol, fee_bps, stale_after_ns, currency, lot_tick_value, offsets] : introduced) {
    instruments.push_back({symbol, fee_bps, stale_after_ns, currency, lot_tick_value, {}});
    for (const auto& [from_ns, offset_s] : offsets) {
      instruments.back().utc_offsets.push_back({from_ns, offset_s});
    }
  }
  return instruments;
}

template <class T>
nb::ndarray<nb::numpy, T, nb::ndim<1>> to_numpy(std::vector<T> values) {
  auto* kept = new std::vector<T>(std::move(values));
  nb::capsule owner(kept, [](void* pointer) noexcept { delete static_cast<std::vector<T>*>(pointer); });
  return nb::ndarray<nb::numpy, T, nb::ndim<1>>(kept->data(), {kept->size()}, owner);
}

/// For each key whether it falls to the challenger.
nb::ndarray<nb::numpy, bool, nb::ndim<1>> drawn(const Keys& keys, std::uint64_t salt,
                                                std::uint16_t share_bps) {
  const std::size_t count = keys.shape(0);
  auto* kept = new bool[count];
  nb::capsule owner(kept, [](void* pointer) noexcept { delete[] static_cast<bool*>(pointer); });
  std::transform(keys.data(), keys.data() + count, kept,
                 [&](std::uint64_t key) { return falls_to_challenger(key, salt, share_bps); });
  return nb::ndarray<nb::numpy, bool, nb::ndim<1>>(kept, {count}, owner);
}

/// First row that is not whole and in order, or the number of rows.
std::size_t sound_records(const Records& records, std::uint64_t first_index) {
  const auto* rows = reinterpret_cast<const RecordBytes*>(records.data());
  std::size_t row = 0;
  while (row < records.shape(0) && sealed_as(rows[row], first_index + row)) {
    ++row;
  }
  return row;
}

/// name, secret, whether it may read, whether it may ask for decisions, requests a second
using RestKeys = std::vector<std::tuple<std::string, std::string, bool, bool, double>>;

/// requests in flight at the REST door, and of models by name; 0: any number
using ConcurrencyTold = std::pair<std::size_t, std::vector<std::pair<std::string, std::size_t>>>;

Concurrency concurrency_of(const ConcurrencyTold& told) {
  return {told.first > 0 ? told.first : kAnyNumber, told.second};
}

std::optional<RestConfig> rest_of(const std::string& host, int port, bool allow_arm_override,
                                  const RestKeys& keys, double instrument_requests_per_second,
                                  const std::array<std::int64_t, 3>& shed_after_ns,
                                  const ConcurrencyTold& concurrency) {
  if (port < 0) return std::nullopt;
  RestConfig config;
  config.host = host;
  config.port = static_cast<std::uint16_t>(port);
  config.allow_arm_override = allow_arm_override;
  for (const auto& [name, secret, read, infer, per_second] : keys) {
    config.keys.push_back({name, secret, read, infer, per_second});
  }
  config.instrument_requests_per_second = instrument_requests_per_second;
  config.shed_after_ns = shed_after_ns;
  config.concurrency = concurrency_of(concurrency);
  return config;
}

/// failed and late of 64, same outputs in a row, probes, ns that one stays open, whether anybody stands in
using BreakersTold =
    std::optional<std::tuple<std::uint32_t, std::uint32_t, std::uint64_t, std::uint32_t, std::int64_t, bool>>;

BreakerLimits breakers_of(const BreakersTold& told) {
  if (!told) return {};
  const auto [failed, late, same, probes, open_ns, stand_in] = *told;
  return {failed, late, same, probes, open_ns, stand_in};
}

void bind_routing(nb::module_& module) {
  nb::class_<Route>(module, "Route")
      .def(
          "__init__",
          [](Route* self, std::uint16_t model, std::uint32_t rollout_id, std::uint8_t champion_slot,
             std::uint32_t champion_version, std::uint8_t challenger_slot, std::uint32_t challenger_version,
             std::uint16_t share_bps, std::uint64_t salt, std::uint8_t phase, std::uint8_t step,
             const std::array<std::uint8_t, kMaxShadows>& shadow_slots,
             const std::array<std::uint32_t, kMaxShadows>& shadow_versions, std::uint8_t assign_by) {
            if (share_bps > kShareParts) {
              throw nb::value_error("share_bps: expected 0..10000");
            }
            if (assign_by > static_cast<std::uint8_t>(AssignBy::kRequestKey)) {
              throw nb::value_error("assign_by: expected 0..3");
            }
            *new (self) Route() = Route{model,
                                        share_bps,
                                        champion_slot,
                                        challenger_slot,
                                        phase,
                                        step,
                                        rollout_id,
                                        champion_version,
                                        challenger_version,
                                        shadow_slots,
                                        salt,
                                        shadow_versions,
                                        static_cast<AssignBy>(assign_by)};
          },
          nb::kw_only(), nb::arg("model"), nb::arg("rollout_id") = 0, nb::arg("champion_slot") = kNoSlot,
          nb::arg("champion_version") = 0, nb::arg("challenger_slot") = kNoSlot,
          nb::arg("challenger_version") = 0, nb::arg("share_bps") = 0, nb::arg("salt") = 0,
          nb::arg("phase") = 0, nb::arg("step") = 0, nb::arg("shadow_slots") = Route().shadow_slots,
          nb::arg("shadow_versions") = Route().shadow_versions, nb::arg("assign_by") = 0)
      .def_ro("model", &Route::model)
      .def_ro("rollout_id", &Route::rollout_id)
      .def_ro("champion_slot", &Route::champion_slot)
      .def_ro("champion_version", &Route::champion_version)
      .def_ro("challenger_slot", &Route::challenger_slot)
      .def_ro("challenger_version", &Route::challenger_version)
      .def_ro("share_bps", &Route::share_bps)
      .def_ro("salt", &Route::salt)
      .def_ro("phase", &Route::phase)
      .def_ro("step", &Route::step)
      .def_ro("shadow_slots", &Route::shadow_slots)
      .def_ro("shadow_versions", &Route::shadow_versions)
      .def_prop_ro("assign_by", [](const Route& self) { return static_cast<std::uint8_t>(self.assign_by); });
  nb::class_<RoutingTable>(module, "RoutingTable")
      .def_static("create", &RoutingTable::create, nb::arg("path"))
      .def_static("open", &RoutingTable::open, nb::arg("path"))
      .def("publish", &RoutingTable::publish, nb::arg("routes"), nb::arg("after") = 0)
      .def("read",
           [](const RoutingTable& table) {
             const RoutingSnapshot snapshot = table.read();
             const auto* first = snapshot.routes.data();
             return std::make_pair(snapshot.epoch, std::vector<Route>(first, first + snapshot.count));
           })
      .def("beat", &RoutingTable::beat)
      .def("heartbeat_age_ns", &RoutingTable::heartbeat_age_ns);
}

void bind_worker(nb::module_& module) {
  nb::class_<Worker>(module, "Worker")
      .def(
          "__init__",
          [](Worker* self, const std::string& journal_folder, const std::string& rings_path,
             const std::string& routing_path, const std::string& host, std::uint16_t port,
             std::uint8_t worker, int core, std::int64_t heartbeat_timeout_ns, std::size_t ring_records,
             std::size_t shadow_queue, std::size_t records_per_segment, int shadow_core,
             std::int64_t shadow_deadline_ns, bool lock_memory, const std::string& decisions_path,
             bool busy_poll, const std::string& door_path, int rest_port, bool allow_arm_override,
             const RestKeys& rest_keys, double instrument_requests_per_second,
             const std::array<std::int64_t, 3>& shed_after_ns, const BreakersTold& breakers,
             const ConcurrencyTold& concurrency) {
            const WorkerConfig config{journal_folder,
                                      rings_path,
                                      routing_path,
                                      host,
                                      port,
                                      worker,
                                      core,
                                      shadow_core,
                                      shadow_deadline_ns,
                                      heartbeat_timeout_ns,
                                      ring_records,
                                      shadow_queue,
                                      records_per_segment,
                                      lock_memory,
                                      decisions_path,
                                      busy_poll,
                                      door_path,
                                      rest_of(host, rest_port, allow_arm_override, rest_keys,
                                              instrument_requests_per_second, shed_after_ns, concurrency),
                                      breakers_of(breakers)};
            const nb::gil_scoped_release unlocked;
            new (self) Worker(config);
          },
          nb::kw_only(), nb::arg("journal_folder"), nb::arg("rings_path"), nb::arg("routing_path"),
          nb::arg("host") = "127.0.0.1", nb::arg("port") = 0, nb::arg("worker") = 0, nb::arg("core") = -1,
          nb::arg("heartbeat_timeout_ns") = 2'000'000'000, nb::arg("ring_records") = 65'536,
          nb::arg("shadow_queue") = 16'384, nb::arg("records_per_segment") = kSegmentRecords,
          nb::arg("shadow_core") = -1, nb::arg("shadow_deadline_ns") = 2'000'000'000,
          nb::arg("lock_memory") = false, nb::arg("decisions_path") = "", nb::arg("busy_poll") = false,
          nb::arg("door_path") = "", nb::arg("rest_port") = -1, nb::arg("allow_arm_override") = false,
          nb::arg("rest_keys") = RestKeys(), nb::arg("instrument_requests_per_second") = kNoLimit,
          nb::arg("shed_after_ns") = RestConfig().shed_after_ns, nb::arg("breakers") = BreakersTold(),
          nb::arg("concurrency") = ConcurrencyTold())
      .def_prop_ro("feed_port", &Worker::port)
      .def_prop_ro("rest_port", &Worker::rest_port)
      .def_prop_ro("recovered", &Worker::recovered)
      .def("counters", &Worker::counters)
      .def(
          "breakers",
          [](const Worker& self) {
            std::vector<std::tuple<std::size_t, std::size_t, std::uint32_t, std::uint8_t, std::uint8_t>> told;
            for (std::size_t model = 0; model < kMaxModels; ++model) {
              for (std::size_t slot = 0; slot < kMaxSlots; ++slot) {
                const BreakerBoard::Standing one = self.breakers().standing(model, slot);
                if (one.version != kNoVersion) {
                  told.emplace_back(model, slot, one.version, static_cast<std::uint8_t>(one.state),
                                    static_cast<std::uint8_t>(one.cause));
                }
              }
            }
            return told;
          })
      .def("start", &Worker::start)
      .def("stop", &Worker::stop, nb::call_guard<nb::gil_scoped_release>())
      .def(
          "set_model",
          [](Worker& self, std::uint16_t index, const std::string& name, const std::string& feature_set,
             const std::vector<std::string>& instruments, std::int64_t horizon_ns,
             std::int64_t entry_latency_ns, std::int64_t min_interval_ns, std::uint32_t late_or_failed_of_64,
             double output_abs_max, double loss_budget_bps, double drawdown_budget_bps,
             std::int64_t position_lots_max, double notional_max, double decisions_per_second_max,
             std::int64_t model_age_max_ns, const std::vector<std::int64_t>& extra_horizons_ns,
             const std::vector<double>& microprice_ticks, const std::string& leader, std::size_t window) {
            if (window < 1 || window > kMaxWindow) {
              throw nb::value_error("window: expected 1..128");
            }
            if (extra_horizons_ns.size() > kExtraHorizons) {
              throw nb::value_error("extra_horizons_ns: expected at most 3");
            }
            self.holdings().plan(
                index, std::make_unique<const ModelPlan>(ModelPlan{index,
                                                                   name,
                                                                   {feature_set, microprice_ticks, leader},
                                                                   instruments,
                                                                   horizon_ns,
                                                                   entry_latency_ns,
                                                                   min_interval_ns,
                                                                   late_or_failed_of_64,
                                                                   output_abs_max,
                                                                   loss_budget_bps,
                                                                   drawdown_budget_bps,
                                                                   position_lots_max,
                                                                   notional_max,
                                                                   decisions_per_second_max,
                                                                   model_age_max_ns,
                                                                   extra_horizons_ns,
                                                                   window}));
          },
          nb::kw_only(), nb::arg("index"), nb::arg("name"), nb::arg("feature_set"), nb::arg("instruments"),
          nb::arg("horizon_ns"), nb::arg("entry_latency_ns"), nb::arg("min_interval_ns"),
          nb::arg("late_or_failed_of_64"), nb::arg("output_abs_max"), nb::arg("loss_budget_bps"),
          nb::arg("drawdown_budget_bps") = kNoLimit,
          nb::arg("position_lots_max") = ModelPlan().position_lots_max, nb::arg("notional_max") = kNoLimit,
          nb::arg("decisions_per_second_max") = kNoLimit, nb::arg("model_age_max_ns") = kNoAgeLimit,
          nb::arg("extra_horizons_ns") = std::vector<std::int64_t>(),
          nb::arg("microprice_ticks") = std::vector<double>(), nb::arg("leader") = "", nb::arg("window") = 1)
      .def("clear_model", [](Worker& self, std::size_t index) { self.holdings().plan(index, nullptr); })
      .def(
          "set_slot",
          [](Worker& self, std::size_t model, std::size_t slot, std::uint32_t version, bool expected_bps,
             double threshold, std::int64_t latency_budget_ns, std::shared_ptr<Model> live,
             std::shared_ptr<Model> shadow, std::int64_t trained_until_ns, const std::vector<double>& low,
             const std::vector<double>& high) {
            const RuleKind rule = expected_bps ? RuleKind::kExpectedBps : RuleKind::kUpMinusDown;
            const std::size_t outputs = expected_bps ? 1 : 3;
            if (!live || !shadow || live == shadow || live->outputs() != outputs ||
                shadow->outputs() != outputs) {
              throw nb::value_error("set_slot: expected two models of the outputs that the rule reads");
            }
            const bool limited = !low.empty() || !high.empty();
            if (limited && (low.size() != live->width() || high.size() != live->width())) {
              throw nb::value_error("low, high: expected one of each for every feature, or none");
            }
            auto loaded = std::make_unique<LoadedSlot>(LoadedSlot{
                version, rule, threshold, latency_budget_ns, std::max<std::int64_t>(trained_until_ns, 0),
                std::move(live), std::move(shadow), FeatureLimits(low, high)});
            follow_streams(*loaded);
            self.holdings().put(model, slot, std::move(loaded));
          },
          nb::kw_only(), nb::arg("model"), nb::arg("slot"), nb::arg("version"), nb::arg("expected_bps"),
          nb::arg("threshold"), nb::arg("latency_budget_ns"), nb::arg("live"), nb::arg("shadow"),
          nb::arg("trained_until_ns") = 0, nb::arg("low") = std::vector<double>(),
          nb::arg("high") = std::vector<double>())
      .def("clear_slot", [](Worker& self, std::size_t model,
                            std::size_t slot) { self.holdings().put(model, slot, nullptr); })
      .def("reclaim", [](Worker& self) { return self.holdings().reclaim(); })
      .def(
          "wait_hello",
          [](Worker& self, double timeout_s) -> std::optional<nb::bytes> {
            std::optional<std::string> payload;
            {
              const nb::gil_scoped_release unlocked;
              payload = self.desk().wait(timeout_s);
            }
            return payload ? std::optional(nb::bytes(payload->data(), payload->size())) : std::nullopt;
          },
          nb::arg("timeout_s"))
      .def(
          "accept_hello",
          [](Worker& self, const Introduced& instruments, const std::string& account, std::uint8_t arm,
             bool depth) {
            self.desk().answer({{fed(instruments), account, static_cast<Arm>(arm), depth}, ""});
          },
          nb::arg("instruments"), nb::arg("account") = "",
          nb::arg("arm") = static_cast<std::uint8_t>(Arm::kNone), nb::arg("depth") = false)
      .def(
          "refuse_hello", [](Worker& self, const std::string& error) { self.desk().answer({{}, error}); },
          nb::arg("error"))
      .def(
          "replay",
          [](Worker& self, const Introduced& instruments, const Bytes& events) {
            if (events.shape(0) % sizeof(MarketEvent) != 0) {
              throw nb::value_error("events: expected a multiple of 80 bytes");
            }
            const auto* first = reinterpret_cast<const MarketEvent*>(events.data());
            std::vector<std::int64_t> spent;
            {
              const nb::gil_scoped_release unlocked;
              spent = self.replay({fed(instruments), "", Arm::kNone, false},
                                  {first, events.shape(0) / sizeof(MarketEvent)});
            }
            return to_numpy(std::move(spent));
          },
          nb::arg("instruments"), nb::arg("events"));
}

}  // namespace

void bind_serving(nb::module_& module) {
  bind_routing(module);
  bind_worker(module);
  module.def("drain_ring", &drain_rings, nb::arg("ring_path"), nb::arg("journal_dir"),
             nb::call_guard<nb::gil_scoped_release>());
  module.def("sound_records", &sound_records, nb::arg("records"), nb::arg("first_index"));
  module.def("assignment_key", [](const std::string& text) { return assignment_key(text); }, nb::arg("text"));
  module.def("falls_to_challenger", &drawn, nb::arg("keys"), nb::arg("salt"), nb::arg("share_bps"));
  module.def(
      "crc32c", [](const nb::bytes& data) { return crc32c(data.c_str(), data.size()); }, nb::arg("data"));
}

}  // namespace ringcraft
