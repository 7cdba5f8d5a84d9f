#include "transport/shared_bus.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace ringcraft {
namespace {

constexpr std::uint64_t kMagic = 0x0001'5355'4243'5252ULL;
constexpr std::size_t kHeaderBytes = 65'536;
/// Stamps that garbage made could send a reader on for ever; a writer that laps it so often gets it next
/// time.
constexpr int kLapsAtOnce = 8;
constexpr std::size_t kSlotHead = sizeof(BusMemory::Slot);
static_assert(sizeof(BusMemory::Header) <= kHeaderBytes);
static_assert(std::atomic<std::uint64_t>::is_always_lock_free, "locks would not reach across processes");

constexpr std::uint64_t writing(std::uint64_t position) noexcept { return 2 * position + 1; }
constexpr std::uint64_t whole(std::uint64_t position) noexcept { return 2 * position + 2; }

std::size_t stride_of(std::uint32_t record_bytes) noexcept {
  return (kSlotHead + record_bytes + 63) / 64 *
         64;  // whole cache lines: neighbours do not disturb each other
}

void check(const std::string& path, const BusLayout& layout, std::size_t about_bytes) {
  const bool power = layout.slots >= 8 && (layout.slots & (layout.slots - 1)) == 0;
  if (!power || layout.slots > (1U << 28U)) {
    throw std::runtime_error(path + ": slots: expected a power of two from 8 to 2^28, got " +
                             std::to_string(layout.slots));
  }
  if (layout.record_bytes == 0 || layout.record_bytes > 65'536) {
    throw std::runtime_error(path + ": record_bytes: expected 1 to 65536, got " +
                             std::to_string(layout.record_bytes));
  }
  if (about_bytes > kBusAboutBytes) {
    throw std::runtime_error(path + ": about: expected at most " + std::to_string(kBusAboutBytes) +
                             " bytes, got " + std::to_string(about_bytes));
  }
}

std::atomic_ref<std::uint64_t> word(std::uint64_t& at) noexcept { return std::atomic_ref(at); }
std::atomic_ref<std::uint32_t> word(std::uint32_t& at) noexcept { return std::atomic_ref(at); }

}  // namespace

BusMemory::BusMemory(SharedRegion region, const std::string& path) : region_(std::move(region)) {
  const bool known =
      region_.size() > kHeaderBytes && header().magic.load(std::memory_order_acquire) == kMagic;
  if (!known) {
    throw std::runtime_error(path + ": expected a bus, got a file of " + std::to_string(region_.size()) +
                             " bytes that is none");
  }
  const BusLayout said = layout();
  check(path, said, header().about_bytes);
  if (region_.size() != bytes(said)) {
    throw std::runtime_error(path + ": expected " + std::to_string(bytes(said)) + " bytes, got " +
                             std::to_string(region_.size()));
  }
  slots_ = static_cast<std::byte*>(region_.data()) + kHeaderBytes;
  record_bytes_ = said.record_bytes;
  stride_ = stride_of(record_bytes_);
  mask_ = said.slots - 1;
}

std::size_t BusMemory::bytes(const BusLayout& layout) noexcept {
  return kHeaderBytes + layout.slots * stride_of(layout.record_bytes);
}

BusWriter::BusWriter(const std::string& path, const BusLayout& layout, const std::string& about)
    : memory_(take(path, layout, about)) {
  memory_.header().writers.fetch_add(1);
  // Whoever wrote before may have died between making a record whole and counting it.
  next_ = memory_.header().produced.load(std::memory_order_acquire);
  while (memory_.slot(next_).stamp.load(std::memory_order_acquire) == whole(next_)) ++next_;
  memory_.header().produced.store(next_, std::memory_order_release);
}

BusMemory BusWriter::take(const std::string& path, const BusLayout& layout, const std::string& about) {
  check(path, layout, about.size());
  if (::access(path.c_str(), F_OK) == 0) {
    BusMemory there(SharedRegion::open(path), path);
    if (!there.region().lock()) throw std::runtime_error(path + ": another process writes to this bus");
    if (there.layout() == layout && there.about() == about) return there;
    ::unlink(path.c_str());  // those who follow the old one see that it was replaced
  }
  // Made elsewhere and moved to its place once it can be read.
  const std::string part = path + ".new." + std::to_string(::getpid());
  ::unlink(part.c_str());
  SharedRegion region = SharedRegion::open_or_create(part, BusMemory::bytes(layout));
  auto* header = static_cast<BusMemory::Header*>(region.data());
  header->slots = layout.slots;
  header->record_bytes = layout.record_bytes;
  header->about_bytes = static_cast<std::uint32_t>(about.size());
  std::copy(about.begin(), about.end(), header->about.begin());
  header->magic.store(kMagic, std::memory_order_release);
  const bool ours = region.lock() && ::link(part.c_str(), path.c_str()) == 0;
  const std::runtime_error failure =
      system_failure(path + ": cannot be made, or another process just made it");
  ::unlink(part.c_str());
  if (!ours) throw failure;
  return {std::move(region), path};
}

