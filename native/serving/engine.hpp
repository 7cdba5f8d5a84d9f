#pragma once
// The decision path: one event in, the decisions on it out, without a lock, an allocation or a system call
// but the clock.

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "contracts/market_event.hpp"
#include "market_data/features.hpp"
#include "market_data/markouts.hpp"
#include "serving/action_limits.hpp"
#include "serving/assignment.hpp"
#include "serving/breaker_board.hpp"
#include "serving/feature_window.hpp"
#include "serving/hard_limits.hpp"
#include "serving/holdings.hpp"
#include "serving/journal_repair.hpp"
#include "serving/request.hpp"
#include "serving/shadow_runner.hpp"
#include "transport/clock.hpp"
#include "transport/shared_bus.hpp"

namespace ringcraft {

/// What the worker needs to know of an instrument.
struct FedInstrument {
  std::string symbol;
  double fee_bps = 0;
  std::int64_t stale_after_ns = 0;
  std::string currency;
  double lot_tick_value = 0;                ///< a lot's worth in the currency, per tick of its price
  std::vector<OffsetChange> utc_offsets{};  ///< when the clocks change where it trades
};

/// What a feed says of itself.
struct Introduction {
  std::vector<FedInstrument> instruments;
  std::string account;  ///< empty: none
  Arm asked =
      Arm::kNone;      ///< every decision is to be this arm's, champion's or challenger's; kNone: as drawn
  bool depth = false;  ///< every event comes with its levels
};

class Engine {
 public:
  /// @param decisions the ring for everything but scored shadows.
  /// @note All references outlive it.
  Engine(Holdings& holdings, const RoutingTable& routing, ShadowRunner& shadows, RecordRing& decisions,
         Counters& counters, std::uint8_t worker, std::int64_t heartbeat_timeout_ns);

  /// Tells the bus of every decision and name too, as the journal's records, unsealed. Before the first
  /// event.
  /// @note It outlives the engine.
  void tell(BusWriter& bus) noexcept { told_ = &bus; }

  /// Says what opens the breakers. Before the first event.
  void protect(const BreakerLimits& limits) noexcept { breaker_limits_ = limits; }

  /// How the breakers of the versions asked so far stand. Any thread's.
  [[nodiscard]] const BreakerBoard& breakers() const noexcept { return breakers_; }

  /// Takes up where a journal ends. Before the first event.
  void resume(const Resumption& resumption);

  /// A feed begins: its events' instrument ids are positions in its instruments. What an earlier feed left is
  /// over.
  /// @note Allocates.
  void begin_feed(const Introduction& introduction);

  /// The feed has ended: what still waits for its mark-out never gets it.
  void end_feed() noexcept;

  /// Takes up what changed outside: plans, routes, heartbeat. Once a pass of the loop; on_event() looks at
  /// routes and heartbeat by itself.
  /// @note Allocates where plans changed. Until the next call the plans taken up must stay.
  void adopt();

  /// Decides.
  ///
  /// @param event its instrument is below fed().
  /// @param receive_ns monotonic; when the event was taken out of the feed's buffer.
  /// @param depth the levels right after it; null: the feed tells none.
  void on_event(const MarketEvent& event, std::int64_t receive_ns, const BookDepth* depth = nullptr) noexcept;

  /// Decides on what a door asks: routed, limited, shadowed and journalled like any decision. Where the
  /// instrument is named and fed, its touch is used and a mark-out follows; else the mark-out is kNever at
  /// once, and only what the trading system posts can judge the decision.
  ///
  /// Rows of one request share one draw. A version asked for by number is overridden, and no shadow follows.
  ///
  /// @return the answer's rows are the engine's own, until the next request.
  InferReply on_request(const InferRequest& request) noexcept;

  /// Index of the served model of that name; none where there is none.
  [[nodiscard]] std::optional<std::size_t> model_named(std::string_view name) const noexcept;

