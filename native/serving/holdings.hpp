#pragma once
// The models a worker holds ready, and how they change hands without anybody waiting.
//
// Whoever prepares a version puts it here by one pointer store. The threads that use it look the pointer up
// afresh in every pass of their loop and say when a pass ends; what was replaced is freed once both have
// ended two.

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "market_data/feature_sets.hpp"
#include "models/model.hpp"
#include "serving/feature_limits.hpp"
#include "serving/routing_table.hpp"
#include "serving/stream_follower.hpp"

namespace ringcraft {

inline constexpr std::size_t kMaxSlots = 8;
inline constexpr std::size_t kExtraHorizons = 3;
inline constexpr double kNoLimit = std::numeric_limits<double>::infinity();
inline constexpr std::int64_t kNoAgeLimit = std::numeric_limits<std::int64_t>::max();

enum class RuleKind : std::uint8_t { kUpMinusDown = 0, kExpectedBps = 1 };

/// One version, verified and warm.
struct LoadedSlot {
  std::uint32_t version = 0;
  RuleKind rule = RuleKind::kUpMinusDown;
  double threshold = 0;
  std::int64_t latency_budget_ns = 0;
  std::int64_t trained_until_ns = 0;  ///< event time at which its training data ends; 0: not known
  std::shared_ptr<Model> live;        ///< decision thread's
  std::shared_ptr<Model> shadow;      ///< shadow thread's
  FeatureLimits limits{};             ///< of what it is asked
  /// The same models where they carry their state; null where they do not.
  std::shared_ptr<StreamFollower> live_stream{};
  std::shared_ptr<StreamFollower> shadow_stream{};
};

/// Fills in a slot's live_stream and shadow_stream.
inline void follow_streams(LoadedSlot& slot) {
  const auto follower = [](const std::shared_ptr<Model>& model, std::size_t most) {
    auto stream = std::dynamic_pointer_cast<StreamModel>(model);
    return stream ? std::make_shared<StreamFollower>(std::move(stream), most) : nullptr;
  };
  slot.live_stream = follower(slot.live, kMadeUpLive);
  slot.shadow_stream = follower(slot.shadow, kMadeUpShadow);
}

/// How one model's decisions are taken, paid and limited.
struct ModelPlan {
  std::uint16_t index = 0;
  std::string name;
  FeatureDefinition features;
  std::vector<std::string> instruments;  ///< empty: all
  std::int64_t horizon_ns = 0;
  std::int64_t entry_latency_ns = 0;
  std::int64_t min_interval_ns = 0;
  std::uint32_t late_or_failed_of_64 = 64;
  double output_abs_max = 0;
  double loss_budget_bps = 0;
  double drawdown_budget_bps = kNoLimit;
  std::int64_t position_lots_max = std::numeric_limits<std::int64_t>::max();  ///< bought, and sold
  double notional_max = kNoLimit;  ///< of all its instruments of one currency, in that currency
  double decisions_per_second_max = kNoLimit;
  std::int64_t model_age_max_ns = kNoAgeLimit;
  std::vector<std::int64_t> extra_horizons_ns{};  ///< kExtraHorizons at most
  std::size_t window = 1;                         ///< the longest of its versions
};

class Holdings {
 public:
  enum Reader : std::size_t { kDecisions = 0, kShadows = 1 };

  Holdings() = default;
  Holdings(const Holdings&) = delete;
  Holdings& operator=(const Holdings&) = delete;

  ~Holdings() {
    for (auto& model : slots_) {
      for (auto& slot : model) {
        delete slot.load();
      }
    }
    for (auto& plan : plans_) {
      delete plan.load();
    }
  }

  /// The version in a slot if it is this one, else null.
  [[nodiscard]] const LoadedSlot* slot(std::size_t model, std::size_t slot,
                                       std::uint32_t version) const noexcept {
    if (model >= kMaxModels || slot >= kMaxSlots) {
      return nullptr;
    }
    const LoadedSlot* held = slots_[model][slot].load(std::memory_order_acquire);
    return held != nullptr && held->version == version ? held : nullptr;
  }

