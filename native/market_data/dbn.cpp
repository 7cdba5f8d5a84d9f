#include "market_data/dbn.hpp"

#include <limits>

#include "market_data/book_depth.hpp"
#include "market_data/books.hpp"
#include "market_data/wire.hpp"

namespace ringcraft {
namespace {

constexpr std::size_t kHeaderBytes = 16;
constexpr std::uint8_t kLast = 128;
constexpr std::uint8_t kTopOfBook = 64;
constexpr std::uint8_t kSnapshot = 32;
constexpr std::uint8_t kMaybeBad = 4;
constexpr std::int64_t kNoPrice = std::numeric_limits<std::int64_t>::max();

/// One market-by-order record, little-endian.
class MboRecord {
 public:
  explicit MboRecord(const std::uint8_t* at) : at_(at) {}
  [[nodiscard]] std::uint16_t publisher() const noexcept { return load_le<std::uint16_t>(at_ + 2); }
  [[nodiscard]] std::uint32_t instrument() const noexcept { return load_le<std::uint32_t>(at_ + 4); }
  [[nodiscard]] std::uint64_t event_ns() const noexcept { return load_le<std::uint64_t>(at_ + 8); }
  [[nodiscard]] std::uint64_t order() const noexcept { return load_le<std::uint64_t>(at_ + 16); }
  [[nodiscard]] std::int64_t price() const noexcept { return load_le<std::int64_t>(at_ + 24); }
  [[nodiscard]] std::uint32_t size() const noexcept { return load_le<std::uint32_t>(at_ + 32); }
  [[nodiscard]] std::uint8_t flags() const noexcept { return at_[36]; }
  [[nodiscard]] bool has(std::uint8_t flag) const noexcept { return (at_[36] & flag) != 0; }
  [[nodiscard]] char action() const noexcept { return static_cast<char>(at_[38]); }
  [[nodiscard]] char side() const noexcept { return static_cast<char>(at_[39]); }
  [[nodiscard]] std::uint64_t receive_ns() const noexcept { return load_le<std::uint64_t>(at_ + 40); }
  [[nodiscard]] std::uint32_t sequence() const noexcept { return load_le<std::uint32_t>(at_ + 52); }

 private:
  const std::uint8_t* at_;
};

struct MboTrade {
  std::uint64_t sequence;
  std::int64_t ticks;
  std::int64_t lots;
};

class MboBook {
 public:
  MboBook(const MboOptions& options, MboTape& tape, MboSummary& summary)
      : options_(options), tape_(tape), summary_(summary) {}

  [[nodiscard]] DbnStatus take(MboRecord r) {
    if (r.instrument() != options_.instrument) return DbnStatus::kOk;
    constexpr std::uint64_t kLatest = std::numeric_limits<std::int64_t>::max();
    if (r.event_ns() > kLatest || r.receive_ns() > kLatest) return DbnStatus::kBadTime;
    if (!begun_) begin(r);
    if (r.publisher() != publisher_) {
      ++summary_.other_publisher;
      return DbnStatus::kOk;
    }
    if (r.has(kSnapshot) != in_snapshot_) turn_snapshot(r.has(kSnapshot));
    if (r.has(kMaybeBad)) lose();
    if (const DbnStatus status = apply(r); status != DbnStatus::kOk) return status;
    if (in_snapshot_) {
      snapshot_ns_ = static_cast<std::int64_t>(r.receive_ns());
      snapshot_sequence_ = r.sequence();
      if (r.has(kLast)) turn_snapshot(false);
    } else if (r.has(kLast)) {
      tell_auction();
      finish(r);
    } else {
      open_ = true;
    }
    return DbnStatus::kOk;
  }

  void end() {
    if (in_snapshot_) turn_snapshot(false);
    if (open_) ++summary_.unfinished_events;
  }

 private:
  void begin(MboRecord r) {
    begun_ = true;
    publisher_ = r.publisher();
    if (!r.has(kSnapshot) && r.action() != 'R') lose();
  }

  void lose() {
    if ((books_.state(0) & kGap) == 0) ++summary_.gaps;
    books_.set_state(0, kGap, true);
  }

