// Whatever bytes come in, the decoders read none outside them and count or refuse what makes no sense. The
// sanitizers of `make test` watch; a mutator with a seed changes captures and files that are whole.
#include <doctest/doctest.h>

#include <memory>
#include <random>
#include <span>
#include <vector>

#include "market_data/itch50_packets.hpp"
#include "market_data/market_tape.hpp"

using namespace ringcraft;

namespace {

using Data = std::vector<std::uint8_t>;

void put(Data& out, std::uint64_t value, unsigned size, bool big = true) {
  for (unsigned i = 0; i < size; ++i) {
    out.push_back(static_cast<std::uint8_t>(value >> (8U * (big ? size - 1 - i : i))));
  }
}

/// The tape's messages as MoldUDP64 in Ethernet frames, three a packet.
std::vector<Data> frames_of(const Data& tape) {
  std::vector<Data> frames;
  std::uint64_t sequence = 1;
  for (std::size_t at = 0; at < tape.size();) {
    Data messages;
    std::uint16_t count = 0;
    for (; count < 3 && at < tape.size(); ++count) {
      const std::size_t size = 2U + be16(tape.data() + at);
      messages.insert(messages.end(), tape.begin() + static_cast<std::ptrdiff_t>(at),
                      tape.begin() + static_cast<std::ptrdiff_t>(at + size));
      at += size;
    }
    Data frame(12, 2);
    put(frame, 0x8100, 2), put(frame, 5, 2), put(frame, 0x0800, 2);
    put(frame, 0x4500, 2), put(frame, 48 + messages.size(), 2), put(frame, 0, 4), put(frame, 0x4011, 2);
    put(frame, 0, 2), put(frame, 0x0A000001, 4), put(frame, 0xE9360C6F, 4);
    put(frame, 40'000, 2), put(frame, 26'477, 2), put(frame, 28 + messages.size(), 2), put(frame, 0, 2);
    frame.insert(frame.end(), 10, 'R');
    put(frame, sequence, 8), put(frame, count, 2);
    frame.insert(frame.end(), messages.begin(), messages.end());
    sequence += count;
    frames.push_back(std::move(frame));
  }
  return frames;
}

Data pcap_of(const std::vector<Data>& frames) {
  Data out;
  put(out, 0xA1B23C4D, 4), put(out, 0x00020004, 4), put(out, 0, 8), put(out, 65'535, 4), put(out, 1, 4);
  std::uint32_t time = 0;
  for (const Data& frame : frames) {
    put(out, 1, 4), put(out, ++time, 4), put(out, frame.size(), 4), put(out, frame.size(), 4);
    out.insert(out.end(), frame.begin(), frame.end());
  }
  return out;
}

Data pcapng_of(const std::vector<Data>& frames) {
  Data out;
  put(out, 0x0A0D0D0A, 4, false), put(out, 28, 4, false), put(out, 0x1A2B3C4D, 4, false),
      put(out, 1, 4, false);
  put(out, ~0ULL, 8, false), put(out, 28, 4, false);
  put(out, 1, 4, false), put(out, 32, 4, false), put(out, 1, 2, false), put(out, 0, 6, false);
  put(out, 9, 2, false), put(out, 1, 2, false), put(out, 9, 4, false), put(out, 0, 4, false),
      put(out, 32, 4, false);
  std::uint32_t time = 0;
  for (const Data& frame : frames) {
    const std::size_t padded = (frame.size() + 3) / 4 * 4;
    put(out, 6, 4, false), put(out, 32 + padded, 4, false), put(out, 0, 8, false), put(out, ++time, 4, false);
    put(out, frame.size(), 4, false), put(out, frame.size(), 4, false);
    out.insert(out.end(), frame.begin(), frame.end());
    out.resize(out.size() + padded - frame.size());
    put(out, 32 + padded, 4, false);
  }
  return out;
}

/// Changes bytes, cuts, repeats and moves pieces; values at the edges come more often than others.
class Mutator {
 public:
  explicit Mutator(std::uint64_t seed) : random_(seed) {}

  Data change(Data data) {
    constexpr std::uint8_t kEdges[] = {0x00, 0x01, 0x7F, 0x80, 0xFF};
    for (std::uint64_t left = 1 + random_() % 6; left > 0 && !data.empty(); --left) {
      const std::size_t at = random_() % data.size();
      const std::size_t size = std::min<std::size_t>(data.size() - at, random_() % 64);
      const auto from = data.begin() + static_cast<std::ptrdiff_t>(at);
      switch (random_() % 6) {
        case 0:
          data[at] = static_cast<std::uint8_t>(random_());
          break;
        case 1:
          data[at] = kEdges[random_() % 5];
          break;
        case 2:
          data[at] ^= static_cast<std::uint8_t>(1U << (random_() % 8));
          break;
        case 3:
          data.erase(from, from + static_cast<std::ptrdiff_t>(size));
          break;
        case 4: {
          const Data piece(from, from + static_cast<std::ptrdiff_t>(size));
          data.insert(data.begin() + static_cast<std::ptrdiff_t>(random_() % data.size()), piece.begin(),
                      piece.end());
          break;
        }
        default:
          if (random_() % 8 == 0) data.resize(at);
      }
    }
    return data;
  }

 private:
  std::mt19937_64 random_;
};

/// An exact heap copy, so that the sanitizer sees the first byte past its end.
template <class Read>
void read_exactly(const Data& data, Read read) {
  auto copy = std::make_unique<std::uint8_t[]>(data.size());
  std::copy(data.begin(), data.end(), copy.get());
  read(std::span<const std::uint8_t>(copy.get(), data.size()));
}

constexpr ItchOptions kStock{1, 100, 0};

}  // namespace

TEST_CASE("changed files of messages are read or refused, and their books stay sound") {
  const Data tape = write_market_tape({2, 4, 150, 40, 1});
  Mutator mutator(1);
  for (int round = 0; round < 1'500; ++round) {
    read_exactly(mutator.change(tape), [](std::span<const std::uint8_t> bytes) {
      ItchTape read;
      const ItchSummary summary = decode_itch50(bytes, kStock, read);
      CHECK(summary.offset <= bytes.size());
      for (const MarketEvent& event : read.events) {
        REQUIRE(event.bid_lots >= 0);
        REQUIRE(event.ask_lots >= 0);
        REQUIRE((event.bid_lots == 0 || event.ask_lots == 0) == ((event.flags & kOneSided) != 0));
      }
    });
  }
}

TEST_CASE("changed captures are read or refused, and no message is handed on twice") {
  const auto frames = frames_of(write_market_tape({3, 4, 120, 40, 1}));
  const std::vector<Data> wholes = {pcap_of(frames), pcapng_of(frames)};
  Mutator mutator(2);
  for (int round = 0; round < 1'500; ++round) {
    const Data& whole = wholes[static_cast<std::size_t>(round % 2)];
    read_exactly(mutator.change(whole), [&](std::span<const std::uint8_t> bytes) {
      ItchTape read;
      const std::vector<MarketEvent>& events = read.events;
      ItchPackets source{{bytes}, {}, {}};
      if (round % 3 == 0) source.captures.push_back(whole);
      if (round % 5 == 0) source.retransmission = bytes;
      const auto summary = decode_itch50_packets(source, kStock, read);
      CHECK(summary.captures[0].offset <= bytes.size());
      for (std::size_t i = 1; i < events.size() && summary.mold.sessions == 1; ++i) {
        REQUIRE(events[i - 1].sequence < events[i].sequence);
      }
    });
  }
}

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
