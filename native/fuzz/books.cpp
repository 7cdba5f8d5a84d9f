// Any order of adds, reductions, removals and snapshots leaves both engines with the plain book's levels.

#include <cstddef>
#include <cstdint>
#include <span>

#include "fuzz/plain_book.hpp"

namespace ringcraft::fuzz {
namespace {

/// The input, piece by piece; zeros after its end.
class Choices {
 public:
  explicit Choices(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}
  [[nodiscard]] bool more() const noexcept { return at_ < bytes_.size(); }
  std::uint64_t next(unsigned size) noexcept {
    std::uint64_t value = 0;
    for (unsigned i = 0; i < size && more(); ++i) value = value << 8U | bytes_[at_++];
    return value;
  }

 private:
  std::span<const std::uint8_t> bytes_;
  std::size_t at_ = 0;
};

/// Near each other, as venues number them, or far apart, as others do.
std::uint64_t reference_from(Choices& choices) noexcept {
  const std::uint64_t near = choices.next(1);
  return near < 200 ? near : (near - 199) * 0x0100'0000'0000'0061ULL;
}

template <bool kQueues>
void run(std::span<const std::uint8_t> bytes) {
  constexpr std::uint32_t kInstruments = 2;
  Books<kQueues> books(kInstruments, kQueues ? 1 : 3);  // all prices on the grid, or a third of them
  PlainBook plain[kInstruments];
  Choices choices(bytes);
  while (choices.more()) {
    const std::uint64_t what = choices.next(1);
    const auto instrument = static_cast<std::uint32_t>(what >> 7U);
    PlainBook& book = plain[instrument];
    const std::uint64_t reference = reference_from(choices);
    const bool elsewhere = plain[1 - instrument].orders.contains(reference);
    switch (what % 8) {
      case 0:
      case 1:
      case 2: {
        const auto side = static_cast<Side>((what >> 3U) & 1U);
        const auto ticks = static_cast<std::int32_t>(1 + choices.next(1));
        const auto lots = static_cast<std::uint32_t>(choices.next(1));
        const bool added = books.add(instrument, reference, side, ticks, lots) == AddStatus::kAdded;
        require(added == (!elsewhere && book.add(reference, {side, ticks, lots})), "added where it is new");
        break;
      }
      case 3:
      case 4: {
        const auto lots = static_cast<std::uint32_t>(choices.next(1));
        require(books.reduce(instrument, reference, lots).lots == book.reduce(reference, lots),
                "the same lots taken");
        break;
      }
      case 5:
        require(books.remove(instrument, reference).lots == book.reduce(reference, ~0U),
                "the same order removed");
        break;
      default:
        if constexpr (kQueues) {
          if (what % 8 == 7 && choices.next(1) < 16) books.clear(instrument), book.clear();
          const QueuePlace place = books.place_of(reference);
          const bool here = book.orders.contains(reference);
          require((place.lots != 0) == (here || elsewhere), "a place for each order that rests");
          require(place.ahead_lots >= 0 && (place.position == 0) == (place.ahead_lots == 0),
                  "lots for each order ahead");
        }
    }
  }
  for (std::uint32_t i = 0; i < kInstruments; ++i) require_same(books, i, plain[i]);
  require(books.orders() == plain[0].orders.size() + plain[1].orders.size(), "as many orders");
}

}  // namespace
}  // namespace ringcraft::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ringcraft::fuzz::run<true>({data, size});
  ringcraft::fuzz::run<false>({data, size});
  return 0;
}
