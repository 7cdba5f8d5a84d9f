#include <nanobind/nanobind.h>

#include <cstddef>

#include "contracts/journal_record.hpp"
#include "contracts/market_event.hpp"

namespace nb = nanobind;

namespace ringcraft {

/// Tells Python where a few fields lie, so that a test can hold its dtypes against these structs.
void bind_contracts(nb::module_& module) {
  nb::dict layout;
  layout["MarketEvent.size"] = sizeof(MarketEvent);
  layout["MarketEvent.trade_lots"] = offsetof(MarketEvent, trade_lots);
  layout["BookDepth.size"] = sizeof(BookDepth);
  layout["BookDepth.ask_ticks"] = offsetof(BookDepth, ask_ticks);
  layout["MarketEvent.flags"] = offsetof(MarketEvent, flags);
  layout["Epoch.horizon_ns"] = offsetof(EpochRecord, horizon_ns);
  layout["Decision.assigned_by"] = offsetof(DecisionRecord, assigned_by);
  layout["Decision.request_key"] = offsetof(DecisionRecord, request_key);
  layout["Shadow.late"] = offsetof(ShadowRecord, late);
  layout["Markout.horizon"] = offsetof(MarkoutRecord, horizon);
  layout["Trip.arm"] = offsetof(TripRecord, arm);
  layout["Name.name"] = offsetof(NameRecord, name);
  module.attr("LAYOUT") = layout;
}

}  // namespace ringcraft
