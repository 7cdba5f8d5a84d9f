#include <doctest/doctest.h>

#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <random>

#include "market_data/books.hpp"
#include "market_data/ladder.hpp"
#include "tests/serving_allocations.hpp"

using namespace ringcraft;

namespace {

using Model = std::map<std::int32_t, std::uint32_t, std::greater<>>;

void require_same(const Ladder& ladder, const PriceGrid& grid, const Model& model) {
  REQUIRE(ladder.size() == model.size());
  REQUIRE(ladder.empty() == model.empty());
  std::uint32_t rank = 0;
  for (const auto& [key, level] : model) {
    const Ladder::Entry found = ladder.rank(rank, grid);
    REQUIRE(found.key == key);
    REQUIRE(found.level == level);
    REQUIRE(ladder.find(key, grid) == level);
    ++rank;
  }
  if (!model.empty()) REQUIRE(ladder.best(grid).key == model.begin()->first);
}

/// Levels come and go around a price that wanders `far` keys, on the grid and between its lines.
void wander(std::int32_t step, std::int32_t middle, std::int32_t far, unsigned off_grid_percent) {
  std::mt19937 random(static_cast<unsigned>(step + far) + off_grid_percent);
  const PriceGrid grid(step);
  Ladder ladder;
  Model model;
  std::uint32_t next = 0;
  for (int i = 0; i < 6'000; ++i) {
    if (i % 500 == 0) middle += (random() % 2 == 0 ? far : -far);
    std::int32_t key = middle + static_cast<std::int32_t>(random() % 90) * step - 45 * step;
    if (random() % 100 < off_grid_percent) {
      key += static_cast<std::int32_t>(random() % 7);
    } else {
      key -= key % step;
    }
    const auto found = model.find(key);
    REQUIRE(ladder.find(key, grid) == (found == model.end() ? kNoHandle : found->second));
    if (found == model.end()) {
      ladder.insert({key, next}, grid);
      model[key] = next++;
    } else {
      ladder.erase(key, grid);
      model.erase(found);
    }
    // The best goes as often as it comes: the window is drawn after it, down and up.
    if (random() % 3 == 0 && !model.empty()) {
      ladder.erase(model.begin()->first, grid);
      model.erase(model.begin());
    }
    if (i % 50 == 0) require_same(ladder, grid, model);
  }
  require_same(ladder, grid, model);
  ladder.clear();
  require_same(ladder, grid, {});
}

}  // namespace

TEST_CASE("a ladder holds the levels of a plain map, near and far, on the grid and off it") {
  for (const std::int32_t step : {1, 3, 100}) {
    for (const unsigned off_grid_percent : {0U, 20U, 100U}) {
      wander(step, 50'000, 10 * step, off_grid_percent);
      wander(step, -50'000, 1'000 * step, off_grid_percent);
      wander(step, 0, 40 * step, off_grid_percent);
    }
  }
}

TEST_CASE("a ladder goes to the ends of its keys") {
  constexpr std::int32_t kMost = std::numeric_limits<std::int32_t>::max();
  for (const std::int32_t step : {1, 100}) {
    const PriceGrid grid(step);
    Ladder ladder;
    Model model;
    std::uint32_t level = 0;
    for (const std::int32_t key : {0, kMost, -kMost, kMost - 47, -kMost + 47, 1, -1, kMost - kMost % step}) {
      if (!model.try_emplace(key, level).second) continue;
      ladder.insert({key, level++}, grid);
      require_same(ladder, grid, model);
    }
    while (!model.empty()) {
      ladder.erase(model.begin()->first, grid);
      model.erase(model.begin());
      require_same(ladder, grid, model);
    }
  }
}

TEST_CASE("pages, chunks and levels of orders that are gone are used again") {
  Books<true> books(1);
  const auto live_through = [&books](std::uint64_t from) {
    for (std::uint64_t i = 0; i < 20'000; ++i) {
      books.add(0, from + i, Side::kBuy, 1 + static_cast<std::int32_t>(i % 200), 1);
      if (i >= 500) books.remove(0, from + i - 500);
    }
    for (std::uint64_t i = 19'500; i < 20'000; ++i) books.remove(0, from + i);
  };
  live_through(0);
  REQUIRE(books.orders() == 0);
  books.reserve(20'000, 1'000'000, 1'000);
  const std::size_t held = books.bytes();
  const std::uint64_t before = allocations_of_this_thread();
  for (std::uint64_t round = 1; round < 40; ++round) live_through(20'000 * round);
  CHECK(books.bytes() == held);
  CHECK(allocations_of_this_thread() == before);
}
