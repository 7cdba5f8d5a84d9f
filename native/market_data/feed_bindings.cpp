#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <array>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "market_data/book_depth.hpp"
#include "market_data/feed_bench.hpp"
#include "market_data/feed_summaries.hpp"
#include "market_data/itch50.hpp"
#include "market_data/itch50_packets.hpp"
#include "market_data/market_tape.hpp"
#include "market_data/numpy_arrays.hpp"

namespace nb = nanobind;

namespace ringcraft {
namespace {

nb::list stocks_of(const std::vector<ItchStock>& stocks) {
  nb::list found;
  // A symbol is bytes from outside: Latin-1 takes any of them.
  for (const auto& stock : stocks) {
    found.append(nb::make_tuple(stock.locate, nb::bytes(stock.symbol.data(), stock.symbol.size())));
  }
  return found;
}

nb::tuple itch50_stocks(const Bytes& bytes) {
  std::vector<ItchStock> stocks;
  const ItchSummary summary = list_itch50_stocks(view(bytes), stocks);
  return nb::make_tuple(stocks_of(stocks), describe(summary));
}

/// Events' bytes, what is said of them, and the levels at each, shape (n, 4, levels), or None.
nb::tuple tape_of(const ItchTape& tape, bool depth, nb::dict about) {
  about["entered"] = entered(tape.states);
  nb::object levels = nb::none();
  if (depth) {
    const std::size_t values = tape.depths.size() * (sizeof(BookDepth) / sizeof(std::int64_t));
    auto data = std::make_unique_for_overwrite<std::int64_t[]>(values);
    if (values != 0) std::memcpy(data.get(), tape.depths.data(), values * sizeof(std::int64_t));
    levels = to_numpy(std::move(data), {tape.depths.size(), std::size_t{4}, kDepthLevels});
  }
  return nb::make_tuple(copy_to_numpy<MarketEvent, std::uint8_t>(tape.events), about, levels);
}

nb::tuple itch50_decode(const Bytes& bytes, std::uint16_t locate, std::uint32_t price_per_tick,
                        std::int64_t midnight_ns, bool depth) {
  if (price_per_tick == 0) throw nb::value_error("price_per_tick: expected over 0");
  ItchTape tape;
  ItchSummary summary;
  {
    nb::gil_scoped_release released;
    summary = decode_itch50(view(bytes), {locate, price_per_tick, midnight_ns, depth}, tape);
  }
  return tape_of(tape, depth, describe(summary));
}

nb::dict describe(const ItchPacketsSummary& summary) {
  nb::dict about = describe(summary.itch);
  about["bad_messages"] = summary.bad_messages;
  about["first_ns"] = summary.first_ns;
  about["mold"] = describe(summary.mold);
  nb::list captures;
  for (const CaptureSummary& each : summary.captures) captures.append(describe(each));
  about["captures"] = captures;
  return about;
}

ItchPackets packets_of(const std::vector<Bytes>& captures, const Bytes& retransmission,
                       std::int64_t patience_ns) {
  ItchPackets source;
  for (const Bytes& bytes : captures) source.captures.push_back(view(bytes));
  source.retransmission = view(retransmission);
  source.mold.patience_ns = patience_ns;
  return source;
}

nb::tuple itch50_packet_stocks(const std::vector<Bytes>& captures, const Bytes& retransmission,
                               std::int64_t patience_ns) {
  std::vector<ItchStock> stocks;
  const auto summary = list_itch50_packets(packets_of(captures, retransmission, patience_ns), stocks);
  return nb::make_tuple(stocks_of(stocks), describe(summary));
}

nb::tuple itch50_packet_decode(const std::vector<Bytes>& captures, const Bytes& retransmission,
                               std::int64_t patience_ns, std::uint16_t locate, std::uint32_t price_per_tick,
                               std::int64_t midnight_ns, bool depth) {
  if (price_per_tick == 0) throw nb::value_error("price_per_tick: expected over 0");
  ItchTape tape;
  const auto summary = decode_itch50_packets(packets_of(captures, retransmission, patience_ns),
                                             {locate, price_per_tick, midnight_ns, depth}, tape);
  return tape_of(tape, depth, describe(summary));
}

/// A change of an instrument's touch: message number, locate code, touch.
using TouchRow = std::array<std::int64_t, 6>;

template <bool kQueues>
class TouchRows {
 public:
  explicit TouchRows(const Books<kQueues>& books) : books_(books) {}
  void before(ItchMessage message) noexcept { before_ = books_.best(message.locate()); }
  void operator()(ItchMessage message, std::uint64_t number, const ItchTrade&) {
    const BookTouch now = books_.best(message.locate());
    if (now == before_) return;
    rows.push_back({static_cast<std::int64_t>(number), message.locate(), now.bid_ticks, now.bid_lots,
                    now.ask_ticks, now.ask_lots});
  }

