#pragma once
// Scores versions that are not acted on, out of the way of those that are.

#include <array>
#include <atomic>
#include <cstdint>

#include "market_data/features.hpp"
#include "serving/action_limits.hpp"
#include "serving/answer.hpp"
#include "serving/counters.hpp"
#include "serving/feature_window.hpp"
#include "serving/hard_limits.hpp"
#include "serving/record_ring.hpp"
#include "serving/stream_follower.hpp"
#include "transport/spsc_ring.hpp"

namespace ringcraft {

/// One vector, or the window that ends with it, for one version.
struct ShadowJob {
  std::uint64_t decision_id;
  std::uint32_t epoch;
  std::uint32_t version;
  std::uint32_t rollout_id;
  std::uint16_t model;
  std::uint8_t slot;
  Arm arm;
  bool on_trial;  ///< a rollout's challenger, which its bad outputs take off
  bool control;   ///< of a bake: what the new champion is held against
  double output_abs_max;
  Terms terms;
  std::int64_t queued_ns;  ///< monotonic
  std::size_t width;
  FeatureWindow::Mark window;  ///< the rows themselves stay where they are: a late job may find them gone
  std::array<float, kMaxFeatures> features;  ///< the newest vector: width floats
  std::uint32_t stream = kNoStream;          ///< of the instrument
};

/// A record that says that a version was never asked.
[[nodiscard]] ShadowRecord unscored(const ShadowJob& job, std::uint8_t worker, bool dropped) noexcept;

class ShadowRunner {
 public:
  /// @param deadline_ns a job that waited longer is dropped when its turn comes.
  ShadowRunner(Holdings& holdings, RecordRing& ring, Counters& counters, std::uint8_t worker,
               std::size_t capacity, std::int64_t deadline_ns)
      : holdings_(holdings),
        ring_(ring),
        counters_(counters),
        queue_(capacity),
        deadline_ns_(deadline_ns),
        worker_(worker) {}

  [[nodiscard]] SpscRing<ShadowJob>& queue() noexcept { return queue_; }

  /// The rollout whose challenger gave kBadOutputsInARow bad outputs in a row in shadow; 0: none.
  [[nodiscard]] std::uint32_t bad_rollout(std::size_t model) const noexcept {
    return bad_rollouts_[model].load(std::memory_order_acquire);
  }

  /// Late or failed of the last 64 scores of the model's newest bake's control; 0 where there was none.
  [[nodiscard]] std::uint32_t control_late_or_failed(std::size_t model) const noexcept {
    return control_late_or_failed_[model].load(std::memory_order_relaxed);
  }

  /// Scores what waits, as far as there is room for the records; returns how many. Shadow thread only.
  std::size_t run_once() noexcept;

 private:
  void score(const ShadowJob& job) noexcept;
  [[nodiscard]] const float* input_of(const ShadowJob& job, const LoadedSlot& slot) noexcept;
  [[nodiscard]] Answer answer_of(const ShadowJob& job, const LoadedSlot& slot, const float* input) noexcept;
  void drop(const ShadowJob& job, Counter& reason) noexcept;
  void watch(const ShadowJob& job, AbstainReason abstain) noexcept;
  void watch_control(const ShadowJob& job, bool late_or_failed) noexcept;

  Holdings& holdings_;
  RecordRing& ring_;
  Counters& counters_;
  SpscRing<ShadowJob> queue_;
  alignas(64) std::array<float, kMaxInputs> input_{};
  std::int64_t deadline_ns_;
  std::array<std::atomic<std::uint32_t>, kMaxModels> bad_rollouts_{};
  std::array<std::uint32_t, kMaxModels> watched_rollouts_{};
  std::array<std::uint32_t, kMaxModels> bad_in_a_row_{};
  std::array<AnswerWindow, kMaxModels> controls_{};
  std::array<std::atomic<std::uint32_t>, kMaxModels> control_late_or_failed_{};
  std::uint8_t worker_;
};

}  // namespace ringcraft
