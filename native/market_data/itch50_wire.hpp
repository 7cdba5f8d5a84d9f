#pragma once
// NASDAQ TotalView-ITCH 5.0 on the wire: every message type of the specification, its length, its fields.
// Source: NASDAQ, "TotalView-ITCH 5.0" specification; lengths and offsets from its tables.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "market_data/wire.hpp"

namespace ringcraft {

/// Length of each type's message, its type byte included; 0: no such type.
inline constexpr std::array<std::uint8_t, 256> kItchLengths = [] {
  std::array<std::uint8_t, 256> table{};
  constexpr std::pair<char, std::uint8_t> kKnown[] = {
      {'S', 12},  // system event
      {'R', 39},  // stock directory
      {'H', 25},  // stock trading action
      {'Y', 20},  // Reg SHO short sale price test
      {'L', 26},  // market participant position
      {'V', 35},  // market-wide circuit breaker: decline levels
      {'W', 12},  // market-wide circuit breaker: status
      {'K', 28},  // quoting period update of an IPO
      {'J', 35},  // limit up - limit down auction collar
      {'h', 21},  // operational halt
      {'A', 36},  // add order
      {'F', 40},  // add order with participant
      {'E', 31},  // order executed
      {'C', 36},  // order executed at another price
      {'X', 23},  // order cancelled in part
      {'D', 19},  // order deleted
      {'U', 35},  // order replaced
      {'P', 44},  // trade against a hidden order
      {'Q', 40},  // cross trade
      {'B', 19},  // broken trade
      {'I', 50},  // net order imbalance
      {'N', 20},  // retail price improvement
      {'O', 48},  // direct listing with capital raise: price discovery
  };
  for (const auto& [type, length] : kKnown) table[static_cast<unsigned char>(type)] = length;
  return table;
}();

/// What a message does to an order, as numbers that can be added up without a branch.
struct ItchOrderEffect {
  std::uint8_t adds = 0;     ///< 1: it is an order's first
  std::uint8_t changes = 0;  ///< 1: it names an order that should rest already
};
inline constexpr std::array<ItchOrderEffect, 256> kItchOrderEffects = [] {
  std::array<ItchOrderEffect, 256> table{};
  for (const char type : {'A', 'F'}) table[static_cast<unsigned char>(type)].adds = 1;
  for (const char type : {'E', 'C', 'X', 'D', 'U'}) table[static_cast<unsigned char>(type)].changes = 1;
  return table;
}();

/// A whole message of its type's length.
class ItchMessage {
 public:
  ItchMessage() noexcept = default;  ///< none: only to be assigned to
  explicit ItchMessage(const std::uint8_t* at) noexcept : at_(at) {}

  [[nodiscard]] char type() const noexcept { return static_cast<char>(at_[0]); }
  [[nodiscard]] std::uint16_t locate() const noexcept { return be16(at_ + 1); }
  [[nodiscard]] std::int64_t time_ns() const noexcept { return static_cast<std::int64_t>(be48(at_ + 5)); }
  [[nodiscard]] std::uint64_t reference() const noexcept { return be64(at_ + 11); }
  [[nodiscard]] std::uint64_t u64(std::size_t offset) const noexcept { return be64(at_ + offset); }
  [[nodiscard]] std::uint32_t u32(std::size_t offset) const noexcept { return be32(at_ + offset); }
  [[nodiscard]] char letter(std::size_t offset) const noexcept { return static_cast<char>(at_[offset]); }
  /// The symbol of 'R', without the spaces that fill it up.
  [[nodiscard]] std::string stock() const {
    std::string symbol(reinterpret_cast<const char*>(at_ + 11), 8);
    symbol.erase(symbol.find_last_not_of(' ') + 1);
    return symbol;
  }
  [[nodiscard]] ItchOrderEffect effect() const noexcept { return kItchOrderEffects[at_[0]]; }

 private:
  const std::uint8_t* at_ = nullptr;
};

enum class ItchStatus : std::uint8_t {
  kOk,
  kTruncated,  ///< the bytes end inside a message
  kBadLength,  ///< a known type's message of another length, or an empty one before the end
  kBadField,   ///< a side that is neither B nor S
};

/// What was read, and where and why reading stopped.
struct ItchSummary {
  ItchStatus status = ItchStatus::kOk;
  std::size_t offset = 0;  ///< of the message at fault; the bytes' size where there is none
  std::uint64_t messages = 0;
  std::array<std::uint64_t, 256> by_type{};
  std::uint64_t unknown_types = 0;     ///< messages of no type of the specification
  std::uint64_t unknown_orders = 0;    ///< executions, cancels and replaces of orders never added
  std::uint64_t duplicate_orders = 0;  ///< adds of a reference that rests already
  std::uint64_t off_grid_orders = 0;   ///< no shares, or a price that is zero or no multiple of the tick
  std::uint64_t over_executed = 0;     ///< executions and cancels of more than the order had
};

/// Walks BinaryFILE's frames and keeps the summary's counts, one frame a call.
class ItchFrames {
 public:
  explicit ItchFrames(std::span<const std::uint8_t> bytes) noexcept
      : begin_(bytes.data()), at_(bytes.data()), end_(bytes.data() + bytes.size()) {}

  /// @return the next message of a known type; null at the end or at an error, which `summary` tells. A
  /// message of a type that the specification does not have is skipped and counted.
  const std::uint8_t* next(ItchSummary& summary) noexcept {
    while (true) {
      const auto left = static_cast<std::size_t>(end_ - at_);
      if (left < 3) return finish(left, summary);
      const std::size_t length = be16(at_);
      const std::uint8_t* message = at_ + 2;
      if (left < 2 + length) return stop(ItchStatus::kTruncated, summary);
      if (kItchLengths[*message] != length || length == 0) [[unlikely]] {
        if (kItchLengths[*message] != 0 || length == 0) return stop(ItchStatus::kBadLength, summary);
        ++summary.unknown_types;
        ++summary.messages;
        at_ += 2 + length;
        continue;
      }
      ++summary.messages;
      ++summary.by_type[*message];
      at_ += 2 + length;
      return message;
    }
  }

  [[nodiscard]] std::size_t offset_of(const std::uint8_t* message) const noexcept {
    return static_cast<std::size_t>(message - 2 - begin_);
  }

 private:
  const std::uint8_t* finish(std::size_t left, ItchSummary& summary) noexcept {
    if (left == 2 && be16(at_) == 0) at_ = end_;  // the end-of-session mark
    return stop(at_ == end_ ? ItchStatus::kOk : ItchStatus::kTruncated, summary);
  }
  const std::uint8_t* stop(ItchStatus status, ItchSummary& summary) noexcept {
    summary.status = status;
    summary.offset = static_cast<std::size_t>(at_ - begin_);
    return nullptr;
  }

  const std::uint8_t* begin_;
  const std::uint8_t* at_;
  const std::uint8_t* end_;
};

}  // namespace ringcraft
