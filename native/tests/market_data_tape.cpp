// The simulated tape: its arithmetic, its auction, its repeatability, and packets that the arbiter puts
// together again.

#include <doctest/doctest.h>

#include <cmath>
#include <numbers>
#include <vector>

#include "market_data/exact_math.hpp"
#include "market_data/itch50_packets.hpp"
#include "market_data/random.hpp"
#include "market_data/tape.hpp"
#include "market_data/tape_auction.hpp"

namespace ringcraft {
namespace {

double places_off(double got, double expected) {
  const double size = std::fabs(expected);
  return std::fabs(got - expected) / (std::nextafter(size, INFINITY) - size);
}

TapeOptions crowded(bool packets) {
  TapeOptions options;
  options.seed = 7, options.stocks = 2, options.start_ns = 34'200'000'000'000, options.seconds = 40;
  options.keep_touches = true, options.packets = packets;
  for (std::size_t i = 0; i < kFlowKinds; ++i) options.flow.branching[i].fill(0.08);
  options.flow.branching_ratio = spectral_radius(options.flow.branching);
  options.schedule.halts = {{10, 15, 20}};
  options.schedule.overlaps = {{25, 26, 2, 500}};
  options.schedule.notices_s = {30};
  options.schedule.windows.push_back({30, 35});
  options.schedule.windows.back().market = 5;
  options.marks_s = {10, 1e6};
  return options;
}

std::vector<std::uint8_t> whole(Tape& tape, std::size_t about_bytes) {
  std::vector<std::uint8_t> all;
  while (true) {
    const auto piece = tape.next(about_bytes);
    if (piece.empty()) return all;
    all.insert(all.end(), piece.begin(), piece.end());
  }
}

std::uint64_t fnv(const std::vector<std::uint8_t>& bytes) {
  std::uint64_t hash = 0xCBF29CE484222325U;
  for (const std::uint8_t each : bytes) hash = (hash ^ each) * 0x100000001B3U;
  return hash;
}

}  // namespace

TEST_CASE("exact arithmetic stays within two places of libm") {
  Random random(1);
  for (int i = 0; i < 20'000; ++i) {
    const double u = random.uniform();
    CHECK(places_off(exact_log(u), std::log(u)) <= 2);
    CHECK(places_off(exact_log(u * 1e9), std::log(u * 1e9)) <= 2);
    const double x = (u - 0.5) * (i % 2 == 0 ? 2.0 : 1'300.0);
    CHECK(places_off(exact_exp(x), std::exp(x)) <= 2);
    CHECK(std::fabs(exact_cos_of_turns(u) - std::cos(2.0 * std::numbers::pi * u)) < 1e-15);
  }
  CHECK(exact_log(1.0) == 0.0);
  CHECK(exact_exp(0.0) == 1.0);
  CHECK(exact_exp(-1e9) == 0.0);
  CHECK(exact_cos_of_turns(0.5) == -1.0);
  CHECK(exact_cos_of_turns(1.0) == 1.0);
}

TEST_CASE("the auction trades the most that one price allows") {
  Random random(3);
  for (int round = 0; round < 300; ++round) {
    TapeBook book(100);
    for (std::uint64_t i = 1; i <= 2 + random.below(12); ++i) {
      const Side side = random.below(2) == 0 ? Side::kBuy : Side::kSell;
      book.add(i, side, static_cast<std::int32_t>(40 + random.below(12)),
               static_cast<std::uint32_t>(random.lots()));
    }
    std::int64_t most = 0;
    const auto demand_and_supply = [&book](std::int32_t at, std::int64_t& bids, std::int64_t& asks) {
      bids = asks = 0;
      for (std::int32_t ticks = 1; ticks < 100; ++ticks) {
        if (ticks >= at) bids += book.lots_at(Side::kBuy, ticks);
        if (ticks <= at) asks += book.lots_at(Side::kSell, ticks);
      }
    };
    std::int64_t bids = 0;
    std::int64_t asks = 0;
    for (std::int32_t at = 1; at < 100; ++at) {
      demand_and_supply(at, bids, asks);
      most = std::max(most, std::min(bids, asks));
    }
    const AuctionOutcome outcome = clear_auction(book, 45);
    CHECK(outcome.lots == most);
    if (most == 0) continue;
    demand_and_supply(outcome.ticks, bids, asks);
    CHECK(std::min(bids, asks) == most);
  }
}

TEST_CASE("a tape is the same bytes in every build, in pieces of any size") {
  Tape first(crowded(false));
  Tape second(crowded(false));
  const auto bytes = whole(first, 1 << 20);
  CHECK(bytes == whole(second, 1));
  CHECK(fnv(bytes) == 1403577041791844470U);
  CHECK(first.marks()[1] == first.messages() + 1);
}

TEST_CASE("the decoded book is the simulator's own, and packets bring the same") {
  Tape plain(crowded(false));
  const auto bytes = whole(plain, 1 << 20);
  TapeOptions options = crowded(true);
  const std::uint64_t start = options.start_ns;
  const std::uint64_t end = start + 40'000'000'000;
  options.faults = {{FaultKind::kDuplicate, start, end, 3, 0.2, 30, 0, false},
                    {FaultKind::kReorder, start, end, 3, 0.2, 40'000, 0, false},
                    {FaultKind::kLoss, start, end, 2, 0.5, 0, 0, false},
                    {FaultKind::kGap, start + 5'000'000'000, end, 3, 1, 30, 0, true},
                    {FaultKind::kSkew, start, end, 3, 1, -100, 20, false}};
  Tape packets(options);
  const auto capture = whole(packets, 1 << 16);
  REQUIRE(packets.packets() != nullptr);
  CHECK(packets.packets()->lost().size() == 1);

  for (std::uint16_t locate = 1; locate <= 2; ++locate) {
    ItchTape decoded;
    ItchTape decoded_packets;
    const ItchOptions wanted{locate, 100, 0};
    CHECK(decode_itch50(bytes, wanted, decoded).status == ItchStatus::kOk);
    ItchPackets source;
    source.captures = {capture};
    source.retransmission = packets.packets()->answers;
    const auto summary = decode_itch50_packets(source, wanted, decoded_packets);
    CHECK(summary.mold.missed == 0);
    CHECK(summary.mold.requested > 0);
    const auto& events = decoded.events;
    const auto& from_packets = decoded_packets.events;
    REQUIRE(events.size() == from_packets.size());
    std::size_t row = 0;
    const auto& touches = plain.touches();
    for (std::size_t i = 0; i < events.size(); ++i) {
      const MarketEvent& event = events[i];
      CHECK(from_packets[i].sequence == event.sequence);
      CHECK(from_packets[i].bid_lots == event.bid_lots);
      CHECK(from_packets[i].flags == event.flags);
      while (row < touches.size() && touches[row].message < static_cast<std::int64_t>(event.sequence)) ++row;
      if (row == touches.size() || touches[row].message != static_cast<std::int64_t>(event.sequence))
        continue;
      CHECK(touches[row].bid_ticks == event.bid_ticks);
      CHECK(touches[row].ask_ticks == event.ask_ticks);
      CHECK(touches[row].bid_lots == event.bid_lots);
      CHECK(touches[row].ask_lots == event.ask_lots);
      CHECK(touches[row].state == event.flags);
    }
  }
}

}  // namespace ringcraft
