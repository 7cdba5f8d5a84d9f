#pragma once
// An ONNX file read by ourselves, so that kernels are built from the very bytes that ONNX Runtime runs.
// Field numbers: onnx/onnx.proto of the ONNX project.

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "models/model.hpp"

namespace ringcraft {

/// Element types as ONNX numbers them.
enum class Element : std::int32_t {
  kNone = 0,
  kFloat = 1,
  kUint8 = 2,
  kInt8 = 3,
  kInt32 = 6,
  kInt64 = 7,
  kBool = 9
};

/// A constant. Floats are in `reals`; all integer types in `integers`.
struct OnnxTensor {
  std::string name;
  Element element = Element::kNone;
  std::vector<std::int64_t> sizes;
  std::vector<float> reals;
  std::vector<std::int64_t> integers;

  [[nodiscard]] std::size_t count() const noexcept {
    return element == Element::kFloat ? reals.size() : integers.size();
  }
};

struct OnnxAttribute {
  float real = 0;
  std::int64_t integer = 0;
  std::string text;
  std::vector<float> reals;
  std::vector<std::int64_t> integers;
  std::vector<std::string> texts;
  OnnxTensor tensor;
};

struct OnnxNode {
  std::string kind;    ///< "Gemm"
  std::string domain;  ///< "" is ai.onnx
  std::vector<std::string> inputs;
  std::vector<std::string> outputs;
  std::map<std::string, OnnxAttribute> attributes;

  [[nodiscard]] const OnnxAttribute* find(const std::string& name) const;
  [[nodiscard]] std::int64_t integer(const std::string& name, std::int64_t otherwise) const;
  [[nodiscard]] float real(const std::string& name, float otherwise) const;
  [[nodiscard]] std::string text(const std::string& name, const std::string& otherwise) const;
  [[nodiscard]] std::vector<std::int64_t> integers(const std::string& name) const;
};

/// A graph's input or output; -1 where a size is open.
struct OnnxValue {
  std::string name;
  Element element = Element::kNone;
  std::vector<std::int64_t> sizes;
};

struct OnnxGraph {
  std::vector<OnnxNode> nodes;  ///< in the order of the file, which ONNX wants topological
  std::map<std::string, OnnxTensor> constants;
  std::vector<OnnxValue> inputs;  ///< without those that are constants
  std::vector<OnnxValue> outputs;
  std::int64_t opset = 0;  ///< of ai.onnx
};

/// Reads a model.
///
/// @param bytes the file's.
/// @throws OnnxError the bytes are no ONNX model, or hold something that is read nowhere here: external data,
///     element types other than Element's, functions.
[[nodiscard]] OnnxGraph parse_onnx(std::string_view bytes);

}  // namespace ringcraft
