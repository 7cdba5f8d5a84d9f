// Two lossy lines make one whole one, and holes are asked for.
#include <doctest/doctest.h>

#include <random>
#include <string>
#include <vector>

#include "market_data/itch50_packets.hpp"
#include "market_data/market_tape.hpp"
#include "tests/captures.hpp"

using namespace ringcraft;

namespace {

constexpr ItchOptions kStock{1, 100, 0};

}  // namespace

TEST_CASE("a whole capture beside a changed one gives the whole book") {
  const auto frames = frames_of(write_market_tape({4, 4, 300, 40, 1}));
  const Data whole = pcap_of(frames);
  ItchTape untouched;
  const std::vector<MarketEvent>& expected = untouched.events;
  REQUIRE(decode_itch50_packets({{whole}, {}, {}}, kStock, untouched).mold.gaps == 0);
  REQUIRE(expected.size() > 40);
  std::mt19937_64 random(5);
  for (int round = 0; round < 30; ++round) {
    std::vector<Data> lossy;
    for (const Data& frame : frames) {
      if (random() % 3 != 0) lossy.push_back(frame);
    }
    const Data other = pcap_of(lossy);
    ItchTape joined;
    const std::vector<MarketEvent>& found = joined.events;
    const auto summary = decode_itch50_packets({{other, whole}, {}, {}}, kStock, joined);
    CHECK(summary.mold.missed == 0);
    REQUIRE(found.size() == expected.size());
    for (std::size_t i = 0; i < found.size(); ++i) {
      REQUIRE(found[i].sequence == expected[i].sequence);
      REQUIRE(found[i].bid_ticks == expected[i].bid_ticks);
      REQUIRE(found[i].ask_lots == expected[i].ask_lots);
    }
  }
}

TEST_CASE("a hole is asked for once, and an answer that comes later fills it") {
  struct Numbers : MoldSink {
    void message(std::span<const std::uint8_t>, std::uint64_t sequence, std::int64_t) override {
      got.push_back(sequence);
    }
    void missed(std::uint64_t from, std::uint64_t count) override {
      lost.push_back(from), lost.push_back(count);
    }
    std::vector<std::uint64_t> got, lost;
  } sink;
  const auto packet = [](std::uint64_t sequence, std::uint16_t count) {
    Data bytes(10, 'R');
    put(bytes, sequence, 8), put(bytes, count, 2);
    for (std::uint16_t i = 0; count != 0xFFFF && i < count; ++i) put(bytes, 1, 2), put(bytes, 'S', 1);
    return bytes;
  };
  std::vector<std::uint64_t> asked;
  MoldArbiter arbiter(sink, {},
                      [&asked](const MoldSession& session, std::uint64_t from, std::uint64_t count) {
                        asked.push_back(from), asked.push_back(count);
                        const auto request = mold_request(session, from, static_cast<std::uint16_t>(count));
                        CHECK(be64(request.data() + 10) == from);
                        CHECK(be16(request.data() + 18) == count);
                      });
  arbiter.take(packet(1, 2), 1, 0);
  arbiter.take(packet(6, 2), 2, 0);
  arbiter.take(packet(8, 1), 3, 1);
  CHECK(asked == std::vector<std::uint64_t>{3, 3});
  CHECK(sink.got == std::vector<std::uint64_t>{1, 2});
  arbiter.take(packet(3, 3), 4, 2);
  CHECK(sink.got == std::vector<std::uint64_t>{1, 2, 3, 4, 5, 6, 7, 8});
  arbiter.take(packet(9, 0), 5, 0);   // a heartbeat: nothing is missing
  arbiter.take(packet(12, 0), 6, 0);  // another: three are
  CHECK(asked == std::vector<std::uint64_t>{3, 3, 9, 3});
  arbiter.take(packet(12, 0), 200'000'000, 0);  // nobody had them
  CHECK(sink.lost == std::vector<std::uint64_t>{9, 3});
  arbiter.take(packet(12, 0xFFFF), 200'000'001, 0);
  CHECK(arbiter.summary().ended == 1);
  CHECK(arbiter.summary().holes == 2);
  CHECK(arbiter.summary().gaps == 1);
}

TEST_CASE("a packet that brings something new is told ahead of its messages, one that does not is not") {
  struct Told : MoldSink {
    void ahead(std::span<const std::uint8_t> blocks) override {
      told.push_back("ahead " + std::to_string(blocks.size()));
    }
    void message(std::span<const std::uint8_t>, std::uint64_t sequence, std::int64_t) override {
      told.push_back(std::to_string(sequence));
    }
    void missed(std::uint64_t, std::uint64_t) override { told.emplace_back("missed"); }
    std::vector<std::string> told;
  } sink;
  const auto packet = [](std::uint64_t sequence, std::uint16_t count) {
    Data bytes(10, 'R');
    put(bytes, sequence, 8), put(bytes, count, 2);
    for (std::uint16_t i = 0; i < count; ++i) put(bytes, 1, 2), put(bytes, 'S', 1);
    return bytes;
  };
  MoldArbiter arbiter(sink, {}, {});
  arbiter.take(packet(1, 2), 1, 0);
  arbiter.take(packet(1, 2), 2, 1);  // the other line's
  arbiter.take(packet(2, 2), 3, 0);  // half of it is new
  arbiter.take(packet(5, 1), 4, 0);  // waits behind a hole
  arbiter.take(packet(4, 1), 5, 0);
  CHECK(sink.told ==
        std::vector<std::string>{"ahead 6", "1", "2", "ahead 6", "3", "ahead 3", "4", "ahead 3", "5"});
}
