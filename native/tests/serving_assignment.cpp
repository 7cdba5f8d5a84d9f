#include <doctest/doctest.h>

#include <array>
#include <cstdint>
#include <string>

#include "serving/assignment.hpp"

namespace ringcraft {

TEST_CASE("splitmix64 and FNV-1a give the published values") {
  CHECK(splitmix64(0) == 0xE220A8397B1DCDAFULL);
  CHECK(fnv1a("a", 1) == 0xAF63DC4C8601EC8CULL);
}

TEST_CASE("a share that grows brings no key back, and moves what it grew by") {
  constexpr std::uint64_t kSalt = 0x1234'5678'9ABC'DEF0ULL;
  std::array<int, 3> counts{};
  int moved_back = 0;
  for (std::uint64_t key = 1; key <= 100'000; ++key) {
    const bool at_10 = falls_to_challenger(key, kSalt, 1000);
    const bool at_50 = falls_to_challenger(key, kSalt, 5000);
    moved_back += at_10 && !at_50 ? 1 : 0;
    counts[0] += at_10 ? 1 : 0;
    counts[1] += at_50 ? 1 : 0;
    counts[2] += falls_to_challenger(key, kSalt + 1, 1000) == at_10 ? 0 : 1;
  }
  CHECK(moved_back == 0);
  CHECK(counts[0] == doctest::Approx(10'000).epsilon(0.04));
  CHECK(counts[1] == doctest::Approx(50'000).epsilon(0.02));
  // Another salt draws every key anew: of 10 % and of 90 % a tenth and nine tenths meet by chance.
  CHECK(counts[2] == doctest::Approx(18'000).epsilon(0.04));
}

TEST_CASE("nothing falls to a share of 0, everything to one of 10,000") {
  for (std::uint64_t key = 0; key < 10'000; ++key) {
    CHECK_FALSE(falls_to_challenger(key, 7, 0));
    CHECK(falls_to_challenger(key, 7, kShareParts));
  }
}

TEST_CASE("a decision goes by the key asked for, and by its id where that is absent") {
  const AssignmentKeys keys{1, 2, 3, std::nullopt};
  CHECK(key_for(AssignBy::kDecision, keys).value == 1);
  CHECK(key_for(AssignBy::kInstrument, keys).value == 2);
  CHECK(key_for(AssignBy::kInstrument, keys).by == AssignBy::kInstrument);
  CHECK(key_for(AssignBy::kAccount, keys).value == 3);
  CHECK(key_for(AssignBy::kRequestKey, keys).value == 1);
  CHECK(key_for(AssignBy::kRequestKey, keys).by == AssignBy::kDecision);
}

}  // namespace ringcraft
