#pragma once
// Packet captures made from a tape's messages.

#include <cstdint>
#include <utility>
#include <vector>

#include "market_data/wire.hpp"

namespace ringcraft {

using Data = std::vector<std::uint8_t>;

inline void put(Data& out, std::uint64_t value, unsigned size, bool big = true) {
  for (unsigned i = 0; i < size; ++i) {
    out.push_back(static_cast<std::uint8_t>(value >> (8U * (big ? size - 1 - i : i))));
  }
}

/// The tape's messages as MoldUDP64 in Ethernet frames, three a packet.
inline std::vector<Data> frames_of(const Data& tape) {
  std::vector<Data> frames;
  std::uint64_t sequence = 1;
  for (std::size_t at = 0; at < tape.size();) {
    Data messages;
    std::uint16_t count = 0;
    for (; count < 3 && at < tape.size(); ++count) {
      const std::size_t size = 2U + be16(tape.data() + at);
      messages.insert(messages.end(), tape.begin() + static_cast<std::ptrdiff_t>(at),
                      tape.begin() + static_cast<std::ptrdiff_t>(at + size));
      at += size;
    }
    Data frame(12, 2);
    put(frame, 0x8100, 2), put(frame, 5, 2), put(frame, 0x0800, 2);
    put(frame, 0x4500, 2), put(frame, 48 + messages.size(), 2), put(frame, 0, 4), put(frame, 0x4011, 2);
    put(frame, 0, 2), put(frame, 0x0A000001, 4), put(frame, 0xE9360C6F, 4);
    put(frame, 40'000, 2), put(frame, 26'477, 2), put(frame, 28 + messages.size(), 2), put(frame, 0, 2);
    frame.insert(frame.end(), 10, 'R');
    put(frame, sequence, 8), put(frame, count, 2);
    frame.insert(frame.end(), messages.begin(), messages.end());
    sequence += count;
    frames.push_back(std::move(frame));
  }
  return frames;
}

inline Data pcap_of(const std::vector<Data>& frames) {
  Data out;
  put(out, 0xA1B23C4D, 4), put(out, 0x00020004, 4), put(out, 0, 8), put(out, 65'535, 4), put(out, 1, 4);
  std::uint32_t time = 0;
  for (const Data& frame : frames) {
    put(out, 1, 4), put(out, ++time, 4), put(out, frame.size(), 4), put(out, frame.size(), 4);
    out.insert(out.end(), frame.begin(), frame.end());
  }
  return out;
}

inline Data pcapng_of(const std::vector<Data>& frames) {
  Data out;
  put(out, 0x0A0D0D0A, 4, false), put(out, 28, 4, false), put(out, 0x1A2B3C4D, 4, false),
      put(out, 1, 4, false);
  put(out, ~0ULL, 8, false), put(out, 28, 4, false);
  put(out, 1, 4, false), put(out, 32, 4, false), put(out, 1, 2, false), put(out, 0, 6, false);
  put(out, 9, 2, false), put(out, 1, 2, false), put(out, 9, 4, false), put(out, 0, 4, false),
      put(out, 32, 4, false);
  std::uint32_t time = 0;
  for (const Data& frame : frames) {
    const std::size_t padded = (frame.size() + 3) / 4 * 4;
    put(out, 6, 4, false), put(out, 32 + padded, 4, false), put(out, 0, 8, false), put(out, ++time, 4, false);
    put(out, frame.size(), 4, false), put(out, frame.size(), 4, false);
    out.insert(out.end(), frame.begin(), frame.end());
    out.resize(out.size() + padded - frame.size());
    put(out, 32 + padded, 4, false);
  }
  return out;
}

}  // namespace ringcraft
