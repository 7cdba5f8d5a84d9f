#include "market_data/itch50_packets.hpp"

#include <algorithm>
#include <utility>

#include "market_data/itch50_sink.hpp"
#include "market_data/packet_source.hpp"

namespace ringcraft {
namespace {

/// Several captures as one, the earliest packet first; each destination is a line of its own.
class Lines {
 public:
  explicit Lines(const std::vector<std::span<const std::uint8_t>>& captures) {
    for (const auto& bytes : captures) {
      sources_.emplace_back(bytes);
      sources_.back().live = sources_.back().reader.next(sources_.back().packet);
    }
  }

  /// @return false at the end; else the packet and its line.
  bool next(UdpPacket& packet, std::size_t& line) {
    Source* first = nullptr;
    for (Source& source : sources_) {
      if (source.live && (first == nullptr || source.packet.time_ns < first->packet.time_ns)) first = &source;
    }
    if (first == nullptr) return false;
    packet = first->packet;
    line = lines_.line_of(static_cast<std::size_t>(first - sources_.data()), packet);
    first->live = first->reader.next(first->packet);
    return true;
  }

  void summarise(std::vector<CaptureSummary>& into) const {
    for (const Source& source : sources_) into.push_back(source.reader.summary());
  }

 private:
  struct Source {
    explicit Source(std::span<const std::uint8_t> bytes) : reader(bytes) {}
    CaptureReader reader;
    UdpPacket packet;
    bool live = false;
  };
  std::vector<Source> sources_;
  PacketLines lines_;
};

/// A capture that answers requests: its packets by the number of their first message.
class Retransmission {
 public:
  explicit Retransmission(std::span<const std::uint8_t> bytes) : reader_(bytes) {
    UdpPacket packet;
    while (reader_.next(packet)) {
      if (packet.payload.size() >= 20) packets_.push_back({be64(packet.payload.data() + 10), packet});
    }
    std::stable_sort(packets_.begin(), packets_.end(),
                     [](const Packet& a, const Packet& b) { return a.sequence < b.sequence; });
  }

  void answer(MoldArbiter& arbiter, std::uint64_t from, std::uint64_t count, std::int64_t now_ns,
              std::size_t line) {
    const auto later = [](const Packet& each, std::uint64_t sequence) { return each.sequence < sequence; };
    auto at = std::lower_bound(packets_.begin(), packets_.end(), from, later);
    // A packet that begins before the hole may reach into it.
    if (at != packets_.begin()) --at;
    for (; at != packets_.end() && at->sequence < from + count; ++at) {
      arbiter.take(at->packet.payload, now_ns, line);
    }
  }

  [[nodiscard]] const CaptureSummary& summary() const noexcept { return reader_.summary(); }

 private:
  struct Packet {
    std::uint64_t sequence;
    UdpPacket packet;
  };

  CaptureReader reader_;
  std::vector<Packet> packets_;
};

template <class Take, class Missed, class Ahead>
void read_packets(const ItchPackets& source, ItchPacketsSummary& summary, Take take, Missed missed,
                  Ahead ahead) {
  constexpr std::size_t kRetransmissionLine = PacketLines::kMost;
  ItchSink sink(summary.itch, summary.bad_messages, std::move(take), std::move(missed), std::move(ahead));
  Retransmission retransmission(source.retransmission);
  std::int64_t now_ns = 0;
  MoldArbiter* self = nullptr;
  MoldArbiter::Request request;
  if (!source.retransmission.empty()) {
    request = [&](const MoldSession&, std::uint64_t from, std::uint64_t count) {
      retransmission.answer(*self, from, count, now_ns, kRetransmissionLine);
    };
  }
  MoldArbiter arbiter(sink, source.mold, std::move(request));
  self = &arbiter;
  Lines lines(source.captures);
  UdpPacket packet;
  std::size_t line = 0;
  while (lines.next(packet, line)) {
    now_ns = packet.time_ns;
    if (summary.first_ns == 0) summary.first_ns = now_ns;
    arbiter.take(packet.payload, now_ns, line);
  }
  arbiter.finish();
  summary.mold = arbiter.summary();
  lines.summarise(summary.captures);
  if (!source.retransmission.empty()) summary.captures.push_back(retransmission.summary());
}

}  // namespace

ItchPacketsSummary list_itch50_packets(const ItchPackets& source, std::vector<ItchStock>& stocks) {
  ItchPacketsSummary summary;
  const auto take = [&stocks](ItchMessage message, std::uint64_t, std::int64_t) {
    if (message.type() == 'R') stocks.push_back({message.locate(), message.stock()});
    return true;
  };
  read_packets(source, summary, take, [] {}, [](std::span<const std::uint8_t>) {});
  return summary;
}

ItchPacketsSummary decode_itch50_packets(const ItchPackets& source, const ItchOptions& options,
                                         ItchTape& tape) {
  ItchPacketsSummary summary;
  ItchEvents builder(options, tape);
  const auto take = [&](ItchMessage message, std::uint64_t sequence, std::int64_t time_ns) {
    return builder.take(message, sequence, time_ns, summary.itch);
  };
  const auto ahead = [&builder](std::span<const std::uint8_t> blocks) { builder.look_ahead(blocks); };
  read_packets(source, summary, take, [&builder] { builder.missed(); }, ahead);
  builder.finish();
  return summary;
}

}  // namespace ringcraft
