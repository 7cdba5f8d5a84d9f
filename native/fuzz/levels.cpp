// Text as price levels: refused and nothing changed, or taken and the book sorted, whatever the text.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "fuzz/plain_book.hpp"
#include "market_data/level_feed.hpp"

namespace ringcraft::fuzz {
namespace {

std::vector<BookLevel> levels_of(const LevelFeed& feed) {
  std::vector<BookLevel> found;
  for (const Side side : {Side::kBuy, Side::kSell}) {
    for (std::uint32_t rank = 0; rank < feed.books().level_count(0, side); ++rank) {
      found.push_back(feed.books().level(0, side, rank));
    }
  }
  return found;
}

bool same(const BookLevel& one, const BookLevel& other) {
  return one.ticks == other.ticks && one.lots == other.lots;
}

/// Lines of the input are bids and asks in turn: loaded first, then changes.
void run(std::string_view text) {
  LevelFeed feed({2, 5}, {3, 1}, true);
  bool loaded = false;
  while (!text.empty()) {
    std::string_view part[2];
    for (std::string_view& each : part) {
      const std::size_t end = std::min(text.find('\n'), text.size());
      each = text.substr(0, end);
      text.remove_prefix(std::min(end + 1, text.size()));
    }
    const std::vector<BookLevel> before = levels_of(feed);
    const LevelFault fault = loaded ? feed.change(part[0], part[1], 25) : feed.load(part[0], part[1]);
    const std::vector<BookLevel> after = levels_of(feed);
    if (fault.fault != TextFault::kNone) {
      require(std::equal(before.begin(), before.end(), after.begin(), after.end(), same),
              "text that is wrong changes nothing");
      continue;
    }
    require(!loaded || (feed.books().level_count(0, Side::kBuy) <= 25 &&
                        feed.books().level_count(0, Side::kSell) <= 25),
            "cut to the best");
    loaded = true;
    for (const BookLevel& level : after)
      require(level.lots > 0 && level.ticks > 0, "no empty level, no free one");
    feed.record({1, 1, 1, 0, 0, 0});
    const BookTouch touch = feed.touch();
    require((touch.bid_lots == 0) == (feed.books().level_count(0, Side::kBuy) == 0),
            "a bid where there are bids");
    (void)feed.depth();
  }
}

}  // namespace
}  // namespace ringcraft::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ringcraft::fuzz::run({reinterpret_cast<const char*>(data), size});
  return 0;
}
