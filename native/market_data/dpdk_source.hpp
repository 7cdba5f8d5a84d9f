#pragma once
// Packets from a card, or a virtual one, without the kernel: DPDK's first port, polled.

#include <memory>
#include <string>
#include <vector>

#include "market_data/packet_source.hpp"

namespace ringcraft {

class DpdkSource : public PacketSource {
 public:
  /// Starts DPDK, once a process, and its port 0 with one queue, in promiscuous mode.
  /// @param arguments DPDK's own, the program's name first.
  /// @throws std::runtime_error DPDK does not start, or has no port.
  explicit DpdkSource(const std::vector<std::string>& arguments);
  ~DpdkSource() override;

  std::size_t receive(std::span<UdpPacket> batch) override;
  void wait(std::int64_t timeout_ns) override;
  [[nodiscard]] PacketStamp stamp() const override { return PacketStamp::kReceiver; }

 private:
  struct Burst;
  void free_burst() noexcept;

  std::unique_ptr<Burst> burst_;
  CaptureSummary counts_;
};

}  // namespace ringcraft