  /// What a model's routes are as of the newest pass; null: it has none.
  [[nodiscard]] const Route* route_of(std::size_t model) const noexcept {
    return models_[model].plan != nullptr && models_[model].routed ? &models_[model].route : nullptr;
  }
  [[nodiscard]] const ModelPlan* plan_of(std::size_t model) const noexcept { return models_[model].plan; }

  /// Floats of a vector that the model's held versions read; 0 where none is held.
  [[nodiscard]] std::size_t width_of(std::size_t model) const noexcept;

  [[nodiscard]] std::size_t fed() const noexcept { return feed_.size(); }

  /// Decisions so far, this process alone.
  [[nodiscard]] std::uint64_t decisions() const noexcept {
    return counters_.decisions.load(std::memory_order_relaxed);
  }

 private:
  /// What versions read at a decision.
  struct Input {
    const float* vector;  ///< the newest
    std::size_t width;
    FeatureWindow* window;  ///< null: there is but the vector
    FeatureWindow::Mark mark;
    const float* known = nullptr;      ///< the model's outputs, where rows were run together
    std::uint32_t stream = kNoStream;  ///< the instrument's
  };

  /// Rows of one request that were run together.
  struct Together {
    const float* outputs = nullptr;  ///< of all rows, one after another; null: each is run by itself
    std::int64_t each_ns = 0;        ///< what one row took of the time
  };

  /// What draws the arm of a decision.
  struct Draw {
    AssignmentKeys keys;
    Arm asked = Arm::kNone;
    bool spare_challenger = false;
  };

  struct FeatureFeed {
    FeatureDefinition definition;
    std::unique_ptr<FeatureEngine> engine;
    alignas(64) std::array<float, FeatureEngine::kMaxWidth> vector{};
    bool warm = false;
    bool finite = false;
    std::uint64_t hash = 0;
    FeatureWindow* window =
        nullptr;                ///< one of the instrument's; null where no model reads more than a vector
    std::uint64_t session = 0;  ///< that its window is of

    [[nodiscard]] FeatureWindow::Mark mark() const noexcept {
      return window != nullptr ? window->mark() : FeatureWindow::Mark();
    }
    [[nodiscard]] Input input() const noexcept {
      return {vector.data(), engine != nullptr ? engine->width() : 0, window, mark()};
    }
  };

  /// A model that decides on an instrument.
  struct Binding {
    std::size_t model = 0;
    std::size_t feature_feed = 0;
    std::int64_t last_decision_ns = 0;
    bool decided = false;
    Model* answered = nullptr;  ///< the newest event, until it has settled
  };

  /// The newest event, as far as requests need it.
  struct Newest {
    std::int64_t event_ns = 0;
    std::int64_t bid_ticks = 0;
    std::int64_t ask_ticks = 0;
    std::uint16_t flags = 0;
    bool known = false;  ///< there was one since the feed began
  };

  struct InstrumentState {
    FedInstrument facts;
    Newest newest;
    std::uint32_t id = 0;
    std::uint64_t key = 0;     ///< assignment by instrument
    std::size_t currency = 0;  ///< index into ModelState::open_values
    double lot_value = 0;      ///< at the newest usable mid, in its currency
    std::array<OpenLots, kMaxModels> open;
    std::unique_ptr<MarkoutTracker> tracker;
    std::unique_ptr<MarkoutTracker> extra_tracker;  ///< null where no model asks for another horizon
    std::vector<FeatureFeed> features;
    std::vector<std::unique_ptr<FeatureWindow>> windows;  ///< never freed: a shadow may still read one
    std::vector<FeatureEngine*> followers;                ///< of other instruments, which read this one too
    std::vector<Binding> bindings;
  };

