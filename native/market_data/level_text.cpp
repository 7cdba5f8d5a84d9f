#include "market_data/level_text.hpp"

#include <limits>

namespace ringcraft {
namespace {

constexpr Grid kNanoseconds{9, 1};
constexpr std::int64_t kMostTicks = std::numeric_limits<std::int32_t>::max();
constexpr std::int64_t kMostLots = 4'611'686'018'427'387'904;  // 2^62

class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  [[nodiscard]] std::size_t at() const noexcept { return at_; }
  [[nodiscard]] bool done() noexcept {
    skip_space();
    return at_ == text_.size();
  }
  bool take(char wanted) noexcept {
    skip_space();
    if (at_ == text_.size() || text_[at_] != wanted) return false;
    ++at_;
    return true;
  }
  /// A string without escapes: decimals have none.
  bool take_string(std::string_view& found) noexcept {
    if (!take('"')) return false;
    const std::size_t end = text_.find('"', at_);
    if (end == std::string_view::npos) return false;
    found = text_.substr(at_, end - at_);
    at_ = end + 1;
    return true;
  }

 private:
  void skip_space() noexcept {
    while (at_ < text_.size() &&
           (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t' || text_[at_] == '\r'))
      ++at_;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

LevelFault fault_of(const Units& units, bool in_price, std::size_t at) noexcept {
  return {units.fault, in_price, at, units.decimals};
}

LevelFault parse_level(Reader& reader, Grid price, Grid quantity, std::vector<LevelChange>& levels,
                       std::uint64_t* far, std::int64_t& newest_ns) {
  std::string_view price_text;
  std::string_view quantity_text;
  const std::size_t start = reader.at();
  const LevelFault shape{TextFault::kNotLevels, false, start, 0};
  if (!reader.take('[') || !reader.take_string(price_text) || !reader.take(',') ||
      !reader.take_string(quantity_text))
    return shape;
  const Units ticks = parse_units(price_text, price, kMostTicks);
  const bool too_far = far != nullptr && ticks.fault == TextFault::kTooBig;
  if (ticks.fault != TextFault::kNone && !too_far) return fault_of(ticks, true, start);
  if (ticks.units == 0 && !too_far) return {TextFault::kNoPrice, true, start, 0};
  const Units lots = parse_units(quantity_text, quantity, kMostLots);
  if (lots.fault != TextFault::kNone) return fault_of(lots, false, start);
  std::string_view time_text;
  std::string_view mark;
  if (reader.take(',')) {
    if (!reader.take_string(time_text)) return shape;
    const Units time = parse_units(time_text, kNanoseconds, std::numeric_limits<std::int64_t>::max());
    if (time.fault != TextFault::kNone) return {TextFault::kNotLevels, false, start, 0};
    if (time.units > newest_ns) newest_ns = time.units;
    if (reader.take(',') && !reader.take_string(mark)) return shape;
  }
  if (!reader.take(']')) return shape;
  if (too_far) {
    ++*far;
    return {};
  }
  levels.push_back({static_cast<std::int32_t>(ticks.units), lots.units});
  return {};
}

}  // namespace

LevelFault parse_levels(std::string_view text, Grid price, Grid quantity, std::vector<LevelChange>& levels,
                        std::uint64_t* far, std::int64_t& newest_ns) {
  Reader reader(text);
  if (!reader.take('[')) return {TextFault::kNotLevels, false, reader.at(), 0};
  bool more = !reader.take(']');
  while (more) {
    const LevelFault fault = parse_level(reader, price, quantity, levels, far, newest_ns);
    if (fault.fault != TextFault::kNone) return fault;
    more = reader.take(',');
    if (!more && !reader.take(']')) return {TextFault::kNotLevels, false, reader.at(), 0};
  }
  if (!reader.done()) return {TextFault::kNotLevels, false, reader.at(), 0};
  return {};
}

}  // namespace ringcraft
