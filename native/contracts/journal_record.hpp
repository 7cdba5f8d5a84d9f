#pragma once
// The journal's records: fixed size, checksummed, self-contained. Mirrored by data_contracts.journal.

#include <cstdint>
#include <type_traits>

namespace ringcraft {

enum class RecordType : std::uint8_t {
  kName = 1,      ///< spells a model or an instrument index used by later records
  kEpoch = 2,     ///< a routing epoch as this worker adopted it, one record a model
  kDecision = 3,  ///< an answer that was acted on
  kShadow = 4,    ///< what another version would have answered, or that it was dropped
  kMarkout = 5,   ///< what buying and what selling at a decision earned
  kTrip = 6,      ///< a hard limit tripped inside the worker
};

enum class Arm : std::uint8_t { kChampion = 0, kChallenger = 1, kShadow = 2, kNone = 255 };

enum class Phase : std::uint8_t { kIdle = 0, kShadow = 1, kAb = 2, kBake = 3, kPaused = 4, kBakePaused = 5 };

enum class AbstainReason : std::uint8_t {
  kNone = 0,  ///< not an abstention: the number may be acted on (flat included)
  kNoChampion = 1,
  kNotWarm = 2,  ///< features have not seen enough events
  kStale = 3,
  kCrossed = 4,
  kOneSided = 5,
  kHalted = 6,
  kGap = 7,
  kAuction = 8,
  kBadFeature = 9,  ///< NaN or infinite feature
  kBadOutput = 10,  ///< NaN, infinite or out-of-range output
  kModelFailed = 11,
  kPositionLimit = 12,  ///< acting would take more open lots than the policy allows
  kNotionalLimit = 13,
  kRateLimit = 14,     ///< more decisions a second than the policy allows
  kStaleModel = 15,    ///< trained on data older than the policy allows
  kDeadline = 16,      ///< whoever asked could not have used it in time any more
  kOverload = 17,      ///< more was asked than can be answered
  kBreakerOpen = 18,   ///< the version failed too often, and nobody stands in for it
  kFeatureLimit = 19,  ///< a feature outside what the version's training data kept to
  kResync = 20,        ///< the instrument's book is being built again
};

enum class MarkoutStatus : std::uint8_t {
  kOk = 0,
  kEntryUnusable = 1,
  kMarkUnusable = 2,
  kStale = 3,
  kNever = 4
};

enum class TripKind : std::uint8_t {
  kBadOutput = 1,
  kLateOrFailed = 2,
  kLossBudget = 3,
  kJournalDrops = 4,
  kDrawdown = 5,  ///< fell too far below the best that its own live trades had summed to
};

/// What decides which arm a decision falls to.
enum class AssignBy : std::uint8_t { kDecision = 0, kInstrument = 1, kAccount = 2, kRequestKey = 3 };

/// Where a decision was asked for.
enum class DoorKind : std::uint8_t {
  kFeed = 0,
  kRest = 1,
  kWebSocket = 2,
  kGrpc = 3,
  kZeroMq = 4,
  kShared = 5
};

inline constexpr std::uint32_t kNoVersion = 0;
/// Of a decision that was asked for without naming a fed instrument: it has no touch, and its mark-out never
/// comes.
inline constexpr std::uint32_t kNoInstrument = 0xFFFF'FFFF;

/// First 16 bytes of every record.
struct RecordHeader {
  std::uint32_t crc32c;  ///< of bytes 4..128
  RecordType type;
  std::uint8_t worker;
  std::uint16_t reserved;
  std::uint64_t index;  ///< position in this worker's journal, from 0, without holes
};

inline constexpr std::uint32_t kModelName = 0;
inline constexpr std::uint32_t kInstrumentName = 1;

struct NameRecord {
  RecordHeader header;
  std::uint32_t kind;  ///< kModelName, kInstrumentName
  std::uint32_t index;
  char name[104];  ///< UTF-8, zero-padded
};

struct EpochRecord {
  RecordHeader header;
  std::uint64_t epoch;
  std::int64_t wall_ns;  ///< our clock at adoption
  std::uint64_t salt;
  std::uint64_t next_decision_id;  ///< first decision this epoch routes
  std::uint32_t rollout_id;        ///< 0: no rollout
  std::uint32_t champion;          ///< versions; kNoVersion: none
  std::uint32_t challenger;
  std::uint32_t shadows[4];
  std::uint16_t model;
  std::uint16_t share_bps;  ///< challenger's, of 10,000
  Phase phase;
  std::uint8_t step;            ///< index into the policy's steps
  std::uint8_t heartbeat_lost;  ///< 1: shares returned to the champion for want of a controller
  AssignBy assign_by;           ///< what keys are asked for; a decision without one goes by its id
  std::uint8_t gap[4];
  std::int64_t horizon_ns;  ///< of the mark-outs that are judged; 0: not known
  std::uint8_t pad[32];
};

struct DecisionRecord {
  RecordHeader header;
  std::uint64_t decision_id;  ///< from 1, without holes, across restarts of the worker
  std::int64_t receive_ns;    ///< our clock when the event was read
  std::int64_t answer_ns;     ///< our clock when the answer stood
  std::int64_t event_ns;
  std::uint64_t sequence;      ///< the event's: with instrument and recording, the place of the vector
  std::uint64_t feature_hash;  ///< FNV-1a 64 of the vector's bytes
  std::int64_t bid_ticks;
  std::int64_t ask_ticks;
  float output[4];  ///< the model's, first values; NaN where there are fewer
  std::uint32_t epoch;
  std::uint32_t version;
  std::uint32_t instrument;
  std::uint16_t model;
  std::uint16_t share_bps;  ///< of the challenger when this was routed
  Arm arm;
  std::int8_t action;  ///< +1 buy, 0 flat, -1 sell
  AbstainReason abstain;
  std::uint8_t late;              ///< 1: over the latency budget
  std::uint8_t expected_shadows;  ///< kShadow records that will follow for this decision
  std::uint8_t overridden;        ///< 1: the arm was asked for, not drawn; never judged
  AssignBy assigned_by;           ///< the key that drew the arm
  DoorKind door;
  std::uint64_t request_key;  ///< the request's, whatever drew the arm; or the id that its rows share
};

struct ShadowRecord {
  RecordHeader header;
  std::uint64_t decision_id;
  std::int64_t latency_ns;  ///< inference alone
  float output[4];
  std::uint32_t epoch;
  std::uint32_t version;
  std::uint16_t model;
  Arm arm;  ///< the arm whose version this is; kShadow for extra shadows
  std::int8_t action;
  AbstainReason abstain;
  std::uint8_t dropped;  ///< 1: never scored (queue full or deadline); the rest is zero
  std::uint8_t late;
  std::uint8_t pad[65];
};

struct MarkoutRecord {
  RecordHeader header;
  std::uint64_t decision_id;
  std::int64_t decision_event_ns;
  std::int64_t resolved_event_ns;  ///< event time at which the mark was taken
  double buy_pnl_bps;              ///< after costs; 0 unless status is kOk
  double sell_pnl_bps;
  std::int64_t entry_bid_ticks;
  std::int64_t entry_ask_ticks;
  std::int64_t mark_mid_x2_ticks;  ///< bid + ask at the mark
  std::uint32_t instrument;
  std::uint16_t model;
  MarkoutStatus status;
  std::uint8_t horizon;  ///< 0: the label's, which is judged; 1 to 3: the policy's extra ones
  std::uint8_t pad[40];
};

struct TripRecord {
  RecordHeader header;
  std::uint64_t decision_id;  ///< the last decision before the limit took hold
  std::int64_t wall_ns;
  std::uint64_t epoch;
  double value;  ///< what was seen, in the limit's own unit
  double limit;
  std::uint32_t version;
  std::uint32_t rollout_id;
  std::uint16_t model;
  TripKind kind;
  Arm arm;
  std::uint8_t pad[60];
};

static_assert(sizeof(NameRecord) == 128);
static_assert(sizeof(EpochRecord) == 128);
static_assert(sizeof(DecisionRecord) == 128);
static_assert(sizeof(ShadowRecord) == 128);
static_assert(sizeof(MarkoutRecord) == 128);
static_assert(sizeof(TripRecord) == 128);

}  // namespace ringcraft
