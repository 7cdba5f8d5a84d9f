#pragma once
// Packets of a MoldUDP64 feed as they come, to the market events of chosen stocks.

#include <array>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "market_data/capture_writer.hpp"
#include "market_data/itch50.hpp"
#include "market_data/itch50_sink.hpp"
#include "market_data/mold_requester.hpp"
#include "market_data/packet_source.hpp"
#include "transport/shared_bus.hpp"

namespace ringcraft {

struct ReceivedStock {
  std::string symbol;                  ///< as the stock directory has it, without its spaces
  std::uint32_t price_per_tick = 100;  ///< tick size in the feed's 1/10000
  std::uint16_t locate = 0;  ///< 0: as the stock directory says, so what comes before it is not read
};

struct ReceiverOptions {
  std::vector<ReceivedStock> stocks;
  std::int64_t midnight_ns = 0;  ///< UTC time of the day's start, which the feed's clock counts from
  MoldOptions mold;
  std::string record_path;  ///< pcap of every packet; empty: none
  std::string retransmit;   ///< HOST:PORT of a re-request server; empty: none
  bool keep_events = true;  ///< for take_events(); else they go to the bus alone
  bool depth = false;       ///< the levels at each event too, 320 bytes, on the bus as well
};

/// One source's packets through arbitration, decoder and books.
///
/// After the books have grown to what the day needs, run() takes no memory and no lock, and calls the system
/// only to receive, to wait, and to ask for what was lost.
/// @note One thread.
class FeedReceiver {
 public:
  /// @param bus gets every event, its `instrument` the position in stocks; may be null.
  /// @throws std::runtime_error the recording or the server's address cannot be had, or the bus's records are
  /// shorter than what it is to get.
  FeedReceiver(PacketSource& source, ReceiverOptions options, BusWriter* bus);

  /// Receives until events wait and no packet does, some thousand events wait, the source or the session
  /// ends, or `timeout_ns` is over. Events that nobody is to take, without keep_events, are not waited on.
  /// @param spin_ns how long to look again at once before sleeping.
  /// @return whether more may come.
  bool run(std::int64_t timeout_ns, std::int64_t spin_ns);
  /// The events since the last call.
  [[nodiscard]] const std::vector<MarketEvent>& events() const noexcept { return tape_.events; }
  /// The levels at each of them; none where they are not kept.
  [[nodiscard]] const std::vector<BookDepth>& depths() const noexcept { return tape_.depths; }
  void forget_events() noexcept {
    tape_.events.clear();
    tape_.depths.clear();
    handed_out_ = 0;
  }
  /// Gives holes up and closes the recording. @return empty, or why the recording is not whole.
  std::string finish();

  [[nodiscard]] const MoldSummary& mold() const noexcept { return arbiter_.summary(); }
  [[nodiscard]] const ItchSummary& itch() const noexcept { return itch_; }
  [[nodiscard]] std::uint64_t bad_messages() const noexcept { return bad_messages_; }
  [[nodiscard]] std::uint64_t produced() const noexcept { return produced_; }
  [[nodiscard]] std::uint64_t unrecorded() const noexcept { return unrecorded_; }
  [[nodiscard]] std::uint64_t requests() const noexcept { return requester_ ? requester_->requests() : 0; }
  [[nodiscard]] std::uint64_t answers() const noexcept { return requester_ ? requester_->answers() : 0; }
  /// Stocks that the directory has not listed.
  [[nodiscard]] std::vector<std::string> unlisted() const;
  [[nodiscard]] StateCounts states() const;

 private:
  static constexpr std::size_t kBatch = 64;
  static constexpr std::size_t kEventsAtOnce = 4'096;
  struct Stock {
    ItchOptions options;
    std::unique_ptr<ItchEvents> events;
  };
  struct Take {
    FeedReceiver* self;
    bool operator()(ItchMessage message, std::uint64_t sequence, std::int64_t time_ns) const {
      return self->take(message, sequence, time_ns);
    }
  };
  struct Missed {
    FeedReceiver* self;
    void operator()() const { self->missed(); }
  };

  struct Ahead {
    FeedReceiver* self;
    void operator()(std::span<const std::uint8_t> blocks) const { self->look_ahead(blocks); }
  };

  bool take(ItchMessage message, std::uint64_t sequence, std::int64_t time_ns);
  void look_ahead(std::span<const std::uint8_t> blocks) noexcept;
  void missed();
  void list(ItchMessage message);
  void take_packets(std::size_t count);
  void hand_out();
  [[nodiscard]] bool live() const noexcept { return source_.stamp() != PacketStamp::kRecorder; }

  PacketSource& source_;
  ReceiverOptions options_;
  BusWriter* bus_;
  std::unique_ptr<CaptureWriter> recording_;
  std::unique_ptr<MoldRequester> requester_;
  ItchTape tape_;
  std::deque<Stock> stocks_;
  std::vector<std::uint16_t> by_locate_;  ///< position in stocks_ and one; 0: none
  ItchSummary itch_;
  std::uint64_t bad_messages_ = 0;
  std::uint64_t produced_ = 0;
  std::uint64_t unrecorded_ = 0;
  std::size_t handed_out_ = 0;
  PacketLines lines_;
  std::array<UdpPacket, kBatch> batch_{};
  ItchSink<Take, Missed, Ahead> sink_;
  MoldArbiter arbiter_;
};

}  // namespace ringcraft
