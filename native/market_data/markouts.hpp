#pragma once
// Mark-outs: what buying and what selling at a decision would have earned, resolved from the event stream.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "contracts/journal_record.hpp"
#include "contracts/market_event.hpp"

namespace ringcraft {

/// What the caller wants back with a mark-out.
struct DecisionTag {
  std::uint32_t rollout_id = 0;  ///< of a challenger's live trade that counts; 0: of none
  std::int8_t action = 0;
  std::uint8_t horizon = 0;  ///< as in MarkoutRecord
};

struct Markout {
  std::uint64_t decision_id;
  DecisionTag tag;
  std::uint16_t model;
  std::uint32_t instrument;
  std::int64_t decision_event_ns;
  std::int64_t resolved_event_ns;  ///< the mark's own time; for kNever the last event's
  double buy_pnl_bps;              ///< after costs; 0 unless status is kOk, as are the next two
  double sell_pnl_bps;
  double mid_move_bps;  ///< mark mid against the decision's mid, no costs
  std::int64_t entry_bid_ticks;
  std::int64_t entry_ask_ticks;
  std::int64_t mark_mid_x2_ticks;  ///< bid + ask at the mark
  MarkoutStatus status;
};

/// Mark-outs of one instrument.
///
/// A decision enters at the touch as it stands at event_ns + entry_latency_ns, and is marked at the mid as it
/// stands at event_ns + horizon_ns (never before the entry). The touch that stands at t is the last event's
/// with event_ns <= t. With mid_entry the mid at entry:
///   buy  = 1e4 * (mid_mark - ask_entry) / mid_entry - fee_bps
///   sell = 1e4 * (bid_entry - mid_mark) / mid_entry - fee_bps
///
/// Each event: on_event(event) first, which resolves every mark whose time is before the event's, then the
/// decisions on it, then add() for each.
///
/// @note One thread; all memory is taken at construction; O(log pending) a decision.
class MarkoutTracker {
 public:
  /// @param stale_after_ns a last event older than this at the mark gives kStale.
  /// @param capacity decisions that may wait at once.
  MarkoutTracker(double fee_bps, std::int64_t stale_after_ns, std::size_t capacity)
      : fee_bps_(fee_bps), stale_after_ns_(stale_after_ns), capacity_(capacity) {
    pending_.reserve(capacity);
  }

  /// Takes a decision on the newest event.
  ///
  /// @return false where the queue is full: the decision's mark-out is then kNever, and the caller's to
  /// write.
  bool add(std::uint64_t id, std::uint16_t model, std::int64_t event_ns, std::int64_t entry_latency_ns,
           std::int64_t horizon_ns, const DecisionTag& tag = {}) noexcept {
    if (pending_.size() == capacity_) return false;
    Pending decision{};
    decision.due_ns = later(event_ns, entry_latency_ns);
    decision.mark_ns = std::max(decision.due_ns, later(event_ns, horizon_ns));
    decision.order = added_++;
    decision.id = id;
    decision.tag = tag;
    decision.model = model;
    decision.event_ns = event_ns;
    decision.touch = touch_;
    push(decision);
    return true;
  }

  /// Resolves what is due before this event, then takes its touch. Sink is called with a const Markout&.
  template <class Sink>
  void on_event(const MarketEvent& event, Sink&& sink) noexcept {
    while (!pending_.empty() && pending_.front().due_ns < event.event_ns) {
      Pending decision = pop();
      if (decision.entered) {
        sink(marked(decision));
      } else {
        decision.entered = true;
        decision.entry = touch_;
        decision.due_ns = decision.mark_ns;
        push(decision);
      }
    }
    instrument_ = event.instrument;
    last_ns_ = any_ ? std::max(last_ns_, event.event_ns) : event.event_ns;
    any_ = true;
    touch_ = Touch{event.bid_ticks, event.ask_ticks, usable(event)};
  }

  /// The feed has ended: what still waits never gets its mark.
  template <class Sink>
  void finish(Sink&& sink) noexcept {
    while (!pending_.empty()) sink(outcome(pop(), MarkoutStatus::kNever, last_ns_));
  }

  [[nodiscard]] std::size_t pending() const noexcept { return pending_.size(); }

 private:
  struct Touch {
    std::int64_t bid_ticks = 0;
    std::int64_t ask_ticks = 0;
    bool usable = false;

