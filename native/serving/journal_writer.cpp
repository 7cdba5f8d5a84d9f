#include "serving/journal_writer.hpp"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "serving/crc32c.hpp"

namespace ringcraft {
namespace {

constexpr char kMagic[8] = {'R', 'C', 'J', 'O', 'U', 'R', 'N', '1'};
constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kReadRecords = 4096;

SegmentHeader header_of(std::uint64_t first_index) noexcept {
  SegmentHeader header{};
  std::memcpy(header.magic, kMagic, sizeof kMagic);
  header.version = kVersion;
  header.record_bytes = kRecordBytes;
  header.first_index = first_index;
  header.crc32c = crc32c(&header, offsetof(SegmentHeader, crc32c));
  return header;
}

bool whole(const SegmentHeader& header) noexcept {
  const SegmentHeader expected = header_of(header.first_index);
  return std::memcmp(&header, &expected, sizeof header) == 0;
}

off_t offset_of(std::size_t record) noexcept {
  return static_cast<off_t>(kSegmentHeaderBytes + record * kRecordBytes);
}

bool write_all(int file, const void* data, std::size_t size, off_t offset) noexcept {
  const auto* bytes = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t written = ::pwrite(file, bytes, size, offset);
    if (written < 0 && errno == EINTR) {
      continue;
    }
    if (written <= 0) {
      return false;
    }
    bytes += written;
    size -= static_cast<std::size_t>(written);
    offset += written;
  }
  return true;
}

void sync_folder(const std::string& folder) noexcept {
  const int file = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (file >= 0) {
    ::fsync(file);
    ::close(file);
  }
}

std::string segment_path(const std::string& folder, std::uint64_t number) {
  char name[32];
  std::snprintf(name, sizeof name, "%08llu.rcj", static_cast<unsigned long long>(number));
  return folder + "/" + name;
}

/// Reads whole records from `file` and calls with each and its place, until one is refused.
template <class Take>
std::size_t scan(int file, std::size_t from, Take&& take) {
  std::vector<RecordBytes> batch(kReadRecords);
  for (std::size_t place = from;;) {
    const ssize_t got = ::pread(file, batch.data(), batch.size() * kRecordBytes, offset_of(place));
    const std::size_t records = got <= 0 ? 0 : static_cast<std::size_t>(got) / kRecordBytes;
    if (records == 0) {
      return place;
    }
    for (std::size_t i = 0; i < records; ++i, ++place) {
      if (!take(batch[i], place)) {
        return place;
      }
    }
  }
}

}  // namespace

void seal(RecordBytes& record, std::uint64_t index) noexcept {
  std::memcpy(record.data() + offsetof(RecordHeader, index), &index, sizeof index);
  const std::uint32_t crc = crc32c(record.data() + sizeof crc, kRecordBytes - sizeof crc);
  std::memcpy(record.data(), &crc, sizeof crc);
}

bool sealed_as(const RecordBytes& record, std::uint64_t index) noexcept {
  RecordHeader header{};
  std::memcpy(&header, record.data(), sizeof header);
  return header.index == index &&
         header.crc32c == crc32c(record.data() + sizeof header.crc32c, kRecordBytes - sizeof header.crc32c);
}