bool BusWriter::write(std::span<const std::byte> payload, std::uint32_t kind) noexcept {
  if (payload.size() > memory_.record_bytes()) return false;
  BusMemory::Slot& slot = memory_.slot(next_);
  slot.stamp.store(writing(next_), std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_release);
  fill(slot, payload, kind);
  slot.stamp.store(whole(next_), std::memory_order_release);
  memory_.header().produced.store(++next_, std::memory_order_release);
  return true;
}

void BusWriter::fill(BusMemory::Slot& slot, std::span<const std::byte> payload, std::uint32_t kind) noexcept {
  word(slot.bytes).store(static_cast<std::uint32_t>(payload.size()), std::memory_order_relaxed);
  word(slot.kind).store(kind, std::memory_order_relaxed);
  std::size_t at = 0;
  for (std::uint64_t* to = slot.payload(); at + 8 <= payload.size(); at += 8, ++to) {
    std::uint64_t value = 0;
    std::memcpy(&value, payload.data() + at, 8);
    word(*to).store(value, std::memory_order_relaxed);
  }
  if (at < payload.size()) {
    std::uint64_t value = 0;
    std::memcpy(&value, payload.data() + at, payload.size() - at);
    word(slot.payload()[at / 8]).store(value, std::memory_order_relaxed);
  }
}

void BusWriter::write_half(std::span<const std::byte> payload) noexcept {
  BusMemory::Slot& slot = memory_.slot(next_);
  slot.stamp.store(writing(next_), std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_release);
  fill(slot, payload.first(payload.size() / 2), 0);
}

BusReader::BusReader(const std::string& path, Start start)
    : path_(path), memory_(SharedRegion::open(path, SharedRegion::Access::kRead), path) {
  const std::uint64_t produced = memory_.header().produced.load(std::memory_order_acquire);
  // One slot less than there are: the writer may be at work on the oldest.
  const std::uint64_t oldest = produced < memory_.slots() ? 0 : produced - memory_.slots() + 1;
  next_ = start == Start::kNewest ? produced : oldest;
}

bool BusReader::read(std::span<std::byte> into, Record& record) noexcept {
  for (int lapped = 0; lapped < kLapsAtOnce; ++lapped) {
    BusMemory::Slot& slot = memory_.slot(next_);
    const std::uint64_t before = slot.stamp.load(std::memory_order_acquire);
    if (before < whole(next_)) return false;
    if (before > whole(next_)) {
      catch_up();
      continue;
    }
    const std::uint32_t bytes =
        std::min(word(slot.bytes).load(std::memory_order_relaxed), memory_.record_bytes());
    const std::uint32_t kind = word(slot.kind).load(std::memory_order_relaxed);
    const std::size_t room = std::min<std::size_t>(bytes, into.size());
    for (std::size_t at = 0; at < room; at += 8) {
      const std::uint64_t value = word(slot.payload()[at / 8]).load(std::memory_order_relaxed);
      std::memcpy(into.data() + at, &value, std::min<std::size_t>(8, room - at));
    }
    std::atomic_thread_fence(std::memory_order_acquire);
    if (slot.stamp.load(std::memory_order_relaxed) != before) {
      catch_up();
      continue;
    }
    record = {next_++, bytes, kind};
    return true;
  }
  return false;
}

std::uint64_t BusReader::behind() const noexcept {
  const std::uint64_t produced = memory_.header().produced.load(std::memory_order_acquire);
  return produced > next_ ? produced - next_ : 0;
}

void BusReader::catch_up() noexcept {
  // The slot that was overwritten holds a record a lap ahead, so at least this many were made.
  const std::uint64_t produced =
      std::max(memory_.header().produced.load(std::memory_order_acquire), next_ + memory_.slots());
  const std::uint64_t to = produced - memory_.slots() / 4 * 3;
  missed_ += to - next_;
  ++laps_;
  next_ = to;
}

}  // namespace ringcraft
