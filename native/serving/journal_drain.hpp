#pragma once
// From the rings to the journal's files, every record exactly once, whoever is killed when.

#include <cstdint>
#include <string>

#include "serving/journal_writer.hpp"
#include "serving/record_ring.hpp"

namespace ringcraft {

class JournalDrain {
 public:
  /// Finishes what an earlier drain of these rings into this journal left half done.
  /// @note Both outlive it. One drain at a time; the producers may run.
  JournalDrain(RecordRings& rings, JournalWriter& writer) noexcept;

  /// Writes what the rings hold: first the decisions' records, then the shadows'.
  ///
  /// The shadows' ring is looked at first, so that no shadow's record is written before its decision's.
  /// @return how many were written; fewer than were there only where the disk refuses.
  std::uint64_t drain_once() noexcept;

  /// Whether the rings hold nothing that is not in the journal.
  [[nodiscard]] bool empty() noexcept;

 private:
  void recover() noexcept;
  [[nodiscard]] std::uint64_t write_part(std::size_t which, std::uint64_t from, std::uint64_t to) noexcept;

  RecordRings& rings_;
  JournalWriter& writer_;
};

/// Writes what a dead worker left in its rings into its journal.
///
/// @return how many records were written.
/// @throws std::runtime_error the worker still lives, or rings or journal cannot be used.
std::uint64_t drain_rings(const std::string& rings_path, const std::string& journal_folder);

}  // namespace ringcraft
