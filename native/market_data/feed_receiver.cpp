#include "market_data/feed_receiver.hpp"

#include <stdexcept>
#include <utility>

#include "transport/backoff.hpp"

namespace ringcraft {
namespace {

constexpr std::int64_t kLongestSleepNs = 5'000'000;  // holes and requests are looked after in between

}  // namespace

FeedReceiver::FeedReceiver(PacketSource& source, ReceiverOptions options, BusWriter* bus)
    : source_(source),
      options_(std::move(options)),
      bus_(bus),
      recording_(options_.record_path.empty() ? nullptr
                                              : std::make_unique<CaptureWriter>(options_.record_path)),
      requester_(options_.retransmit.empty() ? nullptr
                                             : std::make_unique<MoldRequester>(options_.retransmit)),
      by_locate_(kItchLocates),
      sink_(itch_, bad_messages_, Take{this}, Missed{this}, Ahead{this}),
      arbiter_(sink_, options_.mold,
               requester_ ? MoldArbiter::Request(
                                [this](const MoldSession& session, std::uint64_t from, std::uint64_t count) {
                                  requester_->want(session, from, count);
                                })
                          : MoldArbiter::Request()) {
  const bool depth = options_.depth && (options_.keep_events || bus_ != nullptr);
  if (bus_ != nullptr && bus_->record_bytes() < (depth ? sizeof(DeepEvent) : sizeof(MarketEvent))) {
    throw std::runtime_error("bus: its records are too short for the events");
  }
  tape_.events.reserve(2 * kEventsAtOnce);
  if (depth) tape_.depths.reserve(2 * kEventsAtOnce);
  for (const ReceivedStock& stock : options_.stocks) {
    Stock& added = stocks_.emplace_back();
    added.options = {stock.locate, stock.price_per_tick, options_.midnight_ns, depth};
    added.events = std::make_unique<ItchEvents>(added.options, tape_);
    if (stock.locate != 0) by_locate_[stock.locate] = static_cast<std::uint16_t>(stocks_.size());
  }
}

bool FeedReceiver::run(std::int64_t timeout_ns, std::int64_t spin_ns) {
  const std::int64_t start_ns = monotonic_ns();
  std::int64_t quiet_since_ns = start_ns;
  for (;;) {
    const std::size_t count = source_.receive(batch_);
    take_packets(count);
    if (live()) {
      const std::int64_t wall_ns = read_clock_ns(CLOCK_REALTIME);
      if (requester_) requester_->serve(arbiter_, wall_ns, PacketLines::kMost);
      arbiter_.tick(wall_ns);
    }
    hand_out();
    if (arbiter_.ended() || source_.ended()) return false;
    // Whoever takes them would wait for nothing but the clock.
    if (tape_.events.size() >= kEventsAtOnce || (count == 0 && !tape_.events.empty())) return true;
    const std::int64_t now_ns = monotonic_ns();
    if (count != 0) quiet_since_ns = now_ns;
    const std::int64_t left_ns = timeout_ns - (now_ns - start_ns);
    if (left_ns <= 0) return true;
    if (count != 0) continue;
    if (now_ns - quiet_since_ns < spin_ns) {
      __builtin_ia32_pause();
      continue;
    }
    const bool asking = requester_ && !requester_->idle();
    source_.wait(std::min(left_ns, asking ? kLongestSleepNs / 10 : kLongestSleepNs));
  }
}

void FeedReceiver::take_packets(std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    const UdpPacket& packet = batch_[i];
    if (recording_) {
      const bool kept = live() ? recording_->record(packet) : recording_->record_all(packet);
      unrecorded_ += kept ? 0 : 1;
    }
    arbiter_.take(packet.payload, packet.time_ns, lines_.line_of(0, packet));
  }
}

bool FeedReceiver::take(ItchMessage message, std::uint64_t sequence, std::int64_t time_ns) {
  if (message.type() == 'R') list(message);
  const std::uint16_t at = by_locate_[message.locate()];
  if (at == 0) return true;
  const std::size_t before = tape_.events.size();
  const bool sound = stocks_[at - 1U].events->take(message, sequence, time_ns, itch_);
  if (tape_.events.size() != before) tape_.events.back().instrument = at - 1U;
  return sound;
}

void FeedReceiver::look_ahead(std::span<const std::uint8_t> blocks) noexcept {
  std::array<std::uint16_t, kItchMostAhead> noted;
  std::size_t count = 0;
  each_itch_message(blocks, [&](ItchMessage message) {
    const std::uint16_t at = by_locate_[message.locate()];
    if (at == 0) return;
    stocks_[at - 1U].events->note(message);
    noted[count++] = at;
  });
  // A stock named twice has nothing left to ask for the second time.
  for (const std::uint16_t at : std::span(noted.data(), count)) stocks_[at - 1U].events->ask();
}

void FeedReceiver::missed() {
  for (Stock& stock : stocks_) stock.events->missed();
}

void FeedReceiver::list(ItchMessage message) {
  const std::string symbol = message.stock();
  for (std::size_t i = 0; i < stocks_.size(); ++i) {
    if (options_.stocks[i].symbol != symbol || stocks_[i].options.locate != 0) continue;
    stocks_[i].options.locate = message.locate();
    by_locate_[message.locate()] = static_cast<std::uint16_t>(i + 1);
  }
}

void FeedReceiver::hand_out() {
  produced_ += tape_.events.size() - handed_out_;
  if (bus_ != nullptr) {
    for (std::size_t i = handed_out_; i < tape_.events.size(); ++i) {
      if (tape_.depths.empty()) {
        bus_->write(std::as_bytes(std::span(&tape_.events[i], 1)), kMarketEventRecord);
      } else {
        const DeepEvent deep{tape_.events[i], tape_.depths[i]};
        bus_->write(std::as_bytes(std::span(&deep, 1)), kDeepEventRecord);
      }
    }
  }
  if (!options_.keep_events) {
    tape_.events.clear();
    tape_.depths.clear();
  }
  handed_out_ = tape_.events.size();
}

std::string FeedReceiver::finish() {
  arbiter_.finish();
  hand_out();
  return recording_ ? recording_->finish() : std::string();
}

std::vector<std::string> FeedReceiver::unlisted() const {
  std::vector<std::string> found;
  for (std::size_t i = 0; i < stocks_.size(); ++i) {
    if (stocks_[i].options.locate == 0) found.push_back(options_.stocks[i].symbol);
  }
  return found;
}

StateCounts FeedReceiver::states() const {
  StateCounts total;
  for (const Stock& stock : stocks_) {
    const StateCounts& counts = stock.events->state_counts();
    for (std::size_t i = 0; i < total.entered.size(); ++i) {
      total.entered[i] += counts.entered[i];
      total.left[i] += counts.left[i];
    }
  }
  return total;
}

}  // namespace ringcraft
