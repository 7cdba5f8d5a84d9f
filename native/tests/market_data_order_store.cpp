// The order store against a plain map, through many lives of its pages and of its directory's chunks.
#include <doctest/doctest.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <random>
#include <vector>

#include "market_data/order_store.hpp"

using namespace ringcraft;

namespace {

struct Order {
  std::uint32_t lots = 0;
};

/// The store and a map that is told the same.
class Both {
 public:
  void add(std::uint64_t reference, std::uint32_t lots) {
    if (!plain_.emplace(reference, lots).second) return;
    REQUIRE(store_.find(reference) == kNoHandle);
    store_[store_.insert(reference)].lots = lots;
  }

  void remove(std::uint64_t reference) {
    const std::uint32_t handle = store_.find(reference);
    REQUIRE((handle != kNoHandle) == (plain_.erase(reference) == 1));
    if (handle != kNoHandle) store_.erase(reference, handle);
  }

  void check(std::uint64_t reference) const {
    const auto there = plain_.find(reference);
    const std::uint32_t handle = store_.find(reference);
    REQUIRE((handle == kNoHandle) == (there == plain_.end()));
    if (handle != kNoHandle) REQUIRE(store_[handle].lots == there->second);
  }

  /// Every order of the map, its reference told back, and what lies just beside each.
  void check_all() const {
    REQUIRE(store_.size() == plain_.size());
    for (const auto& [reference, lots] : plain_) {
      const std::uint32_t handle = store_.find(reference);
      REQUIRE(handle != kNoHandle);
      REQUIRE(store_[handle].lots == lots);
      REQUIRE(store_.reference_of(handle) == reference);
      check(reference + 1);
      check(reference - 1);
    }
  }

  [[nodiscard]] const std::map<std::uint64_t, std::uint32_t>& plain() const { return plain_; }
  [[nodiscard]] std::size_t bytes() const { return store_.bytes(); }
  void reserve(std::size_t live, std::uint64_t references) { store_.reserve(live, references); }

 private:
  OrderStore<Order> store_;
  std::map<std::uint64_t, std::uint32_t> plain_;
};

}  // namespace

TEST_CASE("orders that come and go by the million leave the store as a map, and its memory flat") {
  constexpr std::uint64_t kReferences = 600'000;  // 146 chunks of 4,096 references each
  constexpr std::uint64_t kLiving = 3'000;
  std::mt19937_64 random(21);
  Both both;
  both.reserve(8 * kLiving, kReferences);
  std::size_t bytes = 0;
  for (std::uint64_t reference = 0; reference < kReferences; ++reference) {
    if (random() % 8 != 0) both.add(reference, 1 + static_cast<std::uint32_t>(random() % 900));
    both.check(random() % (reference + 1));
    // The oldest go, but for a few that stay and keep a chunk each from being given back.
    while (both.plain().size() > kLiving) {
      auto oldest = both.plain().begin();
      if (random() % 64 == 0) oldest = std::next(oldest, static_cast<std::ptrdiff_t>(random() % 200));
      both.remove(oldest->first);
    }
    both.remove(random() % (reference + 1));
    if (reference % 60'000 == 0) both.check_all();
    if (reference == kReferences / 4) bytes = both.bytes();
  }
  both.check_all();
  CHECK(both.bytes() == bytes);
}

TEST_CASE("waves that empty the store give every chunk back to the next wave, wherever it lies") {
  std::mt19937_64 random(22);
  Both both;
  std::vector<std::size_t> bytes;
  for (std::uint64_t wave = 0; wave < 40; ++wave) {
    // Neighbours, strides that touch a chunk for each order, and references that only a hash can hold.
    const std::uint64_t start = random() % 100 * 20'000;
    std::vector<std::uint64_t> references;
    for (std::uint64_t i = 0; i < 600; ++i) {
      references.push_back(start + i);
      references.push_back(i % 2 == 0 ? (i * 4'096) % 2'000'000 : ~(random() % 5'000));
    }
    for (const std::uint64_t reference : references) both.add(reference, 7);
    both.check_all();
    std::shuffle(references.begin(), references.end(), random);
    for (const std::uint64_t reference : references) both.remove(reference);
    REQUIRE(both.plain().empty());
    for (const std::uint64_t reference : references) both.check(reference);
    bytes.push_back(both.bytes());
  }
  CHECK(bytes.back() == bytes[bytes.size() / 2]);
}
