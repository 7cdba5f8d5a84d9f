#include "market_data/feed_bench.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <ctime>
#include <vector>

#include "market_data/itch50_books.hpp"
#include "market_data/moldudp64.hpp"
#include "market_data/random.hpp"

namespace ringcraft {
namespace {

/// Time that this thread computed, so that what else runs on the machine is left out.
class Stopwatch {
 public:
  [[nodiscard]] std::int64_t nanoseconds() const { return now() - start_; }

 private:
  static std::int64_t now() {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return time.tv_sec * 1'000'000'000 + time.tv_nsec;
  }
  std::int64_t start_ = now();
};

/// Where an order message has its fields; a field that it has not is read from its start and masked away.
struct OrderLayout {
  std::uint8_t shares_at = 0;
  std::uint8_t price_at = 0;
  std::uint8_t other_at = 0;  ///< a second reference, or the match number
  std::uint8_t side_at = 0;
  std::uint32_t shares_mask = 0;
  std::uint32_t price_mask = 0;
  std::uint64_t other_mask = 0;
  std::uint64_t reference_mask = 0;
};

constexpr std::array<OrderLayout, 256> kOrderLayouts = [] {
  constexpr std::uint32_t k32 = ~0U;
  constexpr std::uint64_t k64 = ~0ULL;
  std::array<OrderLayout, 256> table{};
  table['A'] = {20, 32, 0, 19, k32, k32, 0, k64};
  table['F'] = {20, 32, 0, 19, k32, k32, 0, k64};
  table['E'] = {19, 0, 23, 0, k32, 0, k64, k64};
  table['C'] = {19, 32, 23, 31, k32, k32, k64, k64};
  table['X'] = {19, 0, 0, 0, k32, 0, 0, k64};
  table['D'] = {0, 0, 0, 0, 0, 0, 0, k64};
  table['U'] = {27, 31, 19, 0, k32, k32, k64, k64};
  table['P'] = {20, 32, 36, 19, k32, k32, k64, k64};
  return table;
}();

/// Order-flow imbalance of Cont, Kukanov & Stoikov (2014), summed for each instrument, and the weighted mid.
template <bool kQueues>
class Signals {
 public:
  explicit Signals(const Books<kQueues>& books) : books_(books), flow_(books.instruments()) {}

  void before(ItchMessage message) noexcept { before_ = books_.best(message.locate()); }
  void operator()(ItchMessage message, std::uint64_t, const ItchTrade&) noexcept {
    const BookTouch now = books_.best(message.locate());
    std::int64_t& flow = flow_[message.locate()];
    flow += side_flow(before_.bid_ticks, before_.bid_lots, now.bid_ticks, now.bid_lots);
    // An empty ask is one at no price at all: of the bid's rule with prices negated.
    flow -= side_flow(-before_.ask_ticks, before_.ask_lots, -now.ask_ticks, now.ask_lots);
    const auto lots = static_cast<double>(now.bid_lots + now.ask_lots);
    const double mid =
        static_cast<double>(now.bid_ticks * now.ask_lots + now.ask_ticks * now.bid_lots) / lots;
    // Where the touch did not change, neither did they. Whether it did is a coin's toss: all is computed, and
    // what did not change is masked away.
    const std::uint64_t changed = -std::uint64_t{differ(now, before_)};
    checksum += (static_cast<std::uint64_t>(flow) + std::bit_cast<std::uint64_t>(mid)) & changed;
  }

  std::uint64_t checksum = 0;

 private:
  static bool differ(const BookTouch& a, const BookTouch& b) noexcept {
    return ((a.bid_ticks ^ b.bid_ticks) | (a.bid_lots ^ b.bid_lots) | (a.ask_ticks ^ b.ask_ticks) |
            (a.ask_lots ^ b.ask_lots)) != 0;
  }
  static std::int64_t side_flow(std::int64_t old_key, std::int64_t old_lots, std::int64_t key,
                                std::int64_t lots) noexcept {
    return (key >= old_key ? lots : 0) - (key <= old_key ? old_lots : 0);
  }

