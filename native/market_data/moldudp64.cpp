#include "market_data/moldudp64.hpp"

#include <algorithm>
#include <cstring>
#include <limits>

#include "market_data/wire.hpp"

namespace ringcraft {
namespace {

constexpr std::size_t kHeader = 20;
constexpr std::uint16_t kEndOfSession = 0xFFFF;
constexpr std::uint64_t kFurthest = std::uint64_t{1} << 32U;  // a number so far ahead is nonsense

std::uint64_t sequence_of(std::span<const std::uint8_t> packet) noexcept { return be64(packet.data() + 10); }
std::uint16_t count_of(std::span<const std::uint8_t> packet) noexcept { return be16(packet.data() + 18); }

/// Whether the messages fill the packet exactly.
bool whole(std::span<const std::uint8_t> packet) noexcept {
  if (packet.size() < kHeader) return false;
  const std::uint16_t count = count_of(packet);
  if (count == kEndOfSession) return true;
  std::size_t at = kHeader;
  for (std::uint16_t i = 0; i < count; ++i) {
    if (packet.size() - at < 2) return false;
    const std::size_t length = be16(packet.data() + at);
    if (packet.size() - at - 2 < length) return false;
    at += 2 + length;
  }
  return at == packet.size();
}

}  // namespace

std::array<std::uint8_t, 20> mold_request(const MoldSession& session, std::uint64_t from,
                                          std::uint16_t count) noexcept {
  std::array<std::uint8_t, 20> bytes{};
  std::copy(session.begin(), session.end(), bytes.begin());
  const std::uint64_t swapped = __builtin_bswap64(from);
  std::memcpy(bytes.data() + 10, &swapped, sizeof(swapped));
  const std::uint16_t count_swapped = __builtin_bswap16(count);
  std::memcpy(bytes.data() + 18, &count_swapped, sizeof(count_swapped));
  return bytes;
}

void MoldArbiter::take(std::span<const std::uint8_t> packet, std::int64_t time_ns, std::size_t line) {
  ++summary_.packets;
  if (!whole(packet)) {
    ++summary_.bad_packets;
    return;
  }
  MoldSession session{};
  std::copy_n(packet.begin(), session.size(), session.begin());
  if (!follows(session)) {
    ++summary_.other_session;
    return;
  }
  if (sequence_of(packet) > expected_ && sequence_of(packet) - expected_ > kFurthest) {
    ++summary_.bad_packets;
    return;
  }
  if (line >= summary_.first_by_line.size()) summary_.first_by_line.resize(line + 1);
  const std::uint64_t sequence = sequence_of(packet);
  const std::uint16_t count = count_of(packet);
  const bool end = count == kEndOfSession;
  if (end || count == 0) ++summary_.heartbeats;
  ending_ = ending_ || end;
  const std::uint64_t next = end ? sequence : sequence + count;
  known_ = std::max(known_, next);
  const std::uint64_t before = expected_;
  if (!end && count != 0) {
    if (sequence <= expected_) {
      hand_on(packet, time_ns, line);
      hand_on_waiting();
    } else if (waiting_.contains(sequence)) {
      summary_.duplicates += count;
    } else {
      waiting_.emplace(sequence, Waiting{{packet.begin(), packet.end()}, time_ns, line});
    }
  }
  if (expected_ < known_ && !in_hole_) {
    in_hole_ = true;
    hole_since_ns_ = time_ns;
    ++summary_.holes;
  } else if (expected_ != before) {
    hole_since_ns_ = time_ns;  // what is still missing is another hole
  }
  give_up_if_due(time_ns);
  settle();
  ask();  // last: the answer may come in while this call is still on its way
}

void MoldArbiter::tick(std::int64_t time_ns) {
  if (!in_hole_) return;
  give_up_if_due(time_ns);
  settle();
  ask();
}

void MoldArbiter::finish() {
  while (running_ && expected_ < known_) give_up();
  settle();
}

bool MoldArbiter::follows(const MoldSession& session) {
  if (running_) return session == session_;
  if (summary_.sessions != 0 && session == session_) return true;  // an end that is told again
  if (summary_.sessions != 0) {  // what the last one built does not hold in this one
    ++summary_.gaps;
    sink_.began_again();
  }
  session_ = session;
  running_ = true;
  ending_ = in_hole_ = false;
  expected_ = known_ = options_.first_sequence;
  asked_ = 0;
  ++summary_.sessions;
  return true;
}

void MoldArbiter::hand_on(std::span<const std::uint8_t> packet, std::int64_t time_ns, std::size_t line) {
  std::uint64_t sequence = sequence_of(packet);
  std::size_t at = kHeader;
  if (sequence + count_of(packet) > expected_) sink_.ahead(packet.subspan(kHeader));
  for (std::uint16_t left = count_of(packet); left > 0; --left, ++sequence) {
    const std::size_t length = be16(packet.data() + at);
    if (sequence < expected_) {
      ++summary_.duplicates;
    } else {
      sink_.message(packet.subspan(at + 2, length), sequence, time_ns);
      ++summary_.messages;
      ++summary_.first_by_line[line];
      ++expected_;
    }
    at += 2 + length;
  }
}

void MoldArbiter::hand_on_waiting() {
  while (!waiting_.empty() && waiting_.begin()->first <= expected_) {
    const auto node = waiting_.extract(waiting_.begin());
    hand_on(node.mapped().packet, node.mapped().time_ns, node.mapped().line);
  }
}

std::uint64_t MoldArbiter::hole_end() const noexcept {
  return waiting_.empty() ? known_ : waiting_.begin()->first;
}

void MoldArbiter::give_up_if_due(std::int64_t time_ns) {
  while (expected_ < known_ &&
         (waiting_.size() > options_.most_waiting || waited(time_ns) > options_.patience_ns)) {
    give_up();
    hole_since_ns_ = time_ns;  // of the next hole, if there is one
  }
}

/// Since the hole was seen; the recorder's clock may go back, and a broken one anywhere.
std::int64_t MoldArbiter::waited(std::int64_t time_ns) const noexcept {
  if (time_ns <= hole_since_ns_) return 0;
  const std::uint64_t apart =
      static_cast<std::uint64_t>(time_ns) - static_cast<std::uint64_t>(hole_since_ns_);
  return static_cast<std::int64_t>(std::min<std::uint64_t>(apart, std::numeric_limits<std::int64_t>::max()));
}

void MoldArbiter::give_up() {
  const std::uint64_t end = hole_end();
  ++summary_.gaps;
  summary_.missed += end - expected_;
  sink_.missed(expected_, end - expected_);
  expected_ = end;
  hand_on_waiting();
}

void MoldArbiter::ask() {
  if (!in_hole_ || !request_ || hole_end() <= asked_) return;
  const std::uint64_t from = std::max(expected_, asked_);
  asked_ = hole_end();
  summary_.requested += asked_ - from;
  request_(session_, from, asked_ - from);
}

void MoldArbiter::settle() {
  if (expected_ < known_) return;
  in_hole_ = false;
  if (!ending_ || !running_) return;
  running_ = false;
  ++summary_.ended;
}

}  // namespace ringcraft
