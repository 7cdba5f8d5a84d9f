#pragma once
// Where packets come from: a capture, the kernel's UDP sockets, a network card without the kernel.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "market_data/capture.hpp"

namespace ringcraft {

/// Who read the clock when a packet came.
enum class PacketStamp : std::uint8_t {
  kRecorder,  ///< whoever made the capture
  kKernel,    ///< the kernel, once the card had handed the packet over
  kReceiver,  ///< this process, once it had fetched the packet
};

/// What came, and what did not.
struct SourceSummary {
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;    ///< of payload
  std::uint64_t calls = 0;    ///< that brought at least one packet
  std::uint64_t dropped = 0;  ///< by the kernel or the card for want of room, as far as they tell
  std::uint64_t cut = 0;      ///< longer than the room for one; not handed on
  std::uint64_t other = 0;    ///< no whole UDP over IPv4; not handed on
};

class PacketSource {
 public:
  PacketSource() = default;
  PacketSource(const PacketSource&) = delete;
  PacketSource& operator=(const PacketSource&) = delete;
  virtual ~PacketSource() = default;

  /// Fetches what is there; never waits.
  /// @return how many came; their payloads are good until the next call.
  virtual std::size_t receive(std::span<UdpPacket> batch) = 0;
  /// Sleeps until there may be something, at most `timeout_ns`.
  virtual void wait(std::int64_t timeout_ns) = 0;
  /// Whether nothing more can come.
  [[nodiscard]] virtual bool ended() const { return false; }
  [[nodiscard]] virtual PacketStamp stamp() const = 0;
  [[nodiscard]] const SourceSummary& summary() const noexcept { return summary_; }
  /// A line for each thing asked for that the system refused.
  [[nodiscard]] const std::vector<std::string>& refused() const noexcept { return refused_; }

 protected:
  SourceSummary summary_;
  std::vector<std::string> refused_;
};

/// Numbers a feed's lines: each destination is one.
class PacketLines {
 public:
  static constexpr std::size_t kMost = 16;  // a feed has two; one that has been tampered with, any number

  [[nodiscard]] std::size_t line_of(std::size_t source, const UdpPacket& packet) {
    const Destination wanted{source, packet.address, packet.port};
    const auto found = std::find(lines_.begin(), lines_.end(), wanted);
    if (found == lines_.end() && lines_.size() == kMost) return kMost - 1;
    const auto line = static_cast<std::size_t>(found - lines_.begin());
    if (found == lines_.end()) lines_.push_back(wanted);
    return line;
  }

 private:
  struct Destination {
    std::size_t source;
    std::uint32_t address;
    std::uint16_t port;
    bool operator==(const Destination&) const = default;
  };
  std::vector<Destination> lines_;
};

}  // namespace ringcraft
