#include <nanobind/nanobind.h>
#include <nanobind/stl/string_view.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "market_data/level_feed.hpp"
#include "market_data/numpy_arrays.hpp"

namespace nb = nanobind;

namespace ringcraft {
namespace {

std::string_view text_of(const nb::bytes& bytes) { return {bytes.c_str(), bytes.size()}; }

/// None, or (what, in the price, byte, decimals).
nb::object describe(const LevelFault& fault) {
  if (fault.fault == TextFault::kNone) return nb::none();
  return nb::make_tuple(static_cast<int>(fault.fault), fault.in_price, fault.at, fault.decimals);
}

nb::tuple describe(const BookTouch& touch) {
  return nb::make_tuple(touch.bid_ticks, touch.bid_lots, touch.ask_ticks, touch.ask_lots);
}

/// The units, or what is wrong as of a level.
nb::object describe(const Units& units, bool in_price) {
  if (units.fault == TextFault::kNone) return nb::int_(units.units);
  return describe(LevelFault{units.fault, in_price, 0, units.decimals});
}

LevelFeed* make_feed(LevelFeed* where, std::uint32_t price_decimals, std::int64_t price_step,
                     std::uint32_t lot_decimals, std::int64_t lot_step, bool depth) {
  if (price_decimals > 18 || lot_decimals > 18 || price_step < 1 || lot_step < 1)
    throw nb::value_error("grid: expected at most 18 decimals and steps over 0");
  return new (where) LevelFeed({price_decimals, price_step}, {lot_decimals, lot_step}, depth);
}

nb::list counts_list(const std::array<std::uint64_t, 16>& counts) {
  nb::list found;
  for (const std::uint64_t count : counts) found.append(count);
  return found;
}

nb::tuple take_events(LevelFeed& feed) {
  nb::object events = copy_to_numpy<MarketEvent, std::uint8_t>(feed.events());
  nb::object depths = copy_to_numpy<BookDepth, std::int64_t>(feed.depths());
  feed.forget();
  return nb::make_tuple(events, depths);
}

nb::list side_levels(const LevelFeed& feed, Side side, std::uint32_t most) {
  nb::list found;
  const std::uint32_t count = std::min(most, feed.books().level_count(0, side));
  for (std::uint32_t rank = 0; rank < count; ++rank) {
    const BookLevel level = feed.books().level(0, side, rank);
    found.append(nb::make_tuple(level.ticks, level.lots));
  }
  return found;
}

}  // namespace

void bind_level_feeds(nb::module_& module) {
  nb::class_<LevelFeed>(module, "LevelFeed")
      .def(
          "__init__",
          [](LevelFeed* where, std::uint32_t price_decimals, std::int64_t price_step,
             std::uint32_t lot_decimals, std::int64_t lot_step,
             bool depth) { make_feed(where, price_decimals, price_step, lot_decimals, lot_step, depth); },
          nb::kw_only(), nb::arg("price_decimals"), nb::arg("price_step"), nb::arg("lot_decimals"),
          nb::arg("lot_step"), nb::arg("depth"))
      .def(
          "load",
          [](LevelFeed& feed, const nb::bytes& bids, const nb::bytes& asks) {
            return describe(feed.load(text_of(bids), text_of(asks)));
          },
          nb::arg("bids"), nb::arg("asks"))
      .def(
          "change",
          [](LevelFeed& feed, const nb::bytes& bids, const nb::bytes& asks, std::uint32_t most) {
            return describe(feed.change(text_of(bids), text_of(asks), most));
          },
          nb::arg("bids"), nb::arg("asks"), nb::arg("most") = 0)
      .def("clear", &LevelFeed::clear)
      .def(
          "quote",
          [](LevelFeed& feed, std::string_view bid, std::string_view bid_lots, std::string_view ask,
             std::string_view ask_lots) { return describe(feed.quote(bid, bid_lots, ask, ask_lots)); },
          nb::arg("bid"), nb::arg("bid_lots"), nb::arg("ask"), nb::arg("ask_lots"))
      .def("prefer_quote", &LevelFeed::prefer_quote, nb::arg("on"))
      .def("set_edges", &LevelFeed::set_edges, nb::arg("lowest_bid_ticks"), nb::arg("highest_ask_ticks"))
      .def("touch", [](const LevelFeed& feed) { return describe(feed.touch()); })
      .def("quoted_touch", [](const LevelFeed& feed) { return describe(feed.quoted_touch()); })
      .def("book_touch", [](const LevelFeed& feed) { return describe(feed.book_touch()); })
      .def(
          "levels",
          [](const LevelFeed& feed, std::string_view side, std::uint32_t most) {
            if (side != "B" && side != "S") throw nb::value_error("side: expected B or S");
            return side_levels(feed, side == "B" ? Side::kBuy : Side::kSell, most);
          },
          nb::arg("side"), nb::arg("most"))
      .def(
          "ticks_of",
          [](const LevelFeed& feed, std::string_view price) { return describe(feed.ticks_of(price), true); },
          nb::arg("price"))
      .def(
          "lots_of",
          [](const LevelFeed& feed, std::string_view quantity) {
            return describe(feed.lots_of(quantity), false);
          },
          nb::arg("quantity"))
      .def_prop_ro("far_levels", &LevelFeed::far_levels)
      .def_prop_ro("newest_ns", &LevelFeed::newest_ns)
      .def(
          "record",
          [](LevelFeed& feed, std::int64_t event_ns, std::int64_t receive_ns, std::uint64_t sequence,
             std::uint16_t flags, std::int64_t trade_ticks, std::int64_t trade_lots) {
            feed.record({event_ns, receive_ns, sequence, flags, trade_ticks, trade_lots});
          },
          nb::arg("event_ns"), nb::arg("receive_ns"), nb::arg("sequence"), nb::arg("flags"),
          nb::arg("trade_ticks") = 0, nb::arg("trade_lots") = 0)
      .def("take", &take_events)
      .def_prop_ro("recorded", [](const LevelFeed& feed) { return feed.events().size(); })
      .def("transitions", [](const LevelFeed& feed) {
        return nb::make_tuple(counts_list(feed.state_counts().entered),
                              counts_list(feed.state_counts().left));
      });
}

}  // namespace ringcraft