  struct ModelState {
    const ModelPlan* plan = nullptr;
    Route route;
    bool routed = false;
    bool masked = false;      ///< a hard limit took masked_off.arm of route.rollout_id off
    bool drops_told = false;  ///< lost records were told of in this epoch
    TakenOff masked_off;
    std::uint64_t drops_seen = 0;
    std::optional<TripRecord> owed;  ///< a trip that a full ring did not take
    HardLimits limits;
    TokenBucket pace;
    std::vector<double> open_values;  ///< of all instruments, by currency
    std::string named;                ///< as the journal knows it
    std::int64_t horizon_ns = 0;      ///< of the plan; 0 without one
    /// Of requests' rows, where versions read more than one vector. Never freed: a shadow may still read one.
    std::vector<std::unique_ptr<FeatureWindow>> windows;
    FeatureWindow* window = nullptr;
  };

  struct Routed {
    Arm arm;
    std::uint32_t version;
    std::uint8_t slot;
    std::uint16_t share_bps;
    bool overridden;
    AssignBy assigned_by;
    bool standing_in = false;  ///< for the champion, whose breaker is open
  };

  void adopt_plans();
  void adopt_routes() noexcept;
  void adopt_route(ModelState& state, const Route& route) noexcept;
  void adopt_heartbeat(std::int64_t now_ns) noexcept;
  void bind(InstrumentState& instrument);
  [[nodiscard]] bool is_stream(std::size_t model, std::size_t slot, std::uint32_t version) const noexcept;
  [[nodiscard]] bool asks_stream(const InferRequest& request) const noexcept;
  static void keep_window(InstrumentState& instrument, FeatureFeed& feed);
  void link_leaders();
  [[nodiscard]] InstrumentState& instrument_of(const std::string& symbol);
  [[nodiscard]] std::size_t currency_of(const std::string& currency);
  void write_name(std::uint32_t kind, std::uint32_t index, const std::string& name) noexcept;
  void write_epoch(const ModelState& state) noexcept;

  static void update_window(FeatureFeed& feed, const MarketEvent& event) noexcept;
  static void update_features(InstrumentState& instrument, const MarketEvent& event,
                              const BookDepth* depth) noexcept;
  void keep_streams_up(const InstrumentState& instrument, const Binding& binding) noexcept;
  void decide(InstrumentState& instrument, Binding& binding, const MarketEvent& event,
              std::int64_t receive_ns) noexcept;
  [[nodiscard]] Routed route(const ModelState& state, const Draw& draw) const noexcept;
  void turn_breakers(const ModelState& state, std::int64_t now_ns) noexcept;
  void inform_breaker(const Routed& routed, const LoadedSlot* slot, const Terms& terms,
                      const DecisionRecord& record, std::int64_t now_ns) noexcept;
  [[nodiscard]] InferStatus route_version(const ModelState& state, std::size_t model, std::uint32_t version,
                                          Routed& routed) const noexcept;
  [[nodiscard]] InstrumentState* fed_instrument(std::string_view symbol) noexcept;
  [[nodiscard]] std::int64_t feed_time_ns(std::int64_t monotonic) const noexcept;
  [[nodiscard]] Together run_together(const InferRequest& request, const Routed& routed) noexcept;
  void decide_row(const InferRequest& request, const Routed& routed, InstrumentState* instrument,
                  const Together& together, std::size_t row, InferReply& reply) noexcept;
  [[nodiscard]] Input input_of(ModelState& state, const float* row, std::size_t floats, std::size_t width,
                               bool& finite) const noexcept;
  [[nodiscard]] static Terms terms_of(ModelState& state, InstrumentState* instrument,
                                      const InferRequest& request, const DecisionRecord& record,
                                      bool finite) noexcept;
  [[nodiscard]] static Room room_at(ModelState& state, InstrumentState& instrument) noexcept;
  void keep_window(ModelState& state, std::size_t model);
  void mark_never(const DecisionRecord& decision) noexcept;
  void check_answer(ModelState& state, const DecisionRecord& record, const Routed& routed,
                    const Terms& terms) noexcept;
  [[nodiscard]] static AbstainReason unfit(const InstrumentState& instrument, const FeatureFeed& features,
                                           const MarketEvent& event) noexcept;
  [[nodiscard]] static Terms terms_of(ModelState& state, InstrumentState& instrument,
                                      const FeatureFeed& features, const MarketEvent& event) noexcept;
  [[nodiscard]] Answer answer_of(const ModelState& state, const Routed& routed, const LoadedSlot* slot,
                                 const Input& input, const Terms& terms) noexcept;
  void describe(DecisionRecord& record, const InstrumentState& instrument, const Binding& binding,
                const FeatureFeed& features, const MarketEvent& event) const noexcept;
  static void describe(DecisionRecord& record, const Routed& routed, const Answer& answer) noexcept;
  void count(const ModelState& state, const DecisionRecord& record) noexcept;
  void check_trips(ModelState& state) noexcept;
  void send_shadows(const ModelState& state, const DecisionRecord& decision, const Input& input,
                    const Terms& terms, std::int64_t answer_ns, Load load = Load::kNormal) noexcept;
  void send_shadow(const ModelState& state, const DecisionRecord& decision, const Input& input,
                   const Terms& terms, std::int64_t answer_ns, Arm arm, std::uint8_t slot,
                   std::uint32_t version, Load load) noexcept;
  void follow_markouts(InstrumentState& instrument, ModelState& state,
                       const DecisionRecord& decision) noexcept;
  void follow_markout(MarkoutTracker& tracker, const ModelState& state, const DecisionRecord& decision,
                      std::int64_t horizon_ns, const DecisionTag& tag) noexcept;
  void on_markout(const Markout& markout) noexcept;
  static void revalue(InstrumentState& instrument, ModelState& state, OpenLots& open) noexcept;
  void trip(ModelState& state, const Trip& trip) noexcept;
  void write_owed(ModelState& state) noexcept;

