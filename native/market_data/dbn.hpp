#pragma once
// Databento's DBN: records after the file's head, and market-by-order records applied to a book.

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "contracts/market_event.hpp"

namespace ringcraft {

enum class DbnStatus : std::uint8_t {
  kOk,
  kTruncated,
  kBadLength,
  kBadAction,
  kBadSide,
  kBadPrice,
  kBadTime
};

/// What was read; where the status is not kOk, `offset` is the byte of the record that stopped it.
struct DbnSummary {
  DbnStatus status = DbnStatus::kOk;
  std::uint64_t offset = 0;
  std::array<std::uint64_t, 256> by_rtype{};
};

/// Gathers the records of one type, `record_bytes` each, in order.
///
/// A record begins with its length in words of four bytes and its type. @note Reads no byte outside `bytes`.
[[nodiscard]] DbnSummary select_dbn(std::span<const std::uint8_t> bytes, std::uint8_t rtype,
                                    std::size_t record_bytes, std::vector<std::uint8_t>& records);

inline constexpr std::size_t kMboBytes = 56;

struct MboOptions {
  std::size_t record_bytes = kMboBytes;  ///< 64 where the time of sending follows each record
  std::uint32_t instrument = 0;          ///< instrument_id wanted
  bool depth = false;                    ///< keep the levels too
  std::int64_t price_per_tick = 0;       ///< tick size in the format's 1e-9; over 0
};

struct MboTape {
  std::vector<MarketEvent> events;
  std::vector<BookDepth> depths;  ///< the levels at each event, where asked for
};

struct MboSummary {
  DbnStatus status = DbnStatus::kOk;
  std::uint64_t record = 0;  ///< of the status, from 0
  std::uint64_t unknown_orders = 0;
  std::uint64_t duplicate_orders = 0;
  std::uint64_t off_grid_orders = 0;
  std::uint64_t over_executed = 0;
  std::uint64_t other_publisher = 0;
  std::uint64_t unfinished_events = 0;
  std::uint64_t gaps = 0;
};

/// Builds one instrument's book from its market-by-order records and appends its events.
///
/// A venue's event is one or more records, the last of them marked; only then is the book whole, so that an
/// event is made of it there: one for each of its trades, else one where touch or state has changed. Its time
/// is the last record's. A modified order keeps its place unless its price changes or its size grows. Trades
/// and fills change nothing: the cancellation or modification that follows does. A snapshot replaces the
/// book, and its time is that of its receipt. A book that begins with neither a snapshot nor a clearing lacks
/// what rested before: a gap, until one comes; so does one whose records are marked as perhaps bad. A whole
/// book that is crossed or locked when a venue's event ends is one that the venue does not match now: an
/// auction, until it is neither.
///
/// @param records of type 160, `record_bytes` each.
[[nodiscard]] MboSummary decode_mbo(std::span<const std::uint8_t> records, const MboOptions& options,
                                    MboTape& tape);

}  // namespace ringcraft
