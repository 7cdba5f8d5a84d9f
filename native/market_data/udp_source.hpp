#pragma once
// Packets from the kernel: UDP sockets, one for each line, many packets a call, stamped by the kernel.

#include <sys/socket.h>

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "market_data/packet_source.hpp"

namespace ringcraft {

struct UdpLine {
  std::string address;     ///< IPv4; a multicast group is joined
  std::uint16_t port = 0;  ///< 0: any free
};

struct UdpOptions {
  std::string interface;             ///< name or IPv4 address, for groups; empty: as the system routes
  int buffer_bytes = 8'388'608;      ///< asked of the kernel, each socket
  int busy_poll_us = 0;              ///< SO_BUSY_POLL; 0: none
  std::size_t packet_bytes = 9'216;  ///< room for one; longer ones are cut and counted
};

class UdpSource : public PacketSource {
 public:
  static constexpr std::size_t kBatch = 64;

  /// @throws std::runtime_error a bad address, or one that cannot be bound or joined.
  UdpSource(const std::vector<UdpLine>& lines, const UdpOptions& options);
  ~UdpSource() override;

  std::size_t receive(std::span<UdpPacket> batch) override;
  void wait(std::int64_t timeout_ns) override;
  [[nodiscard]] PacketStamp stamp() const override { return PacketStamp::kKernel; }
  /// Of each line; what was asked as 0 was chosen by the system.
  [[nodiscard]] std::vector<std::uint16_t> ports() const;

 private:
  struct Socket {
    int file = -1;
    std::uint32_t address = 0;
    std::uint16_t port = 0;
    std::uint32_t dropped = 0;  ///< as the kernel last told
  };
  using Control = std::array<std::byte, 128>;

  void open(const UdpLine& line, const UdpOptions& options);
  void join(int file, std::uint32_t group, const std::string& interface, const std::string& name) const;
  void ask(int file, const UdpLine& line, const UdpOptions& options);
  std::size_t take(Socket& from, std::span<UdpPacket> batch, std::size_t room_at);
  void read_control(Socket& from, msghdr& header, UdpPacket& packet);

  std::vector<Socket> sockets_;
  std::size_t next_ = 0;
  std::size_t packet_bytes_;
  std::unique_ptr<std::uint8_t[]> rooms_;
  std::array<mmsghdr, kBatch> headers_{};
  std::array<iovec, kBatch> vectors_{};
  alignas(16) std::array<Control, kBatch> controls_{};
};

}  // namespace ringcraft
