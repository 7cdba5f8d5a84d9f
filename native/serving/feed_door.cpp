#include "serving/feed_door.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>

namespace ringcraft {
namespace {

constexpr std::size_t kBufferBytes = std::size_t{2} << 20U;  // a whole control frame and what follows it
constexpr std::size_t kReadBytes = std::size_t{64} << 10U;
constexpr std::size_t kPrefixBytes = 5;
constexpr int kIdleMs = 20;
constexpr auto kHelloTimeout = std::chrono::seconds(10);
/// Beyond this a double no longer holds every tick, and sums may overflow.
constexpr std::int64_t kNumberMax = 4'503'599'627'370'496;  // 2^52

bool sane(const MarketEvent& event, std::size_t fed) noexcept {
  const std::array numbers = {event.bid_ticks, event.bid_lots,    event.ask_ticks,
                              event.ask_lots,  event.trade_ticks, event.trade_lots};
  const bool bounded = std::all_of(numbers.begin(), numbers.end(), [](std::int64_t number) {
    return number >= -kNumberMax && number <= kNumberMax;
  });
  return bounded && event.instrument < fed && event.event_ns >= 0;
}

bool sane(const BookDepth& depth) noexcept {
  const auto bounded = [](const BookDepth::Levels& levels) {
    return std::all_of(levels.begin(), levels.end(),
                       [](std::int64_t number) { return number >= -kNumberMax && number <= kNumberMax; });
  };
  return bounded(depth.bid_ticks) && bounded(depth.bid_lots) && bounded(depth.ask_ticks) &&
         bounded(depth.ask_lots);
}

std::string json_text(const std::string& text) {
  std::string quoted = "\"";
  for (const char letter : text) {
    if (letter == '"' || letter == '\\') quoted += '\\';
    quoted += static_cast<unsigned char>(letter) < 0x20 ? ' ' : letter;
  }
  return quoted + "\"";
}

}  // namespace

HelloDesk::Verdict HelloDesk::ask(std::string payload, const std::atomic<bool>& stop) {
  std::unique_lock lock(mutex_);
  question_ = std::move(payload);
  answer_.reset();
  changed_.notify_all();
  const auto until = std::chrono::steady_clock::now() + kHelloTimeout;
  while (!answer_ && !stop.load() && std::chrono::steady_clock::now() < until) {
    changed_.wait_for(lock, std::chrono::milliseconds(kIdleMs));
  }
  question_.reset();
  return answer_.value_or(Verdict{{}, "the worker is not ready to take a feed"});
}

std::optional<std::string> HelloDesk::wait(double timeout_s) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, std::chrono::duration<double>(timeout_s), [&] { return question_ && !answer_; });
  return answer_ ? std::nullopt : question_;
}

void HelloDesk::answer(Verdict verdict) {
  const std::lock_guard lock(mutex_);
  answer_ = std::move(verdict);
  changed_.notify_all();
}

FeedDoor::FeedDoor(const std::string& host, std::uint16_t port, Engine& engine, Holdings& holdings,
                   HelloDesk& desk, Counters& counters)
    : engine_(engine), holdings_(holdings), desk_(desk), counters_(counters), buffer_(kBufferBytes) {
  const std::string where = "feed door " + host + ":" + std::to_string(port);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  if (::inet_pton(AF_INET, host.c_str(), &address.sin_addr) != 1) {
    throw std::runtime_error(where + ": expected an IPv4 address");
  }
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int yes = 1;
  ::setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  socklen_t size = sizeof address;
  const bool listening = listener_ >= 0 &&
                         ::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
                         ::listen(listener_, 16) == 0 &&
                         ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  if (!listening) {
    const std::runtime_error failure = system_failure(where);
    ::close(listener_);
    throw failure;
  }
  port_ = ntohs(address.sin_port);
}

FeedDoor::~FeedDoor() {
  if (listener_ >= 0) {
    ::close(listener_);
  }
}

void FeedDoor::come_round() {
  engine_.adopt();
  // Nowhere else: the engine keeps the plans it adopted until it adopts again.
  holdings_.pass(Holdings::kDecisions);
}

void FeedDoor::run(const std::atomic<bool>& stop) {
  while (!stop.load(std::memory_order_relaxed)) {
    come_round();
    pollfd waiting{listener_, POLLIN, 0};
    if (::poll(&waiting, 1, kIdleMs) <= 0) {
      continue;
    }
    publisher_ = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (publisher_ < 0) {
      continue;
    }
    add(counters_.feed_connections);
    serve(stop);
    ::close(publisher_);
    engine_.end_feed();
  }
  engine_.end_feed();
}

