#include "serving/shadow_runner.hpp"

#include <utility>

#include "transport/clock.hpp"

namespace ringcraft {
namespace {

/// So many jobs at most between two passes, so that a replaced version is freed in time.
constexpr std::size_t kJobsAPass = 64;

}  // namespace

ShadowRecord unscored(const ShadowJob& job, std::uint8_t worker, bool dropped) noexcept {
  ShadowRecord record{};
  record.header.type = RecordType::kShadow;
  record.header.worker = worker;
  record.decision_id = job.decision_id;
  record.epoch = job.epoch;
  record.version = job.version;
  record.model = job.model;
  record.arm = job.arm;
  record.dropped = dropped ? 1 : 0;
  return record;
}

std::size_t ShadowRunner::run_once() noexcept {
  std::size_t done = 0;
  for (; done < kJobsAPass; ++done) {
    const ShadowJob* job = queue_.front();
    if (job == nullptr || !ring_.has_room()) {
      break;
    }
    score(*job);
    queue_.release();
  }
  holdings_.pass(Holdings::kShadows);
  return done;
}

void ShadowRunner::score(const ShadowJob& job) noexcept {
  const std::int64_t start = monotonic_ns();
  if (start - job.queued_ns > deadline_ns_) {
    drop(job, counters_.shadows_overdue);
    return;
  }
  const LoadedSlot* slot = holdings_.slot(job.model, job.slot, job.version);
  if (slot == nullptr) {
    drop(job, counters_.shadows_unready);
    return;
  }
  const float* input = input_of(job, *slot);
  if (input == nullptr) {
    drop(job, counters_.shadows_overdue);
    return;
  }
  const Answer answer = answer_of(job, *slot, input);
  ShadowRecord record = unscored(job, worker_, false);
  record.latency_ns = monotonic_ns() - start;
  for (std::size_t i = 0; i < answer.output.size(); ++i) {
    record.output[i] = answer.output[i];
  }
  record.action = answer.action;
  record.abstain = answer.abstain;
  record.late = record.latency_ns > slot->latency_budget_ns ? 1 : 0;
  ring_.push(&record);
  add(counters_.shadows_scored);
  const bool failed =
      answer.abstain == AbstainReason::kBadOutput || answer.abstain == AbstainReason::kModelFailed;
  watch_control(job, failed || record.late != 0);
  watch(job, answer.abstain);
}

const float* ShadowRunner::input_of(const ShadowJob& job, const LoadedSlot& slot) noexcept {
  const FeatureWindow* history = job.window.history;
  if (slot.shadow->window() == 1 || history == nullptr ||
      job.window.unfit(slot.shadow->window()) != AbstainReason::kNone) {
    return job.features.data();
  }
  return history->copy(job.window.end, slot.shadow->window(), input_.data()) ? input_.data() : nullptr;
}

Answer ShadowRunner::answer_of(const ShadowJob& job, const LoadedSlot& slot, const float* input) noexcept {
  const AbstainReason unfit = job.window.unfit(slot.shadow->window());
  if (unfit != AbstainReason::kNone) {
    return abstention(unfit);
  }
  if (!fresh(slot, job.terms)) {
    return abstention(AbstainReason::kStaleModel);
  }
  if (slot.shadow->width() != job.width) {
    return abstention(AbstainReason::kModelFailed);
  }
  StreamFollower* stream = slot.shadow_stream.get();
  if (stream != nullptr) {
    // Made up first: the events between two jobs, and the jobs that were dropped.
    if (!stream->lead_up(job.stream, job.window, slot.limits, counters_.shadow_streams_cut)) {
      return abstention(AbstainReason::kNotWarm);
    }
    stream->asked(job.stream, job.window);
  }
  return within(job.terms.room, ask(*slot.shadow, slot, input, job.output_abs_max));
}

void ShadowRunner::drop(const ShadowJob& job, Counter& reason) noexcept {
  const ShadowRecord record = unscored(job, worker_, true);
  ring_.push(&record);
  add(reason);
}

void ShadowRunner::watch_control(const ShadowJob& job, bool late_or_failed) noexcept {
  if (!job.control) {
    return;
  }
  AnswerWindow& window = controls_[job.model];
  if (std::exchange(watched_rollouts_[job.model], job.rollout_id) != job.rollout_id) {
    window.clear();  // another bake's
  }
  window.add(late_or_failed);
  control_late_or_failed_[job.model].store(window.count(), std::memory_order_relaxed);
}

void ShadowRunner::watch(const ShadowJob& job, AbstainReason abstain) noexcept {
  if (!job.on_trial) {
    return;
  }
  std::uint32_t& bad = bad_in_a_row_[job.model];
  if (std::exchange(watched_rollouts_[job.model], job.rollout_id) != job.rollout_id) {
    bad = 0;  // another version's
  }
  bad = abstain == AbstainReason::kBadOutput ? bad + 1 : 0;
  if (bad >= kBadOutputsInARow) {
    bad_rollouts_[job.model].store(job.rollout_id, std::memory_order_release);
    bad = 0;
  }
}

}  // namespace ringcraft
