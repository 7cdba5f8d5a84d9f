// Any packets on any lines: each message is handed on once, in order, or told as missed, never both.

#include "market_data/moldudp64.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "fuzz/plain_book.hpp"
#include "market_data/itch50_books.hpp"
#include "market_data/market_tape.hpp"
#include "market_data/wire.hpp"

namespace ringcraft::fuzz {
namespace {

struct Silent {
  void before(ItchMessage) const noexcept {}
  void operator()(ItchMessage, std::uint64_t, const ItchTrade&) const noexcept {}
};

/// Books with orders in them; made once, for they are large.
const ItchBooks<true>& a_market() {
  static ItchBooks<true> books(kItchLocates);
  run_itch50(write_market_tape({9, 50, 20'000, 2'000, 1}), books, Silent{});
  return books;
}

class InOrder : public MoldSink {
 public:
  void message(std::span<const std::uint8_t> bytes, std::uint64_t sequence, std::int64_t) override {
    for (const std::uint8_t byte : bytes) sum += byte;  // reads all of it, for the sanitizer
    follow(sequence, 1);
    ++messages;
  }
  void ahead(std::span<const std::uint8_t> blocks) override {
    std::size_t at = 0;
    while (at < blocks.size()) {
      require(blocks.size() - at >= 2, "a length is whole");
      at += 2U + be16(blocks.data() + at);
    }
    require(at == blocks.size(), "messages fill their packet");
    static const ItchBooks<true>& books = a_market();
    lookahead_.look(books, blocks);
  }
  void missed(std::uint64_t from, std::uint64_t count) override {
    require(count > 0, "a gap has messages");
    follow(from, count);
    lost += count;
  }
  std::uint64_t messages = 0;
  std::uint64_t lost = 0;
  std::uint64_t sum = 0;

 private:
  void follow(std::uint64_t from, std::uint64_t count) {
    require(next_ == 0 || from == next_ || from == 1, "one message after the other");
    next_ = from + count;
  }
  std::uint64_t next_ = 0;
  ItchLookahead<true> lookahead_;
};

/// Packets of a few messages each, in an order that the input chooses; its own bytes as packets in between.
void run(std::span<const std::uint8_t> bytes) {
  InOrder sink;
  std::uint64_t asked = 0;
  MoldArbiter arbiter(sink, {1'000, 8, 1},
                      [&asked](const MoldSession&, std::uint64_t from, std::uint64_t count) {
                        require(from > 0 && count > 0, "a request names messages");
                        asked += count;
                      });
  std::int64_t now_ns = 0;
  std::size_t at = 0;
  while (at + 4 <= bytes.size()) {
    const std::uint8_t first = bytes[at];
    const std::uint8_t count = bytes[at + 1] % 8;
    now_ns += bytes[at + 2];
    const std::size_t line = bytes[at + 3] % 3;
    at += 4;
    std::vector<std::uint8_t> packet;
    if (bytes[at - 1] >= 250) {  // raw
      const std::size_t size = std::min<std::size_t>(bytes.size() - at, first);
      packet.assign(bytes.begin() + static_cast<std::ptrdiff_t>(at),
                    bytes.begin() + static_cast<std::ptrdiff_t>(at + size));
      at += size;
      if (packet.size() >= 18 && be64(packet.data() + 10) > 1'000'000)
        continue;  // holes without end say nothing
    } else {
      packet.assign(10, 'R');
      for (int shift = 56; shift >= 0; shift -= 8) {
        packet.push_back(
            static_cast<std::uint8_t>((std::uint64_t{first} + 1) >> static_cast<unsigned>(shift)));
      }
      packet.push_back(0), packet.push_back(count);
      for (std::uint8_t i = 0; i < count; ++i) packet.insert(packet.end(), {0, 1, 'S'});
    }
    arbiter.take(packet, now_ns, line);
  }
  arbiter.finish();
  const MoldSummary& summary = arbiter.summary();
  require(summary.messages == sink.messages, "counted as handed on");
  require(summary.missed == sink.lost, "counted as missed");
  require(summary.requested == asked, "counted as asked for");
}

}  // namespace
}  // namespace ringcraft::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ringcraft::fuzz::run({data, size});
  return 0;
}