  /// The version in a slot, kNoVersion where there is none. A reader's, within its pass.
  [[nodiscard]] std::uint32_t held_version(std::size_t model, std::size_t slot) const noexcept {
    const LoadedSlot* held = slots_[model][slot].load(std::memory_order_acquire);
    return held != nullptr ? held->version : kNoVersion;
  }

  /// Whether a held version of the model is a stream. A reader's, within its pass.
  [[nodiscard]] bool holds_stream(std::size_t model) const noexcept {
    return std::any_of(slots_[model].begin(), slots_[model].end(), [](const auto& slot) {
      const LoadedSlot* held = slot.load(std::memory_order_acquire);
      return held != nullptr && held->live_stream != nullptr;
    });
  }

  /// A model's plan, null where there is none; valid until the plans' generation changes.
  [[nodiscard]] const ModelPlan* plan(std::size_t model) const noexcept {
    return plans_[model].load(std::memory_order_acquire);
  }

  [[nodiscard]] std::uint64_t generation() const noexcept {
    return generation_.load(std::memory_order_acquire);
  }

  /// A reader's loop has come round: what it holds from here, it looked up since its pass before.
  void pass(Reader reader) noexcept {
    passes_[reader].store(passes_[reader].load(std::memory_order_relaxed) + 1, std::memory_order_release);
    // The next look-ups must not overtake the count: they would find what this pass lets go.
    std::atomic_thread_fence(std::memory_order_seq_cst);
  }

  /// Puts a version into a slot, or takes it out with null. One preparing thread.
  void put(std::size_t model, std::size_t slot, std::unique_ptr<const LoadedSlot> loaded) {
    const bool stream = loaded != nullptr && loaded->live_stream != nullptr;
    retire(slots_.at(model).at(slot).exchange(loaded.release(), std::memory_order_seq_cst), nullptr);
    // What a stream goes along is kept from here on.
    if (stream) generation_.fetch_add(1, std::memory_order_seq_cst);
  }

  /// Sets a model's plan, or takes the model out with null. One preparing thread.
  void plan(std::size_t model, std::unique_ptr<const ModelPlan> plan) {
    const ModelPlan* old = plans_.at(model).exchange(plan.release(), std::memory_order_seq_cst);
    generation_.fetch_add(1, std::memory_order_seq_cst);
    retire(nullptr, old);
  }

  /// Frees what nobody can use any more; returns how much still waits. One preparing thread.
  std::size_t reclaim() {
    std::erase_if(retired_, [&](const Retired& one) {
      return passes_[kDecisions].load(std::memory_order_acquire) >= one.passes[kDecisions] + 2 &&
             passes_[kShadows].load(std::memory_order_acquire) >= one.passes[kShadows] + 2;
    });
    return retired_.size();
  }

 private:
  struct Retired {
    std::array<std::uint64_t, 2> passes;
    std::unique_ptr<const LoadedSlot> slot;
    std::unique_ptr<const ModelPlan> plan;
  };

  void retire(const LoadedSlot* slot, const ModelPlan* plan) {
    if (slot != nullptr || plan != nullptr) {
      retired_.push_back({{passes_[kDecisions].load(std::memory_order_seq_cst),
                           passes_[kShadows].load(std::memory_order_seq_cst)},
                          std::unique_ptr<const LoadedSlot>(slot),
                          std::unique_ptr<const ModelPlan>(plan)});
    }
  }

  std::array<std::array<std::atomic<const LoadedSlot*>, kMaxSlots>, kMaxModels> slots_{};
  std::array<std::atomic<const ModelPlan*>, kMaxModels> plans_{};
  std::atomic<std::uint64_t> generation_{0};
  std::array<std::atomic<std::uint64_t>, 2> passes_{};
  std::vector<Retired> retired_;
};

}  // namespace ringcraft
