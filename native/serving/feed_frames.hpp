#pragma once
// What the bytes of a publisher mean: frames of u32 length, u8 kind, payload; see feed_door.hpp. No socket
// here.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "contracts/market_event.hpp"

namespace ringcraft {

inline constexpr std::size_t kFrameBytesMax = std::size_t{1} << 20U;

enum class FrameKind : std::uint8_t { kHello = 1, kEvents = 2, kEnd = 3 };

/// Takes bytes in any pieces and tells what they say, one step at a time; an event takes no memory.
class FeedFrames {
 public:
  enum class Step : std::uint8_t {
    kMore,     ///< nothing whole is left: more bytes are needed
    kHello,    ///< text() is its payload
    kEvent,    ///< event(), and depth() where levels were agreed on
    kEnd,      ///< the feed ends
    kRefused,  ///< why() says what is wrong; nothing after it means anything
  };

  FeedFrames();

  /// Forgets all: another publisher.
  void reset() noexcept;

  /// Where the next bytes go; at least 64 KiB as long as every step was taken.
  [[nodiscard]] std::span<char> room();

  /// So many bytes were put there.
  void took(std::size_t bytes) noexcept { end_ += bytes; }

  /// The feed was introduced: events may come now, each with its levels or without.
  void accept(bool depth) noexcept;

  /// @param fed how many instruments there are.
  [[nodiscard]] Step next(std::size_t fed);

  [[nodiscard]] const MarketEvent& event() const noexcept { return event_; }
  [[nodiscard]] const BookDepth* depth() const noexcept { return with_depth_ ? &depth_ : nullptr; }
  [[nodiscard]] std::string&& text() noexcept { return std::move(text_); }
  [[nodiscard]] const std::string& why() const noexcept { return text_; }
  /// Events since the feed was introduced.
  [[nodiscard]] std::uint64_t events() const noexcept { return events_; }

 private:
  [[nodiscard]] Step take_event(std::size_t fed);
  [[nodiscard]] Step refuse(std::string why);
  [[nodiscard]] std::size_t event_bytes() const noexcept {
    return sizeof(MarketEvent) + (with_depth_ ? sizeof(BookDepth) : 0);
  }

  std::vector<char> buffer_;  ///< [begin_, end_) is unread
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::size_t events_left_ = 0;  ///< bytes of the EVENTS frame under way
  std::uint64_t events_ = 0;
  bool introduced_ = false;
  bool with_depth_ = false;
  MarketEvent event_{};
  BookDepth depth_{};
  std::string text_;
};

}  // namespace ringcraft
