#include "market_data/tape_packets.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

namespace ringcraft {
namespace {

constexpr std::string_view kSession = "RING000001";
constexpr std::size_t kMoldHeader = 20;
constexpr std::size_t kMostPayload = 1'400;
constexpr std::uint16_t kEndOfSession = 0xFFFF;
constexpr std::size_t kHeaders = 14 + 20 + 8;  // Ethernet, IPv4, UDP
constexpr std::array<std::uint32_t, 2> kAddresses = {0xE9360C6F,
                                                     0xE9C4E66F};  // 233.54.12.111, 233.196.230.111
constexpr std::uint16_t kPort = 26'477;

void big(std::vector<std::uint8_t>& out, std::uint64_t value, unsigned size) {
  for (unsigned i = size; i-- > 0;) out.push_back(static_cast<std::uint8_t>(value >> (8U * i)));
}
void little(std::vector<std::uint8_t>& out, std::uint64_t value, unsigned size) {
  for (unsigned i = 0; i < size; ++i) out.push_back(static_cast<std::uint8_t>(value >> (8U * i)));
}

void capture_header(std::vector<std::uint8_t>& out) {
  little(out, 0xA1B23C4D, 4);  // times in ns
  little(out, 2, 2), little(out, 4, 2), little(out, 0, 8), little(out, 65'535, 4), little(out, 1, 4);
}

void record_header(std::vector<std::uint8_t>& out, std::int64_t time_ns, std::size_t size) {
  const auto time = static_cast<std::uint64_t>(time_ns);
  little(out, time / 1'000'000'000, 4), little(out, time % 1'000'000'000, 4);
  little(out, size, 4), little(out, size, 4);
}

/// RFC 1071's sum over an IPv4 header whose checksum is 0.
std::uint16_t header_sum(const std::uint8_t* header) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < 20; i += 2) sum += (std::uint32_t{header[i]} << 8U) | header[i + 1];
  while (sum > 0xFFFFU) sum = (sum & 0xFFFFU) + (sum >> 16U);
  return static_cast<std::uint16_t>(~sum);
}

std::vector<std::uint8_t> frame_of(std::span<const std::uint8_t> payload, std::uint8_t line) {
  std::vector<std::uint8_t> out;
  out.reserve(kHeaders + payload.size());
  big(out, 0x0100'5E00'0000U | (kAddresses[line] & 0x7F'FFFFU), 6);  // the group's own address
  big(out, 0x0200'0000'0001, 6), big(out, 0x0800, 2);
  big(out, 0x4500, 2), big(out, 28 + payload.size(), 2), big(out, 0, 4), big(out, 0x0811, 2), big(out, 0, 2);
  big(out, 0x0A00'0001, 4), big(out, kAddresses[line], 4);
  const std::uint16_t sum = header_sum(out.data() + 14);
  out[24] = static_cast<std::uint8_t>(sum >> 8U), out[25] = static_cast<std::uint8_t>(sum);
  big(out, 40'000, 2), big(out, kPort, 2), big(out, 8 + payload.size(), 2), big(out, 0, 2);
  out.insert(out.end(), payload.begin(), payload.end());
  return out;
}

}  // namespace

PacketWriter::PacketWriter(std::uint64_t seed, const PacketOptions& options, std::vector<PacketFault> faults)
    : options_(options),
      faults_(std::move(faults)),
      reports_(faults_.size()),
      gone_(faults_.size()),
      random_(seed),
      payload_(kMoldHeader) {
  capture_header(out);
}

void PacketWriter::message(std::span<const std::uint8_t> bytes, std::uint64_t time_ns) {
  if (waiting_ > 0 && (waiting_ == options_.most_messages || time_ns > first_ns_ + options_.linger_ns ||
                       payload_.size() + 2 + bytes.size() > kMostPayload)) {
    send(last_ns_, static_cast<std::uint16_t>(waiting_));
  }
  if (sent_ns_ == 0) sent_ns_ = time_ns;
  if (waiting_ == 0) {
    send_heartbeats(time_ns);
    first_ns_ = time_ns;
  }
  last_ns_ = time_ns;
  big(payload_, bytes.size(), 2);
  payload_.insert(payload_.end(), bytes.begin(), bytes.end());
  ++waiting_;
}

void PacketWriter::finish(std::uint64_t time_ns) {
  if (waiting_ > 0) send(last_ns_, static_cast<std::uint16_t>(waiting_));
  send_heartbeats(time_ns);
  send(time_ns + options_.linger_ns, kEndOfSession);
  record_until(~std::uint64_t{0});
}

void PacketWriter::send_heartbeats(std::uint64_t until_ns) {
  while (sent_ns_ + options_.heartbeat_ns < until_ns) send(sent_ns_ + options_.heartbeat_ns, 0);
}

void PacketWriter::send(std::uint64_t time_ns, std::uint16_t count) {
  const std::uint32_t messages = count == kEndOfSession ? 0 : count;
  std::vector<std::uint8_t> header(kSession.begin(), kSession.end());
  big(header, next_number_, 8), big(header, count, 2);
  std::copy(header.begin(), header.end(), payload_.begin());
  bool came = false;
  bool answered = false;
  for (std::uint8_t line = 0; line < 2; ++line) {
    const Copy copy = messages == 0 ? Copy{} : suffer(time_ns, line);
    answered = answered || copy.answered;
    if (copy.lost) continue;
    came = true;
    const std::uint64_t sent_ns = time_ns + options_.latency_ns + line * options_.line_b_ns + copy.late_ns;
    const std::uint64_t arrival_ns = std::max(sent_ns, copy.not_before_ns);
    queue(arrival_ns, line);
    if (copy.twice) queue(arrival_ns + copy.second_ns, line);
  }
  if (!came && messages > 0) {
    summary_.lost_messages += messages;
    if (!lost_.empty() && lost_.back().first + lost_.back().count == next_number_) {
      lost_.back().count += messages;
    } else {
      lost_.push_back({next_number_, messages});
    }
  }
  if (answered) {
    if (answers.empty()) capture_header(answers);
    const auto frame = frame_of(payload_, 0);
    record_header(answers, options_.midnight_ns + static_cast<std::int64_t>(time_ns), frame.size());
    answers.insert(answers.end(), frame.begin(), frame.end());
  }
  summary_.messages += messages;
  next_number_ += messages;
  waiting_ = 0;
  payload_.resize(kMoldHeader);
  sent_ns_ = time_ns;
  record_until(time_ns + options_.latency_ns);  // nothing sent later can come before
}

PacketWriter::Copy PacketWriter::suffer(std::uint64_t time_ns, std::uint8_t line) {
  Copy copy;
  for (std::size_t i = 0; i < faults_.size(); ++i) {
    const PacketFault& fault = faults_[i];
    if (((std::uint32_t{fault.lines} >> line) & 1U) == 0 || time_ns < fault.start_ns ||
        time_ns >= fault.end_ns)
      continue;
    // Of a skew it may be negative, and is not asked for here.
    const auto amount_ns = [&fault] { return static_cast<std::uint64_t>(fault.amount * 1e3); };
    switch (fault.kind) {
      case FaultKind::kGap:
        if (static_cast<double>(gone_[i][line]) >= fault.amount) continue;
        gone_[i][line] += waiting_;
        copy.lost = true;
        copy.answered = copy.answered || fault.answered;
        break;
      case FaultKind::kLoss:
        if (random_.uniform() > fault.share) continue;
        copy.lost = true;
        copy.answered = copy.answered || fault.answered;
        break;
      case FaultKind::kDuplicate:
        if (random_.uniform() > fault.share) continue;
        copy.twice = true;
        copy.second_ns = amount_ns();
        break;
      case FaultKind::kReorder:
        if (random_.uniform() > fault.share) continue;
        copy.late_ns += amount_ns();
        break;
      case FaultKind::kHold:
        copy.not_before_ns = std::max(copy.not_before_ns, fault.end_ns);
        break;
      case FaultKind::kSkew:
        break;
    }
    strike(i, line);
  }
  return copy;
}

void PacketWriter::strike(std::size_t fault, std::uint8_t line) {
  FaultReport& report = reports_[fault];
  ++report.packets;
  if (report.first_message == 0) report.first_message = next_number_;
  const std::uint64_t last = next_number_ + waiting_ - 1;
  // A message that is struck on both lines is one message.
  report.messages += line == 1 && report.last_message == last ? 0 : waiting_;
  report.last_message = last;
}

void PacketWriter::queue(std::uint64_t arrival_ns, std::uint8_t line) {
  const std::uint64_t last = waiting_ == 0 ? 0 : next_number_ + waiting_ - 1;
  on_the_way_.push({arrival_ns, ++serial_, last, waiting_, line, frame_of(payload_, line)});
}

void PacketWriter::record_until(std::uint64_t time_ns) {
  while (!on_the_way_.empty() && on_the_way_.top().arrival_ns <= time_ns) {
    record(on_the_way_.top());
    on_the_way_.pop();
  }
}

void PacketWriter::record(const Frame& frame) {
  record_header(out, clock_ns(frame.arrival_ns), frame.bytes.size());
  out.insert(out.end(), frame.bytes.begin(), frame.bytes.end());
  if (frame.messages == 0) {
    ++summary_.heartbeats;
    return;
  }
  ++summary_.packets[frame.line];
  summary_.recorded_messages += frame.messages;
  if (frame.last_message < highest_[frame.line]) ++summary_.overtaken[frame.line];
  highest_[frame.line] = std::max(highest_[frame.line], frame.last_message);
}

/// What the recorder's clock shows at a moment.
std::int64_t PacketWriter::clock_ns(std::uint64_t time_ns) {
  double ahead_ns = 0;
  for (const PacketFault& fault : faults_) {
    if (fault.kind != FaultKind::kSkew || time_ns < fault.start_ns || time_ns >= fault.end_ns) continue;
    ahead_ns += fault.amount * 1e3 + fault.ppm * 1e-6 * static_cast<double>(time_ns - fault.start_ns);
  }
  return options_.midnight_ns + static_cast<std::int64_t>(time_ns) + static_cast<std::int64_t>(ahead_ns);
}

}  // namespace ringcraft
