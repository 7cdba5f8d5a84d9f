#pragma once
// JSON price levels as venues send them: [["61804.7","35"],["61802.0","8"]].

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "market_data/decimal_text.hpp"

namespace ringcraft {

struct LevelChange {
  std::int32_t ticks;
  std::int64_t lots;  ///< what rests there now; 0: the price is gone
};

struct LevelFault {
  TextFault fault = TextFault::kNone;
  bool in_price = false;       ///< else in the quantity or in the shape
  std::size_t at = 0;          ///< byte in the text
  std::uint32_t decimals = 0;  ///< significant decimals of the number, where it is off the grid
};

/// Appends every level of the text to `levels`, in the text's order.
///
/// A level is two strings of decimals, price and quantity; a third, where it is there, is a time in seconds,
/// a fourth a mark that says nothing of the level (Kraken).
///
/// @param far where it is given, prices too big to be kept are left out and counted in it: asks that nobody
/// means.
/// @param newest_ns becomes the latest time of a level, where that is later.
/// @return what is wrong first; `levels` then holds what came before it.
[[nodiscard]] LevelFault parse_levels(std::string_view text, Grid price, Grid quantity,
                                      std::vector<LevelChange>& levels, std::uint64_t* far,
                                      std::int64_t& newest_ns);

}  // namespace ringcraft
