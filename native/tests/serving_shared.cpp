#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "serving/crc32c.hpp"
#include "serving/record_ring.hpp"
#include "serving/routing_table.hpp"
#include "tests/folder.hpp"

namespace ringcraft {
namespace {

/// A folder that goes with the test.
RecordBytes record_with(std::uint64_t value) {
  RecordBytes record{};
  std::memcpy(record.data() + 64, &value, sizeof value);
  return record;
}

std::uint64_t value_of(const RecordBytes& record) {
  std::uint64_t value = 0;
  std::memcpy(&value, record.data() + 64, sizeof value);
  return value;
}

/// Routes whose every field follows from one number, so that a torn read shows.
std::vector<Route> routes_of(std::uint64_t number) {
  std::vector<Route> routes(1 + number % kMaxModels);
  for (Route& route : routes) {
    route.salt = number;
    route.rollout_id = static_cast<std::uint32_t>(number);
    route.champion_version = static_cast<std::uint32_t>(number * 3);
  }
  return routes;
}

bool consistent(const RoutingSnapshot& snapshot) {
  for (std::size_t i = 0; i < snapshot.count; ++i) {
    const Route& route = snapshot.routes[i];
    if (route.rollout_id != static_cast<std::uint32_t>(route.salt) ||
        route.champion_version != static_cast<std::uint32_t>(route.salt * 3) ||
        snapshot.count != 1 + route.salt % kMaxModels) {
      return false;
    }
  }
  return true;
}

}  // namespace

TEST_CASE("crc32c gives the published values, with and without the instruction") {
  const std::string digits = "123456789";
  CHECK(crc32c(digits.data(), digits.size()) == 0xE3069283U);
  CHECK(crc32c_portable(digits.data(), digits.size()) == 0xE3069283U);
  const std::array<unsigned char, 32> zeros{};  // RFC 3720 B.4
  CHECK(crc32c(zeros.data(), zeros.size()) == 0x8A9136AAU);
  CHECK(crc32c_portable(zeros.data(), zeros.size()) == 0x8A9136AAU);
  std::array<unsigned char, 124> bytes{};
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<unsigned char>(i * 37);
  }
  CHECK(crc32c(bytes.data(), bytes.size()) == crc32c_portable(bytes.data(), bytes.size()));
}

TEST_CASE("a routing table is empty, then what was published last") {
  const Folder folder;
  RoutingTable table = RoutingTable::create(folder.file("routing"));
  CHECK(table.read().epoch == 0);
  CHECK(table.read().count == 0);
  const std::uint64_t before = table.stamp();
  CHECK(table.publish(routes_of(5)) == 1);
  CHECK(table.stamp() != before);
  CHECK(table.publish(routes_of(6)) == 2);
  const RoutingTable other = RoutingTable::open(folder.file("routing"));
  CHECK(other.read().epoch == 2);
  CHECK(other.read().routes[0].salt == 6);
  CHECK_THROWS_AS(table.publish(std::vector<Route>(kMaxModels + 1)), std::invalid_argument);
}

TEST_CASE("an existing routing table keeps its routes when it is made again") {
  const Folder folder;
  RoutingTable::create(folder.file("routing")).publish(routes_of(9));
  CHECK(RoutingTable::create(folder.file("routing")).read().routes[0].salt == 9);
}

TEST_CASE("a file that is no routing table is refused") {
  const Folder folder;
  CHECK(SharedRegion::open_or_create(folder.file("short"), 100).size() == 100);
  CHECK_THROWS_AS(RoutingTable::open(folder.file("short")), std::runtime_error);
  CHECK_THROWS_AS(RoutingTable::open(folder.file("absent")), std::runtime_error);
}

TEST_CASE("the heartbeat's age is endless before the first beat, then small") {
  const Folder folder;
  RoutingTable table = RoutingTable::create(folder.file("routing"));
  CHECK(table.heartbeat_age_ns() == INT64_MAX);
  table.beat();
  CHECK(table.heartbeat_age_ns() < 1'000'000'000);
  CHECK(table.age_at(monotonic_ns() - 60'000'000'000) == INT64_MAX);  // a beat from before a reboot
}

TEST_CASE("a writer that stops half-way leaves the old routes in force and the next one able to write") {
  const Folder folder;
  RoutingTable table = RoutingTable::create(folder.file("routing"));
  table.publish(routes_of(3));
  table.write_half();
  CHECK(table.read().routes[0].salt == 3);
  CHECK(table.publish(routes_of(4)) == 2);
  CHECK(table.read().routes[0].salt == 4);
}

TEST_CASE("writers killed at any moment hang no reader and tear nothing") {
  const Folder folder;
  const RoutingTable table = RoutingTable::create(folder.file("routing"));
  std::uint64_t last = 0;
  for (int round = 0; round < 40; ++round) {
    const pid_t writer = ::fork();
    REQUIRE(writer >= 0);
    if (writer == 0) {
      RoutingTable own = RoutingTable::open(folder.file("routing"));
      for (std::uint64_t number = own.read().epoch + 1;; ++number) {
        own.publish(routes_of(number));
      }
    }
    const std::int64_t until = monotonic_ns() + 1'000'000 + round * 50'000;
    bool sound = true;
    bool forward = true;
    while (monotonic_ns() < until) {
      const RoutingSnapshot snapshot = table.read();
      sound = sound && consistent(snapshot);
      forward = forward && snapshot.epoch >= last;
      last = snapshot.epoch;
    }
    ::kill(writer, SIGKILL);
    ::waitpid(writer, nullptr, 0);
    CHECK(sound);
    CHECK(forward);
    CHECK(consistent(table.read()));
  }
  CHECK(last > 0);
}

TEST_CASE("a full ring drops and counts, and takes again once there is room") {
  const Folder folder;
  RecordRings rings = RecordRings::open_or_create(folder.file("rings"), 4);
  RecordRing& ring = rings.ring(0);
  for (std::uint64_t i = 0; i < 4; ++i) {
    const RecordBytes record = record_with(i);
    CHECK(ring.push(&record));
  }
  const RecordBytes record = record_with(4);
  CHECK_FALSE(ring.has_room());
  CHECK_FALSE(ring.push(&record));
  CHECK(ring.dropped() == 1);
  ring.consume_to(2);
  CHECK(ring.push(&record));
  CHECK(value_of(ring.at(2)) == 2);
  CHECK(value_of(ring.at(4)) == 4);
}

TEST_CASE("rings outlive the process that filled them, and one process alone has them") {
  const Folder folder;
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    RecordRings rings = RecordRings::open_or_create(folder.file("rings"), 16);
    for (std::uint64_t i = 0; i < 10; ++i) {
      const RecordBytes record = record_with(i);
      rings.ring(1).push(&record);
    }
    ::kill(::getpid(), SIGKILL);
  }
  ::waitpid(child, nullptr, 0);
  RecordRings rings = RecordRings::open(folder.file("rings"));
  CHECK(rings.capacity() == 16);
  CHECK(rings.ring(1).produced() == 10);
  CHECK(value_of(rings.ring(1).at(9)) == 9);
  CHECK_THROWS_AS(RecordRings::open(folder.file("rings")), std::runtime_error);
}

}  // namespace ringcraft