  const Books<kQueues>& books_;
  std::vector<std::int64_t> flow_;
  BookTouch before_;
};

class Touches {
 public:
  explicit Touches(const Books<true>& books) : books_(books) {}
  void before(ItchMessage) const noexcept {}
  void operator()(ItchMessage message, std::uint64_t number, const ItchTrade&) noexcept {
    const BookTouch touch = books_.best(message.locate());
    checksum += number ^ static_cast<std::uint64_t>(touch.bid_ticks * touch.ask_lots +
                                                    touch.ask_ticks * touch.bid_lots);
  }

  std::uint64_t checksum = 0;

 private:
  const Books<true>& books_;
};

std::uint64_t unapplied(const ItchSummary& summary) noexcept {
  return summary.unknown_orders + summary.duplicate_orders + summary.off_grid_orders + summary.over_executed;
}

template <bool kQueues, class Listener>
FeedRun build_books(std::span<const std::uint8_t> bytes) {
  ItchBooks<kQueues> state(kItchLocates);
  Listener listener(state.books);
  const Stopwatch watch;
  const ItchSummary summary = run_itch50(bytes, state, listener);
  FeedRun run;
  run.nanoseconds = watch.nanoseconds();
  run.messages = summary.messages;
  run.checksum = listener.checksum;
  run.unapplied = unapplied(summary);
  run.crossed = state.books.state_counts().entered[static_cast<std::size_t>(__builtin_ctz(kCrossed))];
  run.bytes = state.books.bytes();
  return run;
}

/// Packets of a few messages, one behind the other.
class Packets {
 public:
  explicit Packets(std::span<const std::uint8_t> file) {
    constexpr std::uint64_t kMost = 7;
    Random random(1);
    bytes_.reserve(file.size() + file.size() / 4);
    std::uint64_t sequence = 1;
    for (std::size_t at = 0; at < file.size();) {
      const std::size_t header = bytes_.size();
      begins_.push_back(header);
      bytes_.resize(header + kHeaderBytes, 'R');
      std::uint16_t count = 0;
      for (std::uint64_t left = 1 + random.below(kMost); left > 0 && at < file.size(); --left, ++count) {
        const std::size_t size = 2U + be16(file.data() + at);
        const auto from = file.begin() + static_cast<std::ptrdiff_t>(at);
        bytes_.insert(bytes_.end(), from, from + static_cast<std::ptrdiff_t>(size));
        at += size;
      }
      put(header + 10, sequence, 8);
      put(header + 18, count, 2);
      sequence += count;
    }
    begins_.push_back(bytes_.size());
  }

  [[nodiscard]] std::size_t size() const noexcept { return begins_.size() - 1; }
  [[nodiscard]] std::span<const std::uint8_t> operator[](std::size_t i) const noexcept {
    return std::span(bytes_).subspan(begins_[i], begins_[i + 1] - begins_[i]);
  }

 private:
  static constexpr std::size_t kHeaderBytes = 20;
  void put(std::size_t at, std::uint64_t value, unsigned size) noexcept {
    for (unsigned i = 0; i < size; ++i)
      bytes_[at + i] = static_cast<std::uint8_t>(value >> (8U * (size - 1 - i)));
  }

  std::vector<std::uint8_t> bytes_;
  std::vector<std::size_t> begins_;
};

/// Messages as an arbiter hands them on, into books and signals.
class BookSink : public MoldSink {
 public:
  void message(std::span<const std::uint8_t> bytes, std::uint64_t sequence, std::int64_t) override {
    if (bytes.empty() || kItchLengths[bytes[0]] != bytes.size()) return;
    const ItchMessage message(bytes.data());
    ItchTrade trade;
    signals.before(message);
    if (state.apply(message, message.locate(), summary, trade)) signals(message, sequence, trade);
  }
  void missed(std::uint64_t, std::uint64_t count) override { summary.unknown_orders += count; }
  void ahead(std::span<const std::uint8_t> blocks) override { lookahead.look(state, blocks); }

