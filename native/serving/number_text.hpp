#pragma once
// Numbers out of text that is nothing else.

#include <charconv>
#include <optional>
#include <string_view>

namespace ringcraft {

template <class Number>
std::optional<Number> number_of(std::string_view text) noexcept {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace ringcraft
