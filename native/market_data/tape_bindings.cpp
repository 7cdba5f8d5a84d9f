#include <nanobind/nanobind.h>
#include <nanobind/stl/array.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <array>
#include <cmath>
#include <string>
#include <tuple>
#include <vector>

#include "market_data/hawkes.hpp"
#include "market_data/numpy_arrays.hpp"
#include "market_data/tape.hpp"

namespace nb = nanobind;

namespace ringcraft {
namespace {

using Matrix = HawkesMatrix<kFlowKinds>;
/// kind, start_ns, end_ns, lines, share, amount, ppm, answered
using Fault =
    std::tuple<std::uint8_t, std::uint64_t, std::uint64_t, std::uint8_t, double, double, double, bool>;
using Window = std::array<double, 12>;  ///< FlowWindow's fields in order

FlowParameters flow_of(const nb::dict& from, const Matrix& branching) {
  FlowParameters flow;
  const auto set = [&from](double& into, const char* name) { into = nb::cast<double>(from[name]); };
  set(flow.market_rate, "market_rate"), set(flow.limit_rate, "limit_rate"),
      set(flow.limit_decay, "limit_decay");
  set(flow.cancel_rate, "cancel_rate"), set(flow.informed_share, "informed_share");
  set(flow.relaxation_s, "relaxation_s"), set(flow.edge_ticks_per_s, "edge_ticks_per_s");
  set(flow.lead_ticks, "lead_ticks"), set(flow.volatility_ticks, "volatility_ticks");
  set(flow.activity, "activity"), set(flow.decay_per_s, "decay_per_s");
  flow.start_ticks = nb::cast<std::int32_t>(from["start_ticks"]);
  flow.branching = branching;
  flow.branching_ratio = spectral_radius(branching);
  if (!(flow.branching_ratio < 1.0)) throw nb::value_error("branching: expected a ratio below 1");
  return flow;
}

FlowSchedule schedule_of(const std::vector<Window>& windows, const std::vector<std::array<double, 3>>& halts,
                         const std::vector<std::array<double, 4>>& overlaps,
                         const std::vector<double>& notices_s) {
  FlowSchedule schedule;
  for (const Window& w : windows) {
    schedule.windows.push_back({w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7], w[8], w[9], w[10], w[11]});
  }
  for (const auto& h : halts) schedule.halts.push_back({h[0], h[1], h[2]});
  for (const auto& o : overlaps) {
    schedule.overlaps.push_back(
        {o[0], o[1], static_cast<std::int32_t>(o[2]), static_cast<std::uint32_t>(o[3])});
  }
  schedule.notices_s = notices_s;
  return schedule;
}

nb::dict describe(const PacketWriter& packets) {
  nb::dict about;
  const PacketSummary& summary = packets.summary();
  about["packets"] = summary.packets;
  about["overtaken"] = summary.overtaken;
  about["heartbeats"] = summary.heartbeats;
  about["recorded_messages"] = summary.recorded_messages;
  about["lost_messages"] = summary.lost_messages;
  nb::list lost;
  for (const LostRange& each : packets.lost()) lost.append(nb::make_tuple(each.first, each.count));
  about["lost"] = lost;
  nb::list reports;
  for (const FaultReport& each : packets.reports()) {
    reports.append(nb::make_tuple(each.packets, each.messages, each.first_message, each.last_message));
  }
  about["faults"] = reports;
  return about;
}

/// The tape and what Python may ask it for.
class PyTape {
 public:
  PyTape(std::uint64_t seed, std::uint16_t stocks, std::uint64_t start_ns, double seconds,
         std::uint64_t most_messages, bool keep_touches, const nb::dict& flow, const Matrix& branching,
         const std::vector<Window>& windows, const std::vector<std::array<double, 3>>& halts,
         const std::vector<std::array<double, 4>>& overlaps, const std::vector<double>& notices_s,
         const std::vector<double>& marks_s, bool packets, std::int64_t midnight_ns,
         const std::vector<Fault>& faults)
      : tape_(options(seed, stocks, start_ns, seconds, most_messages, keep_touches, flow_of(flow, branching),
                      schedule_of(windows, halts, overlaps, notices_s), marks_s, packets, midnight_ns,
                      faults)) {}

