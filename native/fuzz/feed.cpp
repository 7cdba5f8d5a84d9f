// Bytes as a publisher's frames: the same steps however the bytes are cut, and no event that is out of range.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "fuzz/plain_book.hpp"
#include "serving/feed_frames.hpp"

namespace ringcraft::fuzz {
namespace {

constexpr std::size_t kInstruments = 3;
constexpr std::int64_t kFar = std::int64_t{1} << 52U;

struct Told {
  FeedFrames::Step step;
  std::string said;  ///< an event's bytes and its levels', a HELLO's payload, why it was refused

  bool operator==(const Told&) const = default;
};

void require_sane(const FeedFrames& frames) {
  const MarketEvent& event = frames.event();
  require(event.instrument < kInstruments && event.event_ns >= 0, "an instrument and a time that there are");
  for (const std::int64_t number : {event.bid_ticks, event.bid_lots, event.ask_ticks, event.ask_lots,
                                    event.trade_ticks, event.trade_lots}) {
    require(number >= -kFar && number <= kFar, "numbers that a double holds");
  }
  if (frames.depth() == nullptr) return;
  for (const auto* levels : {&frames.depth()->bid_ticks, &frames.depth()->ask_lots}) {
    for (const std::int64_t number : *levels) require(number >= -kFar && number <= kFar, "and levels");
  }
}

/// Feeds the bytes in pieces of at most `piece`; a HELLO's first byte says whether levels come.
std::vector<Told> read(std::span<const std::uint8_t> bytes, std::size_t piece) {
  FeedFrames frames;
  std::vector<Told> told;
  while (!bytes.empty()) {
    const std::span<char> room = frames.room();
    require(room.size() >= 65'536, "room for more");
    const std::size_t count = std::min({piece, room.size(), bytes.size()});
    std::memcpy(room.data(), bytes.data(), count);
    frames.took(count);
    bytes = bytes.subspan(count);
    for (;;) {
      const FeedFrames::Step step = frames.next(kInstruments);
      if (step == FeedFrames::Step::kMore) break;
      Told next{step, {}};
      if (step == FeedFrames::Step::kRefused) {
        next.said = frames.why();
        require(!next.said.empty(), "a reason");
        told.push_back(next);
        return told;
      }
      if (step == FeedFrames::Step::kHello) {
        next.said = frames.text();
        require(next.said.size() < kFrameBytesMax, "frames of at most a MiB");
        frames.accept(!next.said.empty() && next.said[0] == 'd');
      } else if (step == FeedFrames::Step::kEvent) {
        require_sane(frames);
        next.said.assign(reinterpret_cast<const char*>(&frames.event()), sizeof(MarketEvent));
        if (frames.depth() != nullptr)
          next.said.append(reinterpret_cast<const char*>(frames.depth()), sizeof(BookDepth));
      }
      told.push_back(std::move(next));
    }
  }
  return told;
}

void run(std::span<const std::uint8_t> bytes) {
  if (bytes.empty()) return;
  const std::size_t piece = 1 + bytes[0];
  bytes = bytes.subspan(1);
  require(read(bytes, piece) == read(bytes, bytes.size() + 1), "the same steps in any pieces");
}

}  // namespace
}  // namespace ringcraft::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ringcraft::fuzz::run({data, size});
  return 0;
}
