#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "serving/worker.hpp"
#include "tests/folder.hpp"

namespace ringcraft {
namespace {

/// A publisher that may break every rule of the feed.
class Publisher {
 public:
  explicit Publisher(std::uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  }
  ~Publisher() { ::close(socket_); }
  Publisher(const Publisher&) = delete;
  Publisher& operator=(const Publisher&) = delete;

  void send(const std::string& bytes) const {
    std::size_t sent = 0;
    while (sent < bytes.size()) {
      const ssize_t got = ::send(socket_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
      if (got <= 0) return;
      sent += static_cast<std::size_t>(got);
    }
  }

  void send(std::uint8_t kind, const std::string& payload) const {
    const auto length = static_cast<std::uint32_t>(payload.size() + 1);
    std::string frame(5, static_cast<char>(kind));
    std::memcpy(frame.data(), &length, sizeof length);
    send(frame + payload);
  }

  /// The next reply's JSON; empty where the door closed instead.
  [[nodiscard]] std::string reply() const {
    const std::string head = take(5);
    if (head.size() < 5) return "";
    std::uint32_t length = 0;
    std::memcpy(&length, head.data(), sizeof length);
    return take(length - 1);
  }

 private:
  [[nodiscard]] std::string take(std::size_t size) const {
    std::string bytes(size, '\0');
    std::size_t got = 0;
    while (got < size) {
      const ssize_t more = ::recv(socket_, bytes.data() + got, size - got, 0);
      if (more <= 0) return bytes.substr(0, got);
      got += static_cast<std::size_t>(more);
    }
    return bytes;
  }

  int socket_;
};

/// A worker that takes every feed as one instrument's.
struct OpenDoor {
  OpenDoor() {
    config.journal_folder = folder.file("journal");
    config.rings_path = folder.file("rings");
    config.routing_path = folder.file("routing");
    Route route;
    route.champion_version = 1;
    RoutingTable::create(config.routing_path).publish({route});
    worker = std::make_unique<Worker>(config);
    replan();
    worker->start();
    python = std::thread([this] {
      while (!stop) {
        if (worker->desk().wait(0.01))
          worker->desk().answer({{{{"A:B", 0.1, 60'000'000'000, "USD", 1.0}}, "", Arm::kNone}, ""});
      }
    });
  }
  ~OpenDoor() {
    stop = true;
    python.join();
    worker->stop();
  }

  void replan() const {
    worker->holdings().plan(0, std::make_unique<const ModelPlan>(ModelPlan{
                                   0, "model", {"touch_v1", {}, {}}, {}, 1'000'000, 0, 0, 64, 1e6, 1e9}));
  }

  Folder folder;
  WorkerConfig config;
  std::unique_ptr<Worker> worker;
  std::atomic<bool> stop{false};
  std::thread python;
};

MarketEvent sound_event(std::int64_t number) {
  MarketEvent event{};
  event.event_ns = 1'600'000'000'000'000'000 + number * 1'000'000;
  event.bid_ticks = 100;
  event.ask_ticks = 101;
  event.bid_lots = event.ask_lots = 5;
  return event;
}

std::string bytes_of(const std::vector<MarketEvent>& events) {
  std::string bytes(events.size() * sizeof(MarketEvent), '\0');
  std::memcpy(bytes.data(), events.data(), bytes.size());
  return bytes;
}

}  // namespace

TEST_CASE("a frame that lies about itself or its events is refused by name, and the door stays open") {
  const OpenDoor door;
  MarketEvent unknown = sound_event(0);
  unknown.instrument = 1;
  MarketEvent before_time = sound_event(0);
  before_time.event_ns = INT64_MIN;
  MarketEvent endless = sound_event(0);
  endless.ask_lots = INT64_MAX;
  const std::vector<std::pair<std::string, std::string>> frames = {
      {std::string("\0\0\0\0\2", 5), "expected 1..1048576 bytes, got 0"},
      {std::string("\377\377\377\377\2", 5), "got 4294967295"},
      {std::string("\1\0\0\0\11", 5), "kind: expected 1, 2 or 3, got 9"},
      {std::string("\120\0\0\0\2", 5), "multiple of 80 bytes, got 79"},
      {std::string("\121\0\0\0\2", 5) + bytes_of({unknown}), "event 0: instrument"},
      {std::string("\121\0\0\0\2", 5) + bytes_of({before_time}), "event 0: instrument"},
      {std::string("\121\0\0\0\2", 5) + bytes_of({endless}), "event 0: instrument"}};
  for (const auto& [frame, expected] : frames) {
    const auto& why = expected;  // clang 14 captures no structured binding
    CAPTURE(why);
    const Publisher publisher(door.worker->port());
    publisher.send(1, "[]");
    CHECK(publisher.reply() == R"({"accepted": true})");
    publisher.send(frame);
    CHECK(publisher.reply().find(why) != std::string::npos);
    CHECK(publisher.reply().empty());
  }
  const Publisher early(door.worker->port());
  early.send(2, bytes_of({sound_event(0)}));
  CHECK(early.reply().find("expected HELLO first") != std::string::npos);
}

TEST_CASE("frames in any number of pieces are the same frames") {
  const OpenDoor door;
  const Publisher publisher(door.worker->port());
  publisher.send(1, "[]");
  CHECK(publisher.reply() == R"({"accepted": true})");
  const std::string events = bytes_of({sound_event(0), sound_event(1), sound_event(2)});
  for (const char byte : std::string("\361\0\0\0\2", 5) + events) {
    publisher.send(std::string(1, byte));
  }
  publisher.send(3, "");
  CHECK(publisher.reply() == R"({"events": 3, "decisions": 3})");
}

TEST_CASE("a plan replaced while a batch is decided on is not freed under it") {
  const OpenDoor door;
  const Publisher publisher(door.worker->port());
  publisher.send(1, "[]");
  CHECK(publisher.reply() == R"({"accepted": true})");
  std::atomic<bool> sent{false};
  std::thread sender([&] {
    for (std::int64_t batch = 0; batch < 100; ++batch) {
      std::vector<MarketEvent> events;
      for (std::int64_t i = 0; i < 2000; ++i) {
        events.push_back(sound_event(batch * 2000 + i));
      }
      publisher.send(2, bytes_of(events));
    }
    sent = true;
  });
  while (!sent) {
    door.replan();
    door.worker->holdings().reclaim();
  }
  sender.join();
  publisher.send(3, "");
  CHECK(publisher.reply() == R"({"events": 200000, "decisions": 200000})");
}

}  // namespace ringcraft
