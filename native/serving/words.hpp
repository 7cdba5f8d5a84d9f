#pragma once
// The journal's codes as doors spell them: lower case, as data_contracts.journal names them.

#include <array>
#include <string_view>

#include "contracts/journal_record.hpp"

namespace ringcraft {

[[nodiscard]] constexpr std::string_view word_of(AbstainReason reason) noexcept {
  constexpr std::array<std::string_view, 21> kWords = {
      "none",           "no_champion",    "not_warm",     "stale",
      "crossed",        "one_sided",      "halted",       "gap",
      "auction",        "bad_feature",    "bad_output",   "model_failed",
      "position_limit", "notional_limit", "rate_limit",   "stale_model",
      "deadline",       "overload",       "breaker_open", "feature_limit",
      "resync"};
  const auto place = static_cast<std::size_t>(reason);
  return place < kWords.size() ? kWords[place] : "unknown";
}

[[nodiscard]] constexpr std::string_view word_of(Arm arm) noexcept {
  return arm == Arm::kChampion     ? "champion"
         : arm == Arm::kChallenger ? "challenger"
         : arm == Arm::kShadow     ? "shadow"
                                   : "none";
}

}  // namespace ringcraft
