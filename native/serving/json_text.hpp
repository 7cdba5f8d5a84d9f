#pragma once
// JSON into a string that keeps its memory.

#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace ringcraft {

template <class Number>
void append_number(std::string& out, Number number) {
  char text[40];
  const auto end = std::to_chars(text, text + sizeof text, number).ptr;
  out.append(text, static_cast<std::size_t>(end - text));
}

/// The shortest text that reads back as the same float; null where JSON has none.
inline void append_float(std::string& out, float number) {
  if (!std::isfinite(number)) {
    out += "null";
    return;
  }
  append_number(out, number);
}

/// Bytes of the UTF-8 character that the text begins with; 0 where it begins with none (RFC 3629).
inline std::size_t utf8_length(std::string_view text) noexcept {
  const auto byte = [&](std::size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : std::uint8_t{0};
  };
  const auto goes_on = [&](std::size_t i) { return (byte(i) & 0xC0U) == 0x80U; };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return goes_on(1) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    const bool spelled_long = first == 0xE0 && byte(1) < 0xA0;
    const bool surrogate = first == 0xED && byte(1) > 0x9F;
    return goes_on(1) && goes_on(2) && !spelled_long && !surrogate ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    const bool spelled_long = first == 0xF0 && byte(1) < 0x90;
    const bool beyond = first == 0xF4 && byte(1) > 0x8F;
    return goes_on(1) && goes_on(2) && goes_on(3) && !spelled_long && !beyond ? 4 : 0;
  }
  return 0;
}

/// What is no UTF-8, as a path can spell it or a cut leaves it, becomes U+FFFD.
inline void append_text(std::string& out, std::string_view text) {
  constexpr char kHex[] = "0123456789abcdef";
  out += '"';
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char letter = text[i];
    const auto code = static_cast<unsigned char>(letter);
    if (code >= 0x80) {
      const std::size_t size = utf8_length(text.substr(i));
      out.append(size == 0 ? std::string_view("\\ufffd") : text.substr(i, size));
      i += size == 0 ? 0 : size - 1;
    } else if (letter == '"' || letter == '\\') {
      out += '\\';
      out += letter;
    } else if (code < 0x20) {
      out += "\\u00";
      out += kHex[code >> 4U];
      out += kHex[code & 15U];
    } else {
      out += letter;
    }
  }
  out += '"';
}

}  // namespace ringcraft