  template <class Record>
  void push(RecordType type, Record& record) noexcept {
    record.header.type = type;
    record.header.worker = worker_;
    ring_.push(&record);
    if (told_ != nullptr && (type == RecordType::kDecision || type == RecordType::kName)) {
      told_->write(std::as_bytes(std::span(&record, 1)), static_cast<std::uint32_t>(type));
    }
  }

  Holdings& holdings_;
  const RoutingTable& routing_;
  ShadowRunner& shadows_;
  RecordRing& ring_;
  BusWriter* told_ = nullptr;
  Counters& counters_;
  WallClock clock_;
  std::uint8_t worker_;
  std::int64_t heartbeat_timeout_ns_;
  bool heartbeat_lost_ = true;
  bool heartbeat_known_ = false;
  std::uint64_t next_decision_id_ = 1;
  std::uint64_t plans_generation_ = 0;
  std::uint64_t routes_stamp_ = ~std::uint64_t{0};
  RoutingSnapshot routes_{};
  std::array<ModelState, kMaxModels> models_;
  BreakerLimits breaker_limits_;
  BreakerBoard breakers_;
  std::map<std::pair<std::uint16_t, std::uint32_t>, Earned> earned_before_;
  std::vector<std::unique_ptr<InstrumentState>> instruments_;  ///< all ever fed, by the worker's own id
  std::vector<InstrumentState*> feed_;                         ///< by the feed's id
  std::vector<std::string> currencies_;
  std::optional<std::uint64_t> account_;  ///< the feed's, as a key
  Arm asked_ = Arm::kNone;                ///< by the feed
  std::int64_t feed_event_ns_ = 0;        ///< of the newest event
  std::int64_t feed_at_ns_ = 0;           ///< monotonic, when it came; 0: no feed is on
  bool nowhere_named_ = false;            ///< the journal knows how to spell kNoInstrument
  std::vector<RowAnswer> answers_;        ///< of the newest request
  std::vector<float> together_;           ///< its outputs, where its rows were run together
};

}  // namespace ringcraft
