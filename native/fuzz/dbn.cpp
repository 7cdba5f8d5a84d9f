// Bytes as DBN records: refused where they are none, else an instrument's book by order that keeps its laws.

#include "market_data/dbn.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "fuzz/plain_book.hpp"

namespace ringcraft::fuzz {
namespace {

void require_sound(const MboTape& tape, bool depth) {
  require(tape.depths.size() == (depth ? tape.events.size() : 0),
          "levels at each event where they are asked for");
  for (const MarketEvent& event : tape.events) {
    require(event.bid_lots >= 0 && event.ask_lots >= 0, "no side holds less than nothing");
    const bool one_sided = event.bid_lots == 0 || event.ask_lots == 0;
    require(((event.flags & kOneSided) != 0) == one_sided, "one-sided where a side is empty");
    const bool crossed = !one_sided && event.bid_ticks > event.ask_ticks;
    require(((event.flags & kCrossed) != 0) == crossed, "crossed where it crosses");
    const bool met = (event.flags & (0U | kCrossed | kLocked)) != 0;
    const bool whole = (event.flags & (0U | kGap | kResync)) == 0;
    require(((event.flags & kAuction) != 0) == (met && whole),
            "an auction where a whole book does not match");
  }
  for (std::size_t i = 0; i < tape.depths.size(); ++i) {
    const MarketEvent& event = tape.events[i];
    const BookDepth& depth_there = tape.depths[i];
    require(depth_there.bid_lots[0] == event.bid_lots && depth_there.ask_lots[0] == event.ask_lots,
            "the first level is the touch");
    for (std::size_t level = 1; level < depth_there.bid_ticks.size(); ++level) {
      const bool bid = depth_there.bid_lots[level] != 0;
      const bool ask = depth_there.ask_lots[level] != 0;
      require(!bid || depth_there.bid_ticks[level] < depth_there.bid_ticks[level - 1], "bids fall");
      require(!ask || depth_there.ask_ticks[level] > depth_there.ask_ticks[level - 1], "asks rise");
    }
  }
}

void run(std::span<const std::uint8_t> bytes) {
  constexpr std::uint8_t kByOrder = 160;
  for (const std::size_t record_bytes : {kMboBytes, kMboBytes + 8}) {
    std::vector<std::uint8_t> records;
    const DbnSummary summary = select_dbn(bytes, kByOrder, record_bytes, records);
    require(summary.offset <= bytes.size(), "the fault lies in the bytes");
    require(records.size() % record_bytes == 0, "whole records");
    for (const bool depth : {false, true}) {
      MboTape tape;
      const MboSummary read = decode_mbo(records, {record_bytes, 1, depth, 1'000'000'000}, tape);
      require(read.record <= records.size() / record_bytes, "the fault lies in the records");
      require_sound(tape, depth);
    }
  }
}

}  // namespace
}  // namespace ringcraft::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ringcraft::fuzz::run({data, size});
  return 0;
}
