#pragma once
// The journal's files: segments of checksummed records with an index that has no holes.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "serving/record_ring.hpp"

namespace ringcraft {

inline constexpr std::size_t kSegmentHeaderBytes = 64;
inline constexpr std::size_t kSegmentBytes = std::size_t{64} << 20U;
inline constexpr std::size_t kSegmentRecords = (kSegmentBytes - kSegmentHeaderBytes) / kRecordBytes;

/// First 64 bytes of a segment file.
struct SegmentHeader {
  char magic[8];
  std::uint32_t version;
  std::uint32_t record_bytes;
  std::uint64_t first_index;
  std::uint8_t pad[36];
  std::uint32_t crc32c;  ///< of the bytes before it
};
static_assert(sizeof(SegmentHeader) == kSegmentHeaderBytes);

/// Sets a record's index and checksum.
void seal(RecordBytes& record, std::uint64_t index) noexcept;

/// Whether the record is whole and has this index.
[[nodiscard]] bool sealed_as(const RecordBytes& record, std::uint64_t index) noexcept;

/// Segment files of a journal folder, oldest first.
[[nodiscard]] std::vector<std::string> segment_files(const std::string& folder);

class JournalWriter {
 public:
  /// Takes up the journal in `folder` (made where there is none): a torn tail is cut off.
  ///
  /// @throws std::runtime_error the folder cannot be used, or a segment is damaged before its tail.
  explicit JournalWriter(std::string folder, std::size_t records_per_segment = kSegmentRecords);
  ~JournalWriter();
  JournalWriter(const JournalWriter&) = delete;
  JournalWriter& operator=(const JournalWriter&) = delete;

  /// Index of the next record: how many the journal holds.
  [[nodiscard]] std::uint64_t next_index() const noexcept { return next_index_; }

  /// Bytes of a torn tail that were cut when the journal was taken up.
  [[nodiscard]] std::uint64_t cut_bytes() const noexcept { return cut_bytes_; }

  /// Appends sealed records in order.
  ///
  /// @return how many were written from the front; fewer than given where the disk refuses, and then the file
  /// ends
  ///         with the last whole one.
  std::size_t append(std::span<const RecordBytes> records) noexcept;

  /// Makes everything appended so far outlive a loss of power; false where the disk refuses.
  bool sync() noexcept;

  /// Calls with every record of the last `segments` segments, oldest first.
  void read_back(std::size_t segments, const std::function<void(const RecordBytes&)>& take) const;

 private:
  void take_up_last(const std::string& path);
  [[nodiscard]] bool start_segment() noexcept;
  [[nodiscard]] std::size_t append_to_segment(std::span<const RecordBytes> records) noexcept;

  std::string folder_;
  std::size_t records_per_segment_;
  std::uint64_t next_index_ = 0;
  std::uint64_t cut_bytes_ = 0;
  std::uint64_t segment_number_ = 0;
  std::size_t in_segment_ = 0;
  int file_ = -1;
  bool dirty_ = false;
};

}  // namespace ringcraft
