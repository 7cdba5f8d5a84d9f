#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <fstream>
#include <random>
#include <utility>
#include <vector>

#include "tests/folder.hpp"
#include "transport/clock.hpp"
#include "transport/shared_bus.hpp"

namespace ringcraft {
namespace {

/// Up to 25 words, all of which follow from the first, so that a torn record shows.
std::vector<std::uint64_t> record_of(std::uint64_t number) {
  std::vector<std::uint64_t> words(1 + number % 25);
  for (std::size_t i = 0; i < words.size(); ++i) words[i] = number * (i + 1);
  return words;
}

constexpr BusLayout kLayout{.slots = 64, .record_bytes = 200};

bool write(BusWriter& bus, std::uint64_t number) {
  const auto words = record_of(number);
  return bus.write(std::as_bytes(std::span(words)), static_cast<std::uint32_t>(number % 7));
}

/// Reads one record; whether it is whole shows in `sound`, its number comes back.
bool read(BusReader& bus, std::uint64_t& number, bool& sound) {
  std::array<std::uint64_t, 25> words{};
  BusReader::Record record;
  if (!bus.read(std::as_writable_bytes(std::span(words)), record)) return false;
  number = words[0];
  const auto expected = record_of(number);
  sound = sound && record.bytes == expected.size() * 8 && record.kind == number % 7 &&
          std::equal(expected.begin(), expected.end(), words.begin());
  return true;
}

}  // namespace

TEST_CASE("readers see every record of a bus, from its oldest or from now on") {
  const Folder folder;
  BusWriter writer(folder.file("bus"), kLayout, "what it is");
  for (std::uint64_t i = 0; i < 10; ++i) CHECK(write(writer, i));
  BusReader all(folder.file("bus"), BusReader::Start::kOldest);
  BusReader late(folder.file("bus"));
  CHECK(all.about() == "what it is");
  CHECK(late.behind() == 0);
  CHECK(write(writer, 10));
  std::uint64_t number = 0;
  bool sound = true;
  for (std::uint64_t i = 0; i <= 10; ++i) {
    REQUIRE(read(all, number, sound));
    CHECK(number == i);
  }
  CHECK_FALSE(read(all, number, sound));
  REQUIRE(read(late, number, sound));
  CHECK(number == 10);
  CHECK(sound);
  CHECK(all.missed() + late.missed() == 0);
}

TEST_CASE("a reader that was lapped learns exactly how many records it missed") {
  const Folder folder;
  BusWriter writer(folder.file("bus"), kLayout, "");
  BusReader reader(folder.file("bus"), BusReader::Start::kOldest);
  std::mt19937_64 random(9);
  std::uint64_t written = 0;
  std::uint64_t taken = 0;
  std::uint64_t laps = 0;
  bool sound = true;
  for (int round = 0; round < 2'000; ++round) {
    for (std::uint64_t i = random() % 150; i > 0; --i) write(writer, written++);
    const std::uint64_t missed = reader.missed();
    for (std::uint64_t i = random() % 150; i > 0; --i) {
      std::uint64_t number = 0;
      if (!read(reader, number, sound)) break;
      ++taken;
      CHECK(number + 1 == taken + reader.missed());
      CHECK(number + kLayout.slots >= written);
    }
    laps += reader.missed() != missed ? 1 : 0;
  }
  CHECK(sound);
  CHECK(laps > 100);
  CHECK(reader.laps() == laps);
  CHECK(taken + reader.missed() + reader.behind() == written);
}

TEST_CASE("a record that is too long is refused, one as long as allowed is not") {
  const Folder folder;
  BusWriter writer(folder.file("bus"), {.slots = 8, .record_bytes = 13}, "");
  BusReader reader(folder.file("bus"));
  const std::array<std::byte, 14> bytes{std::byte{1}, std::byte{2}, std::byte{3}};
  CHECK_FALSE(writer.write(bytes));
  CHECK(writer.write(std::span(bytes).first(13), 4));
  std::array<std::byte, 13> got{};
  BusReader::Record record;
  REQUIRE(reader.read(got, record));
  CHECK(record.bytes == 13);
  CHECK(record.kind == 4);
  CHECK(std::equal(got.begin(), got.end(), bytes.begin()));
}

TEST_CASE(
    "a bus has one writer, keeps its records for the next, and is made anew where it says something else") {
  const Folder folder;
  const std::string path = folder.file("bus");
  {
    BusWriter writer(path, kLayout, "a");
    write(writer, 5);
    CHECK_THROWS_WITH_AS(BusWriter(path, kLayout, "a"),
                         (path + ": another process writes to this bus").c_str(), std::runtime_error);
  }
  BusReader reader(path, BusReader::Start::kOldest);
  CHECK_FALSE(reader.writer_lives());
  {
    const BusWriter again(path, kLayout, "a");
    CHECK(again.produced() == 1);
    CHECK(reader.writer_lives());
    CHECK_FALSE(reader.replaced());
  }
  const BusWriter other(path, kLayout, "b");
  CHECK(other.produced() == 0);
  CHECK(reader.replaced());
  CHECK_FALSE(reader.writer_lives());
  CHECK(BusReader(path).about() == "b");
}

TEST_CASE("what is no bus is refused, and so is a bus that makes no sense") {
  const Folder folder;
  CHECK_THROWS_AS(BusReader(folder.file("absent")), std::runtime_error);
  std::ofstream(folder.file("text")) << std::string(100'000, 'x');
  CHECK_THROWS_AS(BusReader(folder.file("text")), std::runtime_error);
  CHECK_THROWS_AS(BusWriter(folder.file("bus"), {.slots = 100}, ""), std::runtime_error);
  CHECK_THROWS_AS(BusWriter(folder.file("bus"), {.slots = 64, .record_bytes = 0}, ""), std::runtime_error);
}

TEST_CASE("a bus whose memory was garbled is refused, or read to an end") {
  const Folder folder;
  const std::string path = folder.file("bus");
  {
    BusWriter writer(path, kLayout, "what it is");
    for (std::uint64_t i = 0; i < 100; ++i) write(writer, i);
  }
  const SharedRegion region = SharedRegion::open(path);
  auto* header = static_cast<BusMemory::Header*>(region.data());
  const auto refused = [&](std::uint32_t& number, std::uint32_t garbage) {
    const std::uint32_t was = std::exchange(number, garbage);
    CHECK_THROWS_AS(BusReader{path}, std::runtime_error);
    number = was;
  };
  refused(header->slots, 0);
  refused(header->slots, 100);
  refused(header->record_bytes, UINT32_MAX);
  refused(header->about_bytes, UINT32_MAX);
  BusReader reader(path, BusReader::Start::kOldest);
  header->about_bytes = UINT32_MAX;
  CHECK(reader.about().size() == kBusAboutBytes);
  for (std::uint64_t at = 65'536; at + 8 <= region.size(); at += 8) {
    const std::uint64_t garbage = UINT64_MAX - 1;  // stamps of records that are always ahead
    std::memcpy(static_cast<std::byte*>(region.data()) + at, &garbage, sizeof garbage);
  }
  std::uint64_t number = 0;
  bool sound = true;
  for (int i = 0; i < 10; ++i) CHECK_FALSE(read(reader, number, sound));
  CHECK(reader.missed() > 0);
}

TEST_CASE("a writer that dies half-way through a record holds no reader up and loses no other record") {
  const Folder folder;
  const std::string path = folder.file("bus");
  {
    BusWriter writer(path, kLayout, "");
    for (std::uint64_t i = 0; i < 100; ++i) write(writer, i);
    const auto words = record_of(100);
    writer.write_half(std::as_bytes(std::span(words)));
  }
  BusReader reader(path);
  std::uint64_t number = 0;
  bool sound = true;
  CHECK_FALSE(read(reader, number, sound));
  BusWriter next(path, kLayout, "");
  CHECK(next.produced() == 100);
  write(next, 100);
  REQUIRE(read(reader, number, sound));
  CHECK(number == 100);
  CHECK(sound);
  CHECK(reader.missed() == 0);
}

TEST_CASE("writers killed at any moment tear nothing, and what follows them stays in order") {
  const Folder folder;
  const std::string path = folder.file("bus");
  {
    const BusWriter first(path, kLayout, "");
  }
  BusReader reader(path, BusReader::Start::kOldest);
  std::mt19937_64 random(11);
  std::uint64_t taken = 0;
  bool sound = true;
  bool ordered = true;
  for (int round = 0; round < 40; ++round) {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      BusWriter writer(path, kLayout, "");
      for (;;) write(writer, writer.produced());
    }
    const std::int64_t until = monotonic_ns() + 1'000'000 + static_cast<std::int64_t>(random() % 2'000'000);
    std::uint64_t number = 0;
    while (monotonic_ns() < until) {
      if (!read(reader, number, sound)) continue;
      ++taken;
      // A record's number is its position, so this is the promise itself.
      ordered = ordered && number + 1 == taken + reader.missed();
    }
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    CHECK_FALSE(reader.writer_lives());
  }
  CHECK(sound);
  CHECK(ordered);
  CHECK(taken > 0);
}

TEST_CASE("a reader that is killed and started again disturbs nobody") {
  const Folder folder;
  const std::string path = folder.file("bus");
  BusWriter writer(path, kLayout, "");
  BusReader steady(path);
  std::uint64_t written = 0;
  std::uint64_t taken = 0;
  bool sound = true;
  for (int round = 0; round < 20; ++round) {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      BusReader own(path);
      std::uint64_t number = 0;
      for (bool fine = true; fine;) read(own, number, fine);
      ::_exit(1);
    }
    const std::int64_t until = monotonic_ns() + 1'000'000;
    while (monotonic_ns() < until) {
      write(writer, written++);
      std::uint64_t number = 0;
      while (read(steady, number, sound)) ++taken;
    }
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    CHECK(WIFSIGNALED(status));  // it did not end by itself, which it does at a torn record
  }
  CHECK(sound);
  CHECK(taken == written);
  CHECK(steady.missed() == 0);
}

}  // namespace ringcraft
