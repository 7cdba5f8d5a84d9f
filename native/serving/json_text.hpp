#pragma once
// JSON into a string that keeps its memory.

#include <charconv>
#include <cmath>
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

inline void append_text(std::string& out, std::string_view text) {
  constexpr char kHex[] = "0123456789abcdef";
  out += '"';
  for (const char letter : text) {
    const auto code = static_cast<unsigned char>(letter);
    if (letter == '"' || letter == '\\') {
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
