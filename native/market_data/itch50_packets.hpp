#pragma once
// ITCH 5.0 out of captures of MoldUDP64 packets: both lines put together, holes filled from a retransmission.

#include <cstdint>
#include <span>
#include <vector>

#include "market_data/capture.hpp"
#include "market_data/itch50.hpp"
#include "market_data/moldudp64.hpp"

namespace ringcraft {

struct ItchPackets {
  std::vector<std::span<const std::uint8_t>> captures;  ///< read as one, by the recorder's clock
  std::span<const std::uint8_t> retransmission;         ///< a capture that answers for holes; may be empty
  MoldOptions mold;
};

struct ItchPacketsSummary {
  ItchSummary itch;  ///< status is always kOk; a message that is none is counted in bad_messages
  std::uint64_t bad_messages =
      0;  ///< of another length than their type's, or with a bad field: the book has a gap
  MoldSummary mold;
  std::vector<CaptureSummary> captures;  ///< of each capture, the retransmission's last
  std::int64_t first_ns = 0;             ///< the recorder's clock at the first packet; 0: it kept none
};

/// Reads the stock directory of the whole recording.
[[nodiscard]] ItchPacketsSummary list_itch50_packets(const ItchPackets& source,
                                                     std::vector<ItchStock>& stocks);

/// Builds one stock's book and appends its events; receive_ns is the packet's time. After messages were
/// missed for good, every event carries kGap.
[[nodiscard]] ItchPacketsSummary decode_itch50_packets(const ItchPackets& source, const ItchOptions& options,
                                                       ItchTape& tape);

}  // namespace ringcraft
