// Bytes as bodies of inference requests: rows of the model's shape come out of them, or what is wrong.

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "fuzz/require.hpp"
#include "serving/infer_body.hpp"

namespace ringcraft::fuzz {
namespace {

/// A body on memory that ends where simdjson may read to, so that the sanitizer sees a byte more.
class Body {
 public:
  explicit Body(std::string_view bytes)
      : memory_(new char[bytes.size() + simdjson::SIMDJSON_PADDING]()), size_(bytes.size()) {
    if (!bytes.empty()) std::memcpy(memory_.get(), bytes.data(), bytes.size());
  }
  [[nodiscard]] std::string_view view() const { return {memory_.get(), size_}; }

 private:
  std::unique_ptr<char[]> memory_;
  std::size_t size_;
};

void told(const std::string& wrong) {
  require(wrong.find(": expected ") != std::string::npos && wrong.find(", got ") != std::string::npos,
          "what is wrong says field, expected and got");
  require(wrong.size() < 500, "and no more of the request than it needs");
}

/// What is read the short way is what simdjson reads, to the bit.
void read_twice(BodyReader& reader, std::string_view bytes, const InputShape& shape, InferBody& into) {
  static InferBody again;
  again = {};
  const Body body(bytes);
  const std::string wrong = reader.read(body.view(), std::nullopt, shape, into);
  const std::string id(into.id);
  require(wrong == reader.read_any(body.view(), {}, shape, again), "both say the same is wrong");
  if (!wrong.empty()) return;
  require(into.count == again.count && into.rows.size() == again.rows.size(), "both read as many rows");
  require(std::memcmp(into.rows.data(), again.rows.data(), into.rows.size() * sizeof(float)) == 0,
          "of the same floats");
  require(into.has_id == again.has_id && id == again.id, "and the same id");
}

void read(BodyReader& reader, std::string_view bytes, std::optional<std::size_t> json_bytes,
          const InputShape& shape, InferBody& into) {
  const Body body(bytes);
  if (const std::string wrong = reader.read(body.view(), json_bytes, shape, into); !wrong.empty()) {
    told(wrong);
    return;
  }
  require(into.count >= 1 && into.count <= shape.rows_max, "rows are counted");
  require(into.rows.size() == into.count * shape.row_floats(), "and whole");
  std::size_t sum = into.id.size() + into.key.size() + into.instrument.size();
  for (const std::string_view text : {into.id, into.key, into.instrument}) {
    for (const char letter : text) sum += static_cast<unsigned char>(letter);
  }
  require(sum < bytes.size() * 256, "texts lie in the body");
}

void decide(BodyReader& reader, std::string_view bytes, const InputShape& shape, InferBody& into) {
  const Body body(bytes);
  DecideBody short_form;
  std::string wrong = reader.read_short(body.view(), short_form);
  if (wrong.empty()) {
    require(!short_form.model.empty(), "a model is named");
    require(short_form.deadline_ms >= 0 && short_form.deadline_ms <= 1e6, "a deadline is told or none");
    wrong = reader.features(shape, into);
    if (wrong.empty()) require(into.count == 1 && into.rows.size() == shape.row_floats(), "one row");
  }
  if (!wrong.empty()) told(wrong);
  if (const std::string index = reader.read_index(body.view()); !index.empty()) told(index);
}

}  // namespace
}  // namespace ringcraft::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ringcraft;
  if (size < 2) return 0;
  static BodyReader reader;
  static InferBody into;
  const InputShape shape{(data[0] & 4U) != 0 ? 2U : 1U, 1U + (data[0] & 3U), 256};
  const std::string_view body(reinterpret_cast<const char*>(data + 2), size - 2);
  // Where the JSON ends is the client's word: nothing, the end, or anywhere.
  const std::size_t end = static_cast<std::size_t>(data[1]) * 8;
  fuzz::read(reader, body, (data[0] & 8U) != 0 ? std::optional(end) : std::nullopt, shape, into);
  fuzz::read_twice(reader, body, shape, into);
  fuzz::decide(reader, body, shape, into);
  return 0;
}
