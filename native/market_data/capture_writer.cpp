#include "market_data/capture_writer.hpp"

#include <cstring>

#include "transport/backoff.hpp"
#include "transport/shared_region.hpp"

namespace ringcraft {
namespace {

constexpr std::size_t kHeaders = 14 + 20 + 8;

void be16_to(std::uint8_t* at, std::size_t value) {
  at[0] = static_cast<std::uint8_t>(value >> 8U);
  at[1] = static_cast<std::uint8_t>(value);
}

std::uint16_t header_sum(const std::uint8_t* header) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < 20; i += 2) sum += std::uint32_t{header[i]} * 256U + header[i + 1];
  while (sum > 0xFFFFU) sum = (sum & 0xFFFFU) + (sum >> 16U);
  return static_cast<std::uint16_t>(~sum);
}

}  // namespace

CaptureWriter::CaptureWriter(const std::string& path) : path_(path), file_(std::fopen(path.c_str(), "wb")) {
  if (file_ == nullptr) throw system_failure(path);
  struct {
    std::uint32_t magic = 0xA1B23C4D;
    std::uint16_t major = 2;
    std::uint16_t minor = 4;
    std::uint32_t zone = 0;
    std::uint32_t accuracy = 0;
    std::uint32_t longest = 65'535;
    std::uint32_t link = 1;
  } const header;
  std::fwrite(&header, sizeof header, 1, file_);
  thread_ = std::thread([this] { run(); });
}

CaptureWriter::~CaptureWriter() { finish(); }

bool CaptureWriter::record(const UdpPacket& packet) noexcept {
  if (packet.payload.size() > kRoom) return false;
  Copy* copy = ring_.claim();
  if (copy == nullptr) return false;
  copy->time_ns = packet.time_ns;
  copy->address = packet.address;
  copy->port = packet.port;
  copy->bytes = static_cast<std::uint16_t>(packet.payload.size());
  if (copy->bytes != 0) std::memcpy(copy->payload.data(), packet.payload.data(), copy->bytes);
  ring_.publish();
  return true;
}

bool CaptureWriter::record_all(const UdpPacket& packet) noexcept {
  if (packet.payload.size() > kRoom) return false;
  while (!record(packet)) std::this_thread::yield();
  return true;
}

std::string CaptureWriter::finish() {
  if (file_ == nullptr) return failure_;
  stop_ = true;
  thread_.join();
  if (std::fclose(file_) != 0 && failure_.empty()) failure_ = system_failure(path_).what();
  file_ = nullptr;
  return failure_;
}

void CaptureWriter::run() {
  for (;;) {
    const bool last = stop_.load();
    while (const Copy* copy = ring_.front()) {
      write(*copy);
      ring_.release();
    }
    if (last) return;
    constexpr timespec kNap{0, 200'000};
    ::nanosleep(&kNap, nullptr);
  }
}

void CaptureWriter::write(const Copy& copy) {
  const std::size_t frame = kHeaders + copy.bytes;
  std::array<std::uint8_t, 16 + kHeaders> head{};
  const auto put = [&head](std::size_t at, std::size_t value) {
    const auto word = static_cast<std::uint32_t>(value);
    std::memcpy(head.data() + at, &word, sizeof word);
  };
  put(0, static_cast<std::size_t>(copy.time_ns / 1'000'000'000));
  put(4, static_cast<std::size_t>(copy.time_ns % 1'000'000'000));
  put(8, frame);
  put(12, frame);
  be16_to(head.data() + 16 + 12, 0x0800);
  std::uint8_t* ip = head.data() + 16 + 14;
  ip[0] = 0x45;
  be16_to(ip + 2, frame - 14);
  ip[8] = 64;
  ip[9] = 17;
  const std::uint32_t address = __builtin_bswap32(copy.address);
  std::memcpy(ip + 16, &address, sizeof address);
  be16_to(ip + 10, header_sum(ip));
  be16_to(ip + 22, copy.port);
  be16_to(ip + 24, std::size_t{8} + copy.bytes);
  const bool whole = std::fwrite(head.data(), head.size(), 1, file_) == 1 &&
                     (copy.bytes == 0 || std::fwrite(copy.payload.data(), copy.bytes, 1, file_) == 1);
  if (!whole && failure_.empty()) failure_ = system_failure(path_).what();
}

}  // namespace ringcraft
