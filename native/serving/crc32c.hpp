#pragma once
// CRC-32C (Castagnoli, RFC 3720 B.4): the processor's own instruction where there is one.

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace ringcraft {

namespace detail {

inline constexpr std::array<std::uint32_t, 256> kCrc32cTable = [] {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t value = byte;
    for (int bit = 0; bit < 8; ++bit) {
      value = (value >> 1U) ^ ((value & 1U) != 0 ? 0x82F63B78U : 0U);
    }
    table[byte] = value;
  }
  return table;
}();

}  // namespace detail

/// CRC-32C without special instructions; the reference for the fast one.
[[nodiscard]] inline std::uint32_t crc32c_portable(const void* data, std::size_t size) noexcept {
  const auto* bytes = static_cast<const unsigned char*>(data);
  std::uint32_t crc = 0xFFFFFFFFU;
  for (std::size_t i = 0; i < size; ++i) {
    crc = (crc >> 8U) ^ detail::kCrc32cTable[(crc ^ bytes[i]) & 0xFFU];
  }
  return crc ^ 0xFFFFFFFFU;
}

#if defined(__x86_64__)
/// CRC-32C by SSE4.2.
[[nodiscard]] __attribute__((target("sse4.2"))) inline std::uint32_t crc32c_sse42(const void* data,
                                                                                  std::size_t size) noexcept {
  const auto* bytes = static_cast<const unsigned char*>(data);
  std::uint64_t crc = 0xFFFFFFFFU;
  for (; size >= 8; size -= 8, bytes += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes, 8);
    crc = _mm_crc32_u64(crc, word);
  }
  auto rest = static_cast<std::uint32_t>(crc);
  for (; size > 0; --size, ++bytes) {
    rest = _mm_crc32_u8(rest, *bytes);
  }
  return rest ^ 0xFFFFFFFFU;
}
#endif

/// CRC-32C of `size` bytes.
[[nodiscard]] inline std::uint32_t crc32c(const void* data, std::size_t size) noexcept {
#if defined(__x86_64__)
  static const bool fast = __builtin_cpu_supports("sse4.2") != 0;
  if (fast) {
    return crc32c_sse42(data, size);
  }
#endif
  return crc32c_portable(data, size);
}

}  // namespace ringcraft
