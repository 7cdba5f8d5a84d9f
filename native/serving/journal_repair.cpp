#include "serving/journal_repair.hpp"

#include <algorithm>
#include <cstring>
#include <set>

namespace ringcraft {
namespace {

template <class Record>
Record as(const RecordBytes& bytes) noexcept {
  Record record{};
  std::memcpy(&record, bytes.data(), sizeof record);
  return record;
}

template <class Record>
RecordBytes bytes_of(const Record& record) noexcept {
  RecordBytes bytes{};
  std::memcpy(bytes.data(), &record, sizeof record);
  return bytes;
}

struct Open {
  DecisionRecord decision;
  bool marked = false;
  std::vector<std::uint32_t> scored;  ///< versions whose shadow records are there
};

/// What the records read back leave open.
class Ledger {
 public:
  void take(const RecordBytes& bytes) {
    const auto header = as<RecordHeader>(bytes);
    switch (header.type) {
      case RecordType::kName:
        break;
      case RecordType::kEpoch:
        take_epoch(as<EpochRecord>(bytes));
        break;
      case RecordType::kDecision:
        take_decision(as<DecisionRecord>(bytes));
        break;
      case RecordType::kShadow:
        take_shadow(as<ShadowRecord>(bytes));
        break;
      case RecordType::kMarkout:
        take_markout(as<MarkoutRecord>(bytes));
        break;
      case RecordType::kTrip:
        take_trip(as<TripRecord>(bytes));
        break;
    }
  }

  Resumption result;
  std::map<std::uint64_t, Open> open;

  [[nodiscard]] std::vector<std::pair<Arm, std::uint32_t>> missing_shadows(const Open& entry) const {
    std::vector<std::pair<Arm, std::uint32_t>> expected = expected_shadows(entry.decision);
    std::erase_if(expected, [&](const auto& one) {
      return std::find(entry.scored.begin(), entry.scored.end(), one.second) != entry.scored.end();
    });
    const std::size_t owed = entry.decision.expected_shadows -
                             std::min<std::size_t>(entry.decision.expected_shadows, entry.scored.size());
    expected.resize(owed, {Arm::kNone, kNoVersion});
    return expected;
  }

 private:
  void take_epoch(const EpochRecord& record) {
    epochs_[{record.model, static_cast<std::uint32_t>(record.epoch)}] = record;
    if (record.phase == Phase::kBake || record.phase == Phase::kBakePaused) {
      bakes_.insert(record.rollout_id);
    }
    result.next_decision_id = std::max(result.next_decision_id, record.next_decision_id);
  }

  void take_decision(const DecisionRecord& record) {
    open[record.decision_id].decision = record;
    result.next_decision_id = std::max(result.next_decision_id, record.decision_id + 1);
  }

  void take_shadow(const ShadowRecord& record) {
    const auto found = open.find(record.decision_id);
    if (found != open.end()) {
      found->second.scored.push_back(record.version);
      close_if_whole(found);
    }
  }

  void take_markout(const MarkoutRecord& record) {
    const auto found = open.find(record.decision_id);
    if (found == open.end() || record.horizon != 0) {
      return;
    }
    found->second.marked = true;
    const DecisionRecord& decision = found->second.decision;
    const auto epoch = epochs_.find({decision.model, decision.epoch});
    if (decision.overridden == 0 && record.status == MarkoutStatus::kOk && epoch != epochs_.end() &&
        decision.arm == trial_of(epoch->second)) {
      const double pnl_bps = decision.action > 0 ? record.buy_pnl_bps : record.sell_pnl_bps;
      result.earned[{decision.model, epoch->second.rollout_id}].add(decision.action == 0 ? 0.0 : pnl_bps);
    }
    close_if_whole(found);
  }

  void take_trip(const TripRecord& record) {
    if (record.kind != TripKind::kJournalDrops) {
      result.masked[record.model] = {record.rollout_id, record.arm};
    }
  }

  [[nodiscard]] Arm trial_of(const EpochRecord& epoch) const {
    return bakes_.contains(epoch.rollout_id) ? Arm::kChampion : Arm::kChallenger;
  }

  void close_if_whole(std::map<std::uint64_t, Open>::iterator entry) {
    if (entry->second.marked && entry->second.scored.size() >= entry->second.decision.expected_shadows) {
      open.erase(entry);
    }
  }

  [[nodiscard]] std::vector<std::pair<Arm, std::uint32_t>> expected_shadows(
      const DecisionRecord& decision) const {
    std::vector<std::pair<Arm, std::uint32_t>> expected;
    const auto found = epochs_.find({decision.model, decision.epoch});
    if (found == epochs_.end()) {
      return expected;
    }
    const EpochRecord& epoch = found->second;
    const bool challenger_acted = decision.arm == Arm::kChallenger;
    expected.emplace_back(challenger_acted ? Arm::kChampion : Arm::kChallenger,
                          challenger_acted ? epoch.champion : epoch.challenger);
    for (const std::uint32_t version : epoch.shadows) {
      expected.emplace_back(Arm::kShadow, version);
    }
    std::erase_if(expected, [](const auto& one) { return one.second == kNoVersion; });
    return expected;
  }

  std::map<std::pair<std::uint16_t, std::uint32_t>, EpochRecord> epochs_;
  std::set<std::uint32_t> bakes_;  ///< rollouts that judge a new champion; no two models share an id
};

RecordBytes never_marked(const DecisionRecord& decision, std::uint8_t worker) {
  MarkoutRecord record{};
  record.header.type = RecordType::kMarkout;
  record.header.worker = worker;
  record.decision_id = decision.decision_id;
  record.decision_event_ns = decision.event_ns;
  record.resolved_event_ns = decision.event_ns;
  record.instrument = decision.instrument;
  record.model = decision.model;
  record.status = MarkoutStatus::kNever;
  return bytes_of(record);
}

RecordBytes never_scored(const DecisionRecord& decision, std::uint8_t worker, Arm arm,
                         std::uint32_t version) {
  ShadowRecord record{};
  record.header.type = RecordType::kShadow;
  record.header.worker = worker;
  record.decision_id = decision.decision_id;
  record.epoch = decision.epoch;
  record.version = version;
  record.model = decision.model;
  record.arm = arm;
  record.dropped = 1;
  return bytes_of(record);
}

}  // namespace

Resumption repair_journal(JournalWriter& writer, std::uint8_t worker) {
  Ledger ledger;
  writer.read_back(kRepairSegments, [&](const RecordBytes& record) { ledger.take(record); });
  std::vector<RecordBytes> owed;
  for (const auto& [id, entry] : ledger.open) {
    for (const auto& [arm, version] : ledger.missing_shadows(entry)) {
      owed.push_back(never_scored(entry.decision, worker, arm, version));
      ++ledger.result.owed_shadows;
    }
    if (!entry.marked) {
      owed.push_back(never_marked(entry.decision, worker));
      ++ledger.result.owed_markouts;
    }
  }
  for (std::size_t i = 0; i < owed.size(); ++i) {
    seal(owed[i], writer.next_index() + i);
  }
  if (writer.append(owed) != owed.size() || !writer.sync()) {
    throw std::runtime_error("journal: what a killed worker owed cannot be written");
  }
  return ledger.result;
}

}  // namespace ringcraft
