// Levels and decimals as text: exact where they are whole units, refused where they are not, unhurt by any
// bytes.
#include <doctest/doctest.h>

#include <limits>
#include <random>
#include <string>

#include "market_data/level_feed.hpp"

using namespace ringcraft;

namespace {

constexpr std::int64_t kAny = std::numeric_limits<std::int64_t>::max();

std::int64_t units(const char* text, Grid grid) {
  const Units read = parse_units(text, grid, kAny);
  return read.fault == TextFault::kNone ? read.units : -static_cast<std::int64_t>(read.fault);
}

std::int64_t fault(TextFault what) { return -static_cast<std::int64_t>(what); }

}  // namespace

TEST_CASE("decimal text becomes whole units exactly or not at all") {
  CHECK(units("61804.70", {1, 1}) == 618047);
  CHECK(units("0.00000001", {8, 1}) == 1);
  CHECK(units("12.50", {2, 25}) == 50);
  CHECK(units("007", {0, 1}) == 7);
  CHECK(units("9223372036854775807", {0, 1}) == kAny);
  CHECK(units("9223372036854775808", {0, 1}) == fault(TextFault::kTooBig));
  CHECK(units("92233720368547758.08", {2, 1}) == fault(TextFault::kTooBig));
  CHECK(units("12.60", {2, 25}) == fault(TextFault::kOffGrid));
  CHECK(units("0.123", {2, 1}) == fault(TextFault::kOffGrid));
  for (const char* text : {"", ".", "1.", ".5", "-1", "+1", "1e5", "NaN", "1.2.3", "0x10", " 1"}) {
    CHECK(units(text, {8, 1}) == fault(TextFault::kNotDecimal));
  }
}

TEST_CASE("a text that is wrong anywhere leaves the book as it was") {
  LevelFeed feed({2, 1}, {3, 1}, true);
  CHECK(feed.load(R"([["100.00","1.000"],["99.99","2.000"]])", R"([["100.01","3.000"]])").fault ==
        TextFault::kNone);
  const BookTouch before{10'000, 1'000, 10'001, 3'000};
  CHECK(feed.touch() == before);
  for (const char* bad : {R"([["100.00","0.000"],["99.99"]])", R"([["100.00","0.000"])", R"([["0","1"]])",
                          "[,]", R"([["100.00","5.000"]]])", R"([["100.001","5.000"]])", "", "{}"}) {
    CHECK(feed.change(bad, "[]", 0).fault != TextFault::kNone);
    CHECK(feed.change("[]", bad, 0).fault != TextFault::kNone);
    CHECK(feed.touch() == before);
  }
}

TEST_CASE("a quote that is preferred stands before the book's levels behind it") {
  LevelFeed feed({0, 1}, {0, 1}, true);
  CHECK(feed.load(R"([["10","1"],["9","2"],["8","3"]])", R"([["11","4"],["12","5"]])").fault ==
        TextFault::kNone);
  CHECK(feed.quote("9", "7", "13", "8").fault == TextFault::kNone);
  feed.prefer_quote(true);
  const BookDepth depth = feed.depth();
  CHECK(depth.bid_ticks[0] == 9);
  CHECK(depth.bid_lots[0] == 7);
  CHECK(depth.bid_ticks[1] == 8);
  CHECK(depth.ask_ticks[0] == 13);
  CHECK(depth.ask_ticks[1] == 0);
  feed.set_edges(9, 12);
  CHECK(feed.depth().bid_ticks[1] == 0);
}

TEST_CASE("whatever the text, no level is negative and no byte outside it is read") {
  std::mt19937 random(7);
  const std::string whole =
      R"([["100.00","1.000","1618678133.481570"],["99.99","2.000","1618678133.1","r"]])";
  const std::string letters = "[]\",.0123456789-eNa\\ x";
  for (int round = 0; round < 20'000; ++round) {
    std::string text = whole.substr(0, whole.size() - random() % 4);
    for (unsigned hits = random() % 4; hits > 0; --hits) {
      text[random() % text.size()] = letters[random() % letters.size()];
    }
    LevelFeed feed({2, 1}, {3, 1}, true);
    const std::string copy(text);  // of its own size, so that the sanitizer sees its end
    if (feed.load(copy, "[]").fault == TextFault::kNone) {
      for (std::uint32_t rank = 0; rank < feed.books().level_count(0, Side::kBuy); ++rank) {
        CHECK(feed.books().level(0, Side::kBuy, rank).lots > 0);
        CHECK(feed.books().level(0, Side::kBuy, rank).ticks > 0);
      }
    }
  }
}
