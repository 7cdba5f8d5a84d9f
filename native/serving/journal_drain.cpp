#include "serving/journal_drain.hpp"

#include <algorithm>

namespace ringcraft {

JournalDrain::JournalDrain(RecordRings& rings, JournalWriter& writer) noexcept
    : rings_(rings), writer_(writer) {
  recover();
}

void JournalDrain::recover() noexcept {
  DrainIntent& intent = rings_.intent();
  if (intent.valid.load(std::memory_order_acquire) == 0) {
    return;  // the batch before was taken off the rings, and the next had not begun
  }
  const std::uint64_t planned = intent.to[0] - intent.from[0] + intent.to[1] - intent.from[1];
  const std::uint64_t held = writer_.next_index();
  std::uint64_t written = held > intent.first_index ? std::min(planned, held - intent.first_index) : 0;
  for (std::size_t which = 0; which < 2; ++which) {
    const std::uint64_t part = std::min(written, intent.to[which] - intent.from[which]);
    rings_.ring(which).consume_to(intent.from[which] + part);
    written -= part;
  }
  intent.valid.store(0, std::memory_order_release);
}

std::uint64_t JournalDrain::drain_once() noexcept {
  DrainIntent& intent = rings_.intent();
  RecordRing& decisions = rings_.ring(RecordRings::kDecisions);
  RecordRing& shadows = rings_.ring(RecordRings::kShadows);
  const std::uint64_t shadows_end = shadows.produced();
  const std::uint64_t decisions_end = decisions.produced();
  intent.from = {decisions.consumed(), shadows.consumed()};
  intent.to = {decisions_end, shadows_end};
  if (intent.from == intent.to) {
    return 0;
  }
  intent.first_index = writer_.next_index();
  intent.valid.store(1, std::memory_order_release);
  std::uint64_t written = write_part(RecordRings::kDecisions, intent.from[0], decisions_end);
  if (written == decisions_end - intent.from[0]) {
    written += write_part(RecordRings::kShadows, intent.from[1], shadows_end);
  }
  recover();
  return written;
}

std::uint64_t JournalDrain::write_part(std::size_t which, std::uint64_t from, std::uint64_t to) noexcept {
  RecordRing& ring = rings_.ring(which);
  std::uint64_t position = from;
  while (position < to) {
    // Up to where the ring wraps.
    const std::uint64_t until_wrap = rings_.capacity() - (position & (rings_.capacity() - 1));
    const auto count = static_cast<std::size_t>(std::min(to - position, until_wrap));
    RecordBytes* first = &ring.at(position);
    for (std::size_t i = 0; i < count; ++i) {
      seal(first[i], writer_.next_index() + i);
    }
    const std::size_t written = writer_.append({first, count});
    position += written;
    if (written < count) {
      break;
    }
  }
  return position - from;
}

bool JournalDrain::empty() noexcept {
  return rings_.ring(0).produced() == rings_.ring(0).consumed() &&
         rings_.ring(1).produced() == rings_.ring(1).consumed();
}

std::uint64_t drain_rings(const std::string& rings_path, const std::string& journal_folder) {
  RecordRings rings = RecordRings::open(rings_path);
  JournalWriter writer(journal_folder);
  JournalDrain drain(rings, writer);
  std::uint64_t total = 0;
  while (const std::uint64_t written = drain.drain_once()) {
    total += written;
  }
  if (!drain.empty() || !writer.sync()) {
    throw system_failure(journal_folder + ": records are left in " + rings_path);
  }
  return total;
}

}  // namespace ringcraft
