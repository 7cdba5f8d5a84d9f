#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "serving/journal_drain.hpp"
#include "serving/journal_repair.hpp"
#include "tests/folder.hpp"
#include "transport/clock.hpp"

namespace ringcraft {
namespace {

template <class Record>
RecordBytes bytes_of(RecordType type, Record record) {
  record.header.type = type;
  RecordBytes bytes{};
  std::memcpy(bytes.data(), &record, sizeof record);
  return bytes;
}

RecordBytes decision(std::uint64_t id, std::uint8_t shadows = 0, Arm arm = Arm::kChampion,
                     std::int8_t action = 0) {
  DecisionRecord record{};
  record.decision_id = id;
  record.epoch = 1;
  record.expected_shadows = shadows;
  record.arm = arm;
  record.action = action;
  return bytes_of(RecordType::kDecision, record);
}

RecordBytes markout(std::uint64_t id, double buy_pnl_bps = 0, double sell_pnl_bps = 0) {
  MarkoutRecord record{};
  record.decision_id = id;
  record.buy_pnl_bps = buy_pnl_bps;
  record.sell_pnl_bps = sell_pnl_bps;
  return bytes_of(RecordType::kMarkout, record);
}

void append(JournalWriter& writer, std::vector<RecordBytes> records) {
  for (std::size_t i = 0; i < records.size(); ++i) {
    seal(records[i], writer.next_index() + i);
  }
  REQUIRE(writer.append(records) == records.size());
}

std::vector<RecordBytes> decisions(std::uint64_t first, std::size_t count) {
  std::vector<RecordBytes> records;
  for (std::size_t i = 0; i < count; ++i) {
    records.push_back(decision(first + i));
  }
  return records;
}

/// Every record of the journal, once it is known to be whole and without holes.
std::vector<RecordBytes> all(const std::string& folder) {
  const JournalWriter reader(folder);
  std::vector<RecordBytes> records;
  reader.read_back(1'000'000, [&](const RecordBytes& record) {
    CHECK(sealed_as(record, records.size()));
    records.push_back(record);
  });
  return records;
}

std::uint64_t id_of(const RecordBytes& bytes) {
  std::uint64_t id = 0;
  std::memcpy(&id, bytes.data() + offsetof(DecisionRecord, decision_id), sizeof id);
  return id;
}

}  // namespace

TEST_CASE("a journal goes on where it ended, over segments") {
  const Folder folder;
  {
    JournalWriter writer(folder.path, 10);
    append(writer, decisions(1, 25));
    CHECK(writer.next_index() == 25);
  }
  CHECK(segment_files(folder.path).size() == 3);
  {
    JournalWriter writer(folder.path, 10);
    CHECK(writer.next_index() == 25);
    CHECK(writer.cut_bytes() == 0);
    append(writer, decisions(26, 5));
  }
  const auto records = all(folder.path);
  REQUIRE(records.size() == 30);
  CHECK(id_of(records[29]) == 30);
}

TEST_CASE("a torn tail is cut off, whatever its length, and nothing else") {
  for (const std::size_t torn : {std::size_t{1}, std::size_t{64}, std::size_t{127}}) {
    const Folder folder;
    {
      JournalWriter writer(folder.path);
      append(writer, decisions(1, 3));
    }
    const std::string segment = segment_files(folder.path).back();
    std::filesystem::resize_file(segment, std::filesystem::file_size(segment) - torn);
    JournalWriter writer(folder.path);
    CHECK(writer.next_index() == 2);
    CHECK(writer.cut_bytes() == kRecordBytes - torn);
    append(writer, decisions(3, 1));
    CHECK(all(folder.path).size() == 3);
  }
}

TEST_CASE("a segment torn within its header is as if it had not begun") {
  const Folder folder;
  {
    JournalWriter writer(folder.path, 2);
    append(writer, decisions(1, 3));
  }
  std::filesystem::resize_file(segment_files(folder.path).back(), 20);
  const JournalWriter writer(folder.path, 2);
  CHECK(writer.next_index() == 2);
  CHECK(writer.cut_bytes() == 20);
}

TEST_CASE("damage with sound records after it is refused, not cut") {
  const Folder folder;
  {
    JournalWriter writer(folder.path);
    append(writer, decisions(1, 5));
  }
  std::fstream file(segment_files(folder.path).back(), std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(static_cast<std::streamoff>(kSegmentHeaderBytes + kRecordBytes + 50));
  file.put('\x7f');
  file.close();
  CHECK_THROWS_AS(JournalWriter{folder.path}, std::runtime_error);
}

TEST_CASE("a drain writes each record once, decisions before the shadows that were there") {
  const Folder folder;
  RecordRings rings = RecordRings::open_or_create(folder.file("rings"), 8);
  JournalWriter writer(folder.file("journal"), 5);
  JournalDrain drain(rings, writer);
  std::uint64_t next = 1;
  for (int round = 0; round < 7; ++round) {
    for (int i = 0; i < 5; ++i) {
      const RecordBytes record = decision(next++);
      rings.ring(0).push(&record);
    }
    const RecordBytes shadow = bytes_of(RecordType::kShadow, ShadowRecord{});
    rings.ring(1).push(&shadow);
    CHECK(drain.drain_once() == 6);
    CHECK(drain.empty());
  }
  CHECK(drain.drain_once() == 0);
  CHECK(all(folder.file("journal")).size() == 42);
}

TEST_CASE("a drain killed after any number of written records is finished without loss or repetition") {
  for (std::uint64_t written = 0; written <= 6; ++written) {
    const Folder folder;
    RecordRings rings = RecordRings::open_or_create(folder.file("rings"), 8);
    for (std::uint64_t id = 1; id <= 4; ++id) {
      const RecordBytes record = decision(id);
      rings.ring(0).push(&record);
    }
    for (std::uint64_t id = 5; id <= 6; ++id) {
      const RecordBytes record = decision(id);
      rings.ring(1).push(&record);
    }
    JournalWriter writer(folder.file("journal"));
    append(writer, decisions(1, written));  // as far as the drain came
    DrainIntent& intent = rings.intent();
    intent.first_index = 0;
    intent.from = {0, 0};
    intent.to = {4, 2};
    intent.valid.store(1);
    JournalDrain drain(rings, writer);
    CHECK(drain.drain_once() == 6 - written);
    const auto records = all(folder.file("journal"));
    REQUIRE(records.size() == 6);
    for (std::size_t i = 0; i < 6; ++i) {
      CHECK(id_of(records[i]) == i + 1);
    }
  }
}

TEST_CASE(
    "a process killed at any moment while it produces and drains leaves every record to be written once") {
  for (int round = 0; round < 25; ++round) {
    const Folder folder;
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      RecordRings rings = RecordRings::open_or_create(folder.file("rings"), 64);
      JournalWriter writer(folder.file("journal"), 100);
      JournalDrain drain(rings, writer);
      for (std::uint64_t id = 1;; ++id) {
        const RecordBytes record = decision(id);
        if (!rings.ring(0).push(&record)) {
          --id;
        }
        if (id % 7 == 0 || !rings.ring(0).has_room()) {
          drain.drain_once();
        }
      }
    }
    while (!std::filesystem::exists(folder.file("journal"))) {
      ::usleep(100);
    }
    ::usleep(static_cast<useconds_t>(1000 + round * 137));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    std::uint64_t produced = 0;
    {
      produced = RecordRings::open(folder.file("rings")).ring(0).produced();
    }
    drain_rings(folder.file("rings"), folder.file("journal"));
    const auto records = all(folder.file("journal"));
    CHECK(records.size() == produced);
    bool in_order = true;
    for (std::size_t i = 0; i < records.size(); ++i) {
      in_order = in_order && id_of(records[i]) == i + 1;
    }
    CHECK(in_order);
    CHECK(drain_rings(folder.file("rings"), folder.file("journal")) == 0);
  }
}

TEST_CASE("what a killed worker owed is written: mark-outs as never, shadows as dropped") {
  const Folder folder;
  EpochRecord epoch{};
  epoch.epoch = 1;
  epoch.rollout_id = 77;
  epoch.champion = 1;
  epoch.challenger = 2;
  epoch.next_decision_id = 1;
  JournalWriter writer(folder.path);
  append(writer, {bytes_of(RecordType::kEpoch, epoch), decision(1, 1, Arm::kChallenger, 1), decision(2, 1),
                  decision(3), markout(1, -4.5, 3.0), markout(2)});
  Resumption resumption = repair_journal(writer, 0);
  CHECK(resumption.next_decision_id == 4);
  CHECK(resumption.owed_markouts == 1);  // of 3
  CHECK(resumption.owed_shadows == 2);   // of 1 and 2
  CHECK(resumption.earned.at({0, 77}).sum == -4.5);
  CHECK(writer.next_index() == 9);
  const auto records = all(folder.path);
  ShadowRecord shadow{};
  std::memcpy(&shadow, records[6].data(), sizeof shadow);
  CHECK(shadow.dropped == 1);
  CHECK(shadow.version == 1);  // the champion did not act on 1
  std::memcpy(&shadow, records[7].data(), sizeof shadow);
  CHECK(shadow.version == 2);
  MarkoutRecord never{};
  std::memcpy(&never, records[8].data(), sizeof never);
  CHECK(never.decision_id == 3);
  CHECK(never.status == MarkoutStatus::kNever);
  resumption = repair_journal(writer, 0);
  CHECK(resumption.owed_markouts + resumption.owed_shadows == 0);
}

TEST_CASE("a hard limit that tripped before a restart is not forgotten") {
  const Folder folder;
  TripRecord trip{};
  trip.model = 3;
  trip.rollout_id = 12;
  trip.kind = TripKind::kLossBudget;
  JournalWriter writer(folder.path);
  append(writer, {bytes_of(RecordType::kTrip, trip)});
  CHECK(repair_journal(writer, 0).masked.at(3).rollout_id == 12);
}

}  // namespace ringcraft
