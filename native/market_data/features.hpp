#pragma once
// Features of one instrument's event stream: the one implementation that training and the worker share. The
// plain reference is market_data/reference/.

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "contracts/market_event.hpp"
#include "market_data/feature_sets.hpp"
#include "market_data/zone_clock.hpp"

namespace ringcraft {

/// Streaming features, O(1) an event, decayed in event time; float64 inside, float32 out.
///
/// @note One thread. Same events, same bits: batch and live call this one function.
class FeatureEngine {
 public:
  static constexpr std::size_t kMaxWidth = 48;

  /// @param clock the time of day where the instrument trades, for sets that read it.
  /// @return null where no set has that name, or what was fitted is not what the set takes.
  [[nodiscard]] static std::unique_ptr<FeatureEngine> make(const FeatureDefinition& definition,
                                                           ZoneClock clock = ZoneClock());

  virtual ~FeatureEngine() = default;
  FeatureEngine(const FeatureEngine&) = delete;
  FeatureEngine& operator=(const FeatureEngine&) = delete;

  [[nodiscard]] std::size_t width() const noexcept { return spec_->features.size(); }
  [[nodiscard]] const FeatureNeeds& needs() const noexcept { return spec_->needs; }
  /// Sessions begun so far.
  [[nodiscard]] std::uint64_t sessions() const noexcept { return sessions_; }

  /// Takes one event and writes width() floats.
  ///
  /// An event with an unusable touch (kUnusable, or no sizes or levels where the set needs them) changes
  /// nothing: the last vector is written again, zeros before the first. Time that runs backwards counts as no
  /// time.
  ///
  /// @param depth the levels right after the event; null: not known.
  /// @return whether enough usable events were seen since the session began.
  bool update(const MarketEvent& event, const BookDepth* depth, float* out) noexcept;

  /// Takes an event of the leader, for sets that read one. It counts from the next nanosecond on: at equal
  /// times nobody knows which came first, and so it does not matter in which order they are told.
  virtual void lead(const MarketEvent&) noexcept {}

  /// Forgets everything, as if new.
  virtual void reset() noexcept;

 protected:
  struct Touch {
    double bid;
    double ask;
    double bid_lots;
    double ask_lots;
    double mid;
  };

  explicit FeatureEngine(const FeatureSetSpec& spec) noexcept : spec_(&spec) {}

  /// A session begins with this touch: forgets everything that the last one left.
  virtual void start(const Touch& touch) noexcept = 0;
  /// One usable event, the session's first included; writes last_.
  virtual void take(const MarketEvent& event, const BookDepth* depth, const Touch& touch) noexcept = 0;
  [[nodiscard]] virtual bool warm() const noexcept { return seen_ >= spec_->warm_up_events; }

  const FeatureSetSpec* spec_;
  std::uint64_t seen_ = 0;  ///< usable events of the session
  double gap_s_ = 0;        ///< since the usable event before
  std::int64_t last_ns_ = 0;
  std::array<float, kMaxWidth> last_{};

 private:
  [[nodiscard]] bool usable(const MarketEvent& event, const BookDepth* depth) const noexcept;

  std::uint64_t sessions_ = 0;
};

}  // namespace ringcraft
