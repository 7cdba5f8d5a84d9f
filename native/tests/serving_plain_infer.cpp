// The short way to read a body against simdjson's: whatever comes, both say the same, to the bit.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "serving/infer_body.hpp"
#include "serving/plain_infer.hpp"

namespace ringcraft {
namespace {

std::string body_of(std::string_view numbers, std::string_view shape = "[1,2]") {
  return std::string(R"({"inputs":[{"name":"features","datatype":"FP32","shape":)")
      .append(shape)
      .append(R"(,"data":[)")
      .append(numbers)
      .append("]}]}");
}

std::vector<std::uint32_t> bits_of(const std::vector<float>& rows) {
  std::vector<std::uint32_t> bits;
  for (const float number : rows) bits.push_back(std::bit_cast<std::uint32_t>(number));
  return bits;
}

class Both {
 public:
  explicit Both(InputShape shape = {1, 2, 8}) : shape_(shape) {}

  /// Reads a body both ways.
  /// @return whether it is right.
  bool same(const std::string& json) {
    CAPTURE(json);
    std::string padded = json;
    padded.resize(json.size() + simdjson::SIMDJSON_PADDING);
    const std::string_view body(padded.data(), json.size());
    InferBody ours;
    InferBody theirs;
    const std::string wrong = reader_.read(body, std::nullopt, shape_, ours);
    REQUIRE(wrong == other_.read_any(body, {}, shape_, theirs));
    if (!wrong.empty()) return false;
    REQUIRE(bits_of(ours.rows) == bits_of(theirs.rows));
    REQUIRE(ours.count == theirs.count);
    REQUIRE(ours.has_id == theirs.has_id);
    REQUIRE(ours.id == theirs.id);
    REQUIRE(ours.key == theirs.key);
    REQUIRE(ours.timeout_us == theirs.timeout_us);
    REQUIRE(std::equal(std::begin(ours.outputs), std::end(ours.outputs), std::begin(theirs.outputs)));
    return true;
  }

  /// Whether the short way alone reads it.
  [[nodiscard]] bool plain(const std::string& json) const {
    const simdjson::padded_string padded(json);  // it reads a little beyond the end
    InferBody into;
    return read_plain(padded, shape_, into);
  }

 private:
  InputShape shape_;
  BodyReader reader_;
  BodyReader other_;
};

template <class... As>
std::string spelled(double number, As... as) {
  std::array<char, 512> text;
  return {text.data(), std::to_chars(text.data(), text.data() + text.size(), number, as...).ptr};
}

}  // namespace

TEST_CASE("a plain body, in any order and spelling, is read the short way") {
  Both both;
  for (const char* numbers : {"1,2", "-0.5,0.1234567", "1e-05,-2.5E+3", " 1 ,\n2\t", "0,-0", "-0.0,-0e1",
                              "0.1234567890123456,-1.7976931348623157", "1e38,3.5e38",
                              "12345678901234567890123,0.00000000000000000000000000001"}) {
    CHECK(both.plain(body_of(numbers)));
    CHECK(both.same(body_of(numbers)));
  }
  const std::string turned =
      R"( { "inputs" : [ { "data" : [1, 2, 3, 4], "shape" : [2, 2], "datatype" : "FP32", "name" : "features" } ],
          "id" : "a b" } )";
  CHECK(both.plain(turned));
  CHECK(both.same(turned));
  Both windowed({3, 2, 8});
  CHECK(windowed.plain(body_of("1,2,3,4,5,6", "[1,3,2]")));
  CHECK(windowed.same(body_of("1,2,3,4,5,6", "[1,3,2]")));
}

