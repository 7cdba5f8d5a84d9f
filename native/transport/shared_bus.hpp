#pragma once
// A bus in shared memory: one process writes records, any number of others follow, none can hold it up.

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "transport/shared_region.hpp"

namespace ringcraft {

/// What a bus is made as.
struct BusLayout {
  std::uint32_t slots = 65'536;     ///< a power of two; so many records back can still be read
  std::uint32_t record_bytes = 80;  ///< the longest record's
  bool operator==(const BusLayout&) const = default;
};

/// Kinds of records that are a MarketEvent, and a DeepEvent; others are free.
inline constexpr std::uint32_t kMarketEventRecord = 1;
inline constexpr std::uint32_t kDeepEventRecord = 2;

inline constexpr std::size_t kBusAboutBytes = 61'440;

/// A bus's file. Each record has a position, counted from 0 for ever, and a slot, its position modulo slots.
///
/// A slot's `stamp` is 2 p + 1 while the record of position p is written into it and 2 p + 2 once it is
/// whole; that alone decides what a reader may believe. Payload words are atomics read and written relaxed,
/// between fences (H. Boehm, "Can seqlocks get along with programming language memory models?", MSPC 2012).
class BusMemory {
 public:
  struct Slot {
    std::atomic<std::uint64_t> stamp;  ///< kept on a cache line's start
    std::uint32_t bytes;
    std::uint32_t kind;

    /// The record's words, right behind.
    [[nodiscard]] std::uint64_t* payload() noexcept { return reinterpret_cast<std::uint64_t*>(this + 1); }
  };
  struct Header {
    std::atomic<std::uint64_t> magic;
    std::uint32_t slots;
    std::uint32_t record_bytes;
    std::uint32_t about_bytes;
    std::array<char, kBusAboutBytes> about;           ///< what the records are, as the writer says
    std::atomic<std::uint64_t> writers;               ///< how many have taken it so far
    alignas(64) std::atomic<std::uint64_t> produced;  ///< records that are whole
  };

  /// @throws std::runtime_error what lies there is no bus, or one whose numbers make no sense.
  BusMemory(SharedRegion region, const std::string& path);

  [[nodiscard]] static std::size_t bytes(const BusLayout& layout) noexcept;
  [[nodiscard]] const SharedRegion& region() const noexcept { return region_; }
  [[nodiscard]] Header& header() const noexcept { return *static_cast<Header*>(region_.data()); }
  [[nodiscard]] BusLayout layout() const noexcept { return {header().slots, header().record_bytes}; }
  /// Never more than there is room for, whoever writes there.
  [[nodiscard]] std::string about() const {
    return {header().about.data(), std::min<std::size_t>(header().about_bytes, kBusAboutBytes)};
  }
  [[nodiscard]] Slot& slot(std::uint64_t position) const noexcept {
    return *reinterpret_cast<Slot*>(slots_ + (position & mask_) * stride_);
  }
  [[nodiscard]] std::uint32_t slots() const noexcept { return static_cast<std::uint32_t>(mask_ + 1); }
  [[nodiscard]] std::uint32_t record_bytes() const noexcept { return record_bytes_; }

 private:
  SharedRegion region_;
  std::byte* slots_ = nullptr;
  std::size_t stride_ = 0;
  std::uint64_t mask_ = 0;
  std::uint32_t record_bytes_ = 0;
};

/// The one process that writes.
class BusWriter {
 public:
  /// Takes the bus at `path`, made where there is none and made anew where it has another layout or `about`.
  ///
  /// Taken up as it is, it goes on behind the last whole record; readers notice nothing.
  /// @param about at most kBusAboutBytes, for instance what the records' instruments are.
  /// @throws std::runtime_error a bad layout, no such memory, or another process writes it.
  BusWriter(const std::string& path, const BusLayout& layout, const std::string& about);

  /// Writes one record; never waits and overwrites the oldest.
  /// @param payload at most record_bytes; a longer one is not written.
  /// @return false where it is too long.
  bool write(std::span<const std::byte> payload, std::uint32_t kind = 0) noexcept;

  [[nodiscard]] std::uint64_t produced() const noexcept { return next_; }
  [[nodiscard]] std::uint32_t record_bytes() const noexcept { return memory_.record_bytes(); }
  /// Leaves the next record half written, as a writer does that is killed; for tests.
  void write_half(std::span<const std::byte> payload) noexcept;

 private:
  [[nodiscard]] static BusMemory take(const std::string& path, const BusLayout& layout,
                                      const std::string& about);
  void fill(BusMemory::Slot& slot, std::span<const std::byte> payload, std::uint32_t kind) noexcept;

  BusMemory memory_;
  std::uint64_t next_ = 0;
};

/// One of those that follow. It writes nothing to the bus: nobody knows of it.
class BusReader {
 public:
  enum class Start : std::uint8_t { kOldest, kNewest };
  struct Record {
    std::uint64_t position = 0;
    std::uint32_t bytes = 0;
    std::uint32_t kind = 0;
  };

  /// @throws std::runtime_error there is no bus.
  explicit BusReader(const std::string& path, Start start = Start::kNewest);

  /// Copies the next record out.
  ///
  /// Where the writer has lapped this reader, it goes on with a record that is a quarter of the bus away from
  /// being overwritten, and missed() counts exactly the records that lie between.
  /// @param into room for record_bytes().
  /// @return false where there is no whole record yet.
  bool read(std::span<std::byte> into, Record& record) noexcept;

  [[nodiscard]] std::uint64_t position() const noexcept { return next_; }
  [[nodiscard]] std::uint64_t missed() const noexcept { return missed_; }
  [[nodiscard]] std::uint64_t laps() const noexcept { return laps_; }
  /// Records that are whole and not yet read.
  [[nodiscard]] std::uint64_t behind() const noexcept;
  [[nodiscard]] bool writer_lives() const noexcept { return memory_.region().locked_elsewhere(); }
  /// Whether another bus lies at the path by now, or none.
  [[nodiscard]] bool replaced() const noexcept { return !memory_.region().is_at(path_); }
  [[nodiscard]] std::string about() const { return memory_.about(); }
  [[nodiscard]] std::uint32_t record_bytes() const noexcept { return memory_.record_bytes(); }

 private:
  void catch_up() noexcept;

  std::string path_;
  BusMemory memory_;
  std::uint64_t next_ = 0;
  std::uint64_t missed_ = 0;
  std::uint64_t laps_ = 0;
};

}  // namespace ringcraft