  nb::bytes next(std::size_t about_bytes) {
    std::vector<std::uint8_t> bytes;
    {
      nb::gil_scoped_release released;
      bytes = tape_.next(about_bytes);
    }
    return nb::bytes(bytes.data(), bytes.size());
  }
  [[nodiscard]] std::uint64_t messages() const { return tape_.messages(); }
  [[nodiscard]] double seconds() const { return tape_.seconds(); }
  [[nodiscard]] std::vector<std::uint64_t> marks() const { return tape_.marks(); }
  /// Each second's signal, efficient price and mid, three numbers a row.
  [[nodiscard]] nb::object samples(std::size_t stock) const {
    return copy_to_numpy<TapeSample, double>(tape_.samples(stock));
  }
  [[nodiscard]] nb::object touches() const { return copy_to_numpy<TapeTouch, std::int64_t>(tape_.touches()); }
  [[nodiscard]] nb::tuple arrivals(std::size_t stock) const {
    return nb::make_tuple(tape_.flow(stock).arrivals(), tape_.flow(stock).excited());
  }
  [[nodiscard]] nb::dict by_type() const {
    nb::dict counts;
    for (std::size_t type = 0; type < tape_.by_type().size(); ++type) {
      const char letter = static_cast<char>(type);
      if (tape_.by_type()[type] != 0) counts[nb::str(&letter, 1)] = tape_.by_type()[type];
    }
    return counts;
  }
  [[nodiscard]] nb::object packets() const {
    if (tape_.packets() == nullptr) return nb::none();
    return describe(*tape_.packets());
  }
  [[nodiscard]] nb::bytes answers() const {
    if (tape_.packets() == nullptr) return nb::bytes("", 0);
    const auto& bytes = tape_.packets()->answers;
    return nb::bytes(bytes.data(), bytes.size());
  }

 private:
  static TapeOptions options(std::uint64_t seed, std::uint16_t stocks, std::uint64_t start_ns, double seconds,
                             std::uint64_t most_messages, bool keep_touches, const FlowParameters& flow,
                             FlowSchedule schedule, const std::vector<double>& marks_s, bool packets,
                             std::int64_t midnight_ns, const std::vector<Fault>& faults) {
    if (stocks == 0) throw nb::value_error("stocks: expected 1 or more");
    TapeOptions made;
    made.seed = seed, made.stocks = stocks, made.start_ns = start_ns, made.seconds = seconds;
    made.most_messages = most_messages, made.keep_touches = keep_touches, made.packets = packets;
    made.packet.midnight_ns = midnight_ns;
    made.flow = flow, made.schedule = std::move(schedule), made.marks_s = marks_s;
    for (const auto& [kind, start, end, lines, share, amount, ppm, answered] : faults) {
      made.faults.push_back({static_cast<FaultKind>(kind), start, end, lines, share, amount, ppm, answered});
    }
    return made;
  }

  Tape tape_;
};

/// Two columns: time in s, kind. For tests of the process alone.
nb::object hawkes_events(const std::array<double, kFlowKinds>& baseline, const Matrix& branching,
                         double decay, double seconds, std::uint64_t seed) {
  if (!(spectral_radius(branching) < 1.0)) throw nb::value_error("branching: expected a ratio below 1");
  Random random(seed);
  Hawkes<kFlowKinds> hawkes(decay, branching);
  double total = 0;
  for (const double each : baseline) total += each;
  std::vector<std::array<double, 2>> events;
  double time_s = 0;
  while (true) {
    const auto arrival = hawkes.draw(total, random);
    time_s += arrival.after_s;
    if (!(time_s <= seconds)) break;
    hawkes.pass(arrival.after_s);
    const std::size_t kind = hawkes.kind(arrival, baseline, total, random);
    hawkes.excite(kind);
    events.push_back({time_s, static_cast<double>(kind)});
  }
  return copy_to_numpy<std::array<double, 2>, double>(events);
}

}  // namespace

void bind_tapes(nb::module_& module) {
  module.def("hawkes_events", &hawkes_events, nb::kw_only(), nb::arg("baseline"), nb::arg("branching"),
             nb::arg("decay_per_s"), nb::arg("seconds"), nb::arg("seed"));
  module.def(
      "branching_ratio", [](const Matrix& branching) { return spectral_radius(branching); },
      nb::arg("branching"));
  nb::class_<PyTape>(module, "Tape")
      .def(nb::init<std::uint64_t, std::uint16_t, std::uint64_t, double, std::uint64_t, bool, const nb::dict&,
                    const Matrix&, const std::vector<Window>&, const std::vector<std::array<double, 3>>&,
                    const std::vector<std::array<double, 4>>&, const std::vector<double>&,
                    const std::vector<double>&, bool, std::int64_t, const std::vector<Fault>&>(),
           nb::kw_only(), nb::arg("seed"), nb::arg("stocks"), nb::arg("start_ns"), nb::arg("seconds"),
           nb::arg("most_messages"), nb::arg("keep_touches"), nb::arg("flow"), nb::arg("branching"),
           nb::arg("windows"), nb::arg("halts"), nb::arg("overlaps"), nb::arg("notices_s"),
           nb::arg("marks_s"), nb::arg("packets"), nb::arg("midnight_ns"), nb::arg("faults"))
      .def("next", &PyTape::next, nb::arg("about_bytes"))
      .def("samples", &PyTape::samples, nb::arg("stock"))
      .def("arrivals", &PyTape::arrivals, nb::arg("stock"))
      .def("touches", &PyTape::touches)
      .def("packets", &PyTape::packets)
      .def("answers", &PyTape::answers)
      .def_prop_ro("messages", &PyTape::messages)
      .def_prop_ro("seconds", &PyTape::seconds)
      .def_prop_ro("marks", &PyTape::marks)
      .def_prop_ro("by_type", &PyTape::by_type);
}

}  // namespace ringcraft