  void turn_snapshot(bool begins) {
    in_snapshot_ = begins;
    books_.set_state(0, kResync, begins);
    if (begins) {
      books_.clear(0);
      books_.set_state(0, kGap, false);
    } else {
      tell_auction();
      emit(snapshot_ns_, snapshot_ns_, {snapshot_sequence_, 0, 0});
    }
  }

  /// A venue that trades continuously would have matched what stands crossed or locked in a whole book.
  void tell_auction() {
    const std::uint32_t state = books_.state(0);
    const bool whole = (state & (0U | kGap | kResync)) == 0;
    books_.set_state(0, kAuction, whole && (state & (0U | kCrossed | kLocked)) != 0);
  }

  DbnStatus apply(MboRecord r) {
    switch (r.action()) {
      case 'A':
        return r.has(kTopOfBook) ? set_top(r) : add(r);
      case 'C':
        return cancel(r);
      case 'M':
        return modify(r);
      case 'R':
        books_.clear(0);
        books_.set_state(0, kGap, false);
        return DbnStatus::kOk;
      case 'T':
        return trade(r);
      case 'F':
      case 'N':
        return DbnStatus::kOk;
      default:
        return DbnStatus::kBadAction;
    }
  }

  /// Ticks of a price; 0: it is off the grid.
  [[nodiscard]] std::int32_t ticks_of(std::int64_t price) const noexcept {
    const std::int64_t ticks = price / options_.price_per_tick;
    if (ticks * options_.price_per_tick != price || ticks > std::numeric_limits<std::int32_t>::max())
      return 0;
    return static_cast<std::int32_t>(ticks);
  }

  DbnStatus add(MboRecord r) {
    if (r.side() != 'A' && r.side() != 'B') return DbnStatus::kBadSide;
    if (r.price() <= 0) return DbnStatus::kBadPrice;
    const std::int32_t ticks = ticks_of(r.price());
    if (ticks == 0 || r.size() == 0) {
      ++summary_.off_grid_orders;
      return DbnStatus::kOk;
    }
    const Side side = r.side() == 'B' ? Side::kBuy : Side::kSell;
    if (books_.add(0, r.order(), side, ticks, r.size()) != AddStatus::kAdded) ++summary_.duplicate_orders;
    return DbnStatus::kOk;
  }

  DbnStatus cancel(MboRecord r) {
    const Taken taken = books_.reduce(0, r.order(), r.size());
    if (taken.lots == r.size()) return DbnStatus::kOk;
    ++(taken.lots == 0 ? summary_.unknown_orders : summary_.over_executed);
    return DbnStatus::kOk;
  }

  DbnStatus modify(MboRecord r) {
    if (r.side() != 'A' && r.side() != 'B') return DbnStatus::kBadSide;
    if (r.price() <= 0) return DbnStatus::kBadPrice;
    const Taken now = books_.reduce(0, r.order(), 0);  // takes nothing: tells what rests
    if (now.left == 0) {
      ++summary_.unknown_orders;
      return add(r);
    }
    const bool stays = (now.side == Side::kBuy) == (r.side() == 'B') && ticks_of(r.price()) == now.ticks;
    if (stays && r.size() <= now.left) {
      if (r.size() < now.left) books_.reduce(0, r.order(), now.left - r.size());
      return DbnStatus::kOk;
    }
    books_.remove(0, r.order());
    return add(r);
  }

  /// The touch of a venue that sends no orders: it stands for all of its side.
  DbnStatus set_top(MboRecord r) {
    if (r.side() != 'A' && r.side() != 'B') return DbnStatus::kBadSide;
    const Side side = r.side() == 'B' ? Side::kBuy : Side::kSell;
    std::int32_t& top = tops_[side == Side::kSell];
    if (top != 0) books_.set_level(0, side, top, 0);
    top = 0;
    if (r.price() == kNoPrice) return DbnStatus::kOk;
    if (r.price() <= 0) return DbnStatus::kBadPrice;
    const std::int32_t ticks = ticks_of(r.price());
    if (ticks == 0 || !books_.set_level(0, side, ticks, r.size())) {
      ++summary_.off_grid_orders;
      return DbnStatus::kOk;
    }
    if (r.size() != 0) top = ticks;
    return DbnStatus::kOk;
  }