std::vector<std::string> segment_files(const std::string& folder) {
  std::vector<std::string> files;
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator(folder, none)) {
    if (entry.path().extension() == ".rcj") {
      files.push_back(entry.path().string());
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

JournalWriter::JournalWriter(std::string folder, std::size_t records_per_segment)
    : folder_(std::move(folder)), records_per_segment_(records_per_segment) {
  std::filesystem::create_directories(folder_);
  std::vector<std::string> files = segment_files(folder_);
  if (files.empty()) {
    return;
  }
  // A segment whose very header is torn holds nothing; the one before it is then the last.
  if (std::filesystem::file_size(files.back()) < kSegmentHeaderBytes) {
    cut_bytes_ += std::filesystem::file_size(files.back());
    std::filesystem::remove(files.back());
    files.pop_back();
  }
  if (!files.empty()) {
    take_up_last(files.back());
  }
}

JournalWriter::~JournalWriter() {
  if (file_ >= 0) {
    sync();
    ::close(file_);
  }
}

void JournalWriter::take_up_last(const std::string& path) {
  file_ = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (file_ < 0) {
    throw system_failure(path);
  }
  SegmentHeader header{};
  if (::pread(file_, &header, sizeof header, 0) != static_cast<ssize_t>(sizeof header) || !whole(header)) {
    throw std::runtime_error(path + ": byte 0: expected a journal segment's header");
  }
  const auto sound = [&](const RecordBytes& record, std::size_t place) {
    return sealed_as(record, header.first_index + place);
  };
  in_segment_ = scan(file_, 0, sound);
  // Whole records after a broken one mean damage, not a write that was cut short: cutting would lose them.
  scan(file_, in_segment_, [&](const RecordBytes& record, std::size_t place) {
    if (sound(record, place)) {
      throw std::runtime_error(path + ": byte " + std::to_string(offset_of(in_segment_)) +
                               ": damaged record with sound ones after it");
    }
    return true;
  });
  const auto size = std::filesystem::file_size(path);
  const auto sound_size = static_cast<std::uintmax_t>(offset_of(in_segment_));
  if (size > sound_size) {
    cut_bytes_ += size - sound_size;
    if (::ftruncate(file_, static_cast<off_t>(sound_size)) != 0) {
      throw system_failure(path);
    }
  }
  next_index_ = header.first_index + in_segment_;
  segment_number_ = std::stoull(std::filesystem::path(path).stem().string());
}

bool JournalWriter::start_segment() noexcept {
  if (file_ >= 0) {
    if (!sync()) {
      return false;
    }
    ::close(file_);
    file_ = -1;
  }
  const std::string path = segment_path(folder_, segment_number_ + 1);
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  const SegmentHeader header = header_of(next_index_);
  if (file < 0 || !write_all(file, &header, sizeof header, 0)) {
    if (file >= 0) {
      ::close(file);
    }
    return false;
  }
  sync_folder(folder_);
  ++segment_number_;
  in_segment_ = 0;
  file_ = file;
  return true;
}

std::size_t JournalWriter::append_to_segment(std::span<const RecordBytes> records) noexcept {
  const off_t offset = offset_of(in_segment_);
  dirty_ = true;
  std::size_t written = records.size();
  if (!write_all(file_, records.data(), records.size_bytes(), offset)) {
    const off_t end = ::lseek(file_, 0, SEEK_END);
    written =
        end <= offset ? 0 : std::min(records.size(), static_cast<std::size_t>(end - offset) / kRecordBytes);
    if (::ftruncate(file_, offset_of(in_segment_ + written)) != 0) {
      written = 0;  // the same records are written over the remains at the next try
    }
  }
  in_segment_ += written;
  next_index_ += written;
  return written;
}

std::size_t JournalWriter::append(std::span<const RecordBytes> records) noexcept {
  std::size_t done = 0;
  while (done < records.size()) {
    if ((file_ < 0 || in_segment_ >= records_per_segment_) && !start_segment()) {
      break;
    }
    const std::size_t part = std::min(records.size() - done, records_per_segment_ - in_segment_);
    const std::size_t written = append_to_segment(records.subspan(done, part));
    done += written;
    if (written < part) {
      break;
    }
  }
  return done;
}

bool JournalWriter::sync() noexcept {
  if (!dirty_) {
    return true;
  }
  dirty_ = ::fdatasync(file_) != 0;
  return !dirty_;
}

void JournalWriter::read_back(std::size_t segments,
                              const std::function<void(const RecordBytes&)>& take) const {
  const std::vector<std::string> files = segment_files(folder_);
  const std::size_t first = files.size() > segments ? files.size() - segments : 0;
  for (std::size_t i = first; i < files.size(); ++i) {
    const int file = ::open(files[i].c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) {
      throw system_failure(files[i]);
    }
    scan(file, 0, [&](const RecordBytes& record, std::size_t) {
      take(record);
      return true;
    });
    ::close(file);
  }
}

}  // namespace ringcraft
