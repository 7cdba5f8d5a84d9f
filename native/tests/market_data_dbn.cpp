// DBN's market-by-order records: what a venue's event is, whole books, auctions, and bytes that are no
// records.
#include <doctest/doctest.h>

#include <cstring>
#include <random>
#include <vector>

#include "market_data/dbn.hpp"

using namespace ringcraft;

namespace {

constexpr std::uint8_t kLastRecord = 128;
constexpr std::uint8_t kOfSnapshot = 32;
constexpr std::int64_t kTick = 250'000'000;
constexpr std::uint32_t kMine = 7;

/// Writes records as Databento does, little-endian.
class Records {
 public:
  Records& add(char action, char side, std::uint64_t order, std::int64_t ticks, std::uint32_t lots,
               std::uint8_t flags = kLastRecord) {
    const std::size_t at = bytes_.size();
    bytes_.resize(at + kMboBytes);
    now_ns_ += 10;
    bytes_[at] = kMboBytes / 4;
    bytes_[at + 1] = 160;
    put<std::uint16_t>(at + 2, 1);
    put<std::uint32_t>(at + 4, kMine);
    put<std::uint64_t>(at + 8, now_ns_);
    put<std::uint64_t>(at + 16, order);
    put<std::int64_t>(at + 24, ticks * kTick);
    put<std::uint32_t>(at + 32, lots);
    bytes_[at + 36] = flags;
    bytes_[at + 38] = static_cast<std::uint8_t>(action);
    bytes_[at + 39] = static_cast<std::uint8_t>(side);
    put<std::uint64_t>(at + 40, now_ns_ + 5);
    put<std::uint32_t>(at + 52, static_cast<std::uint32_t>(at / kMboBytes));
    return *this;
  }

  [[nodiscard]] const std::vector<std::uint8_t>& bytes() const { return bytes_; }

  [[nodiscard]] MboTape read(MboSummary* summary = nullptr) const {
    MboTape tape;
    const MboSummary found = decode_mbo(bytes_, {kMboBytes, kMine, true, kTick}, tape);
    if (summary != nullptr) *summary = found;
    return tape;
  }

 private:
  template <typename T>
  void put(std::size_t at, T value) {
    std::memcpy(bytes_.data() + at, &value, sizeof value);
  }

  std::vector<std::uint8_t> bytes_;
  std::uint64_t now_ns_ = 1'700'000'000'000'000'000;
};

std::vector<std::uint16_t> flags_of(const MboTape& tape) {
  std::vector<std::uint16_t> found;
  for (const MarketEvent& event : tape.events) found.push_back(event.flags);
  return found;
}

}  // namespace

TEST_CASE("a whole book that is crossed or locked is one that its venue does not match") {
  Records records;
  records.add('R', 'N', 0, 0, 0)
      .add('A', 'B', 1, 400, 5)
      .add('A', 'A', 2, 401, 5)
      .add('A', 'B', 3, 401, 2)     // locked
      .add('A', 'B', 4, 403, 2)     // crossed
      .add('T', 'N', 0, 402, 4, 0)  // the auction's trade, and what it takes away
      .add('C', 'B', 4, 403, 2, 0)
      .add('C', 'B', 3, 401, 2, 0)
      .add('C', 'A', 2, 401, 4);
  const MboTape tape = records.read();
  CHECK(flags_of(tape) ==
        std::vector<std::uint16_t>{kOneSided, 0, 0U | kLocked | kAuction, 0U | kCrossed | kAuction, 0});
  CHECK(tape.events.back().trade_ticks == 402);
  CHECK(tape.events.back().trade_lots == 0);
  CHECK(tape.depths.back().ask_lots[0] == 1);
}