  std::vector<TouchRow> rows;

 private:
  const Books<kQueues>& books_;
  BookTouch before_;
};

template <bool kQueues>
nb::tuple touches(const Bytes& bytes) {
  ItchBooks<kQueues> state(kItchLocates);
  TouchRows<kQueues> listener(state.books);
  ItchSummary summary;
  {
    nb::gil_scoped_release released;
    summary = run_itch50(view(bytes), state, listener);
  }
  return nb::make_tuple(copy_to_numpy<TouchRow, std::int64_t>(listener.rows), describe(summary));
}

nb::tuple itch50_touches(const Bytes& bytes, bool queues) {
  return queues ? touches<true>(bytes) : touches<false>(bytes);
}

/// The engine with everything that it keeps, for Python; bounds are checked here, not inside.
class PyBooks {
 public:
  explicit PyBooks(std::uint32_t instruments) : state_(instruments) {}

  nb::dict apply_itch50(const Bytes& bytes) {
    if (state_.books.instruments() < kItchLocates)
      throw nb::value_error("instruments: expected 65536 for ITCH");
    struct Nothing {
      void before(ItchMessage) const noexcept {}
      void operator()(ItchMessage, std::uint64_t, const ItchTrade&) const noexcept {}
    };
    return describe(run_itch50(view(bytes), state_, Nothing{}));
  }
  bool add(std::uint32_t instrument, std::uint64_t reference, char side, std::int32_t ticks,
           std::uint32_t lots) {
    return books(instrument).add(instrument, reference, side_of(side), checked(ticks), lots) ==
           AddStatus::kAdded;
  }
  std::uint32_t reduce(std::uint32_t instrument, std::uint64_t reference, std::uint32_t lots) {
    return books(instrument).reduce(instrument, reference, lots).lots;
  }
  bool set_level(std::uint32_t instrument, char side, std::int32_t ticks, std::int64_t lots) {
    return books(instrument).set_level(instrument, side_of(side), checked(ticks), lots);
  }
  void clear(std::uint32_t instrument) { books(instrument).clear(instrument); }
  void set_state(std::uint32_t instrument, std::uint16_t mask, bool on) {
    books(instrument).set_state(instrument, mask, on);
  }
  void heard(std::uint32_t instrument, std::int64_t now_ns) { books(instrument).heard(instrument, now_ns); }
  void sweep_stale(std::int64_t now_ns, std::int64_t stale_after_ns) {
    state_.books.sweep_stale(now_ns, stale_after_ns);
  }

