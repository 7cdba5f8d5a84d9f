#include "transport/ring_bench.hpp"

#include <algorithm>
#include <array>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "transport/clock.hpp"
#include "transport/mpsc_ring.hpp"
#include "transport/spsc_ring.hpp"

namespace ringcraft {
namespace {

constexpr std::size_t kRoom = 1'024;

/// As long as a market event.
struct Record {
  std::uint64_t number;
  std::uint64_t producer;
  std::array<std::uint64_t, 8> rest;
};
static_assert(sizeof(Record) == 80);

/// One wait for a ring. Where there are fewer cores than threads, whoever is waited for needs this one.
class Look {
 public:
  void again() noexcept {
    if (++looks_ % kBeforeYield == 0) {
      std::this_thread::yield();
    } else {
      __builtin_ia32_pause();
    }
  }

 private:
  static constexpr std::uint32_t kBeforeYield = 256;
  std::uint32_t looks_ = 0;
};

class Single {
 public:
  static constexpr bool kManyProducers = false;
  void push(const Record& record) noexcept {
    Look look;
    Record* place = nullptr;
    while ((place = ring_.claim()) == nullptr) look.again();
    *place = record;
    ring_.publish();
  }
  Record pop() noexcept {
    Look look;
    const Record* front = nullptr;
    while ((front = ring_.front()) == nullptr) look.again();
    const Record record = *front;
    ring_.release();
    return record;
  }

 private:
  SpscRing<Record> ring_{kRoom};
};

class Multi {
 public:
  static constexpr bool kManyProducers = true;
  void push(const Record& record) noexcept {
    Look look;
    while (!ring_.push(record)) look.again();
  }
  Record pop() noexcept {
    Look look;
    Record record{};
    while (!ring_.pop(record)) look.again();
    return record;
  }

 private:
  MpscRing<Record> ring_{kRoom};
};

class Locked {
 public:
  static constexpr bool kManyProducers = true;
  void push(const Record& record) {
    {
      std::unique_lock lock(mutex_);
      emptier_.wait(lock, [this] { return count_ < kRoom; });
      records_[(first_ + count_++) % kRoom] = record;
    }
    fuller_.notify_one();
  }
  Record pop() {
    Record record{};
    {
      std::unique_lock lock(mutex_);
      fuller_.wait(lock, [this] { return count_ > 0; });
      record = records_[first_];
      first_ = (first_ + 1) % kRoom;
      --count_;
    }
    emptier_.notify_one();
    return record;
  }

 private:
  std::mutex mutex_;
  std::condition_variable fuller_;
  std::condition_variable emptier_;
  std::vector<Record> records_ = std::vector<Record>(kRoom);
  std::size_t first_ = 0;
  std::size_t count_ = 0;
};

template <class Queue>
HandOverRun hand_over(std::uint32_t producers, std::uint64_t each) {
  if (producers == 0 || (producers > 1 && !Queue::kManyProducers)) {
    throw std::invalid_argument("producers: expected 1" +
                                std::string(Queue::kManyProducers ? " or more" : "") + ", got " +
                                std::to_string(producers));
  }
  Queue queue;
  HandOverRun run{producers * each, 0, true};
  std::vector<std::uint64_t> next(producers);
  const std::int64_t start_ns = monotonic_ns();
  std::vector<std::thread> threads;
  threads.reserve(producers);
  for (std::uint32_t producer = 0; producer < producers; ++producer) {
    threads.emplace_back([&queue, producer, each] {
      for (std::uint64_t i = 0; i < each; ++i) queue.push({i, producer, {}});
    });
  }
  for (std::uint64_t taken = 0; taken < run.records; ++taken) {
    const Record record = queue.pop();
    run.ordered = run.ordered && record.number == next[record.producer]++;
  }
  run.nanoseconds = monotonic_ns() - start_ns;
  for (std::thread& thread : threads) thread.join();
  return run;
}

template <class Queue>
RoundTrips round_trips(std::uint64_t trips) {
  Queue there;
  Queue back;
  std::thread other([&there, &back, trips] {
    for (std::uint64_t i = 0; i < trips; ++i) back.push(there.pop());
  });
  std::vector<std::int64_t> times(trips);
  for (std::uint64_t i = 0; i < trips; ++i) {
    const std::int64_t start_ns = monotonic_ns();
    there.push({i, 0, {}});
    back.pop();
    times[i] = monotonic_ns() - start_ns;
  }
  other.join();
  const auto quantile = [&times](double share) {
    const auto at =
        times.begin() + static_cast<std::ptrdiff_t>(share * static_cast<double>(times.size() - 1));
    std::nth_element(times.begin(), at, times.end());
    return *at;
  };
  return {quantile(0.5), quantile(0.99)};
}

}  // namespace

HandOverRun bench_hand_over(HandOver how, std::uint32_t producers, std::uint64_t each) {
  switch (how) {
    case HandOver::kSingle:
      return hand_over<Single>(producers, each);
    case HandOver::kMulti:
      return hand_over<Multi>(producers, each);
    case HandOver::kLocked:
      break;
  }
  return hand_over<Locked>(producers, each);
}

RoundTrips bench_round_trips(HandOver how, std::uint64_t trips) {
  if (trips == 0) throw std::invalid_argument("trips: expected 1 or more, got 0");
  switch (how) {
    case HandOver::kSingle:
      return round_trips<Single>(trips);
    case HandOver::kMulti:
      return round_trips<Multi>(trips);
    case HandOver::kLocked:
      break;
  }
  return round_trips<Locked>(trips);
}

}  // namespace ringcraft