TEST_CASE("a book that lacks what rested before is crossed by what it does not know") {
  Records records;
  records.add('A', 'B', 1, 402, 5)
      .add('A', 'A', 2, 401, 5)
      .add('A', 'A', 3, 405, 1, kOfSnapshot | kLastRecord);
  MboSummary summary;
  const MboTape tape = records.read(&summary);
  CHECK(flags_of(tape) == std::vector<std::uint16_t>{0U | kOneSided | kGap, 0U | kCrossed | kGap, kOneSided});
  CHECK(summary.gaps == 1);
}

TEST_CASE("an order that is modified keeps its place unless it grows or moves") {
  Records records;
  records.add('R', 'N', 0, 0, 0)
      .add('A', 'B', 1, 400, 5)
      .add('M', 'B', 1, 400, 3)
      .add('M', 'B', 1, 400, 9)
      .add('M', 'B', 1, 399, 9)
      .add('M', 'B', 2, 398, 1);  // never added: rests from now on
  MboSummary summary;
  const MboTape tape = records.read(&summary);
  REQUIRE(tape.events.size() == 4);
  CHECK(tape.events[1].bid_lots == 3);
  CHECK(tape.events[2].bid_lots == 9);
  CHECK(tape.events[3].bid_ticks == 399);
  CHECK(summary.unknown_orders == 1);
}

TEST_CASE("what is no record stops the reading at its place") {
  const auto status_of = [](char action, char side, std::int64_t ticks) {
    MboSummary summary;
    (void)Records().add('R', 'N', 0, 0, 0).add(action, side, 1, ticks, 1).read(&summary);
    CHECK(summary.record == 1);
    return summary.status;
  };
  CHECK(status_of('X', 'B', 400) == DbnStatus::kBadAction);
  CHECK(status_of('A', 'N', 400) == DbnStatus::kBadSide);
  CHECK(status_of('A', 'B', -1) == DbnStatus::kBadPrice);
  CHECK(status_of('T', 'B', 0) == DbnStatus::kBadPrice);
  std::vector<std::uint8_t> bytes = Records().add('A', 'B', 1, 400, 1).bytes();
  std::vector<std::uint8_t> found;
  CHECK(select_dbn({bytes.data(), 55}, 160, kMboBytes, found).status == DbnStatus::kTruncated);
  bytes[0] = 3;
  CHECK(select_dbn(bytes, 160, kMboBytes, found).status == DbnStatus::kBadLength);
  CHECK(found.empty());
}

TEST_CASE("garbled records are refused or give books that keep their laws") {
  std::mt19937 generator(7);
  const auto chance = [&generator] { return static_cast<std::uint32_t>(generator()); };
  for (int round = 0; round < 400; ++round) {
    Records records;
    for (std::uint64_t order = 1; order < 40; ++order) {
      const bool buy = chance() % 2 == 0;
      records.add('A', buy ? 'B' : 'A', order, buy ? 400 - chance() % 5 : 401 + chance() % 5,
                  1 + chance() % 9);
      if (order % 3 == 0)
        records.add("CMTF"[chance() % 4], buy ? 'B' : 'A', order - chance() % 3, 400, 1 + chance() % 4);
    }
    std::vector<std::uint8_t> bytes = records.bytes();
    for (int hit = 0; hit < 4; ++hit) bytes[chance() % bytes.size()] = static_cast<std::uint8_t>(chance());
    std::vector<std::uint8_t> kept;
    const DbnSummary selected = select_dbn(bytes, 160, kMboBytes, kept);
    CHECK(selected.offset <= bytes.size());
    MboTape tape;
    (void)decode_mbo(kept, {kMboBytes, kMine, true, kTick}, tape);
    CHECK(tape.depths.size() == tape.events.size());
    for (const MarketEvent& event : tape.events) {
      CHECK(event.bid_lots >= 0);
      CHECK(event.ask_lots >= 0);
      const bool met = (event.flags & (0U | kCrossed | kLocked)) != 0;
      const bool whole = (event.flags & (0U | kGap | kResync)) == 0;
      CHECK(((event.flags & kAuction) != 0) == (met && whole));
    }
  }
}
