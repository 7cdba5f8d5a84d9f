#include <doctest/doctest.h>

#include <memory>
#include <random>
#include <string_view>
#include <vector>

#include "market_data/itch50.hpp"
#include "market_data/itch50_writer.hpp"
#include "market_data/simulator.hpp"

using namespace ringcraft;

namespace {

/// Messages written by hand, field by field as the specification's tables have them.
class Tape {
 public:
  Tape& message(std::string_view type, std::size_t length, std::uint16_t locate = 1) {
    number(length, 2);
    text(type).number(locate, 2).number(0, 2).number(++time_ns_, 6);
    return *this;
  }
  Tape& number(std::uint64_t value, unsigned size) {
    for (unsigned i = size; i-- > 0;) bytes.push_back(static_cast<std::uint8_t>(value >> (8U * i)));
    return *this;
  }
  Tape& text(std::string_view letters) {
    bytes.insert(bytes.end(), letters.begin(), letters.end());
    return *this;
  }
  Tape& add(std::uint64_t reference, char side, std::uint32_t shares, std::uint32_t price,
            std::uint16_t locate = 1) {
    message("A", 36, locate)
        .number(reference, 8)
        .text({&side, 1})
        .number(shares, 4)
        .text("RING    ")
        .number(price, 4);
    return *this;
  }

  std::vector<std::uint8_t> bytes;

