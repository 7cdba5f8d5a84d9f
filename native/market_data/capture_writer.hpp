#pragma once
// Received packets into a pcap file, written by a thread of its own so that the disk never holds a receiver
// up.

#include <array>
#include <atomic>
#include <cstdio>
#include <string>
#include <thread>

#include "market_data/packet_source.hpp"
#include "transport/spsc_ring.hpp"

namespace ringcraft {

/// Writes nanosecond pcap. Headers below UDP are made up: Ethernet without addresses, IPv4 from 0.0.0.0.
class CaptureWriter {
 public:
  /// @throws std::runtime_error the file cannot be made.
  explicit CaptureWriter(const std::string& path);
  ~CaptureWriter();
  CaptureWriter(const CaptureWriter&) = delete;
  CaptureWriter& operator=(const CaptureWriter&) = delete;

  /// Takes a copy; never waits.
  /// @return false where the disk is 1,024 packets behind, or the packet is longer than 9,216 bytes: not
  /// written.
  bool record(const UdpPacket& packet) noexcept;
  /// As record(), but waits for room; for packets that come from a file.
  bool record_all(const UdpPacket& packet) noexcept;
  /// Writes what waits and closes. @return empty, or why not all of it could be written.
  std::string finish();

 private:
  static constexpr std::size_t kRoom = 9'216;
  struct Copy {
    std::int64_t time_ns;
    std::uint32_t address;
    std::uint16_t port;
    std::uint16_t bytes;
    std::array<std::uint8_t, kRoom> payload;
  };

  void run();
  void write(const Copy& copy);

  std::string path_;
  std::FILE* file_ = nullptr;
  SpscRing<Copy> ring_{1'024};
  std::atomic<bool> stop_{false};
  std::string failure_;
  std::thread thread_;
};

}  // namespace ringcraft
