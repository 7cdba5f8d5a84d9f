#pragma once
// ITCH 5.0 messages as bytes, in BinaryFILE framing.

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "market_data/book_types.hpp"
#include "market_data/itch50_wire.hpp"

namespace ringcraft {

/// Appends messages; prices in 1/10000, sizes in shares. Fields that are not given are spaces or zero bytes.
class ItchWriter {
 public:
  void system(std::uint64_t time_ns, char code) { begin('S', 0, time_ns), put(code); }
  /// @param stock eight letters, filled up with spaces.
  void directory(std::uint64_t time_ns, std::uint16_t locate, std::string_view stock,
                 std::uint32_t round_lot) {
    begin('R', locate, time_ns), text(stock), text("QN"), put(round_lot, 4), text("NC"), text("Z PNN1N"),
        put(0, 4);
    text("N");
  }
  void trading_action(std::uint64_t time_ns, std::uint16_t locate, std::string_view stock, char state) {
    begin('H', locate, time_ns), text(stock), put(state), text("     ");
  }
  void add(std::uint64_t time_ns, std::uint16_t locate, std::uint64_t reference, Side side,
           std::uint32_t shares, std::string_view stock, std::uint32_t price) {
    begin('A', locate, time_ns), put(reference, 8), put(side == Side::kBuy ? 'B' : 'S'), put(shares, 4);
    text(stock), put(price, 4);
  }
  void add_attributed(std::uint64_t time_ns, std::uint16_t locate, std::uint64_t reference, Side side,
                      std::uint32_t shares, std::string_view stock, std::uint32_t price) {
    begin('F', locate, time_ns), put(reference, 8), put(side == Side::kBuy ? 'B' : 'S'), put(shares, 4);
    text(stock), put(price, 4), text("RING");
  }
  void execute(std::uint64_t time_ns, std::uint16_t locate, std::uint64_t reference, std::uint32_t shares,
               std::uint64_t match) {
    begin('E', locate, time_ns), put(reference, 8), put(shares, 4), put(match, 8);
  }
  void execute_at(std::uint64_t time_ns, std::uint16_t locate, std::uint64_t reference, std::uint32_t shares,
                  std::uint64_t match, bool printable, std::uint32_t price) {
    begin('C', locate, time_ns), put(reference, 8), put(shares, 4), put(match, 8), put(printable ? 'Y' : 'N');
    put(price, 4);
  }
  void cancel(std::uint64_t time_ns, std::uint16_t locate, std::uint64_t reference, std::uint32_t shares) {
    begin('X', locate, time_ns), put(reference, 8), put(shares, 4);
  }
  void remove(std::uint64_t time_ns, std::uint16_t locate, std::uint64_t reference) {
    begin('D', locate, time_ns), put(reference, 8);
  }
  void replace(std::uint64_t time_ns, std::uint16_t locate, std::uint64_t old, std::uint64_t reference,
               std::uint32_t shares, std::uint32_t price) {
    begin('U', locate, time_ns), put(old, 8), put(reference, 8), put(shares, 4), put(price, 4);
  }
  void trade(std::uint64_t time_ns, std::uint16_t locate, std::uint32_t shares, std::string_view stock,
             std::uint32_t price, std::uint64_t match) {
    begin('P', locate, time_ns), put(0, 8), put('B'), put(shares, 4), text(stock), put(price, 4),
        put(match, 8);
  }
  /// @param action '0' no restriction, '1' one from now on, '2' one since earlier.
  void short_sale(std::uint64_t time_ns, std::uint16_t locate, std::string_view stock, char action) {
    begin('Y', locate, time_ns), text(stock), put(action);
  }
  /// @param imbalance_shares positive: buyers'. @param type of the cross to come, 'H' after a halt.
  void imbalance(std::uint64_t time_ns, std::uint16_t locate, std::string_view stock,
                 std::uint64_t paired_shares, std::int64_t imbalance_shares, std::uint32_t price, char type) {
    const bool sellers = imbalance_shares < 0;
    begin('I', locate, time_ns), put(paired_shares, 8);
    put(sellers ? -imbalance_shares : imbalance_shares, 8), put(imbalance_shares == 0 ? 'N'
                                                                : sellers             ? 'S'
                                                                                      : 'B');
    text(stock), put(price, 4), put(price, 4), put(price, 4), put(type), put('L');
  }
  void cross(std::uint64_t time_ns, std::uint16_t locate, std::string_view stock, std::uint64_t shares,
             std::uint32_t price, std::uint64_t match, char type) {
    begin('Q', locate, time_ns), put(shares, 8), text(stock), put(price, 4), put(match, 8), put(type);
  }
  /// A message of any type with nothing in it but its header and, where it has one, the stock at offset 11.
  void bare(char type, std::uint64_t time_ns, std::uint16_t locate, std::string_view stock) {
    begin(type, locate, time_ns);
    if (kItchLengths[static_cast<unsigned char>(type)] >= 19) text(stock);
  }
  /// Fills the last message up to its length; to be called before the bytes are read.
  void finish() { out.resize(end_, ' '); }
  /// Gives away what was written, whole, and begins afresh.
  [[nodiscard]] std::vector<std::uint8_t> take() {
    finish();
    end_ = 0;
    return std::exchange(out, {});
  }

  /// Begins again, with no bytes.
  void clear() { out.clear(), end_ = 0; }

  std::vector<std::uint8_t> out;

 private:
  void begin(char type, std::uint16_t locate, std::uint64_t time_ns) {
    finish();
    const std::size_t length = kItchLengths[static_cast<unsigned char>(type)];
    end_ = out.size() + 2 + length;
    put(length, 2), put(type), put(locate, 2), put(0, 2), put(time_ns, 6);
  }
  void put(char letter) { out.push_back(static_cast<std::uint8_t>(letter)); }
  template <class Integer>
  void put(Integer value, unsigned size) {
    for (unsigned i = size; i-- > 0;) {
      out.push_back(static_cast<std::uint8_t>(static_cast<std::uint64_t>(value) >> (8U * i)));
    }
  }
  void text(std::string_view letters) { out.insert(out.end(), letters.begin(), letters.end()); }

  std::size_t end_ = 0;
};

}  // namespace ringcraft
