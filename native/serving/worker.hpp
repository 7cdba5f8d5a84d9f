#pragma once
// The data plane of one worker: its threads, and what they share.

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "serving/decision_loop.hpp"
#include "serving/engine.hpp"
#include "serving/feed_door.hpp"
#include "serving/journal_drain.hpp"
#include "serving/rest_door.hpp"
#include "serving/shared_door.hpp"

namespace ringcraft {

struct WorkerConfig {
  std::string journal_folder;
  std::string rings_path;
  std::string routing_path;
  std::string host = "127.0.0.1";
  std::uint16_t port = 0;  ///< 0: any free
  std::uint8_t worker = 0;
  int core = -1;  ///< decision thread's; -1: any
  int shadow_core = -1;
  std::int64_t shadow_deadline_ns = 2'000'000'000;
  std::int64_t heartbeat_timeout_ns = 2'000'000'000;
  std::size_t ring_records = 65'536;
  std::size_t shadow_queue = 16'384;
  std::size_t records_per_segment = kSegmentRecords;
  bool lock_memory = false;          ///< keep everything from being paged out
  std::string decisions_path{};      ///< bus that tells of every decision; empty: none
  bool busy_poll = false;            ///< the decision thread never sleeps
  std::string door_path{};           ///< shared-memory door; empty: none
  std::optional<RestConfig> rest{};  ///< none: no such door
  BreakerLimits breakers{};
};

class Worker {
 public:
  /// Takes up journal, rings and routing table, and listens; serves nothing yet.
  /// @throws std::runtime_error any of them cannot be had.
  explicit Worker(const WorkerConfig& config);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  /// Starts the threads: decisions, shadows, journal.
  /// @return a line for each thing asked for that the system refused: a core, locked memory.
  std::vector<std::string> start();

  /// Ends the feed, resolves what waits, writes and syncs everything. Again: does nothing.
  void stop();

  /// Decides on events in the calling thread and returns for each the nanoseconds from event to decision.
  ///
  /// @param introduction as a HELLO would give it.
  /// @throws std::runtime_error the worker was started, or an event names no instrument.
  [[nodiscard]] std::vector<std::int64_t> replay(const Introduction& introduction,
                                                 std::span<const MarketEvent> events);

  [[nodiscard]] Holdings& holdings() noexcept { return holdings_; }
  [[nodiscard]] HelloDesk& desk() noexcept { return desk_; }
  [[nodiscard]] std::uint16_t port() const noexcept { return door_->port(); }
  /// 0 where there is no such door.
  [[nodiscard]] std::uint16_t rest_port() const noexcept { return rest_ ? rest_->port() : std::uint16_t{0}; }
  [[nodiscard]] std::map<std::string, std::uint64_t> counters();
  /// How the breakers of the versions asked so far stand.
  [[nodiscard]] const BreakerBoard& breakers() const noexcept { return engine_.breakers(); }

  /// What starting found: cut_bytes, drained, owed_markouts, owed_shadows, next_decision_id.
  [[nodiscard]] const std::map<std::string, std::uint64_t>& recovered() const noexcept { return recovered_; }

 private:
  void run_decisions();
  void run_shadows();
  void run_journal();

  WorkerConfig config_;
  Counters counters_;
  Holdings holdings_;
  HelloDesk desk_;
  RoutingTable routing_;
  RecordRings rings_;
  JournalWriter writer_;
  JournalDrain drain_;
  ShadowRunner shadows_;
  std::unique_ptr<BusWriter> told_;
  Engine engine_;
  std::unique_ptr<FeedDoor> door_;
  std::unique_ptr<SharedDoor> shared_door_;
  std::unique_ptr<RestDoor> rest_;
  std::unique_ptr<DecisionLoop> loop_;
  std::map<std::string, std::uint64_t> recovered_;
  std::atomic<bool> stop_feed_{false};
  std::atomic<bool> stop_shadows_{false};
  std::atomic<bool> stop_journal_{false};
  std::thread decision_thread_;
  std::thread shadow_thread_;
  std::thread journal_thread_;
  bool started_ = false;
};

}  // namespace ringcraft
