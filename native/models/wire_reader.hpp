#pragma once
// Protocol-buffer wire format, as far as ONNX files use it; every length is checked before it is believed.
// Format: https://protobuf.dev/programming-guides/encoding/.

#include <cstdint>
#include <cstring>
#include <string_view>

#include "models/model.hpp"

namespace ringcraft {

/// One field of a message; of `number`, `fixed` and `bytes` the one that `wire` says is set.
struct WireField {
  enum Wire : std::uint8_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

  std::uint32_t id = 0;
  Wire wire = kVarint;
  std::uint64_t number = 0;  ///< of kVarint, kFixed64 and kFixed32
  std::string_view bytes{};  ///< of kBytes

  [[nodiscard]] std::int64_t integer() const noexcept { return static_cast<std::int64_t>(number); }

  [[nodiscard]] float real() const noexcept {
    const auto low = static_cast<std::uint32_t>(number);
    float value = 0;
    std::memcpy(&value, &low, sizeof value);
    return value;
  }
};

/// Goes over the fields of one message.
class WireReader {
 public:
  explicit WireReader(std::string_view message) noexcept : rest_(message) {}

  /// Reads the next field; false at the end.
  /// @throws OnnxError the bytes are no message.
  bool next(WireField& field) {
    if (rest_.empty()) {
      return false;
    }
    const std::uint64_t tag = varint();
    if (tag >> 3 == 0 || tag >> 3 > kLargestId) {
      throw OnnxError("not an ONNX file: field number out of range");
    }
    field = {};
    field.id = static_cast<std::uint32_t>(tag >> 3);
    field.wire = static_cast<WireField::Wire>(tag & 7U);
    switch (field.wire) {
      case WireField::kVarint:
        field.number = varint();
        return true;
      case WireField::kFixed64:
        field.number = fixed(8);
        return true;
      case WireField::kBytes:
        field.bytes = take(varint());
        return true;
      case WireField::kFixed32:
        field.number = fixed(4);
        return true;
      default:
        throw OnnxError("not an ONNX file: unknown wire type " + std::to_string(tag & 7U));
    }
  }

  /// One bare number, as packed fields hold them; false at the end.
  bool next_varint(std::uint64_t& number) {
    if (rest_.empty()) {
      return false;
    }
    number = varint();
    return true;
  }

 private:
  static constexpr std::uint64_t kLargestId = (1U << 29U) - 1;

  std::uint64_t varint() {
    std::uint64_t number = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      const auto byte = static_cast<unsigned char>(take(1).front());
      number |= static_cast<std::uint64_t>(byte & 0x7FU) << shift;
      if (byte < 0x80U) {
        return number;
      }
    }
    throw OnnxError("not an ONNX file: a number of more than ten bytes");
  }

  std::uint64_t fixed(std::size_t size) {
    std::uint64_t number = 0;
    const std::string_view bytes = take(size);
    for (std::size_t i = 0; i < size; ++i) {
      number |= static_cast<std::uint64_t>(static_cast<unsigned char>(bytes[i])) << (8 * i);
    }
    return number;
  }

  std::string_view take(std::uint64_t size) {
    if (size > rest_.size()) {
      throw OnnxError("not an ONNX file: it ends within a field");
    }
    const std::string_view taken = rest_.substr(0, static_cast<std::size_t>(size));
    rest_.remove_prefix(static_cast<std::size_t>(size));
    return taken;
  }

  std::string_view rest_;
};

}  // namespace ringcraft