  ItchBooks<true> state{kItchLocates};
  Signals<true> signals{state.books};
  ItchLookahead<true> lookahead;
  ItchSummary summary;
};

std::int64_t quantile(std::vector<std::int64_t>& times, double share) {
  const auto at = times.begin() + static_cast<std::ptrdiff_t>(share * static_cast<double>(times.size() - 1));
  std::nth_element(times.begin(), at, times.end());
  return *at;
}

}  // namespace

FeedRun bench_scan(std::span<const std::uint8_t> bytes) {
  FeedRun run;
  const Stopwatch watch;
  std::uint64_t sums[4] = {0, 0, 0, 0};
  std::size_t at = 0;
  for (; at + 32 <= bytes.size(); at += 32) {
    for (std::size_t lane = 0; lane < 4; ++lane)
      sums[lane] += load_le<std::uint64_t>(bytes.data() + at + 8 * lane);
  }
  for (; at < bytes.size(); ++at) sums[0] += bytes[at];
  run.nanoseconds = watch.nanoseconds();
  run.checksum = sums[0] + sums[1] + sums[2] + sums[3];
  return run;
}

FeedRun bench_decode(std::span<const std::uint8_t> bytes) {
  ItchSummary summary;
  FeedRun run;
  const Stopwatch watch;
  ItchFrames frames(bytes);
  while (const std::uint8_t* at = frames.next(summary)) {
    const ItchMessage m(at);
    const OrderLayout& layout = kOrderLayouts[*at];
    // Every message is at least 12 bytes long; fields at offset 11 exist wherever their mask lets them
    // through.
    const std::uint64_t reference = layout.reference_mask != 0 ? m.reference() : 0;
    const std::uint64_t fields = (m.u32(layout.shares_at) & layout.shares_mask) +
                                 (std::uint64_t{m.u32(layout.price_at) & layout.price_mask} << 20U) +
                                 (m.u64(layout.other_at) & layout.other_mask) +
                                 static_cast<std::uint8_t>(m.letter(layout.side_at));
    run.checksum += (reference ^ fields) + m.locate() + static_cast<std::uint64_t>(m.time_ns());
  }
  run.nanoseconds = watch.nanoseconds();
  run.messages = summary.messages;
  return run;
}

FeedRun bench_levels(std::span<const std::uint8_t> bytes) {
  return build_books<false, Signals<false>>(bytes);
}

FeedRun bench_orders(std::span<const std::uint8_t> bytes) { return build_books<true, Touches>(bytes); }

PacketTimes bench_packets(std::span<const std::uint8_t> bytes) {
  const Packets packets(bytes);
  BookSink sink;
  MoldArbiter arbiter(sink, {}, {});
  std::vector<std::int64_t> times(packets.size());
  for (std::size_t i = 0; i < packets.size(); ++i) {
    const auto start = std::chrono::steady_clock::now();
    arbiter.take(packets[i], static_cast<std::int64_t>(i), 0);
    times[i] = (std::chrono::steady_clock::now() - start).count();
  }
  PacketTimes found{packets.size(), arbiter.summary().messages, unapplied(sink.summary)};
  found.p50_ns = quantile(times, 0.5);
  found.p99_ns = quantile(times, 0.99);
  found.p999_ns = quantile(times, 0.999);
  return found;
}

FeedDay bench_day(const MarketTapeParameters& parameters) {
  constexpr std::uint64_t kPiece = 1'000'000;
  MarketTape tape(parameters);
  ItchBooks<true> state(kItchLocates);
  Touches touches(state.books);
  FeedDay day;
  for (auto piece = tape.next(kPiece); !piece.empty(); piece = tape.next(kPiece)) {
    const Stopwatch watch;
    const ItchSummary summary = run_itch50(piece, state, touches);
    day.nanoseconds += watch.nanoseconds();
    day.messages += summary.messages;
    day.unapplied += unapplied(summary);
    if (day.messages <= parameters.messages / 10 + kPiece) day.early_bytes = state.books.bytes();
  }
  day.late_bytes = state.books.bytes();
  return day;
}

}  // namespace ringcraft
