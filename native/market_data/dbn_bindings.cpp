#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>

#include <vector>

#include "market_data/dbn.hpp"
#include "market_data/numpy_arrays.hpp"

namespace nb = nanobind;

namespace ringcraft {
namespace {

const char* status_text(DbnStatus status) {
  switch (status) {
    case DbnStatus::kOk:
      return "";
    case DbnStatus::kTruncated:
      return "a whole record, got the end of the bytes";
    case DbnStatus::kBadLength:
      return "the length of the record's type, got another";
    case DbnStatus::kBadAction:
      return "action A, C, M, R, T, F or N, got another byte";
    case DbnStatus::kBadSide:
      return "side A or B, got another";
    case DbnStatus::kBadPrice:
      return "a price over 0, got none or one that is not";
    case DbnStatus::kBadTime:
      return "a time before the year 2262, got none or a later one";
  }
  return "";
}

nb::tuple dbn_select(const Bytes& bytes, std::uint8_t rtype, std::size_t record_bytes) {
  std::vector<std::uint8_t> records;
  DbnSummary summary;
  {
    nb::gil_scoped_release released;
    summary = select_dbn(view(bytes), rtype, record_bytes, records);
  }
  nb::dict about;
  about["error"] = status_text(summary.status);
  about["offset"] = summary.offset;
  nb::dict by_rtype;
  for (std::size_t type = 0; type < summary.by_rtype.size(); ++type) {
    if (summary.by_rtype[type] != 0) by_rtype[nb::int_(type)] = summary.by_rtype[type];
  }
  about["by_rtype"] = by_rtype;
  return nb::make_tuple(copy_to_numpy(records), about);
}

nb::tuple dbn_mbo_decode(const Bytes& records, std::size_t record_bytes, std::uint32_t instrument,
                         std::int64_t price_per_tick, bool depth) {
  if (price_per_tick <= 0) throw nb::value_error("price_per_tick: expected over 0");
  if (record_bytes < kMboBytes) throw nb::value_error("record_bytes: expected 56 or more");
  MboTape tape;
  MboSummary summary;
  {
    nb::gil_scoped_release released;
    summary = decode_mbo(view(records), {record_bytes, instrument, depth, price_per_tick}, tape);
  }
  nb::dict about;
  about["error"] = status_text(summary.status);
  about["record"] = summary.record;
  about["unknown_orders"] = summary.unknown_orders;
  about["duplicate_orders"] = summary.duplicate_orders;
  about["off_grid_orders"] = summary.off_grid_orders;
  about["over_executed"] = summary.over_executed;
  about["other_publisher"] = summary.other_publisher;
  about["unfinished_events"] = summary.unfinished_events;
  about["gaps"] = summary.gaps;
  nb::object levels = nb::none();
  if (depth) levels = copy_to_numpy<BookDepth, std::int64_t>(tape.depths);
  return nb::make_tuple(copy_to_numpy<MarketEvent, std::uint8_t>(tape.events), about, levels);
}

}  // namespace

void bind_dbn(nb::module_& module) {
  module.def("dbn_select", &dbn_select, nb::arg("data"), nb::kw_only(), nb::arg("rtype"),
             nb::arg("record_bytes"));
  module.def("dbn_mbo_decode", &dbn_mbo_decode, nb::arg("records"), nb::kw_only(), nb::arg("record_bytes"),
             nb::arg("instrument"), nb::arg("price_per_tick"), nb::arg("depth") = false);
}

}  // namespace ringcraft