void FeedDoor::serve(const std::atomic<bool>& stop) {
  const int yes = 1;
  ::setsockopt(publisher_, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  const timeval reply_limit{1, 0};
  ::setsockopt(publisher_, SOL_SOCKET, SO_SNDTIMEO, &reply_limit, sizeof reply_limit);
  const timeval idle{0, suseconds_t{kIdleMs} * 1000};
  ::setsockopt(publisher_, SOL_SOCKET, SO_RCVTIMEO, &idle, sizeof idle);
  begin_ = end_ = events_left_ = 0;
  introduced_ = false;
  while (!stop.load(std::memory_order_relaxed)) {
    come_round();
    if (!read_more() || !take_frames(stop)) {
      return;
    }
  }
}

bool FeedDoor::read_more() {
  if (begin_ == end_) {
    begin_ = end_ = 0;
  } else if (buffer_.size() - end_ < kReadBytes) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  const ssize_t got =
      ::recv(publisher_, buffer_.data() + end_, std::min(kReadBytes, buffer_.size() - end_), 0);
  if (got < 0) {
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
  }
  end_ += static_cast<std::size_t>(got);
  return got > 0;
}

bool FeedDoor::take_frames(const std::atomic<bool>& stop) {
  for (;;) {
    if (events_left_ > 0) {
      if (!take_events()) return false;
      if (events_left_ > 0) return true;
    }
    if (end_ - begin_ < kPrefixBytes) return true;
    std::uint32_t length = 0;
    std::memcpy(&length, buffer_.data() + begin_, sizeof length);
    const auto kind = static_cast<Kind>(buffer_[begin_ + sizeof length]);
    // The length counts the kind.
    if (length < 1 || length > kFrameBytesMax) {
      return refuse("frame: expected 1.." + std::to_string(kFrameBytesMax) + " bytes, got " +
                    std::to_string(length));
    }
    const std::size_t payload = length - 1;
    if (kind == Kind::kEvents) {
      if (!introduced_) return refuse("events: expected HELLO first");
      if (payload % event_bytes() != 0) {
        return refuse("events: expected a multiple of " + std::to_string(event_bytes()) + " bytes, got " +
                      std::to_string(payload));
      }
      begin_ += kPrefixBytes;
      events_left_ = payload;
      continue;
    }
    if (end_ - begin_ < kPrefixBytes + payload) return true;
    std::string text(buffer_.data() + begin_ + kPrefixBytes, payload);
    begin_ += kPrefixBytes + payload;
    if (!take_control(kind, std::move(text), stop)) return false;
  }
}

bool FeedDoor::take_control(Kind kind, std::string payload, const std::atomic<bool>& stop) {
  if (kind == Kind::kHello) {
    HelloDesk::Verdict verdict = desk_.ask(std::move(payload), stop);
    if (!verdict.error.empty()) return refuse(verdict.error);
    engine_.adopt();
    engine_.begin_feed(verdict.introduction);
    introduced_ = true;
    depth_ = verdict.introduction.depth;
    events_ = 0;
    decisions_before_ = engine_.decisions();
    reply(Kind::kHello, R"({"accepted": true})");
    return true;
  }
  if (kind == Kind::kEnd) {
    engine_.end_feed();
    reply(Kind::kEnd, "{\"events\": " + std::to_string(events_) + ", \"decisions\": " +
                          std::to_string(engine_.decisions() - decisions_before_) + "}");
    return true;
  }
  return refuse("frame: kind: expected 1, 2 or 3, got " + std::to_string(static_cast<unsigned>(kind)));
}

bool FeedDoor::take_events() {
  const std::size_t bytes = event_bytes();
  while (events_left_ > 0 && end_ - begin_ >= bytes) {
    MarketEvent event;
    BookDepth depth;
    std::memcpy(&event, buffer_.data() + begin_, sizeof event);
    if (depth_) std::memcpy(&depth, buffer_.data() + begin_ + sizeof event, sizeof depth);
    begin_ += bytes;
    events_left_ -= bytes;
    if (!sane(event, engine_.fed()) || (depth_ && !sane(depth))) {
      return refuse("event " + std::to_string(events_) + ": instrument, time or a number out of range");
    }
    // An event's latency starts when it leaves the buffer: what it waited there is the answers before it,
    // which are charged to the versions that gave them.
    engine_.on_event(event, monotonic_ns(), depth_ ? &depth : nullptr);
    ++events_;
  }
  return true;
}

bool FeedDoor::refuse(const std::string& why) {
  add(counters_.feed_refused);
  reply(Kind::kHello, "{\"error\": " + json_text(why) + "}");
  // Unread bytes would turn the close into a reset, and the publisher would never read why.
  ::shutdown(publisher_, SHUT_WR);
  for (int tries = 0; tries < 5 && ::recv(publisher_, buffer_.data(), buffer_.size(), 0) > 0; ++tries) {
  }
  return false;
}

void FeedDoor::reply(Kind kind, const std::string& json) const {
  std::string frame(kPrefixBytes, '\0');
  const auto length = static_cast<std::uint32_t>(json.size() + 1);
  std::memcpy(frame.data(), &length, sizeof length);
  frame[sizeof length] = static_cast<char>(kind);
  frame += json;
  std::size_t sent = 0;
  while (sent < frame.size()) {
    const ssize_t got = ::send(publisher_, frame.data() + sent, frame.size() - sent, MSG_NOSIGNAL);
    if (got <= 0) return;
    sent += static_cast<std::size_t>(got);
  }
}

}  // namespace ringcraft
