#pragma once
// NASDAQ TotalView-ITCH 5.0 in BinaryFILE framing (u16 big-endian length before each message).
// Source: NASDAQ, "TotalView-ITCH 5.0" specification; message lengths from its tables.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "contracts/market_event.hpp"

namespace ringcraft {

enum class ItchStatus : std::uint8_t {
  kOk,
  kTruncated,    ///< the bytes end inside a message
  kBadLength,    ///< a message's length is not its type's
  kUnknownType,  ///< no message type of the specification
  kBadField,     ///< a side that is neither B nor S
};

/// What was read, and where and why reading stopped.
struct ItchSummary {
  ItchStatus status = ItchStatus::kOk;
  std::size_t offset = 0;  ///< of the message at fault; the bytes' size where there is none
  std::uint64_t messages = 0;
  std::array<std::uint64_t, 256> by_type{};
  std::uint64_t unknown_orders = 0;    ///< executions, cancels and replaces of orders never added
  std::uint64_t duplicate_orders = 0;  ///< adds of a reference that rests already
  std::uint64_t off_grid_orders = 0;   ///< prices that are no multiple of the tick
};

struct ItchStock {
  std::uint16_t locate;
  std::string symbol;
};

/// Reads the stock directory ('R') of the whole file.
///
/// @note Reads no byte outside `bytes`, whatever they hold, as decode_itch50 does.
[[nodiscard]] ItchSummary list_itch50_stocks(std::span<const std::uint8_t> bytes,
                                             std::vector<ItchStock>& stocks);

struct ItchOptions {
  std::uint16_t locate = 0;            ///< the stock wanted
  std::uint32_t price_per_tick = 100;  ///< tick size in the feed's 1/10000
  std::int64_t midnight_ns = 0;        ///< UTC time of the day's start, which the feed's clock counts from
};

/// Builds one stock's book and appends an event at each change of its touch and each trade.
///
/// A trade's lots are signed by the aggressor: against the side that rested ('E', 'C'), or, where the resting
/// order was hidden ('P'), by the price against the mid; at the mid itself the sign is unknown and the lots
/// are 0. sequence is the message's number in the file, from 1. Events read before an error stand.
[[nodiscard]] ItchSummary decode_itch50(std::span<const std::uint8_t> bytes, const ItchOptions& options,
                                        std::vector<MarketEvent>& events);

}  // namespace ringcraft
