#pragma once
// Unaligned integers of network and file formats.

#include <bit>
#include <cstdint>
#include <cstring>

namespace ringcraft {

static_assert(std::endian::native == std::endian::little, "the loads below swap for a little-endian machine");

template <class Integer>
[[nodiscard]] inline Integer load_le(const std::uint8_t* at) noexcept {
  Integer value;
  std::memcpy(&value, at, sizeof(value));
  return value;
}

[[nodiscard]] inline std::uint16_t be16(const std::uint8_t* at) noexcept {
  return __builtin_bswap16(load_le<std::uint16_t>(at));
}
[[nodiscard]] inline std::uint32_t be32(const std::uint8_t* at) noexcept {
  return __builtin_bswap32(load_le<std::uint32_t>(at));
}
[[nodiscard]] inline std::uint64_t be64(const std::uint8_t* at) noexcept {
  return __builtin_bswap64(load_le<std::uint64_t>(at));
}
/// Six bytes, as ITCH's time of day.
[[nodiscard]] inline std::uint64_t be48(const std::uint8_t* at) noexcept {
  return (std::uint64_t{be16(at)} << 32U) | be32(at + 2);
}

}  // namespace ringcraft
