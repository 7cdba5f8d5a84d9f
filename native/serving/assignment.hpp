#pragma once
// Which arm a decision falls to: a hash of its key and the epoch's salt, the same in every worker.
//
// A key falls into one of 10,000 buckets; those below the share are the challenger's. While the salt stays, a
// share that grows takes new keys to the challenger and brings none back; with a new salt every key is drawn
// afresh.

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "contracts/journal_record.hpp"

namespace ringcraft {

inline constexpr std::uint16_t kShareParts = 10'000;

/// splitmix64's finisher (Steele, Lea & Flood 2014).
[[nodiscard]] inline std::uint64_t splitmix64(std::uint64_t value) noexcept {
  value += 0x9E3779B97F4A7C15ULL;
  value = (value ^ (value >> 30U)) * 0xBF58476D1CE4E5B9ULL;
  value = (value ^ (value >> 27U)) * 0x94D049BB133111EBULL;
  return value ^ (value >> 31U);
}

/// FNV-1a, 64 bits.
[[nodiscard]] inline std::uint64_t fnv1a(const void* data, std::size_t size) noexcept {
  const auto* bytes = static_cast<const unsigned char*>(data);
  std::uint64_t hash = 0xCBF29CE484222325ULL;
  for (std::size_t i = 0; i < size; ++i) {
    hash = (hash ^ bytes[i]) * 0x100000001B3ULL;
  }
  return hash;
}

/// A named key (symbol, account, request key) as a number.
[[nodiscard]] inline std::uint64_t assignment_key(std::string_view text) noexcept {
  return fnv1a(text.data(), text.size());
}

/// The key's bucket, 0 to 9,999; what 10,000 leaves of 2^64 favours a bucket by less than 1e-15.
[[nodiscard]] inline std::uint16_t bucket_of(std::uint64_t key, std::uint64_t salt) noexcept {
  return static_cast<std::uint16_t>(splitmix64(key ^ salt) % kShareParts);
}

[[nodiscard]] inline bool falls_to_challenger(std::uint64_t key, std::uint64_t salt,
                                              std::uint16_t share_bps) noexcept {
  return bucket_of(key, salt) < share_bps;
}

/// What a decision can be assigned by.
struct AssignmentKeys {
  std::uint64_t decision = 0;
  std::optional<std::uint64_t> instrument;
  std::optional<std::uint64_t> account;
  std::optional<std::uint64_t> request;
};

struct AssignmentKey {
  std::uint64_t value;
  AssignBy by;  ///< kDecision where the one asked for is absent
};

[[nodiscard]] inline AssignmentKey key_for(AssignBy wanted, const AssignmentKeys& keys) noexcept {
  if (wanted == AssignBy::kInstrument && keys.instrument) return {*keys.instrument, wanted};
  if (wanted == AssignBy::kAccount && keys.account) return {*keys.account, wanted};
  if (wanted == AssignBy::kRequestKey && keys.request) return {*keys.request, wanted};
  return {keys.decision, AssignBy::kDecision};
}

}  // namespace ringcraft
