#pragma once
// UDP packets out of packet captures: pcap of either byte order, µs or ns, and pcapng.
// Sources: the pcap and pcapng specifications of the IETF's opsawg drafts; IEEE 802.1Q; RFC 791, RFC 768.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace ringcraft {

enum class CaptureStatus : std::uint8_t {
  kOk,
  kNotCapture,  ///< neither pcap's nor pcapng's magic number
  kTruncated,   ///< the bytes end inside a record or block
  kBadBlock,    ///< a pcapng block whose lengths disagree, of no interface known, or of no clock that 64 bits
                ///< hold
};

/// What was read, what was passed over and why, and where and why reading stopped.
struct CaptureSummary {
  CaptureStatus status = CaptureStatus::kOk;
  std::size_t offset = 0;  ///< of the record at fault; the bytes' size where there is none
  std::uint64_t packets = 0;
  std::uint64_t udp = 0;
  std::uint64_t other_link = 0;      ///< not Ethernet
  std::uint64_t other_protocol = 0;  ///< not IPv4 and UDP
  std::uint64_t fragments = 0;       ///< a part of an IPv4 datagram
  std::uint64_t cut = 0;             ///< captured shorter than sent, so that the payload is not whole
  std::uint64_t garbled = 0;         ///< header lengths that contradict each other
};

struct UdpPacket {
  std::span<const std::uint8_t> payload;
  std::int64_t time_ns = 0;   ///< the recorder's clock, UTC; 0 where the block has none
  std::uint32_t address = 0;  ///< destination, IPv4
  std::uint16_t port = 0;     ///< destination
};

/// Finds the UDP packet of an Ethernet frame, VLAN tags or none, IPv4; sets all but its time.
/// @param short_of_wire whether the frame is known to be cut off.
/// @return false where there is no whole one; `counts` then says why.
bool find_udp(std::span<const std::uint8_t> frame, bool short_of_wire, CaptureSummary& counts,
              UdpPacket& packet);

/// Walks a capture that lies in memory.
///
/// Header and UDP checksums are not checked: network cards fill them in after the capture.
/// @note Reads no byte outside `bytes`, whatever they hold. Takes memory only for a pcapng's interfaces.
class CaptureReader {
 public:
  explicit CaptureReader(std::span<const std::uint8_t> bytes);

  /// The next UDP packet over IPv4, past all else, which is counted.
  /// @return false at the end or at an error, which summary() tells.
  bool next(UdpPacket& packet);
  [[nodiscard]] const CaptureSummary& summary() const noexcept { return summary_; }

 private:
  struct Interface {
    std::uint16_t link = 0;
    std::uint32_t snap_bytes = 0;
    std::uint64_t per_second = 1'000'000;
    std::int64_t offset_s = 0;
  };
  struct Frame {
    std::span<const std::uint8_t> bytes;
    std::int64_t time_ns = 0;
    std::uint16_t link = 0;
    bool short_of_wire = false;
  };

  bool next_frame(Frame& frame);
  bool next_record(Frame& frame);
  bool next_block(Frame& frame, bool& found);
  bool section(std::size_t left);
  bool describe(std::span<const std::uint8_t> body);
  bool enhanced(std::span<const std::uint8_t> body, Frame& frame, bool old);
  bool simple(std::span<const std::uint8_t> body, Frame& frame);
  bool stop(CaptureStatus status);
  bool to_udp(const Frame& frame, UdpPacket& packet);
  [[nodiscard]] std::uint32_t u32(const std::uint8_t* at) const noexcept;
  [[nodiscard]] std::uint16_t u16(const std::uint8_t* at) const noexcept;

  std::span<const std::uint8_t> bytes_;
  std::size_t at_ = 0;
  bool block_format_ = false;
  bool swapped_ = false;
  std::vector<Interface> interfaces_;
  CaptureSummary summary_;
};

}  // namespace ringcraft
