#pragma once
// What a door asks the engine, and what it gets back: rows of features in, decisions out.

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string_view>

#include "contracts/journal_record.hpp"

namespace ringcraft {

/// So many rows in one request at most: each is a decision, and other doors wait for the last.
inline constexpr std::size_t kMaxRows = 256;
inline constexpr std::int64_t kNoDeadline = std::numeric_limits<std::int64_t>::max();

/// What gives way to what while more is asked than can be answered, the first first.
enum class Load : std::uint8_t { kNormal = 0, kNoShadows = 1, kNoChallenger = 2, kNobody = 3 };

struct InferRequest {
  std::size_t model = 0;               ///< index in plans and routes
  std::uint32_t version = kNoVersion;  ///< kNoVersion: as routed
  Arm asked = Arm::kNone;              ///< champion or challenger; kNone: as drawn
  std::optional<std::uint64_t> key{};  ///< assignment_key() of the request's own key
  std::optional<std::uint64_t> account{};
  std::string_view instrument{};           ///< VENUE:SYMBOL; empty: none
  const float* rows = nullptr;             ///< count rows of row_floats each
  std::size_t row_floats = 0;              ///< vectors of a window, the oldest first
  std::size_t count = 0;                   ///< 1 to kMaxRows
  std::int64_t receive_ns = 0;             ///< monotonic; when it was taken out of the door's buffer
  std::int64_t deadline_ns = kNoDeadline;  ///< monotonic; an answer after it is an abstention
  Load load = Load::kNormal;
  DoorKind door = DoorKind::kRest;
};

enum class InferStatus : std::uint8_t {
  kAnswered = 0,    ///< every row has a decision; it may be an abstention
  kUnknownModel,    ///< no plan or no route
  kUnknownVersion,  ///< not held
  kTakenOff,        ///< a hard limit took the version off
  kNotReady,        ///< nothing is held that could say how long a row is
  kBadRow,          ///< row_floats is not what the model reads
  kBadCount,
  kStream,  ///< the model's state moves with its instruments' events alone
};

inline constexpr std::string_view kStreamAsked =
    "model: expected one without a state, got a stream: it moves with its feed's events alone";

/// One row's decision.
struct RowAnswer {
  std::uint64_t decision_id;
  std::array<float, 4> output;  ///< NaN where there are fewer, or none
  std::int8_t action;
  AbstainReason abstain;
};

struct InferReply {
  InferStatus status = InferStatus::kAnswered;
  Arm arm = Arm::kNone;
  bool late = false;  ///< over the version's latency budget
  std::uint32_t version = kNoVersion;
  std::size_t outputs = 0;          ///< of each row's output
  std::size_t expected_floats = 0;  ///< of a row, where status is kBadRow
  std::span<const RowAnswer> rows;  ///< the engine's, until the next request
};

}  // namespace ringcraft
