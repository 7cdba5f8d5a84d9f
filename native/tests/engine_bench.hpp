#pragma once
// An engine with nothing around it, for tests.
#include <array>
#include <cstring>
#include <memory>
#include <vector>

#include "serving/worker.hpp"
#include "tests/folder.hpp"

namespace ringcraft {

inline MarketEvent event_at(std::int64_t number) {
  MarketEvent event{};
  event.event_ns = 1'600'000'000'000'000'000 + number * 500'000'000;
  event.sequence = static_cast<std::uint64_t>(number);
  event.bid_ticks = 25'000 + number % 7;
  event.ask_ticks = event.bid_ticks + 2;
  event.bid_lots = 1 + number % 5;
  event.ask_lots = 1 + number % 3;
  return event;
}

inline ModelPlan plan() {
  return ModelPlan{0, "model", {"touch_v1", {}, {}}, {}, 2'000'000'000, 1'000'000, 0, 64, 1e6, 1e9};
}

inline Route ab_route() {
  Route route;
  route.rollout_id = 1;
  route.champion_version = 1;
  route.challenger_version = 2;
  route.champion_slot = 0;
  route.challenger_slot = 1;
  route.share_bps = 5000;
  route.phase = static_cast<std::uint8_t>(Phase::kAb);
  return route;
}

/// An engine over rings of its own, with nobody to drain them.
struct Bench {
  explicit Bench(std::size_t ring_records = 65'536)
      : routing(RoutingTable::create(folder.file("routing"))),
        rings(RecordRings::open_or_create(folder.file("rings"), ring_records)),
        shadows(holdings, rings.ring(1), counters, 0, 64, 1'000'000'000),
        engine(holdings, routing, shadows, rings.ring(0), counters, 0, 2'000'000'000) {
    holdings.plan(0, std::make_unique<const ModelPlan>(plan()));
    routing.publish({ab_route()});
    routing.beat();
    engine.adopt();
    engine.begin_feed({{{"A:B", 0.1, 60'000'000'000, "USD", 1.0}}, "", Arm::kNone});
  }

  template <class Record>
  std::vector<Record> records(RecordType type) {
    std::vector<Record> found;
    RecordRing& ring = rings.ring(0);
    for (std::uint64_t i = ring.consumed(); i < ring.produced(); ++i) {
      Record record{};
      std::memcpy(&record, ring.at(i).data(), sizeof record);
      if (record.header.type == type) {
        found.push_back(record);
      }
    }
    return found;
  }

  Folder folder;
  Holdings holdings;
  Counters counters;
  RoutingTable routing;
  RecordRings rings;
  ShadowRunner shadows;
  Engine engine;
};

}  // namespace ringcraft
