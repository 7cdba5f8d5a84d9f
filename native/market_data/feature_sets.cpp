#include "market_data/feature_sets.hpp"

#include "market_data/features.hpp"

namespace ringcraft {
namespace {

using std::string_view;

constexpr std::array<string_view, 16> kTouchNames = {
    "spread_ticks",         "queue_imbalance",         "weighted_mid_offset_ticks",
    "order_flow_1s",        "order_flow_5s",           "order_flow_30s",
    "trade_imbalance_1s",   "trade_imbalance_5s",      "trade_imbalance_30s",
    "mid_minus_mean_1s",    "mid_minus_mean_5s",       "mid_minus_mean_30s",
    "volatility_30s_ticks", "last_trade_offset_ticks", "log_gap_ms",
    "log_intensity"};

constexpr std::array<string_view, 16> kQuoteNames = {
    "spread_ticks",       "spread_ratio_30s",    "mid_minus_mean_1s",     "mid_minus_mean_5s",
    "mid_minus_mean_30s", "mid_minus_mean_120s", "mid_move_1_ticks",      "mid_move_2_ticks",
    "mid_move_3_ticks",   "volatility_5s_ticks", "volatility_120s_ticks", "direction_autocorrelation_30s",
    "log_gap_ms",         "log_intensity",       "bid_only_move_ticks",   "ask_only_move_ticks"};

constexpr std::array<string_view, 39> kDepthNames = {"spread_ticks",
                                                     "queue_imbalance",
                                                     "depth_imbalance_3",
                                                     "depth_imbalance_5",
                                                     "depth_imbalance_10",
                                                     "weighted_mid_offset_ticks",
                                                     "microprice_offset_ticks",
                                                     "log_depth_slope_bid",
                                                     "log_depth_slope_ask",
                                                     "depth_slope_imbalance",
                                                     "order_flow_L1_5s",
                                                     "order_flow_L2_5s",
                                                     "order_flow_L3_5s",
                                                     "order_flow_L4_5s",
                                                     "order_flow_L5_5s",
                                                     "order_flow_levels_1s",
                                                     "order_flow_levels_5s",
                                                     "order_flow_levels_30s",
                                                     "trade_imbalance_1s",
                                                     "trade_imbalance_5s",
                                                     "trade_imbalance_30s",
                                                     "log_signed_volume_5s",
                                                     "log_signed_volume_30s",
                                                     "log_buy_intensity_5s",
                                                     "log_buy_intensity_30s",
                                                     "log_sell_intensity_5s",
                                                     "log_sell_intensity_30s",
                                                     "log_intensity_5s",
                                                     "mid_minus_mean_1s",
                                                     "mid_minus_mean_5s",
                                                     "mid_minus_mean_30s",
                                                     "volatility_5s_ticks",
                                                     "volatility_30s_ticks",
                                                     "volatility_120s_ticks",
                                                     "log_gap_ms",
                                                     "log_trade_gap_ms",
                                                     "log_session_s",
                                                     "day_sin",
                                                     "day_cos"};

constexpr std::array<string_view, 14> kLeadLagNames = {
    "spread_ticks",         "mid_minus_mean_1s", "mid_minus_mean_5s",  "mid_minus_mean_30s",
    "volatility_30s_ticks", "log_gap_ms",        "leader_move_1s_bps", "leader_move_5s_bps",
    "leader_move_30s_bps",  "log_leader_gap_ms", "basis_move_30s_bps", "lead_correlation_120s",
    "lag_correlation_120s", "leader_pull_bps"};

constexpr std::array<double, 3> kTouchHalfLives = {1.0, 5.0, 30.0};
constexpr std::array<double, 4> kFourHalfLives = {1.0, 5.0, 30.0, 120.0};

constexpr double kSessionGapS = 600.0;
constexpr std::uint64_t kWarmUpEvents = 200;

constexpr std::array<FeatureSetSpec, 4> kSpecs = {{
    {"touch_v1", kTouchNames, kTouchHalfLives, {.sizes = true}, kSessionGapS, kWarmUpEvents},
    {"quotes_v1", kQuoteNames, kFourHalfLives, {}, kSessionGapS, kWarmUpEvents},
    {"depth_v1", kDepthNames, kFourHalfLives, {.sizes = true, .depth = true}, kSessionGapS, kWarmUpEvents},
    {"lead_lag_v1", kLeadLagNames, kFourHalfLives, {.leader = true}, kSessionGapS, kWarmUpEvents},
}};

static_assert(kTouchNames.size() <= FeatureEngine::kMaxWidth &&
              kQuoteNames.size() <= FeatureEngine::kMaxWidth &&
              kDepthNames.size() <= FeatureEngine::kMaxWidth &&
              kLeadLagNames.size() <= FeatureEngine::kMaxWidth);

}  // namespace

std::span<const FeatureSetSpec> feature_set_specs() noexcept { return kSpecs; }

const FeatureSetSpec* find_feature_set(string_view name) noexcept {
  for (const FeatureSetSpec& spec : kSpecs) {
    if (spec.name == name) return &spec;
  }
  return nullptr;
}

}  // namespace ringcraft