TEST_CASE("what is rare or wrong is left to simdjson") {
  Both both;
  for (const char* rare : {"[1,2]", "1,5e-400"}) {
    CHECK(!both.plain(body_of(rare)));
    CHECK(both.same(body_of(rare)));
  }
  for (const char* wrong :
       {"",     "1",   "1,2,3", "01,2",  "1.,2",  ".5,2",    "+1,2",   "1e,2",    "1e+,2", "-,2",    "--1,2",
        "1,2,", "1 2", "nan,1", "inf,1", "0x1,2", "1e999,2", "null,1", "\"1\",2", "1,2]",  "[1],[2]"}) {
    CHECK(!both.plain(body_of(wrong)));
    CHECK(!both.same(body_of(wrong)));
  }
  for (const char* shape :
       {"[]", "[2]", "[0,2]", "[9,2]", "[01,2]", "[1,2,1]", "[1,3]", "[-1,2]", "[\"1\",2]"}) {
    CHECK(!both.plain(body_of("1,2", shape)));
    CHECK(!both.same(body_of("1,2", shape)));
  }
  CHECK(both.same(body_of("1,2", "[1.0,2e0]")));
  const std::string good = body_of("1,2");
  for (std::size_t size = 0; size < good.size(); ++size) CHECK(!both.same(good.substr(0, size)));
  for (const char* more : {"}", "]", "{}", ",", "1", "\n"}) both.same(good + more);
  const std::string open = good.substr(0, good.size() - 1);
  for (const char* member : {R"(,"id":"\u00e9"})", R"(,"id":"é"})", R"(,"id":1})", R"(,"id":"a","id":"b"})",
                             R"(,"inputs":[]})", R"(,"x":{"y":[1]}})", R"(,"outputs":[{"name":"action"}]})",
                             R"(,"parameters":{"timeout":5,"key":"k"}})", ",\"id\":\"a\tb\"}", ",}"}) {
    CHECK(!both.plain(open + member));
    both.same(open + member);
  }
}

TEST_CASE("every spelling of every size of number becomes the same float") {
  std::mt19937_64 random(7);
  Both both;
  const auto draw = [&](std::uint64_t below) { return random() % below; };
  int right = 0;
  for (int round = 0; round < 20'000; ++round) {
    // Any float, what lies half way to the next, and any double between.
    const auto bits = static_cast<std::uint32_t>(random()) & 0x7F7FFFFFU;
    const auto low = static_cast<double>(std::bit_cast<float>(bits));
    const auto high = static_cast<double>(std::bit_cast<float>(bits + 1));
    double number = std::isfinite(high) ? low + (high - low) / 2 : low;
    if (draw(2) == 0) number = std::nextafter(number, draw(2) == 0 ? 0.0 : 1e300);
    if (draw(3) == 0) number = std::ldexp(static_cast<double>(random()), static_cast<int>(draw(160)) - 120);
    if (draw(3) == 0)
      number =
          std::ldexp(1.0 + static_cast<double>(draw(1U << 25U)) * 0x1p-24, static_cast<int>(draw(8)) - 4);
    if (draw(2) == 0) number = -number;
    const std::string text =
        draw(4) == 0   ? spelled(number, std::chars_format::fixed)
        : draw(3) == 0 ? spelled(number, std::chars_format::scientific, static_cast<int>(draw(25)))
        : draw(2) == 0 ? spelled(number, std::chars_format::fixed, static_cast<int>(draw(25)))
                       : spelled(number);
    right += both.same(body_of(text + "," + std::to_string(static_cast<std::int64_t>(random())))) ? 1 : 0;
  }
  CHECK(right == 20'000);
}

TEST_CASE("a body with bytes changed, lost, doubled or moved is the same to both") {
  std::mt19937_64 random(11);
  const std::array<std::string, 3> seeds = {
      R"({"id":"a7","inputs":[{"name":"features","datatype":"FP32","shape":[2,2],"data":[1,-2.5e3,0.1,-0]}]})",
      R"({ "inputs": [ {"shape": [1, 2], "data": [12.5, 1E+2], "datatype": "FP32", "name": "features"} ] })",
      R"({"parameters":{"key":"k"},"inputs":[{"name":"features","datatype":"FP32","shape":[1,2],"data":[[1,2]]}]})"};
  constexpr std::string_view kBytes = "0019-+.eE,:[]{}\" \\\n\xC3x";
  Both both;
  int right = 0;
  int rounds = 0;
  for (; rounds < 40'000; ++rounds) {
    std::string json = seeds[random() % seeds.size()];
    for (std::uint64_t changes = 1 + random() % 3; changes > 0; --changes) {
      const std::size_t at = random() % json.size();
      const std::size_t size = std::min<std::size_t>(1 + random() % 12, json.size() - at);
      switch (random() % 4) {
        case 0:
          json[at] = kBytes[random() % kBytes.size()];
          break;
        case 1:
          json.insert(at, 1, kBytes[random() % kBytes.size()]);
          break;
        case 2:
          if (size < json.size()) json.erase(at, size);
          break;
        default:
          json.insert(random() % json.size(), json.substr(at, size));
      }
    }
    right += both.same(json) ? 1 : 0;
  }
  CHECK(right > rounds / 50);
  CHECK(right < rounds);
}

}  // namespace ringcraft
