#pragma once
// Packets out of a capture that lies in memory, as fast as they are asked for.

#include "market_data/packet_source.hpp"

namespace ringcraft {

class CaptureSource : public PacketSource {
 public:
  /// @param bytes must outlive this.
  explicit CaptureSource(std::span<const std::uint8_t> bytes) : reader_(bytes) {}

  std::size_t receive(std::span<UdpPacket> batch) override {
    std::size_t count = 0;
    while (count < batch.size() && reader_.next(batch[count]))
      summary_.bytes += batch[count++].payload.size();
    ended_ = count < batch.size();
    summary_.packets += count;
    summary_.calls += count > 0 ? 1 : 0;
    const CaptureSummary& read = reader_.summary();
    summary_.cut = read.cut;
    summary_.other = read.packets - read.udp - read.cut;
    return count;
  }
  void wait(std::int64_t) override {}
  [[nodiscard]] bool ended() const override { return ended_; }
  [[nodiscard]] PacketStamp stamp() const override { return PacketStamp::kRecorder; }
  [[nodiscard]] const CaptureSummary& capture() const noexcept { return reader_.summary(); }

 private:
  CaptureReader reader_;
  bool ended_ = false;
};

}  // namespace ringcraft
