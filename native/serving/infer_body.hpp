#pragma once
// What an inference request's body says: Open Inference Protocol v2, with Triton's binary tensors, and our
// own short form. Pure: bytes in, floats out.

#include <simdjson.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ringcraft {

/// What the model asked for takes.
struct InputShape {
  std::size_t window = 1;
  std::size_t width = 0;
  std::size_t rows_max = 1;

  [[nodiscard]] std::size_t row_floats() const noexcept { return window * width; }
  /// For people: "[-1,8]" or "[-1,16,8]".
  [[nodiscard]] std::string text() const;
};

inline constexpr std::size_t kOutputTensors = 4;
inline constexpr std::string_view kInputName = "features";
/// Names of the tensors that an answer can have.
inline constexpr std::string_view kOutputNames[kOutputTensors] = {"output", "action", "decision_id",
                                                                  "abstain"};

/// How a tensor is to be given.
enum class Form : std::uint8_t { kNot = 0, kJson, kBinary };

struct InferBody {
  std::string_view id;  ///< of the parser's document, or of the body itself
  bool has_id = false;
  std::vector<float> rows;
  std::size_t count = 0;
  Form outputs[kOutputTensors] = {Form::kJson, Form::kJson, Form::kJson, Form::kJson};
  bool raw = false;              ///< Inference-Header-Content-Length: 0
  std::uint64_t timeout_us = 0;  ///< parameters.timeout, as Triton has it; 0: none
  std::string_view key;          ///< parameters.key
  std::string_view instrument;   ///< parameters.instrument
};

/// The short form.
struct DecideBody {
  std::string_view model;
  std::string_view instrument;
  std::string_view key;
  double deadline_ms = 0;  ///< 0: none
};

class BodyReader {
 public:
  BodyReader();

  /// Reads an inference request.
  ///
  /// @param body readable for simdjson's padding beyond its end.
  /// @param json_bytes where the JSON ends and the binary tensors begin; none: it is all JSON.
  /// @return what is wrong, field, expected and got; empty: nothing is.
  /// @note Allocates only where a request is larger than all before.
  [[nodiscard]] std::string read(std::string_view body, std::optional<std::size_t> json_bytes,
                                 const InputShape& shape, InferBody& into);

  /// Reads JSON by simdjson, as read() does with what read_plain() leaves.
  /// @param binary the tensors behind it.
  /// @param into as before any request.
  [[nodiscard]] std::string read_any(std::string_view json, std::string_view binary, const InputShape& shape,
                                     InferBody& into);

  /// Reads the short form but for its features, whose shape depends on the model; features() follows.
  [[nodiscard]] std::string read_short(std::string_view body, DecideBody& into);
  [[nodiscard]] std::string features(const InputShape& shape, InferBody& into);

  /// Reads the repository index's question, which may be empty and changes nothing.
  [[nodiscard]] std::string read_index(std::string_view body);

 private:
  [[nodiscard]] std::string parse(std::string_view json);
  [[nodiscard]] std::string read_input(const simdjson::dom::object& input, std::string_view binary,
                                       const InputShape& shape, InferBody& into);
  [[nodiscard]] std::string read_outputs(const simdjson::dom::object& root, InferBody& into) const;

  simdjson::dom::parser parser_;
  simdjson::dom::element root_;
  std::string spelled_;  ///< JSON with integers beyond 64 bits
};

}  // namespace ringcraft
