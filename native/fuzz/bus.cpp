// A shared bus whose memory others garble: opened or refused, and then read to an end, never past a record.

#include <sys/mman.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "fuzz/plain_book.hpp"
#include "transport/shared_bus.hpp"

namespace ringcraft::fuzz {
namespace {

constexpr BusLayout kLayout{.slots = 8, .record_bytes = 40};
constexpr std::size_t kSlots = 65'536;  // where they begin in the file

/// Two bytes of place and eight of what is put there; the top bit of the place says header or slots.
constexpr std::size_t kPatchBytes = 10;

void garble(const SharedRegion& region, std::span<const std::uint8_t> patch) {
  std::uint16_t place = 0;
  std::memcpy(&place, patch.data(), sizeof place);
  const bool in_slots = (place & 0x8000U) != 0;
  // The header's numbers, what is said behind them, and the count of records at its end.
  const std::size_t start = in_slots ? kSlots : (place & 0x4000U) != 0 ? kSlots - 4096 : 0;
  const std::size_t at = (start + (place & 0x3FFFU) * 4) % (region.size() - 8);
  std::memcpy(static_cast<std::byte*>(region.data()) + at, patch.data() + 2, 8);
}

void follow(const std::string& path, const SharedRegion& region, std::span<const std::uint8_t> patches,
            BusReader::Start start) {
  BusReader reader(path, start);
  require(reader.about().size() <= kBusAboutBytes, "what it says fits");
  require(reader.record_bytes() <= 65'536, "records have an end");
  std::vector<std::byte> into(reader.record_bytes() + 8, std::byte{7});
  const std::span<std::byte> room = std::span(into).first(reader.record_bytes());
  std::uint64_t position = reader.position();
  const std::uint64_t first = position;
  std::uint64_t taken = 0;
  for (int step = 0; step < 64; ++step) {
    BusReader::Record record;
    if (reader.read(room, record)) {
      ++taken;
      require(record.bytes <= reader.record_bytes(), "no longer than records are");
      require(record.position + 1 == reader.position(), "it stands behind what it read");
    }
    require(reader.position() == first + taken + reader.missed(), "read and missed are all there is");
    require(reader.position() >= position, "never back");
    position = reader.position();
    (void)reader.behind();
    (void)reader.writer_lives();
    require(into[reader.record_bytes()] == std::byte{7}, "nothing is written behind the room");
    if (patches.size() >= kPatchBytes) {
      garble(region, patches.first(kPatchBytes));
      patches = patches.subspan(kPatchBytes);
    }
  }
}

void run(std::span<const std::uint8_t> bytes) {
  static const std::string kPath = "/dev/shm/ringcraft-fuzz-bus-" + std::to_string(::getpid());
  ::unlink(kPath.c_str());
  {
    BusWriter writer(kPath, kLayout, "what it is");
    const std::uint64_t records = bytes.empty() ? 0 : bytes[0] % 20;
    for (std::uint64_t i = 0; i < records; ++i) {
      const std::array<std::uint64_t, 5> words{i, i, i, i, i};
      writer.write(std::as_bytes(std::span(words)).first(8 + i % 33), 1);
    }
    const SharedRegion region = SharedRegion::open(kPath);
    bytes = bytes.empty() ? bytes : bytes.subspan(1);
    // Half of the patches before anyone looks, the others while somebody reads.
    const std::size_t before = bytes.size() / kPatchBytes / 2;
    for (std::size_t i = 0; i < before; ++i) garble(region, bytes.subspan(i * kPatchBytes, kPatchBytes));
    for (const BusReader::Start start : {BusReader::Start::kOldest, BusReader::Start::kNewest}) {
      try {
        follow(kPath, region, bytes.subspan(before * kPatchBytes), start);
      } catch (const std::runtime_error& refused) {
        require(std::string(refused.what()).find(kPath) == 0, "a refusal that names the file");
      }
    }
  }
  try {
    BusWriter next(kPath, kLayout, "what it is");
    const std::array<std::byte, 8> record{};
    (void)next.write(record);
  } catch (const std::runtime_error& refused) {
    require(std::string(refused.what()).find(kPath) == 0, "a refusal that names the file");
  }
  ::unlink(kPath.c_str());
}

}  // namespace
}  // namespace ringcraft::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ringcraft::fuzz::run({data, size});
  return 0;
}
