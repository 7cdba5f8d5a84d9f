#include "serving/plain_infer.hpp"

#include <array>
#include <bit>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <system_error>

#include "serving/infer_body.hpp"

namespace ringcraft {
namespace {

constexpr std::array<double, 23> kTens = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                          1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                          1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};  ///< all exact
constexpr std::array<std::uint64_t, 9> kShift = {1,       10,        100,        1'000,      10'000,
                                                 100'000, 1'000'000, 10'000'000, 100'000'000};
constexpr std::ptrdiff_t kPowerMax = 22;
constexpr std::int64_t kExact = std::int64_t{1} << 53U;  ///< to here every integer is a double
constexpr std::ptrdiff_t kDigitsMax = 18;                ///< so many fit 63 bits

unsigned digit_of(char letter) noexcept {
  return static_cast<unsigned>(static_cast<unsigned char>(letter)) - '0';
}

/// Appends the digits to a number; wraps round where they are too many.
const char* read_digits(const char* at, std::uint64_t& into) noexcept {
  for (unsigned digit = digit_of(*at); digit < 10; digit = digit_of(*++at)) into = into * 10 + digit;
  return at;
}

/// The same, eight at a time whatever their number: fractions have many, and a loop's end is hard to foresee.
const char* read_fraction(const char* at, std::uint64_t& into) noexcept {
  static_assert(std::endian::native == std::endian::little);
  constexpr std::uint64_t kEach = 0x0101010101010101U;  ///< times a byte: that byte in all eight
  for (;;) {
    std::uint64_t bytes = 0;
    std::memcpy(&bytes, at, sizeof bytes);
    bytes ^= kEach * '0';
    // The high bit of every byte beyond 9, whose sum with 0x76 is beyond 0x7F.
    const std::uint64_t others = (((bytes & kEach * 0x7F) + kEach * 0x76) | bytes) & kEach * 0x80;
    const auto count = static_cast<unsigned>(std::countr_zero(others)) / 8;
    if (count == 0) return at;
    std::uint64_t sum = bytes << (64 - 8 * count);  // zeros before them, as if there were eight
    sum = (sum * 10 + (sum >> 8U)) & 0x00FF00FF00FF00FFU;
    sum = (sum * 100 + (sum >> 16U)) & 0x0000FFFF0000FFFFU;
    sum = (sum * 10'000 + (sum >> 32U)) & 0xFFFFFFFFU;
    into = into * kShift[count] + sum;
    at += count;
    if (count < 8) return at;
  }
}

/// digits * 10^power as the float of the double nearest to it; false: that takes more than one operation.
bool scaled(std::int64_t digits, std::ptrdiff_t power, float& into) noexcept {
  const double ten = kTens[static_cast<std::size_t>(power < 0 ? -power : power)];
  const double number = power < 0 ? static_cast<double>(digits) / ten : static_cast<double>(digits) * ten;
  into = narrowed(number);
  if (digits <= kExact) return true;  // both exact, rounded once (Clinger 1990)
  // Rounded twice, it is within two units in the last place of the right double. Floats lie so much wider
  // apart that nearly always all doubles near are the same float.
  constexpr double kSlack = 0x1p-50;
  return narrowed(number * (1 - kSlack)) == narrowed(number * (1 + kSlack));
}

/// What has too many digits, or too large a power, for that; out of line, which keeps the common way short.
[[gnu::noinline]] bool read_rare(const char* from, const char* to, float& into) noexcept {
  double number = 0;
  const auto [behind, error] = std::from_chars(from, to, number);
  if (error != std::errc() || behind != to) return false;
  into = narrowed(number);
  return true;
}

/// A place in JSON of which only what is expected is eaten.
class Cursor {
 public:
  explicit Cursor(std::string_view json) noexcept : at_(json.data()), end_(json.data() + json.size()) {}

  [[nodiscard]] bool done() noexcept {
    skip_space();
    return at_ == end_;
  }

  [[nodiscard]] bool eat(char letter) noexcept {
    skip_space();
    const bool there = at_ < end_ && *at_ == letter;
    at_ += there ? 1 : 0;
    return there;
  }

  /// A string of ASCII without escapes.
  [[nodiscard]] bool text(std::string_view& into) noexcept {
    if (!eat('"')) return false;
    const char* const from = at_;
    while (at_ < end_ && *at_ >= ' ' && *at_ <= '~' && *at_ != '"' && *at_ != '\\') ++at_;
    into = {from, static_cast<std::size_t>(at_ - from)};
    return at_ < end_ && *at_++ == '"';
  }

  [[nodiscard]] bool size(std::size_t& into) noexcept {
    constexpr std::ptrdiff_t kSizeDigits = 9;
    skip_space();
    const char* const from = at_;
    std::uint64_t number = 0;
    if (at_ < end_) at_ = read_digits(at_, number);
    into = number;
    return at_ > from && at_ - from <= kSizeDigits && (*from != '0' || at_ - from == 1);
  }

  [[nodiscard]] bool number(float& into) noexcept {
    skip_space();
    const char* const behind = at_ < end_ ? read_number(at_, into) : nullptr;
    if (behind != nullptr) at_ = behind;
    return behind != nullptr;
  }

 private:
  void skip_space() noexcept {
    if (at_ < end_ && *at_ > ' ') return;
    while (at_ < end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\r' || *at_ == '\t')) ++at_;
  }

  const char* at_;
  const char* end_;
};

bool read_shape(Cursor& json, const InputShape& shape, std::size_t& rows) noexcept {
  std::size_t window = 1;
  std::size_t width = 0;
  return json.eat('[') && json.size(rows) && json.eat(',') &&
         (shape.window <= 1 || (json.size(window) && json.eat(','))) && json.size(width) && json.eat(']') &&
         rows >= 1 && rows <= shape.rows_max && window == shape.window && width == shape.width;
}

bool read_data(Cursor& json, std::size_t most, std::vector<float>& into) {
  if (!json.eat('[')) return false;
  do {
    float number = 0;
    if (into.size() == most || !json.number(number)) return false;
    into.push_back(number);
  } while (json.eat(','));
  return json.eat(']');
}

bool read_tensor(Cursor& json, const InputShape& shape, std::size_t& rows, std::vector<float>& into) {
  bool named = false;
  bool typed = false;
  if (!json.eat('{')) return false;
  do {
    std::string_view name;
    std::string_view value;
    if (!json.text(name) || !json.eat(':')) return false;
    bool met = false;
    if (name == "name") met = !named && json.text(value) && (named = value == kInputName);
    if (name == "datatype") met = !typed && json.text(value) && (typed = value == "FP32");
    if (name == "shape") met = rows == 0 && read_shape(json, shape, rows);
    if (name == "data") met = into.empty() && read_data(json, shape.rows_max * shape.row_floats(), into);
    if (!met) return false;
  } while (json.eat(','));
  return json.eat('}') && named && typed && rows > 0 && into.size() == rows * shape.row_floats();
}

bool read_body(Cursor json, const InputShape& shape, InferBody& read, std::vector<float>& rows) {
  if (!json.eat('{')) return false;
  do {
    std::string_view name;
    if (!json.text(name) || !json.eat(':')) return false;
    bool met = false;
    if (name == "id") met = !read.has_id && (read.has_id = json.text(read.id));
    if (name == "inputs") {
      met = read.count == 0 && json.eat('[') && read_tensor(json, shape, read.count, rows) && json.eat(']');
    }
    if (!met) return false;
  } while (json.eat(','));
  return json.eat('}') && json.done() && read.count > 0;
}

}  // namespace

const char* read_number(const char* at, float& into) noexcept {
  const char* const from = at;
  const bool negative = *at == '-';
  at += negative ? 1 : 0;
  const std::ptrdiff_t zeros = *at == '0' ? 1 : 0;
  const char* const first = at;
  std::uint64_t digits = 0;
  at = read_digits(at, digits);
  if (at == first || (at - first > 1 && zeros != 0)) return nullptr;
  std::ptrdiff_t count = at - first - zeros;
  std::ptrdiff_t power = 0;
  bool integer = true;
  if (*at == '.') {
    const char* const fraction = ++at;
    at = read_fraction(at, digits);
    if (at == fraction) return nullptr;
    count += at - fraction;
    power = fraction - at;
    integer = false;
  }
  if (*at == 'e' || *at == 'E') {
    ++at;
    const bool down = *at == '-';
    at += down || *at == '+' ? 1 : 0;
    const char* const spelled = at;
    std::uint64_t exponent = 0;
    at = read_digits(at, exponent);
    if (at == spelled || at - spelled > 3) return nullptr;
    power += down ? -static_cast<std::ptrdiff_t>(exponent) : static_cast<std::ptrdiff_t>(exponent);
    integer = false;
  }
  const bool fits = count <= kDigitsMax && power >= -kPowerMax && power <= kPowerMax;
  if (fits && scaled(static_cast<std::int64_t>(digits), power, into)) {
    // simdjson reads -0 as the integer, which has no sign. Without a branch: signs are not foreseen.
    const bool plain_zero = integer && digits == 0;
    const auto sign = static_cast<std::uint32_t>(static_cast<int>(negative) & static_cast<int>(!plain_zero));
    into = std::bit_cast<float>(std::bit_cast<std::uint32_t>(into) ^ (sign << 31U));
    return at;
  }
  return read_rare(from, at, into) ? at : nullptr;
}

bool read_plain(std::string_view json, const InputShape& shape, InferBody& into) {
  // Ends where no number goes on, so that none is read beyond the end.
  const std::size_t last = json.find_last_not_of(" \n\r\t");
  if (last == std::string_view::npos || json[last] != '}') return false;
  InferBody read;
  if (!read_body(Cursor(json), shape, read, into.rows)) {
    into.rows.clear();
    return false;
  }
  into.id = read.id;
  into.has_id = read.has_id;
  into.count = read.count;
  return true;
}

}  // namespace ringcraft
