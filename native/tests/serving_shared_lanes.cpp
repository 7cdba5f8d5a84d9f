#include <doctest/doctest.h>
#include <poll.h>
#include <sys/wait.h>

#include <array>
#include <atomic>
#include <csignal>
#include <memory>
#include <thread>
#include <vector>

#include "serving/shared_lanes.hpp"
#include "tests/folder.hpp"

namespace ringcraft {
namespace {

/// Answers a row with the sum of its numbers.
void sums(const client::Request& request, client::Reply& reply) {
  const std::uint32_t rows = request.rows;
  const std::size_t width = request.floats / rows;
  reply.status = client::Status::kOk;
  reply.rows = rows;
  reply.outputs = 1;
  for (std::size_t row = 0; row < rows; ++row) {
    reply.values[row] = 0;
    for (std::size_t i = 0; i < width; ++i) reply.values[row] += request.values[row * width + i];
    reply.decisions[row] = request.stamp.load();
  }
}

/// A worker's loop: asleep where nobody asks.
class Server {
 public:
  explicit Server(const std::string& path) : lanes(path), thread_([this] { run(); }) {}
  ~Server() {
    stop_ = true;
    thread_.join();
  }

  SharedLanes lanes;

 private:
  void run() {
    while (!stop_) {
      if (lanes.serve(sums) > 0) continue;
      lanes.sleeps();
      if (lanes.serve(sums) == 0) {
        pollfd bell{lanes.bell(), POLLIN, 0};
        ::poll(&bell, 1, 20);
      }
      lanes.wakes();
    }
  }

  std::atomic<bool> stop_{false};
  std::thread thread_;
};

client::Question of(const std::vector<float>& values, std::uint32_t rows = 1) {
  client::Question question;
  question.model = "sums";
  question.values = values;
  question.rows = rows;
  question.timeout_ns = 5'000'000'000;
  return question;
}

}  // namespace

TEST_CASE("a question of several rows is answered row by row, and one that fits no lane at once") {
  const Folder folder;
  const Server server(folder.file("door"));
  client::Client asker(folder.file("door"));
  CHECK(asker.served());
  const std::vector<float> values = {1, 2, 3, 4, 5, 6};
  const client::Answer answer = asker.ask(of(values, 2));
  REQUIRE(answer.status == client::Status::kOk);
  CHECK(std::vector<float>(answer.values.begin(), answer.values.end()) == std::vector<float>{6, 15});
  CHECK(asker.ask(of(values, 4)).status == client::Status::kBadShape);
  CHECK(asker.ask(of(std::vector<float>(client::kFloatsMax + 1), 1)).status == client::Status::kBadShape);
}

TEST_CASE("clients of several threads each get their own answers, spinning or asleep") {
  const Folder folder;
  const Server server(folder.file("door"));
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int number = 0; number < 4; ++number) {
    threads.emplace_back([&, number] {
      client::Client asker(folder.file("door"));
      std::vector<float> values(8);
      for (int turn = 0; turn < 500; ++turn) {
        std::fill(values.begin(), values.end(), static_cast<float>(1000 * number + turn));
        client::Question question = of(values);
        question.spin_ns = turn % 2 == 0 ? 0 : 50'000;
        const client::Answer answer = asker.ask(question);
        wrong += answer.status == client::Status::kOk && answer.values[0] == 8 * values[0] ? 0 : 1;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
}

TEST_CASE("clients killed half-way hang nobody, and their lanes are taken over") {
  const Folder folder;
  const std::string path = folder.file("door");
  const Server server(path);
  for (int turn = 0; turn < 12; ++turn) {
    std::array<int, 2> pipe{};
    REQUIRE(::pipe(pipe.data()) == 0);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      client::Client asker(path);
      const std::vector<float> values(64, 1.0F);
      for (int asked = 0;; ++asked) {
        asker.ask(of(values));
        if (asked == turn) static_cast<void>(!::write(pipe[1], "x", 1));
      }
    }
    char one = 0;
    REQUIRE(::read(pipe[0], &one, 1) == 1);
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    ::close(pipe[0]);
    ::close(pipe[1]);
    client::Client next(path);
    CHECK(next.lane() <= 1);
    const client::Answer answer = next.ask(of({2, 3}));
    CHECK(answer.status == client::Status::kOk);
    CHECK(answer.values[0] == 5);
  }
}

TEST_CASE("more clients than lanes are refused, and one that leaves makes room") {
  const Folder folder;
  const Server server(folder.file("door"));
  std::vector<std::unique_ptr<client::Client>> clients;
  for (std::size_t i = 0; i < client::kLanes; ++i) {
    clients.push_back(std::make_unique<client::Client>(folder.file("door")));
  }
  CHECK_THROWS_WITH(client::Client(folder.file("door")), doctest::Contains("free lane"));
  clients.erase(clients.begin() + 7);
  CHECK(client::Client(folder.file("door")).lane() == 7);
}

TEST_CASE("without a worker a question times out, and the next worker says that it was not the one asked") {
  const Folder folder;
  const std::string path = folder.file("door");
  auto server = std::make_unique<SharedLanes>(path);
  CHECK_THROWS_WITH(SharedLanes{path}, doctest::Contains("another worker serves"));
  client::Client asker(path);
  server.reset();
  CHECK_FALSE(asker.served());
  const std::vector<float> values{1};  // a question only points to them
  client::Question question = of(values);
  question.timeout_ns = 20'000'000;
  CHECK(asker.ask(question).status == client::Status::kTimeout);
  const Server next(path);
  CHECK(asker.ask(of({1, 1})).status == client::Status::kOk);
}

}  // namespace ringcraft
