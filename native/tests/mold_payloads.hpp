#pragma once
// MoldUDP64 sessions for tests, from ITCH in BinaryFILE framing.

#include <doctest/doctest.h>

#include <cstdint>
#include <fstream>
#include <iterator>
#include <span>
#include <string>
#include <vector>

#include "market_data/capture_writer.hpp"
#include "market_data/moldudp64.hpp"

namespace ringcraft {

inline constexpr MoldSession kSession{'R', 'I', 'N', 'G', '0', '0', '0', '0', '0', '1'};

inline void big(std::vector<std::uint8_t>& to, std::uint64_t value, int bytes) {
  for (int i = bytes - 1; i >= 0; --i) to.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}

/// A BinaryFILE as MoldUDP64 payloads of `per_packet` messages, and the session's end.
inline std::vector<std::vector<std::uint8_t>> payloads_of(std::span<const std::uint8_t> tape,
                                                          std::size_t per_packet) {
  std::vector<std::vector<std::uint8_t>> found;
  std::uint64_t number = 1;
  for (std::size_t at = 0; at < tape.size();) {
    std::vector<std::uint8_t> body;
    std::size_t count = 0;
    for (; count < per_packet && at < tape.size(); ++count) {
      const std::size_t length = 2 + std::size_t{tape[at]} * 256 + tape[at + 1];
      body.insert(body.end(), tape.begin() + static_cast<std::ptrdiff_t>(at),
                  tape.begin() + static_cast<std::ptrdiff_t>(at + length));
      at += length;
    }
    std::vector<std::uint8_t> packet(kSession.begin(), kSession.end());
    big(packet, number, 8);
    big(packet, count, 2);
    packet.insert(packet.end(), body.begin(), body.end());
    found.push_back(packet);
    number += count;
  }
  std::vector<std::uint8_t> end(kSession.begin(), kSession.end());
  big(end, number, 8);
  big(end, 0xFFFF, 2);
  found.push_back(end);
  return found;
}

/// The payloads as a pcap at `path`, one a microsecond, as CaptureWriter writes it.
inline std::vector<std::uint8_t> capture_of(const std::vector<std::vector<std::uint8_t>>& payloads,
                                            const std::string& path) {
  CaptureWriter writer(path);
  std::int64_t time_ns = 1'700'000'000'000'000'000;
  for (const auto& payload : payloads) {
    REQUIRE(writer.record_all({payload, time_ns, 0xE9360C6F, 26'477}));
    time_ns += 1'000;
  }
  REQUIRE(writer.finish().empty());
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace ringcraft
