#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <deque>
#include <fstream>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "tests/folder.hpp"
#include "transport/mpsc_ring.hpp"
#include "transport/placement.hpp"
#include "transport/pool.hpp"
#include "transport/ring_bench.hpp"
#include "transport/spsc_ring.hpp"

namespace ringcraft {
namespace {

struct Item {
  std::uint32_t producer;
  std::uint32_t number;
};

}  // namespace

TEST_CASE("either ring does what a bounded queue does, whatever the order of calls") {
  std::mt19937_64 random(3);
  for (const std::size_t capacity : {2U, 4U, 64U}) {
    SpscRing<std::uint64_t> single(capacity);
    MpscRing<std::uint64_t> multi(capacity);
    std::deque<std::uint64_t> model;
    for (std::uint64_t i = 0; i < 20'000; ++i) {
      if (random() % 2 == 0) {
        std::uint64_t* place = single.claim();
        CHECK((place != nullptr) == (model.size() < capacity));
        CHECK(multi.push(i) == (place != nullptr));
        if (place == nullptr) continue;
        *place = i;
        single.publish();
        model.push_back(i);
      } else {
        std::uint64_t popped = 0;
        const std::uint64_t* front = single.front();
        CHECK((front != nullptr) == !model.empty());
        CHECK(multi.pop(popped) == (front != nullptr));
        if (front == nullptr) continue;
        CHECK(*front == model.front());
        CHECK(popped == model.front());
        single.release();
        model.pop_front();
      }
    }
  }
}

TEST_CASE("a ring gives back in order what two threads pass through it") {
  constexpr std::uint64_t kItems = 200'000;
  SpscRing<std::uint64_t> ring(8);
  std::thread producer([&] {
    for (std::uint64_t i = 0; i < kItems;) {
      if (std::uint64_t* place = ring.claim()) {
        *place = i++;
        ring.publish();
      } else {
        std::this_thread::yield();
      }
    }
  });
  bool ordered = true;
  for (std::uint64_t i = 0; i < kItems;) {
    if (const std::uint64_t* item = ring.front()) {
      ordered = ordered && *item == i++;
      ring.release();
    } else {
      std::this_thread::yield();
    }
  }
  producer.join();
  CHECK(ordered);
  CHECK(ring.front() == nullptr);
}

TEST_CASE("of several producers each item comes out once, and each producer's in its order") {
  constexpr std::uint32_t kProducers = 4;
  constexpr std::uint32_t kEach = 50'000;
  MpscRing<Item> ring(16);
  std::vector<std::thread> producers;
  for (std::uint32_t p = 0; p < kProducers; ++p) {
    producers.emplace_back([&ring, p] {
      for (std::uint32_t i = 0; i < kEach;) {
        if (ring.push({p, i})) {
          ++i;
        } else {
          std::this_thread::yield();
        }
      }
    });
  }
  std::array<std::uint32_t, kProducers> next{};
  bool ordered = true;
  for (std::uint32_t taken = 0; taken < kProducers * kEach;) {
    Item item{};
    if (!ring.pop(item)) {
      std::this_thread::yield();
      continue;
    }
    ++taken;
    ordered = ordered && item.number == next[item.producer]++;
  }
  for (std::thread& producer : producers) producer.join();
  CHECK(ordered);
  CHECK(std::all_of(next.begin(), next.end(), [](std::uint32_t count) { return count == kEach; }));
  Item none{};
  CHECK_FALSE(ring.pop(none));
}

TEST_CASE("every way that is measured hands each producer's records over once, in order") {
  for (const HandOver how : {HandOver::kSingle, HandOver::kMulti, HandOver::kLocked}) {
    const std::uint32_t most = how == HandOver::kSingle ? 1 : 3;
    for (std::uint32_t producers = 1; producers <= most; ++producers) {
      const HandOverRun run = bench_hand_over(how, producers, 5'000);
      CHECK(run.ordered);
      CHECK(run.records == 5'000 * producers);
      CHECK(run.nanoseconds > 0);
    }
    const RoundTrips trips = bench_round_trips(how, 100);
    CHECK(trips.p50_ns > 0);
    CHECK(trips.p99_ns >= trips.p50_ns);
    CHECK_THROWS_AS((void)bench_hand_over(how, 0, 1), std::invalid_argument);
    CHECK_THROWS_AS((void)bench_round_trips(how, 0), std::invalid_argument);
  }
  CHECK_THROWS_WITH_AS((void)bench_hand_over(HandOver::kSingle, 2, 1), "producers: expected 1, got 2",
                       std::invalid_argument);
}

TEST_CASE("a pool hands no block out twice, and takes no memory once as many were out as will be") {
  std::mt19937_64 random(5);
  Pool<std::uint64_t> pool;
  pool.reserve(64);
  const std::size_t bytes = pool.bytes();
  std::vector<std::uint32_t> out;
  std::set<std::uint32_t> live;
  for (int i = 0; i < 20'000; ++i) {
    if (out.size() < 64 && (out.empty() || random() % 2 == 0)) {
      const std::uint32_t handle = pool.take();
      CHECK(live.insert(handle).second);
      pool[handle] = handle;
      out.push_back(handle);
    } else {
      std::swap(out[random() % out.size()], out.back());
      CHECK(pool[out.back()] == out.back());
      live.erase(out.back());
      pool.give_back(out.back());
      out.pop_back();
    }
    CHECK(pool.live() == live.size());
  }
  CHECK(pool.bytes() == bytes);
}

TEST_CASE("a system without huge pages is told, with the setting that says so") {
  const Folder folder;
  const auto setting = [&folder](const std::string& said) {
    std::ofstream(folder.file("enabled")) << said << "\n";
    return no_huge_pages(folder.file("enabled"));
  };
  CHECK(setting("always [madvise] never").empty());
  CHECK(setting("[always] madvise never").empty());
  CHECK(setting("always madvise [never]") ==
        "no huge pages: " + folder.file("enabled") + " is never; needs madvise or always");
  CHECK(no_huge_pages(folder.file("absent")).find("cannot be read") != std::string::npos);
}

TEST_CASE("a core that is not there is told, and the thread runs on") {
  CHECK(pin(::pthread_self(), -1).empty());
  CHECK(pin(::pthread_self(), 100'000).find("not pinned to core 100000: ") == 0);
}

}  // namespace ringcraft