  DbnStatus trade(MboRecord r) {
    if (r.side() != 'A' && r.side() != 'B' && r.side() != 'N') return DbnStatus::kBadSide;
    if (r.price() <= 0 || r.price() == kNoPrice) return DbnStatus::kBadPrice;
    const std::int64_t ticks = r.price() / options_.price_per_tick +
                               (r.price() % options_.price_per_tick * 2 >= options_.price_per_tick ? 1 : 0);
    const std::int64_t sign = r.side() == 'B' ? 1 : r.side() == 'A' ? -1 : 0;
    trades_.push_back({r.sequence(), ticks, sign * std::int64_t{r.size()}});
    return DbnStatus::kOk;
  }

  void finish(MboRecord r) {
    open_ = false;
    const auto event_ns = static_cast<std::int64_t>(r.event_ns());
    const auto receive_ns = static_cast<std::int64_t>(r.receive_ns());
    if (trades_.empty()) {
      if (books_.best(0) != last_ || books_.state(0) != last_state_)
        emit(event_ns, receive_ns, {r.sequence(), 0, 0});
      return;
    }
    for (const MboTrade& each : trades_) emit(event_ns, receive_ns, each);
    trades_.clear();
  }

  void emit(std::int64_t event_ns, std::int64_t receive_ns, const MboTrade& trade) {
    last_ = books_.best(0);
    last_state_ = books_.state(0);
    MarketEvent event{};
    event.event_ns = event_ns;
    event.receive_ns = receive_ns;
    event.sequence = trade.sequence;
    event.bid_ticks = last_.bid_ticks;
    event.bid_lots = last_.bid_lots;
    event.ask_ticks = last_.ask_ticks;
    event.ask_lots = last_.ask_lots;
    event.trade_ticks = trade.ticks;
    event.trade_lots = trade.lots;
    event.flags = last_state_;
    tape_.events.push_back(event);
    if (options_.depth) tape_.depths.push_back(depth_of(books_, 0));
  }

  const MboOptions& options_;
  MboTape& tape_;
  MboSummary& summary_;
  Books<true> books_{1};
  std::vector<MboTrade> trades_;  ///< of the venue's event that is not whole yet
  std::array<std::int32_t, 2> tops_{};
  BookTouch last_;
  std::uint16_t last_state_ = kOneSided;
  std::uint16_t publisher_ = 0;
  std::int64_t snapshot_ns_ = 0;
  std::uint64_t snapshot_sequence_ = 0;
  bool begun_ = false;
  bool in_snapshot_ = false;
  bool open_ = false;
};

}  // namespace

DbnSummary select_dbn(std::span<const std::uint8_t> bytes, std::uint8_t rtype, std::size_t record_bytes,
                      std::vector<std::uint8_t>& records) {
  DbnSummary summary;
  std::size_t at = 0;
  for (std::size_t length = 0; at < bytes.size(); at += length) {
    summary.offset = at;
    length = std::size_t{bytes[at]} * 4;
    if (length < kHeaderBytes) {
      summary.status = DbnStatus::kBadLength;
      return summary;
    }
    if (bytes.size() - at < length) {
      summary.status = DbnStatus::kTruncated;
      return summary;
    }
    ++summary.by_rtype[bytes[at + 1]];
    if (bytes[at + 1] != rtype) continue;
    if (length != record_bytes) {
      summary.status = DbnStatus::kBadLength;
      return summary;
    }
    const auto record = bytes.subspan(at, length);
    records.insert(records.end(), record.begin(), record.end());
  }
  return summary;
}

MboSummary decode_mbo(std::span<const std::uint8_t> records, const MboOptions& options, MboTape& tape) {
  MboSummary summary;
  MboBook book(options, tape, summary);
  const std::size_t count = records.size() / options.record_bytes;
  for (; summary.record < count; ++summary.record) {
    summary.status = book.take(MboRecord(records.data() + summary.record * options.record_bytes));
    if (summary.status != DbnStatus::kOk) break;
  }
  if (summary.status == DbnStatus::kOk) book.end();
  return summary;
}

}  // namespace ringcraft
