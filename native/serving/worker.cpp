#include "serving/worker.hpp"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>

#include "transport/placement.hpp"

namespace ringcraft {
namespace {

constexpr auto kShadowIdle = std::chrono::microseconds(200);
constexpr auto kJournalIdle = std::chrono::milliseconds(1);
constexpr auto kSyncEvery = std::chrono::milliseconds(20);
constexpr int kDecisionNiceness = -10;
/// The shortest that Linux grants (sched_setattr(2)).
constexpr std::uint64_t kDecisionSliceNs = 100'000;
/// The journal's records, as they were decided on; kinds are RecordType's.
constexpr BusLayout kDecisionsBus{65'536, sizeof(DecisionRecord)};
constexpr const char* kDecisionsAbout = R"({"records": "journal", "schema": 1})";

/// Raises this thread's priority among the machine's others; -20 first, 19 last.
void raise_to_niceness(int niceness) noexcept {
  const auto self = static_cast<id_t>(::gettid());
  if (::getpriority(PRIO_PROCESS, self) <= niceness) return;  // whoever started it thought of that
  // Below 0 it needs a privilege; without it the thread runs as it did.
  ::setpriority(PRIO_PROCESS, self, niceness);
}

/// Asks for short slices of processor time. Since Linux 6.12 a thread that wakes interrupts one whose slice
/// is longer; priority alone leaves it to wait until that one's, more than a millisecond, is used up.
void ask_for_slices(std::uint64_t slice_ns) noexcept {
  struct {  // struct sched_attr, which Debian 12's libc does not have
    std::uint32_t size, policy;
    std::uint64_t flags;
    std::int32_t nice;
    std::uint32_t priority;
    std::uint64_t runtime, deadline, period;
  } attributes{};
  if (::syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0) != 0) return;
  if (attributes.policy != SCHED_OTHER) return;  // whoever started it thought of that
  attributes.runtime = slice_ns;
  ::syscall(SYS_sched_setattr, 0, &attributes, 0);
}

}  // namespace

Worker::Worker(const WorkerConfig& config)
    : config_(config),
      routing_(RoutingTable::create(config.routing_path)),
      rings_(RecordRings::open_or_create(config.rings_path, config.ring_records)),
      writer_(config.journal_folder, config.records_per_segment),
      drain_(rings_, writer_),
      shadows_(holdings_, rings_.ring(RecordRings::kShadows), counters_, config.worker, config.shadow_queue,
               config.shadow_deadline_ns),
      engine_(holdings_, routing_, shadows_, rings_.ring(RecordRings::kDecisions), counters_, config.worker,
              config.heartbeat_timeout_ns) {
  if (!config.decisions_path.empty()) {
    told_ = std::make_unique<BusWriter>(config.decisions_path, kDecisionsBus, kDecisionsAbout);
    engine_.tell(*told_);
  }
  engine_.protect(config.breakers);
  std::uint64_t drained = 0;
  while (const std::uint64_t written = drain_.drain_once()) {
    drained += written;
  }
  if (!drain_.empty()) {
    throw system_failure(config.journal_folder + ": what the rings hold cannot be written");
  }
  const Resumption resumption = repair_journal(writer_, config.worker);
  engine_.resume(resumption);
  recovered_ = {{"cut_bytes", writer_.cut_bytes()},
                {"drained", drained},
                {"owed_markouts", resumption.owed_markouts},
                {"owed_shadows", resumption.owed_shadows},
                {"next_decision_id", resumption.next_decision_id}};
  counters_.journal_written.store(writer_.next_index());
  counters_.journal_synced.store(writer_.next_index());
  door_ = std::make_unique<FeedDoor>(config.host, config.port, engine_, desk_, counters_);
  loop_ = std::make_unique<DecisionLoop>(engine_, holdings_, config.busy_poll);
  loop_->add(*door_);
  if (!config.door_path.empty()) {
    shared_door_ = std::make_unique<SharedDoor>(config.door_path, engine_, config.busy_poll);
    loop_->add(*shared_door_);
  }
  if (config_.rest) {
    rest_ = std::make_unique<RestDoor>(*config_.rest, engine_, holdings_, counters_);
    loop_->add(*rest_);
  }
}

Worker::~Worker() { stop(); }

std::vector<std::string> Worker::start() {
  if (started_) {
    throw std::runtime_error("worker: started twice");
  }
  started_ = true;
  std::vector<std::string> refused;
  const auto note = [&refused](const char* what, const std::string& why) {
    if (!why.empty()) refused.push_back(what + why);
  };
  if (config_.lock_memory) note("worker: ", lock_memory());  // before the threads: their stacks too
  journal_thread_ = std::thread([this] { run_journal(); });
  shadow_thread_ = std::thread([this] { run_shadows(); });
  decision_thread_ = std::thread([this] { run_decisions(); });
  note("shadow thread: ", pin(shadow_thread_.native_handle(), config_.shadow_core));
  note("decision thread: ", pin(decision_thread_.native_handle(), config_.core));
  return refused;
}

void Worker::stop() {
  // In the order in which records are made: no thread ends before what feeds it.
  stop_feed_ = true;
  if (decision_thread_.joinable()) decision_thread_.join();
  stop_shadows_ = true;
  if (shadow_thread_.joinable()) shadow_thread_.join();
  stop_journal_ = true;
  if (journal_thread_.joinable()) journal_thread_.join();
}

void Worker::run_decisions() {
  raise_to_niceness(kDecisionNiceness);
  ask_for_slices(kDecisionSliceNs);
  loop_->run(stop_feed_);
}

void Worker::run_shadows() {
  for (;;) {
    const bool last = stop_shadows_.load();
    if (shadows_.run_once() > 0) {
      continue;
    }
    if (last && shadows_.queue().front() == nullptr) {
      return;
    }
    std::this_thread::sleep_for(kShadowIdle);
  }
}

void Worker::run_journal() {
  auto synced_at = std::chrono::steady_clock::now();
  for (;;) {
    const bool last = stop_journal_.load();
    const std::uint64_t written = drain_.drain_once();
    const bool refused = written == 0 && !drain_.empty();
    add(counters_.journal_refused, refused ? 1 : 0);
    counters_.journal_written.store(writer_.next_index(), std::memory_order_relaxed);
    const auto now = std::chrono::steady_clock::now();
    if ((last || now - synced_at >= kSyncEvery) && writer_.sync()) {
      counters_.journal_synced.store(writer_.next_index(), std::memory_order_relaxed);
      synced_at = now;
    }
    if (last && (drain_.empty() || refused)) {
      return;  // what the disk refuses stays in the rings, for whoever drains them next
    }
    if (!last) {
      std::this_thread::sleep_for(kJournalIdle);
    }
  }
}

std::vector<std::int64_t> Worker::replay(const Introduction& introduction,
                                         std::span<const MarketEvent> events) {
  if (started_) {
    throw std::runtime_error("worker: replay is for one that was not started");
  }
  started_ = true;
  journal_thread_ = std::thread([this] { run_journal(); });
  shadow_thread_ = std::thread([this] { run_shadows(); });
  engine_.adopt();
  engine_.begin_feed(introduction);
  std::vector<std::int64_t> spent;
  spent.reserve(events.size());
  for (const MarketEvent& event : events) {
    if (event.instrument >= engine_.fed()) {
      throw std::runtime_error("event: instrument " + std::to_string(event.instrument) +
                               " was not introduced");
    }
    const std::int64_t start = monotonic_ns();
    engine_.on_event(event, start);
    spent.push_back(monotonic_ns() - start);
  }
  engine_.end_feed();
  return spent;
}

std::map<std::string, std::uint64_t> Worker::counters() {
  const auto get = [](const Counter& counter) { return counter.load(std::memory_order_relaxed); };
  RecordRing& decisions = rings_.ring(RecordRings::kDecisions);
  RecordRing& shadows = rings_.ring(RecordRings::kShadows);
  return {{"events", get(counters_.events)},
          {"decisions", get(counters_.decisions)},
          {"abstentions", get(counters_.abstentions)},
          {"late", get(counters_.late)},
          {"markouts", get(counters_.markouts)},
          {"markouts_extra", get(counters_.markouts_extra)},
          {"overridden", get(counters_.overridden)},
          {"keys_absent", get(counters_.keys_absent)},
          {"trips", get(counters_.trips)},
          {"epoch", get(counters_.epoch)},
          {"heartbeat_lost", get(counters_.heartbeat_lost)},
          {"requests", get(counters_.requests)},
          {"requests_late", get(counters_.requests_late)},
          {"shares_shed", get(counters_.shares_shed)},
          {"overloads", get(counters_.overloads)},
          {"breakers_opened", get(counters_.breakers_opened)},
          {"breaker_stand_ins", get(counters_.breaker_stand_ins)},
          {"breaker_abstentions", get(counters_.breaker_abstentions)},
          {"rest_connections", get(counters_.rest_connections)},
          {"rest_requests", get(counters_.rest_requests)},
          {"rest_refused", get(counters_.rest_refused)},
          {"rest_unauthorized", get(counters_.rest_unauthorized)},
          {"rest_limited", get(counters_.rest_limited)},
          {"rest_concurrent", get(counters_.rest_concurrent)},
          {"rest_timed_out", get(counters_.rest_timed_out)},
          {"rest_turned_away", get(counters_.rest_turned_away)},
          {"feed_connections", get(counters_.feed_connections)},
          {"feed_refused", get(counters_.feed_refused)},
          {"last_event_ns", get(counters_.last_event_ns)},
          {"shadows_expected", get(counters_.shadows_expected)},
          {"shadows_scored", get(counters_.shadows_scored)},
          {"shadows_dropped", get(counters_.shadows_queue_full) + get(counters_.shadows_unready) +
                                  get(counters_.shadows_overdue) + get(counters_.shadows_shed)},
          {"shadows_dropped_shed", get(counters_.shadows_shed)},
          {"shadows_dropped_queue_full", get(counters_.shadows_queue_full)},
          {"shadows_dropped_unready", get(counters_.shadows_unready)},
          {"shadows_dropped_overdue", get(counters_.shadows_overdue)},
          {"streams_cut", get(counters_.streams_cut)},
          {"shadow_streams_cut", get(counters_.shadow_streams_cut)},
          {"journal_written", get(counters_.journal_written)},
          {"journal_synced", get(counters_.journal_synced)},
          {"journal_refused", get(counters_.journal_refused)},
          {"journal_dropped", decisions.dropped() + shadows.dropped()},
          {"journal_waiting",
           decisions.produced() - decisions.consumed() + shadows.produced() - shadows.consumed()}};
}

}  // namespace ringcraft
