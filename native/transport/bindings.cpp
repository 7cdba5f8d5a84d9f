#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>

#include <memory>
#include <string>

#include "contracts/market_event.hpp"
#include "transport/backoff.hpp"
#include "transport/ring_bench.hpp"
#include "transport/shared_bus.hpp"

namespace nb = nanobind;

namespace ringcraft {
namespace {

using Bytes = nb::ndarray<const std::uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Room = nb::ndarray<std::uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Rows = nb::ndarray<std::uint8_t, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

struct EventRecord {
  std::size_t bytes;
  std::uint32_t kind;
};

EventRecord event_record(bool depth) {
  return depth ? EventRecord{sizeof(DeepEvent), kDeepEventRecord}
               : EventRecord{sizeof(MarketEvent), kMarketEventRecord};
}

std::size_t events_in(std::size_t bytes, const EventRecord& each) {
  if (bytes % each.bytes != 0) {
    throw nb::value_error(
        ("events: expected a multiple of " + std::to_string(each.bytes) + " bytes").c_str());
  }
  return bytes / each.bytes;
}

/// Market events, one a record.
void write_events(BusWriter& self, const Bytes& events, bool depth) {
  const EventRecord each = event_record(depth);
  const std::size_t count = events_in(events.shape(0), each);
  if (each.bytes > self.record_bytes()) {
    throw nb::value_error(
        ("events: expected at most " + std::to_string(self.record_bytes()) + " bytes each").c_str());
  }
  const auto* first = reinterpret_cast<const std::byte*>(events.data());
  const nb::gil_scoped_release unlocked;
  for (std::size_t i = 0; i < count; ++i) self.write({first + i * each.bytes, each.bytes}, each.kind);
}

/// Fills rows with records that `wanted` lets through, waits only for the first; of others a row stays as it
/// was, or is written over by the next.
template <class Wanted>
std::size_t read_rows(BusReader& self, std::byte* first, std::size_t rows, std::size_t row_bytes,
                      double timeout_s, double spin_s, Wanted wanted) {
  const nb::gil_scoped_release unlocked;
  Backoff backoff(wait_ns(timeout_s), wait_ns(spin_s));
  std::size_t count = 0;
  BusReader::Record record;
  while (count < rows) {
    if (self.read({first + count * row_bytes, row_bytes}, record)) {
      count += record.bytes == row_bytes && wanted(record) ? 1 : 0;
    } else if (count > 0 || !backoff.wait()) {
      break;
    }
  }
  return count;
}

/// Fills `into` with events, waits only for the first; records of another kind are passed over.
std::size_t read_events(BusReader& self, const Room& into, double timeout_s, double spin_s, bool depth) {
  const EventRecord each = event_record(depth);
  return read_rows(self, reinterpret_cast<std::byte*>(into.data()), events_in(into.shape(0), each),
                   each.bytes, timeout_s, spin_s,
                   [&each](const BusReader::Record& record) { return record.kind == each.kind; });
}

/// Fills rows with whole records of any kind, waits only for the first.
std::size_t read_records(BusReader& self, const Rows& into, double timeout_s, double spin_s) {
  return read_rows(self, reinterpret_cast<std::byte*>(into.data()), into.shape(0), into.shape(1), timeout_s,
                   spin_s, [](const BusReader::Record&) { return true; });
}

bool write(BusWriter& self, const nb::bytes& payload, std::uint32_t kind) {
  return self.write({reinterpret_cast<const std::byte*>(payload.c_str()), payload.size()}, kind);
}

nb::object read(BusReader& self, double timeout_s, double spin_s) {
  const auto room = std::make_unique_for_overwrite<std::byte[]>(self.record_bytes());
  BusReader::Record record;
  bool found = false;
  {
    const nb::gil_scoped_release unlocked;
    Backoff backoff(wait_ns(timeout_s), wait_ns(spin_s));
    do found = self.read({room.get(), self.record_bytes()}, record);
    while (!found && backoff.wait());
  }
  if (!found) return nb::none();
  return nb::make_tuple(record.kind, nb::bytes(room.get(), record.bytes));
}

HandOver hand_over_named(const std::string& how) {
  if (how == "single") return HandOver::kSingle;
  if (how == "multi") return HandOver::kMulti;
  if (how == "locked") return HandOver::kLocked;
  throw nb::value_error("how: expected single, multi or locked");
}

nb::dict hand_over(const std::string& how, std::uint32_t producers, std::uint64_t each) {
  const HandOver which = hand_over_named(how);
  HandOverRun run;
  {
    const nb::gil_scoped_release unlocked;
    run = bench_hand_over(which, producers, each);
  }
  nb::dict about;
  about["records"] = run.records;
  about["nanoseconds"] = run.nanoseconds;
  about["ordered"] = run.ordered;
  return about;
}

nb::dict round_trips(const std::string& how, std::uint64_t trips) {
  const HandOver which = hand_over_named(how);
  RoundTrips found;
  {
    const nb::gil_scoped_release unlocked;
    found = bench_round_trips(which, trips);
  }
  nb::dict about;
  about["p50_ns"] = found.p50_ns;
  about["p99_ns"] = found.p99_ns;
  return about;
}

}  // namespace

void bind_transport(nb::module_& module) {
  module.def("bench_hand_over", &hand_over, nb::arg("how"), nb::kw_only(), nb::arg("producers"),
             nb::arg("each"));
  module.def("bench_round_trips", &round_trips, nb::arg("how"), nb::kw_only(), nb::arg("trips"));
  nb::class_<BusWriter>(module, "BusWriter")
      .def(
          "__init__",
          [](BusWriter* self, const std::string& path, std::uint32_t slots, std::uint32_t record_bytes,
             const std::string& about) { new (self) BusWriter(path, {slots, record_bytes}, about); },
          nb::arg("path"), nb::kw_only(), nb::arg("slots"), nb::arg("record_bytes"), nb::arg("about"))
      .def("write_events", &write_events, nb::arg("events"), nb::kw_only(), nb::arg("depth") = false)
      .def("write", &write, nb::arg("payload"), nb::arg("kind"))
      .def_prop_ro("produced", &BusWriter::produced);
  nb::class_<BusReader>(module, "BusReader")
      .def(
          "__init__",
          [](BusReader* self, const std::string& path, bool from_oldest) {
            new (self) BusReader(path, from_oldest ? BusReader::Start::kOldest : BusReader::Start::kNewest);
          },
          nb::arg("path"), nb::kw_only(), nb::arg("from_oldest") = false)
      .def("read_events", &read_events, nb::arg("into"), nb::kw_only(), nb::arg("timeout_s"),
           nb::arg("spin_s") = 0.0, nb::arg("depth") = false)
      .def("read_records", &read_records, nb::arg("into"), nb::kw_only(), nb::arg("timeout_s"),
           nb::arg("spin_s") = 0.0)
      .def("read", &read, nb::kw_only(), nb::arg("timeout_s"), nb::arg("spin_s") = 0.0)
      .def_prop_ro("about", &BusReader::about)
      .def_prop_ro("record_bytes", &BusReader::record_bytes)
      .def_prop_ro("missed", &BusReader::missed)
      .def_prop_ro("laps", &BusReader::laps)
      .def_prop_ro("behind", &BusReader::behind)
      .def_prop_ro("writer_lives", &BusReader::writer_lives)
      .def_prop_ro("replaced", &BusReader::replaced);
}

}  // namespace ringcraft
