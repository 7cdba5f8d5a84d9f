#pragma once
// Models that carry their state, moved on along the histories of the instruments they decide on.

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "models/stream_model.hpp"
#include "serving/counters.hpp"
#include "serving/feature_limits.hpp"
#include "serving/feature_window.hpp"

namespace ringcraft {

inline constexpr std::uint32_t kNoStream = ~std::uint32_t{0};
/// Vectors that a stream may make up for at once: between two answers, and out of their way.
inline constexpr std::size_t kMadeUpLive = 64;
inline constexpr std::size_t kMadeUpShadow = FeatureWindow::kRows / 2;

/// One thread's streams of one version, a stream for each instrument.
///
/// A stream's steps are the rows of its instrument's history since its session began, whoever was asked about
/// them: what was missed (another arm answered, a job was dropped, a model need not decide on every event) is
/// made up from the history. Where more was missed than may be made up at once, or it is no longer there, the
/// stream begins anew with the newest row.
class StreamFollower {
 public:
  /// @param model one that no other thread asks.
  StreamFollower(std::shared_ptr<StreamModel> model, std::size_t made_up_most)
      : model_(std::move(model)), made_up_most_(made_up_most), places_(model_->streams()) {}

  /// Selects a stream and takes it up to the row before the newest, whose step is then predict().
  ///
  /// A row outside the limits is no step, as one that is not finite.
  /// @param cut counts streams begun anew because rows were missed.
  /// @return whether it can be asked; false where there is no history, or no such stream, or it was asked.
  [[nodiscard]] bool lead_up(std::size_t stream, const FeatureWindow::Mark& mark, const FeatureLimits& limits,
                             Counter& cut) noexcept {
    if (mark.end == mark.stream_from || !known(stream, mark)) return false;
    follow(stream, mark, mark.end - 1, limits, cut);
    return places_[stream].next == mark.end - 1;
  }

  /// Says that the newest row was asked about, after lead_up().
  void asked(std::size_t stream, const FeatureWindow::Mark& mark) noexcept {
    places_[stream].next = mark.end;
  }

  /// Takes a stream up to the newest row, if it is not there.
  void keep_up(std::size_t stream, const FeatureWindow::Mark& mark, const FeatureLimits& limits,
               Counter& cut) noexcept {
    if (!known(stream, mark)) return;
    const Place& place = places_[stream];
    const bool there =
        place.history == mark.history && place.from == mark.stream_from && place.next == mark.end;
    if (there) return;
    follow(stream, mark, mark.end, limits, cut);
    model_->settle();
  }

 private:
  /// How far a stream has come.
  struct Place {
    const FeatureWindow* history = nullptr;
    std::uint64_t from = 0;  ///< row that it began at, or before
    std::uint64_t next = 0;
  };

  [[nodiscard]] bool known(std::size_t stream, const FeatureWindow::Mark& mark) const noexcept {
    return stream < places_.size() && mark.history != nullptr && mark.history->width() == model_->width();
  }

  void follow(std::size_t stream, const FeatureWindow::Mark& mark, std::uint64_t until,
              const FeatureLimits& limits, Counter& cut) noexcept {
    Place& place = places_[stream];
    model_->select(stream);
    const bool goes_on = place.history == mark.history && place.from == mark.stream_from;
    if (!goes_on) {
      model_->restart(stream);
      place = {mark.history, mark.stream_from, mark.stream_from};
    }
    const auto begin_anew = [&] {
      model_->restart(stream);
      place.next = mark.end - 1;
      add(cut, goes_on ? 1 : 0);  // one that only begins has missed nothing
    };
    if (place.next < until && until - place.next > made_up_most_) begin_anew();
    for (; place.next < until; ++place.next) {
      if (!mark.history->copy(place.next + 1, 1, row_.data())) {
        begin_anew();
        return;
      }
      if (limits.met(row_.data(), model_->width())) {
        static_cast<void>(model_->predict(row_.data(), output_.data()));  // one that is not finite is no step
      }
    }
  }

  std::shared_ptr<StreamModel> model_;
  std::size_t made_up_most_;
  std::vector<Place> places_;
  std::array<float, kMaxFeatures> row_{};
  std::array<float, kMaxOutputs> output_{};
};

}  // namespace ringcraft