  nb::tuple best(std::uint32_t instrument) {
    const BookTouch touch = books(instrument).best(instrument);
    return nb::make_tuple(touch.bid_ticks, touch.bid_lots, touch.ask_ticks, touch.ask_lots);
  }
  /// The best levels of both sides as a recording keeps them, shape (4, kDepthLevels).
  nb::object levels(std::uint32_t instrument) {
    const BookDepth found = depth_of(books(instrument), instrument);
    auto data = std::make_unique_for_overwrite<std::int64_t[]>(4 * kDepthLevels);
    std::memcpy(data.get(), &found, sizeof(found));
    return to_numpy(std::move(data), {std::size_t{4}, kDepthLevels});
  }
  nb::list depth(std::uint32_t instrument, char side, std::uint32_t levels) {
    const auto& all = books(instrument);
    nb::list found;
    const std::uint32_t count = std::min(levels, all.level_count(instrument, side_of(side)));
    for (std::uint32_t rank = 0; rank < count; ++rank) {
      const BookLevel level = all.level(instrument, side_of(side), rank);
      found.append(nb::make_tuple(level.ticks, level.lots, level.orders));
    }
    return found;
  }
  nb::object order(std::uint64_t reference) {
    const QueuePlace place = state_.books.place_of(reference);
    if (place.lots == 0) return nb::none();
    return nb::make_tuple(place.instrument, place.side == Side::kBuy ? "B" : "S", place.ticks, place.lots,
                          place.position, place.ahead_lots);
  }
  std::uint16_t state(std::uint32_t instrument) { return books(instrument).state(instrument); }
  nb::tuple transitions() const {
    nb::list out;
    for (const std::uint64_t count : state_.books.state_counts().left) out.append(count);
    return nb::make_tuple(entered(state_.books.state_counts()), out);
  }
  std::size_t orders() const { return state_.books.orders(); }

 private:
  Books<true>& books(std::uint32_t instrument) {
    if (instrument >= state_.books.instruments()) throw nb::index_error("no such instrument");
    return state_.books;
  }
  static Side side_of(char side) {
    if (side != 'B' && side != 'S') throw nb::value_error("side: expected B or S");
    return side == 'B' ? Side::kBuy : Side::kSell;
  }
  static std::int32_t checked(std::int32_t ticks) {
    if (ticks == std::numeric_limits<std::int32_t>::min())
      throw nb::value_error("ticks: expected over -2^31");
    return ticks;
  }

