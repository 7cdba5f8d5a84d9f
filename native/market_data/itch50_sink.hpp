#pragma once
// MoldUDP64's messages as ITCH 5.0's.

#include <cstdint>
#include <span>
#include <utility>

#include "market_data/itch50_wire.hpp"
#include "market_data/moldudp64.hpp"

namespace ringcraft {

/// Messages that are ITCH's; `take` says whether a message's fields make sense, `missed` hears of every hole,
/// `ahead` sees a packet's blocks before its messages are taken.
template <class Take, class Missed, class Ahead>
class ItchSink : public MoldSink {
 public:
  ItchSink(ItchSummary& summary, std::uint64_t& bad_messages, Take take, Missed missed, Ahead ahead)
      : summary_(summary),
        bad_messages_(bad_messages),
        take_(std::move(take)),
        missed_(std::move(missed)),
        ahead_(std::move(ahead)) {}

  void message(std::span<const std::uint8_t> bytes, std::uint64_t sequence, std::int64_t time_ns) override {
    ++summary_.messages;
    const std::size_t expected = bytes.empty() ? 0 : kItchLengths[bytes[0]];
    if (expected == 0 && !bytes.empty()) {
      ++summary_.unknown_types;
      return;
    }
    if (bytes.empty() || expected != bytes.size()) return refuse();
    ++summary_.by_type[bytes[0]];
    if (!take_(ItchMessage(bytes.data()), sequence, time_ns)) refuse();
  }
  void ahead(std::span<const std::uint8_t> blocks) override { ahead_(blocks); }
  void missed(std::uint64_t, std::uint64_t) override { missed_(); }
  void began_again() override { missed_(); }

 private:
  void refuse() {
    ++bad_messages_;
    missed_();
  }

  ItchSummary& summary_;
  std::uint64_t& bad_messages_;
  Take take_;
  Missed missed_;
  Ahead ahead_;
};

}  // namespace ringcraft