    /// In double from the start: hostile ticks must not overflow.
    [[nodiscard]] double mid() const noexcept {
      return 0.5 * (static_cast<double>(bid_ticks) + static_cast<double>(ask_ticks));
    }
  };

  struct Pending {
    std::int64_t due_ns;  ///< the entry's time, then the mark's
    std::uint64_t order;  ///< breaks ties: first added, first resolved
    std::int64_t mark_ns;
    std::uint64_t id;
    std::int64_t event_ns;
    Touch touch;  ///< at the decision
    Touch entry;
    DecisionTag tag;
    std::uint16_t model;
    bool entered;
  };

  static bool usable(const MarketEvent& event) noexcept {
    return (event.flags & kUnusable) == 0 && event.bid_ticks > 0 && event.ask_ticks > 0;
  }

  static std::int64_t later(std::int64_t time_ns, std::int64_t by_ns) noexcept {
    constexpr std::int64_t kEnd = std::numeric_limits<std::int64_t>::max();
    if (by_ns <= 0) return time_ns;
    return time_ns > kEnd - by_ns ? kEnd : time_ns + by_ns;
  }

  /// Heap order: the soonest due in front.
  static bool after(const Pending& a, const Pending& b) noexcept {
    return a.due_ns != b.due_ns ? a.due_ns > b.due_ns : a.order > b.order;
  }

  void push(const Pending& decision) noexcept {
    pending_.push_back(decision);  // within the reserved capacity: does not allocate
    std::push_heap(pending_.begin(), pending_.end(), after);
  }

  Pending pop() noexcept {
    std::pop_heap(pending_.begin(), pending_.end(), after);
    const Pending decision = pending_.back();
    pending_.pop_back();
    return decision;
  }

  [[nodiscard]] Markout outcome(const Pending& decision, MarkoutStatus status,
                                std::int64_t resolved) const noexcept {
    Markout result{};
    result.decision_id = decision.id;
    result.tag = decision.tag;
    result.model = decision.model;
    result.instrument = instrument_;
    result.decision_event_ns = decision.event_ns;
    result.resolved_event_ns = resolved;
    result.entry_bid_ticks = decision.entry.bid_ticks;
    result.entry_ask_ticks = decision.entry.ask_ticks;
    result.status = status;
    return result;
  }

  [[nodiscard]] MarkoutStatus status_at(const Pending& decision) const noexcept {
    if (!decision.entry.usable) return MarkoutStatus::kEntryUnusable;
    // due_ns >= last_ns_ holds here only where time never runs backwards; then the age is 0 at least.
    const bool older = decision.mark_ns > last_ns_;
    const auto age = static_cast<std::uint64_t>(decision.mark_ns) - static_cast<std::uint64_t>(last_ns_);
    if (older && age > static_cast<std::uint64_t>(std::max<std::int64_t>(stale_after_ns_, 0))) {
      return MarkoutStatus::kStale;
    }
    return touch_.usable ? MarkoutStatus::kOk : MarkoutStatus::kMarkUnusable;
  }

  [[nodiscard]] Markout marked(const Pending& decision) const noexcept {
    Markout result = outcome(decision, status_at(decision), decision.mark_ns);
    if (result.status != MarkoutStatus::kOk) return result;
    const double mark = touch_.mid();
    const double entry = decision.entry.mid();
    result.mark_mid_x2_ticks = static_cast<std::int64_t>(2.0 * mark);
    result.buy_pnl_bps = 1e4 * (mark - static_cast<double>(decision.entry.ask_ticks)) / entry - fee_bps_;
    result.sell_pnl_bps = 1e4 * (static_cast<double>(decision.entry.bid_ticks) - mark) / entry - fee_bps_;
    if (decision.touch.usable)
      result.mid_move_bps = 1e4 * (mark - decision.touch.mid()) / decision.touch.mid();
    return result;
  }

  double fee_bps_;
  std::int64_t stale_after_ns_;
  std::size_t capacity_;
  std::vector<Pending> pending_;
  Touch touch_;
  std::int64_t last_ns_ = 0;
  std::uint64_t added_ = 0;
  std::uint32_t instrument_ = 0;
  bool any_ = false;
};

}  // namespace ringcraft
