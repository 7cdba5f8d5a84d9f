// Bytes as packet captures of MoldUDP64, alone, as both lines, and as their own retransmission.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "fuzz/plain_book.hpp"
#include "market_data/itch50_packets.hpp"

namespace ringcraft::fuzz {
namespace {

using Bytes = std::span<const std::uint8_t>;

void decode(const ItchPackets& source, std::span<const Bytes> given) {
  constexpr ItchOptions kStock{1, 100, 0};
  ItchTape read;
  const std::vector<MarketEvent>& events = read.events;
  const ItchPacketsSummary summary = decode_itch50_packets(source, kStock, read);
  for (std::size_t i = 0; i < given.size(); ++i) {
    const CaptureSummary& capture = summary.captures[i];
    require(capture.offset <= given[i].size(), "the fault lies in the bytes");
    require(capture.udp + capture.other_link + capture.other_protocol + capture.fragments + capture.cut +
                    capture.garbled ==
                capture.packets,
            "each packet is taken or passed over for one reason");
  }
  for (std::size_t i = 1; i < events.size() && summary.mold.sessions == 1; ++i) {
    require(events[i - 1].sequence < events[i].sequence, "no message is handed on twice");
  }
}

void run(Bytes bytes) {
  // Two captures in one input, cut where its first byte says.
  const std::size_t cut = bytes.empty() ? 0 : 1 + bytes.size() * bytes[0] / 256;
  const Bytes all = bytes.empty() ? bytes : bytes.subspan(1);
  const Bytes one = all.first(cut == 0 ? 0 : cut - 1);
  const Bytes two = all.subspan(one.size());
  const ItchPackets alone{{all}, {}, {}};
  const ItchPackets repaired{{all}, all, {}};
  const ItchPackets lines{{one, two}, all, {}};
  const Bytes parts[] = {one, two};
  decode(alone, {&all, 1});
  decode(repaired, {&all, 1});
  decode(lines, parts);
  std::vector<ItchStock> stocks;
  (void)list_itch50_packets(alone, stocks);
}

}  // namespace
}  // namespace ringcraft::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ringcraft::fuzz::run({data, size});
  return 0;
}
