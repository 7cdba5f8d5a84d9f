#pragma once
// Writes small ONNX files, for tests and as seeds for the fuzzer.

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace ringcraft {

class OnnxWriter {
 public:
  /// A graph from `features` to `output`; a size of -1 is open.
  OnnxWriter(const std::vector<std::int64_t>& input, const std::vector<std::int64_t>& output) {
    ends_ = field(11, value("features", input)) + field(12, value("output", output));
  }

  void constant(const std::string& name, const std::vector<std::int64_t>& sizes,
                const std::vector<float>& values) {
    std::string raw(values.size() * sizeof(float), '\0');
    if (!values.empty()) std::memcpy(raw.data(), values.data(), raw.size());
    std::string tensor;
    for (const std::int64_t size : sizes) tensor += number(1, size);
    graph_ += field(5, tensor + number(2, 1) + field(8, name) + field(9, raw));
  }

  /// @param attributes made by integers() or reals().
  void node(const std::string& kind, const std::vector<std::string>& inputs,
            const std::vector<std::string>& outputs, const std::string& attributes = "",
            const std::string& domain = "") {
    std::string node;
    for (const std::string& name : inputs) node += field(1, name);
    for (const std::string& name : outputs) node += field(2, name);
    graph_ += field(1, node + field(4, kind) + attributes + (domain.empty() ? "" : field(7, domain)));
  }

  static std::string integer(const std::string& name, std::int64_t whole) {
    return field(5, field(1, name) + number(3, whole));
  }
  static std::string integers(const std::string& name, const std::vector<std::int64_t>& values) {
    std::string attribute = field(1, name);
    for (const std::int64_t each : values) attribute += number(8, each);
    return field(5, attribute);
  }
  static std::string texts(const std::string& name, const std::vector<std::string>& values) {
    std::string attribute = field(1, name);
    for (const std::string& each : values) attribute += field(9, each);
    return field(5, attribute);
  }
  static std::string reals(const std::string& name, const std::vector<float>& values) {
    std::string packed(values.size() * sizeof(float), '\0');
    if (!values.empty()) std::memcpy(packed.data(), values.data(), packed.size());
    return field(5, field(1, name) + field(7, packed));
  }

  [[nodiscard]] std::string bytes() const {
    return number(1, 10) + field(8, number(2, 20)) + field(7, graph_ + ends_);
  }

 private:
  static std::string varint(std::uint64_t value) {
    std::string bytes;
    for (; value >= 0x80U; value >>= 7U) bytes += static_cast<char>((value & 0x7FU) | 0x80U);
    return bytes + static_cast<char>(value);
  }
  static std::string number(std::uint64_t id, std::int64_t value) {
    return varint(id << 3U) + varint(static_cast<std::uint64_t>(value));
  }
  static std::string field(std::uint64_t id, const std::string& bytes) {
    return varint(id << 3U | 2U) + varint(bytes.size()) + bytes;
  }
  static std::string value(const std::string& name, const std::vector<std::int64_t>& sizes) {
    std::string shape;
    for (const std::int64_t size : sizes) {
      shape += field(1, size < 0 ? field(2, "batch") : number(1, size));
    }
    return field(1, name) + field(2, field(1, number(1, 1) + field(2, shape)));
  }

  std::string graph_;
  std::string ends_;
};

}  // namespace ringcraft
