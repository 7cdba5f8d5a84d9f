#pragma once
// The plainest body, read in one pass: one tensor of flat numbers and no options. What is anything else,
// wrong or merely rare, is left to simdjson, which alone says what is wrong.

#include <limits>
#include <string_view>

namespace ringcraft {

struct InferBody;
struct InputShape;

/// The nearest float; a number beyond float becomes infinite, which the engine abstains from.
inline float narrowed(double number) noexcept {
  constexpr float kMost = std::numeric_limits<float>::max();
  if (number > kMost) return std::numeric_limits<float>::infinity();
  if (number < -kMost) return -std::numeric_limits<float>::infinity();
  return static_cast<float>(number);
}

/// Reads one number as JSON spells it, to the very float that simdjson's double becomes.
///
/// @param at the number's first byte; somewhere behind it is a byte that no number has, and eight more may be
///   read from there on.
/// @return behind its last byte; null: it is no number, or a rare one.
[[nodiscard]] const char* read_number(const char* at, float& into) noexcept;

/// Reads `{"id":"a","inputs":[{"name":"features","datatype":"FP32","shape":[1,2],"data":[1,2]}]}`, the
/// members in any order, `id` or none.
///
/// @param json readable for eight bytes beyond its end.
/// @param into as before any request; id will be a view of `json`.
/// @return whether it was such a body and is right; if not, rows are empty again and nothing else has
/// changed.
/// @note Allocates only where rows outgrow what `into` holds.
[[nodiscard]] bool read_plain(std::string_view json, const InputShape& shape, InferBody& into);

}  // namespace ringcraft
