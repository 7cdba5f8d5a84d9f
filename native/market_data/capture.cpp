#include "market_data/capture.hpp"

#include <algorithm>

#include "market_data/wire.hpp"

namespace ringcraft {
namespace {

constexpr std::uint32_t kMicroseconds = 0xA1B2C3D4;
constexpr std::uint32_t kNanoseconds = 0xA1B23C4D;
constexpr std::uint32_t kSectionBlock = 0x0A0D0D0A;
constexpr std::uint32_t kByteOrderMagic = 0x1A2B3C4D;
constexpr std::uint32_t kInterfaceBlock = 1;
constexpr std::uint32_t kPacketBlock = 2;  // superseded by the enhanced one, still in old files
constexpr std::uint32_t kSimpleBlock = 3;
constexpr std::uint32_t kEnhancedBlock = 6;
constexpr std::uint16_t kEthernet = 1;
constexpr std::size_t kFileHeader = 24;
constexpr std::size_t kRecordHeader = 16;
constexpr std::uint64_t kNsPerSecond = 1'000'000'000;

/// Ticks of a clock as ns. Hostile numbers wrap around; they never overflow a signed one.
std::int64_t to_ns(std::uint64_t ticks, std::uint64_t per_second, std::int64_t offset_s) {
  __extension__ using Wide = unsigned __int128;
  const std::uint64_t fraction =
      static_cast<std::uint64_t>(Wide{ticks % per_second} * kNsPerSecond / per_second);
  const std::uint64_t seconds = ticks / per_second + static_cast<std::uint64_t>(offset_s);
  return static_cast<std::int64_t>(seconds * kNsPerSecond + fraction);
}

/// pcapng's if_tsresol: a negative power of 10, or of 2 where the high bit is set; 0: none that fits 64 bits.
std::uint64_t clock_rate(std::uint8_t resolution) {
  const unsigned power = resolution & 0x7FU;
  if ((resolution & 0x80U) != 0) return power < 64 ? 1ULL << power : 0;
  if (power > 19) return 0;
  std::uint64_t rate = 1;
  for (unsigned i = 0; i < power; ++i) rate *= 10;
  return rate;
}

}  // namespace

CaptureReader::CaptureReader(std::span<const std::uint8_t> bytes) : bytes_(bytes) {
  if (bytes.size() < 4) {
    stop(bytes.empty() ? CaptureStatus::kNotCapture : CaptureStatus::kTruncated);
    return;
  }
  const auto magic = load_le<std::uint32_t>(bytes.data());
  block_format_ = magic == kSectionBlock;
  if (block_format_) return;
  const std::uint32_t other = __builtin_bswap32(magic);
  swapped_ = other == kMicroseconds || other == kNanoseconds;
  const std::uint32_t known = swapped_ ? other : magic;
  if (known != kMicroseconds && known != kNanoseconds) {
    stop(CaptureStatus::kNotCapture);
  } else if (bytes.size() < kFileHeader) {
    stop(CaptureStatus::kTruncated);
  } else {
    // The link type shares its word with bits about frame check sequences.
    const auto link = static_cast<std::uint16_t>(u32(bytes.data() + 20));
    interfaces_.push_back({link, 0, known == kNanoseconds ? kNsPerSecond : 1'000'000, 0});
    at_ = kFileHeader;
  }
}

bool CaptureReader::next(UdpPacket& packet) {
  Frame frame;
  while (next_frame(frame)) {
    ++summary_.packets;
    if (to_udp(frame, packet)) {
      ++summary_.udp;
      return true;
    }
  }
  return false;
}

bool CaptureReader::next_frame(Frame& frame) {
  if (summary_.status != CaptureStatus::kOk) return false;
  if (!block_format_) return next_record(frame);
  bool found = false;
  while (next_block(frame, found)) {
    if (found) return true;
  }
  return false;
}

bool CaptureReader::next_record(Frame& frame) {
  const std::size_t left = bytes_.size() - at_;
  if (left == 0) return stop(CaptureStatus::kOk);
  if (left < kRecordHeader) return stop(CaptureStatus::kTruncated);
  const std::uint8_t* header = bytes_.data() + at_;
  const std::size_t captured = u32(header + 8);
  if (left - kRecordHeader < captured) return stop(CaptureStatus::kTruncated);
  const Interface& from = interfaces_[0];
  const std::uint64_t ticks = u32(header) * from.per_second + u32(header + 4);
  frame = {bytes_.subspan(at_ + kRecordHeader, captured), to_ns(ticks, from.per_second, 0), from.link,
           captured < u32(header + 12)};
  at_ += kRecordHeader + captured;
  return true;
}

/// Takes one block; `found` says whether it held a packet.
bool CaptureReader::next_block(Frame& frame, bool& found) {
  found = false;
  const std::size_t left = bytes_.size() - at_;
  if (left == 0) return stop(CaptureStatus::kOk);
  if (left < 12) return stop(CaptureStatus::kTruncated);
  const std::uint8_t* block = bytes_.data() + at_;
  if (load_le<std::uint32_t>(block) == kSectionBlock && !section(left)) return false;
  const std::uint32_t type = u32(block);
  const std::size_t length = u32(block + 4);
  if (length < 12 || length % 4 != 0) return stop(CaptureStatus::kBadBlock);
  if (left < length) return stop(CaptureStatus::kTruncated);
  if (u32(block + length - 4) != length) return stop(CaptureStatus::kBadBlock);
  const auto body = bytes_.subspan(at_ + 8, length - 12);
  if (type == kInterfaceBlock) {
    if (body.size() < 8) return stop(CaptureStatus::kBadBlock);
    if (!describe(body)) return stop(CaptureStatus::kBadBlock);
  } else if (type == kEnhancedBlock || type == kPacketBlock) {
    if (!enhanced(body, frame, type == kPacketBlock)) return stop(CaptureStatus::kBadBlock);
    found = true;
  } else if (type == kSimpleBlock) {
    if (!simple(body, frame)) return stop(CaptureStatus::kBadBlock);
    found = true;
  }
  at_ += length;
  return true;
}

/// A section has its own byte order and its own interfaces.
bool CaptureReader::section(std::size_t left) {
  if (left < 28) return stop(CaptureStatus::kTruncated);
  const auto magic = load_le<std::uint32_t>(bytes_.data() + at_ + 8);
  swapped_ = __builtin_bswap32(magic) == kByteOrderMagic;
  if (!swapped_ && magic != kByteOrderMagic) return stop(CaptureStatus::kBadBlock);
  interfaces_.clear();
  return true;
}

bool CaptureReader::describe(std::span<const std::uint8_t> body) {
  constexpr std::uint16_t kResolution = 9;
  constexpr std::uint16_t kOffset = 14;
  Interface found{u16(body.data()), u32(body.data() + 4), 1'000'000, 0};
  for (std::size_t at = 8; at + 4 <= body.size();) {
    const std::uint16_t code = u16(body.data() + at);
    const std::size_t length = u16(body.data() + at + 2);
    if (code == 0 || body.size() - at - 4 < length) break;
    const std::uint8_t* value = body.data() + at + 4;
    if (code == kResolution && length >= 1) found.per_second = clock_rate(*value);
    if (found.per_second == 0) return false;
    if (code == kOffset && length == 8) {
      const auto raw = load_le<std::uint64_t>(value);
      found.offset_s = static_cast<std::int64_t>(swapped_ ? __builtin_bswap64(raw) : raw);
    }
    at += 4 + (length + 3) / 4 * 4;
  }
  interfaces_.push_back(found);
  return true;
}

/// @param old a packet block: its interface has 16 bits, and how many packets were dropped the other 16.
bool CaptureReader::enhanced(std::span<const std::uint8_t> body, Frame& frame, bool old) {
  if (body.size() < 20) return false;
  const std::size_t interface = old ? u16(body.data()) : u32(body.data());
  const std::size_t captured = u32(body.data() + 12);
  if (interface >= interfaces_.size() || body.size() - 20 < captured) return false;
  const Interface& from = interfaces_[interface];
  const std::uint64_t ticks = (std::uint64_t{u32(body.data() + 4)} << 32U) | u32(body.data() + 8);
  frame = {body.subspan(20, captured), to_ns(ticks, from.per_second, from.offset_s), from.link,
           captured < u32(body.data() + 16)};
  return true;
}

bool CaptureReader::simple(std::span<const std::uint8_t> body, Frame& frame) {
  if (body.size() < 4 || interfaces_.empty()) return false;
  const std::size_t sent = u32(body.data());
  const std::size_t snap = interfaces_[0].snap_bytes == 0 ? sent : interfaces_[0].snap_bytes;
  const std::size_t captured = std::min({sent, snap, body.size() - 4});
  frame = {body.subspan(4, captured), 0, interfaces_[0].link, captured < sent};
  return true;
}

bool CaptureReader::stop(CaptureStatus status) {
  summary_.status = status;
  summary_.offset = at_;
  return false;
}

bool CaptureReader::to_udp(const Frame& frame, UdpPacket& packet) {
  if (frame.link != kEthernet) {
    ++summary_.other_link;
    return false;
  }
  packet.time_ns = frame.time_ns;
  return find_udp(frame.bytes, frame.short_of_wire, summary_, packet);
}

bool find_udp(std::span<const std::uint8_t> frame, bool short_of_wire, CaptureSummary& counts,
              UdpPacket& packet) {
  const auto skip = [](std::uint64_t& count) {
    ++count;
    return false;
  };
  // What a header promises and the record does not hold was cut off, if the record says so; else it is
  // nonsense.
  std::uint64_t& missing = short_of_wire ? counts.cut : counts.garbled;
  auto rest = frame;
  if (rest.size() < 14) return skip(missing);
  std::size_t type_at = 12;
  const auto tagged = [](std::uint16_t type) { return type == 0x8100 || type == 0x88A8 || type == 0x9100; };
  while (tagged(be16(rest.data() + type_at))) {
    type_at += 4;
    if (rest.size() < type_at + 2) return skip(missing);
  }
  if (be16(rest.data() + type_at) != 0x0800) return skip(counts.other_protocol);
  rest = rest.subspan(type_at + 2);
  if (rest.size() < 20) return skip(missing);
  const std::size_t header = std::size_t{4} * (rest[0] & 0x0FU);
  const std::size_t total = be16(rest.data() + 2);
  if (rest[0] >> 4U != 4 || header < 20 || total < header) return skip(counts.garbled);
  if (rest[9] != 17) return skip(counts.other_protocol);
  if ((be16(rest.data() + 6) & 0x3FFFU) != 0) return skip(counts.fragments);
  if (rest.size() < total) return skip(missing);
  packet.address = be32(rest.data() + 16);
  rest = rest.subspan(header, total - header);  // past it lies what fills an Ethernet frame up
  if (rest.size() < 8) return skip(counts.garbled);
  const std::size_t length = be16(rest.data() + 4);
  if (length < 8 || length > rest.size()) return skip(counts.garbled);
  packet.port = be16(rest.data() + 2);
  packet.payload = rest.subspan(8, length - 8);
  return true;
}

std::uint32_t CaptureReader::u32(const std::uint8_t* at) const noexcept {
  return swapped_ ? be32(at) : load_le<std::uint32_t>(at);
}
std::uint16_t CaptureReader::u16(const std::uint8_t* at) const noexcept {
  return swapped_ ? be16(at) : load_le<std::uint16_t>(at);
}

}  // namespace ringcraft
