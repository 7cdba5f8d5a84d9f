#include <nanobind/nanobind.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "market_data/capture_source.hpp"
#include "market_data/feed_receiver.hpp"
#include "market_data/feed_summaries.hpp"
#include "market_data/numpy_arrays.hpp"
#include "market_data/udp_source.hpp"
#include "transport/clock.hpp"
#include "transport/placement.hpp"
#ifdef RINGCRAFT_DPDK
#include "market_data/dpdk_source.hpp"
#endif

namespace nb = nanobind;

namespace ringcraft {
namespace {

using Stock = std::tuple<std::string, std::uint32_t, std::uint16_t>;

const char* stamp_text(PacketStamp stamp) {
  switch (stamp) {
    case PacketStamp::kRecorder:
      return "recorder";
    case PacketStamp::kKernel:
      return "kernel";
    case PacketStamp::kReceiver:
      return "receiver";
  }
  return "";
}

nb::dict describe(const PacketSource& source) {
  const SourceSummary& summary = source.summary();
  nb::dict about;
  about["stamp"] = stamp_text(source.stamp());
  about["packets"] = summary.packets;
  about["bytes"] = summary.bytes;
  about["calls"] = summary.calls;
  about["dropped"] = summary.dropped;
  about["cut"] = summary.cut;
  about["other"] = summary.other;
  return about;
}

void make_receiver(FeedReceiver* self, PacketSource& source, const std::vector<Stock>& stocks,
                   std::int64_t midnight_ns, std::int64_t patience_ns, BusWriter* bus,
                   const std::string& record, const std::string& retransmit, bool keep_events, bool depth) {
  ReceiverOptions options;
  for (const auto& [symbol, price_per_tick, locate] : stocks) {
    if (price_per_tick == 0) throw nb::value_error("price_per_tick: expected over 0");
    options.stocks.push_back({symbol, price_per_tick, locate});
  }
  options.midnight_ns = midnight_ns;
  options.mold.patience_ns = patience_ns;
  options.record_path = record;
  options.retransmit = retransmit;
  options.keep_events = keep_events;
  options.depth = depth;
  new (self) FeedReceiver(source, std::move(options), bus);
}

nb::dict summary_of(const FeedReceiver& self) {
  nb::dict about = describe(self.itch());
  about["bad_messages"] = self.bad_messages();
  about["mold"] = describe(self.mold());
  about["events"] = self.produced();
  about["entered"] = entered(self.states());
  about["unrecorded"] = self.unrecorded();
  about["requests"] = self.requests();
  about["answers"] = self.answers();
  about["unlisted"] = self.unlisted();
  return about;
}

std::int64_t first_packet_ns(const Bytes& capture) {
  CaptureReader reader(view(capture));
  UdpPacket packet;
  return reader.next(packet) ? packet.time_ns : 0;
}

}  // namespace

void bind_receiving(nb::module_& module) {
  nb::class_<PacketSource>(module, "PacketSource")
      .def("summary", [](const PacketSource& self) { return describe(self); })
      .def_prop_ro("refused", &PacketSource::refused);
  nb::class_<CaptureSource, PacketSource>(module, "CaptureSource")
      .def(
          "__init__",
          [](CaptureSource* self, const Bytes& capture) { new (self) CaptureSource(view(capture)); },
          nb::arg("capture"), nb::keep_alive<1, 2>())
      .def("capture", [](const CaptureSource& self) { return describe(self.capture()); });
  nb::class_<UdpSource, PacketSource>(module, "UdpSource")
      .def(
          "__init__",
          [](UdpSource* self, const std::vector<std::pair<std::string, std::uint16_t>>& lines,
             const std::string& interface, int buffer_bytes, int busy_poll_us) {
            std::vector<UdpLine> wanted;
            for (const auto& [address, port] : lines) wanted.push_back({address, port});
            UdpOptions options;
            options.interface = interface;
            options.buffer_bytes = buffer_bytes;
            options.busy_poll_us = busy_poll_us;
            new (self) UdpSource(wanted, options);
          },
          nb::arg("lines"), nb::kw_only(), nb::arg("interface"), nb::arg("buffer_bytes"),
          nb::arg("busy_poll_us"))
      .def_prop_ro("ports", &UdpSource::ports);
#ifdef RINGCRAFT_DPDK
  nb::class_<DpdkSource, PacketSource>(module, "DpdkSource")
      .def(nb::init<const std::vector<std::string>&>(), nb::arg("arguments"));
#endif
  nb::class_<FeedReceiver>(module, "FeedReceiver")
      .def("__init__", &make_receiver, nb::arg("source"), nb::kw_only(), nb::arg("stocks"),
           nb::arg("midnight_ns"), nb::arg("patience_ns"), nb::arg("bus").none(), nb::arg("record"),
           nb::arg("retransmit"), nb::arg("keep_events"), nb::arg("depth") = false, nb::keep_alive<1, 2>(),
           nb::keep_alive<1, 6>())
      .def(
          "run",
          [](FeedReceiver& self, double timeout_s, double spin_s) {
            const nb::gil_scoped_release unlocked;
            return self.run(wait_ns(timeout_s), wait_ns(spin_s));
          },
          nb::kw_only(), nb::arg("timeout_s"), nb::arg("spin_s"))
      .def("take_events",
           [](FeedReceiver& self) {
             nb::object events = copy_to_numpy<MarketEvent, std::uint8_t>(self.events());
             nb::object depths = copy_to_numpy<BookDepth, std::int64_t>(self.depths());
             self.forget_events();
             return nb::make_tuple(events, depths);
           })
      .def("finish", &FeedReceiver::finish)
      .def("summary", &summary_of);
  module.def("first_packet_ns", &first_packet_ns, nb::arg("capture"));
  module.def("pin_thread", [](int core) { return pin(::pthread_self(), core); }, nb::arg("core"));
  module.def("lock_memory", &lock_memory);
  module.def("no_huge_pages", [] { return no_huge_pages(); });
}

}  // namespace ringcraft
