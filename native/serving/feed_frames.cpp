#include "serving/feed_frames.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

namespace ringcraft {
namespace {

constexpr std::size_t kBufferBytes = std::size_t{2} << 20U;  // a whole control frame and what follows it
constexpr std::size_t kReadBytes = std::size_t{64} << 10U;
constexpr std::size_t kPrefixBytes = 5;
/// Beyond this a double no longer holds every tick, and sums may overflow.
constexpr std::int64_t kNumberMax = 4'503'599'627'370'496;  // 2^52

bool bounded(std::int64_t number) noexcept { return number >= -kNumberMax && number <= kNumberMax; }

bool sane(const MarketEvent& event, std::size_t fed) noexcept {
  const std::array numbers = {event.bid_ticks, event.bid_lots,    event.ask_ticks,
                              event.ask_lots,  event.trade_ticks, event.trade_lots};
  return std::all_of(numbers.begin(), numbers.end(), bounded) && event.instrument < fed &&
         event.event_ns >= 0;
}

bool sane(const BookDepth& depth) noexcept {
  const auto fine = [](const BookDepth::Levels& levels) {
    return std::all_of(levels.begin(), levels.end(), bounded);
  };
  return fine(depth.bid_ticks) && fine(depth.bid_lots) && fine(depth.ask_ticks) && fine(depth.ask_lots);
}

}  // namespace

FeedFrames::FeedFrames() : buffer_(kBufferBytes) {}

void FeedFrames::reset() noexcept {
  begin_ = end_ = events_left_ = 0;
  introduced_ = false;
}

std::span<char> FeedFrames::room() {
  if (begin_ == end_) {
    begin_ = end_ = 0;
  } else if (buffer_.size() - end_ < kReadBytes) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  return {buffer_.data() + end_, std::min(kReadBytes, buffer_.size() - end_)};
}

void FeedFrames::accept(bool depth) noexcept {
  introduced_ = true;
  with_depth_ = depth;
  events_ = 0;
}

FeedFrames::Step FeedFrames::next(std::size_t fed) {
  while (events_left_ == 0) {
    if (end_ - begin_ < kPrefixBytes) return Step::kMore;
    std::uint32_t length = 0;
    std::memcpy(&length, buffer_.data() + begin_, sizeof length);
    const auto kind = static_cast<FrameKind>(buffer_[begin_ + sizeof length]);
    // The length counts the kind.
    if (length < 1 || length > kFrameBytesMax) {
      return refuse("frame: expected 1.." + std::to_string(kFrameBytesMax) + " bytes, got " +
                    std::to_string(length));
    }
    const std::size_t payload = length - 1;
    if (kind == FrameKind::kEvents) {
      if (!introduced_) return refuse("events: expected HELLO first");
      if (payload % event_bytes() != 0) {
        return refuse("events: expected a multiple of " + std::to_string(event_bytes()) + " bytes, got " +
                      std::to_string(payload));
      }
      begin_ += kPrefixBytes;
      events_left_ = payload;
      continue;
    }
    if (end_ - begin_ < kPrefixBytes + payload) return Step::kMore;
    text_.assign(buffer_.data() + begin_ + kPrefixBytes, payload);
    begin_ += kPrefixBytes + payload;
    if (kind == FrameKind::kHello) return Step::kHello;
    if (kind == FrameKind::kEnd) return Step::kEnd;
    return refuse("frame: kind: expected 1, 2 or 3, got " + std::to_string(static_cast<unsigned>(kind)));
  }
  return take_event(fed);
}

FeedFrames::Step FeedFrames::take_event(std::size_t fed) {
  const std::size_t bytes = event_bytes();
  if (end_ - begin_ < bytes) return Step::kMore;
  std::memcpy(&event_, buffer_.data() + begin_, sizeof event_);
  if (with_depth_) std::memcpy(&depth_, buffer_.data() + begin_ + sizeof event_, sizeof depth_);
  begin_ += bytes;
  events_left_ -= bytes;
  if (!sane(event_, fed) || (with_depth_ && !sane(depth_))) {
    return refuse("event " + std::to_string(events_) + ": instrument, time or a number out of range");
  }
  ++events_;
  return Step::kEvent;
}

FeedFrames::Step FeedFrames::refuse(std::string why) {
  text_ = std::move(why);
  return Step::kRefused;
}

}  // namespace ringcraft