  ItchBooks<true> state_;
};

nb::object market_tape(std::uint64_t seed, std::uint16_t stocks, std::uint64_t messages,
                       std::uint32_t live_orders, std::uint32_t reference_step) {
  if (stocks == 0 || live_orders == 0 || reference_step == 0 || messages > 200'000'000) {
    throw nb::value_error(
        "expected stocks, live_orders and reference_step over 0, messages at most 200 million");
  }
  std::vector<std::uint8_t> bytes;
  {
    nb::gil_scoped_release released;
    bytes = write_market_tape({seed, stocks, messages, live_orders, reference_step});
  }
  return copy_to_numpy(bytes);
}

nb::dict bench_feed(const Bytes& bytes, const std::string& what) {
  FeedRun run;
  {
    nb::gil_scoped_release released;
    if (what == "scan") run = bench_scan(view(bytes));
    if (what == "decode") run = bench_decode(view(bytes));
    if (what == "levels") run = bench_levels(view(bytes));
    if (what == "orders") run = bench_orders(view(bytes));
  }
  if (run.nanoseconds == 0) throw nb::value_error("what: expected scan, decode, levels or orders");
  nb::dict about;
  about["messages"] = run.messages;
  about["checksum"] = run.checksum;
  about["nanoseconds"] = run.nanoseconds;
  about["unapplied"] = run.unapplied;
  about["crossed"] = run.crossed;
  about["bytes"] = run.bytes;
  return about;
}

nb::dict bench_packet_times(const Bytes& bytes) {
  PacketTimes found;
  {
    nb::gil_scoped_release released;
    found = bench_packets(view(bytes));
  }
  nb::dict about;
  about["packets"] = found.packets;
  about["messages"] = found.messages;
  about["unapplied"] = found.unapplied;
  about["p50_ns"] = found.p50_ns;
  about["p99_ns"] = found.p99_ns;
  about["p999_ns"] = found.p999_ns;
  return about;
}

nb::dict bench_feed_day(std::uint64_t seed, std::uint16_t stocks, std::uint64_t messages,
                        std::uint32_t live_orders) {
  FeedDay day;
  {
    nb::gil_scoped_release released;
    day = bench_day({seed, stocks, messages, live_orders, 1});
  }
  nb::dict about;
  about["messages"] = day.messages;
  about["nanoseconds"] = day.nanoseconds;
  about["unapplied"] = day.unapplied;
  about["early_bytes"] = day.early_bytes;
  about["late_bytes"] = day.late_bytes;
  return about;
}

}  // namespace

void bind_feeds(nb::module_& module) {
  module.def("itch50_stocks", &itch50_stocks, nb::arg("data"));
  module.def("itch50_decode", &itch50_decode, nb::arg("data"), nb::kw_only(), nb::arg("locate"),
             nb::arg("price_per_tick"), nb::arg("midnight_ns"), nb::arg("depth") = false);
  module.def("itch50_packet_stocks", &itch50_packet_stocks, nb::arg("captures"), nb::kw_only(),
             nb::arg("retransmission"), nb::arg("patience_ns"));
  module.def("itch50_packet_decode", &itch50_packet_decode, nb::arg("captures"), nb::kw_only(),
             nb::arg("retransmission"), nb::arg("patience_ns"), nb::arg("locate"), nb::arg("price_per_tick"),
             nb::arg("midnight_ns"), nb::arg("depth") = false);
  module.def("itch50_touches", &itch50_touches, nb::arg("data"), nb::kw_only(), nb::arg("queues"));
  module.def("write_market_tape", &market_tape, nb::kw_only(), nb::arg("seed"), nb::arg("stocks"),
             nb::arg("messages"), nb::arg("live_orders"), nb::arg("reference_step") = 1);
  module.def("bench_feed", &bench_feed, nb::arg("data"), nb::arg("what"));
  module.def("bench_packets", &bench_packet_times, nb::arg("data"));
  module.def("bench_feed_day", &bench_feed_day, nb::kw_only(), nb::arg("seed"), nb::arg("stocks"),
             nb::arg("messages"), nb::arg("live_orders"));
  nb::class_<PyBooks>(module, "Books")
      .def(nb::init<std::uint32_t>(), nb::arg("instruments"))
      .def("apply_itch50", &PyBooks::apply_itch50, nb::arg("data"))
      .def("add", &PyBooks::add, nb::arg("instrument"), nb::arg("reference"), nb::arg("side"),
           nb::arg("ticks"), nb::arg("lots"))
      .def("reduce", &PyBooks::reduce, nb::arg("instrument"), nb::arg("reference"), nb::arg("lots"))
      .def("set_level", &PyBooks::set_level, nb::arg("instrument"), nb::arg("side"), nb::arg("ticks"),
           nb::arg("lots"))
      .def("clear", &PyBooks::clear, nb::arg("instrument"))
      .def("set_state", &PyBooks::set_state, nb::arg("instrument"), nb::arg("mask"), nb::arg("on"))
      .def("heard", &PyBooks::heard, nb::arg("instrument"), nb::arg("now_ns"))
      .def("sweep_stale", &PyBooks::sweep_stale, nb::arg("now_ns"), nb::arg("stale_after_ns"))
      .def("best", &PyBooks::best, nb::arg("instrument"))
      .def("depth", &PyBooks::depth, nb::arg("instrument"), nb::arg("side"), nb::arg("levels"))
      .def("levels", &PyBooks::levels, nb::arg("instrument"))
      .def("order", &PyBooks::order, nb::arg("reference"))
      .def("state", &PyBooks::state, nb::arg("instrument"))
      .def("transitions", &PyBooks::transitions)
      .def_prop_ro("orders", &PyBooks::orders);
}

}  // namespace ringcraft
