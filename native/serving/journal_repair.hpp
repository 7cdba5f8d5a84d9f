#pragma once
// What a worker that was killed still owes its journal, and what it must not forget.

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "serving/hard_limits.hpp"
#include "serving/journal_writer.hpp"

namespace ringcraft {

/// Whom a hard limit took off.
struct TakenOff {
  std::uint32_t rollout_id = 0;
  Arm arm = Arm::kChallenger;
};

/// Where a worker takes up, as its journal tells.
struct Resumption {
  std::uint64_t next_decision_id = 1;
  std::uint64_t owed_markouts = 0;           ///< written as kNever
  std::uint64_t owed_shadows = 0;            ///< written as dropped
  std::map<std::uint16_t, TakenOff> masked;  ///< by model
  /// (model, rollout) -> mark-outs of the live decisions of the version on trial.
  std::map<std::pair<std::uint16_t, std::uint32_t>, Earned> earned;
};

/// Reads the newest segments back, writes a mark-out kNever (at the label's horizon) for each decision
/// without one and a dropped record for each shadow that is missing, and says where to go on.
///
/// @note Looks back over kRepairSegments segments: a million records, more than may wait for a mark-out.
/// @throws std::runtime_error the journal cannot be read or written.
[[nodiscard]] Resumption repair_journal(JournalWriter& writer, std::uint8_t worker);

inline constexpr std::size_t kRepairSegments = 2;

}  // namespace ringcraft