 private:
  std::uint64_t time_ns_ = 0;
};

constexpr ItchOptions kRing{1, 100, 1'000'000};

ItchSummary decode(std::span<const std::uint8_t> bytes, std::vector<MarketEvent>& events) {
  ItchTape tape;
  const ItchSummary summary = decode_itch50(bytes, kRing, tape);
  events = std::move(tape.events);
  return summary;
}

std::vector<MarketEvent> events_of(const Tape& tape, ItchStatus expected = ItchStatus::kOk) {
  std::vector<MarketEvent> events;
  CHECK(decode(tape.bytes, events).status == expected);
  return events;
}

SimulatorParameters parameters() { return {10, 0.6, 0.6, 1.5, 0.6, 0.15, 0.25, 0.15, 10'000}; }

}  // namespace

TEST_CASE("a book follows adds, executions, cancels, deletes and replaces") {
  Tape tape;
  tape.add(1, 'B', 300, 1'000'000).add(2, 'S', 200, 1'000'200).add(3, 'S', 100, 1'000'100);
  tape.add(9, 'S', 100, 1'000'000, 2);                            // another stock
  tape.message("E", 31).number(3, 8).number(60, 4).number(1, 8);  // bought 60 at 10001
  tape.message("X", 23).number(1, 8).number(100, 4);              // bid 200 left
  tape.message("D", 19).number(3, 8);                             // ask back to 10002
  tape.message("U", 35).number(1, 8).number(4, 8).number(500, 4).number(1'000'100, 4);
  const auto events = events_of(tape);
  REQUIRE(events.size() == 7);
  CHECK(events[0].flags == kOneSided);
  CHECK(events[0].event_ns == 1'000'001);
  CHECK(events[2].ask_ticks == 10'001);
  CHECK(events[3].trade_ticks == 10'001);
  CHECK(events[3].trade_lots == 60);
  CHECK(events[3].ask_lots == 40);
  CHECK(events[4].bid_lots == 200);
  CHECK(events[5].ask_ticks == 10'002);
  CHECK(events[6].bid_ticks == 10'001);
  CHECK(events[6].bid_lots == 500);
  CHECK(events[6].sequence == 8);
}

TEST_CASE("a trade against a bid is a sale, a hidden one is signed by the mid") {
  Tape tape;
  tape.add(1, 'B', 300, 1'000'000).add(2, 'S', 200, 1'000'200);
  tape.message("C", 36).number(1, 8).number(300, 4).number(1, 8).text("Y").number(999'900, 4);
  tape.add(3, 'B', 300, 1'000'000);
  for (const std::uint32_t price : {1'000'050U, 1'000'100U, 1'000'200U}) {
    tape.message("P", 44).number(0, 8).text("B").number(10, 4).text("RING    ").number(price, 4).number(1, 8);
  }
  const auto events = events_of(tape);
  REQUIRE(events.size() == 7);
  CHECK(events[2].trade_lots == -300);
  CHECK(events[2].trade_ticks == 9'999);
  CHECK(events[2].flags == kOneSided);
  CHECK(events[4].trade_lots == -10);
  CHECK(events[5].trade_lots == 0);
  CHECK(events[6].trade_lots == 10);
}

TEST_CASE("a halt flags the touch until trading resumes") {
  Tape tape;
  tape.add(1, 'B', 300, 1'000'000).add(2, 'S', 200, 1'000'200);
  tape.message("H", 25).text("RING    ").text("H").text(" ").text("    ");
  tape.message("H", 25).text("RING    ").text("T").text(" ").text("    ");
  const auto events = events_of(tape);
  REQUIRE(events.size() == 4);
  CHECK(events[2].flags == kHalted);
  CHECK(events[3].flags == 0);
}

TEST_CASE("quotation only is an auction, and either kind of halt halts") {
  Tape tape;
  tape.add(1, 'B', 300, 1'000'000).add(2, 'S', 200, 1'000'200);
  tape.message("H", 25).text("RING    ").text("Q").text(" ").text("    ");
  tape.message("h", 21).text("RING    ").text("Q").text("H");
  tape.message("H", 25).text("RING    ").text("T").text(" ").text("    ");
  tape.message("h", 21).text("RING    ").text("Q").text("T");
  const auto events = events_of(tape);
  REQUIRE(events.size() == 6);
  CHECK(events[2].flags == kAuction);
  CHECK(events[3].flags == (kAuction | kHalted));
  CHECK(events[4].flags == kHalted);
  CHECK(events[5].flags == 0);
}

TEST_CASE("a cross is a trade without an aggressor, and what it executes is not told twice") {
  Tape tape;
  tape.add(1, 'B', 300, 1'000'000).add(2, 'S', 200, 1'000'200);
  tape.message("C", 36).number(1, 8).number(100, 4).number(1, 8).text("N").number(1'000'100, 4);
  tape.message("Q", 40).number(100, 8).text("RING    ").number(1'000'100, 4).number(1, 8).text("O");
  tape.message("Q", 40).number(0, 8).text("RING    ").number(0, 4).number(1, 8).text("C");
  const auto events = events_of(tape);
  REQUIRE(events.size() == 4);
  CHECK(events[2].trade_ticks == 0);
  CHECK(events[2].bid_lots == 200);
  CHECK(events[3].trade_ticks == 10'001);
  CHECK(events[3].trade_lots == 0);
}

TEST_CASE("an execution of more than there is takes what there is and is counted") {
  Tape tape;
  tape.add(1, 'B', 300, 1'000'000);
  tape.message("E", 31).number(1, 8).number(400, 4).number(1, 8);
  std::vector<MarketEvent> events;
  CHECK(decode(tape.bytes, events).over_executed == 1);
  REQUIRE(events.size() == 2);
  CHECK(events[1].bid_lots == 0);
  CHECK(events[1].trade_lots == -300);
}

TEST_CASE("what cannot be applied is counted and changes nothing") {
  Tape tape;
  tape.add(1, 'B', 300, 1'000'000).add(1, 'B', 300, 1'000'100).add(2, 'B', 300, 1'000'050);
  tape.message("D", 19).number(77, 8);
  std::vector<MarketEvent> events;
  const ItchSummary summary = decode(tape.bytes, events);
  CHECK(events.size() == 1);
  CHECK(summary.duplicate_orders == 1);
  CHECK(summary.off_grid_orders == 1);
  CHECK(summary.unknown_orders == 1);
  CHECK(summary.by_type['A'] == 3);
}

TEST_CASE("bytes that are not the format's stop the reading where they begin") {
  Tape whole;
  whole.add(1, 'B', 300, 1'000'000);
  const std::size_t good = whole.bytes.size();
  std::vector<MarketEvent> events;

  Tape cut = whole;
  cut.add(2, 'S', 1, 1'000'100).bytes.pop_back();
  CHECK(decode(cut.bytes, events).status == ItchStatus::kTruncated);
  CHECK(decode(cut.bytes, events).offset == good);

  Tape unknown = whole;
  unknown.message("z", 36);
  unknown.bytes.resize(2 * good);
  CHECK(decode(unknown.bytes, events).status == ItchStatus::kOk);
  CHECK(decode(unknown.bytes, events).unknown_types == 1);
  CHECK(decode(unknown.bytes, events).messages == 2);

  Tape empty = whole;
  empty.number(0, 2).add(2, 'S', 1, 1'000'100);
  CHECK(decode(empty.bytes, events).status == ItchStatus::kBadLength);
  CHECK(decode(empty.bytes, events).offset == good);

  Tape wrong = whole;
  wrong.message("D", 20).number(1, 8).number(0, 1);
  CHECK(decode(wrong.bytes, events).status == ItchStatus::kBadLength);

  Tape side = whole;
  side.add(2, 'Q', 1, 1'000'100);
  CHECK(decode(side.bytes, events).status == ItchStatus::kBadField);
  CHECK(decode(side.bytes, events).offset == good);
}

TEST_CASE("random and garbled bytes are refused or read, never out of bounds") {
  std::mt19937_64 random(7);
  const auto tape = simulate_itch50(3, 60.0, 1'000'000, parameters()).itch;
  for (int round = 0; round < 400; ++round) {
    // An exact heap copy, so that the sanitizer sees the first byte past its end.
    const std::size_t size = random() % 4000;
    auto copy = std::make_unique<std::uint8_t[]>(size);
    for (std::size_t i = 0; i < size; ++i) {
      copy[i] = round % 2 == 0 ? static_cast<std::uint8_t>(random()) : tape[i % tape.size()];
    }
    for (int hit = 0; round % 2 == 1 && size > 0 && hit < 5; ++hit) {
      copy[random() % size] = static_cast<std::uint8_t>(random());
    }
    std::vector<MarketEvent> events;
    std::vector<ItchStock> stocks;
    const ItchSummary summary = decode({copy.get(), size}, events);
    CHECK(summary.offset <= size);
    CHECK(list_itch50_stocks({copy.get(), size}, stocks).offset <= size);
  }
}

TEST_CASE("the simulator's bytes decode to a whole, two-sided, uncrossed book, and repeat exactly") {
  const SimulatorResult first = simulate_itch50(5, 300.0, 1'000'000, parameters());
  CHECK(first.itch == simulate_itch50(5, 300.0, 1'000'000, parameters()).itch);
  CHECK(first.itch != simulate_itch50(6, 300.0, 1'000'000, parameters()).itch);
  std::vector<MarketEvent> events;
  const ItchSummary summary = decode(first.itch, events);
  CHECK(summary.status == ItchStatus::kOk);
  CHECK(summary.unknown_orders + summary.duplicate_orders + summary.off_grid_orders == 0);
  REQUIRE(events.size() > 1000);
  std::int64_t last_ns = 0;
  for (std::size_t i = 1; i < events.size(); ++i) {
    CHECK(events[i].flags == 0);
    CHECK(events[i].event_ns >= last_ns);
    last_ns = events[i].event_ns;
  }
  CHECK(first.signal.size() == first.mid_ticks.size());
}
