#include "serving/feed_door.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <span>

namespace ringcraft {
namespace {

constexpr std::size_t kPrefixBytes = 5;
constexpr std::int64_t kHelloTimeoutNs = 10'000'000'000;
/// So long a refused publisher may go on sending before the close cuts off why.
constexpr std::int64_t kLeaveNs = 100'000'000;

std::string json_text(const std::string& text) {
  std::string quoted = "\"";
  for (const char letter : text) {
    if (letter == '"' || letter == '\\') quoted += '\\';
    quoted += static_cast<unsigned char>(letter) < 0x20 ? ' ' : letter;
  }
  return quoted + "\"";
}

}  // namespace

HelloDesk::HelloDesk() : answered_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (answered_ < 0) {
    throw system_failure("hello desk");
  }
}

HelloDesk::~HelloDesk() { ::close(answered_); }

void HelloDesk::ask(std::string payload) {
  const std::lock_guard lock(mutex_);
  question_ = std::move(payload);
  answer_.reset();
  asked_ns_ = monotonic_ns();
  changed_.notify_all();
}

std::optional<HelloDesk::Verdict> HelloDesk::verdict() {
  const std::lock_guard lock(mutex_);
  if (!answer_ && monotonic_ns() - asked_ns_ < kHelloTimeoutNs) {
    return std::nullopt;
  }
  std::uint64_t told = 0;
  static_cast<void>(::read(answered_, &told, sizeof told));
  question_.reset();
  Verdict verdict = answer_.value_or(Verdict{{}, "the worker is not ready to take a feed"});
  answer_.reset();
  return verdict;
}

void HelloDesk::withdraw() {
  const std::lock_guard lock(mutex_);
  question_.reset();
}

std::optional<std::string> HelloDesk::wait(double timeout_s) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, std::chrono::duration<double>(timeout_s), [&] { return question_ && !answer_; });
  return answer_ ? std::nullopt : question_;
}

void HelloDesk::answer(Verdict verdict) {
  const std::lock_guard lock(mutex_);
  if (!question_) {
    return;  // it came too late
  }
  answer_ = std::move(verdict);
  const std::uint64_t told = 1;
  static_cast<void>(::write(answered_, &told, sizeof told));
  changed_.notify_all();
}

FeedDoor::FeedDoor(const std::string& host, std::uint16_t port, Engine& engine, HelloDesk& desk,
                   Counters& counters)
    : engine_(engine), desk_(desk), counters_(counters) {
  const std::string where = "feed door " + host + ":" + std::to_string(port);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  if (::inet_pton(AF_INET, host.c_str(), &address.sin_addr) != 1) {
    throw std::runtime_error(where + ": expected an IPv4 address");
  }
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const int yes = 1;
  ::setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  socklen_t size = sizeof address;
  const bool listening = listener_ >= 0 &&
                         ::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
                         ::listen(listener_, 16) == 0 &&
                         ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  epoll_ = listening ? ::epoll_create1(EPOLL_CLOEXEC) : -1;
  if (epoll_ < 0) {
    const std::runtime_error failure = system_failure(where);
    ::close(listener_);
    throw failure;
  }
  port_ = ntohs(address.sin_port);
  watch(listener_);
}

FeedDoor::~FeedDoor() {
  if (publisher_ >= 0) {
    ::close(publisher_);
  }
  ::close(epoll_);
  ::close(listener_);
}

bool FeedDoor::poll() {
  switch (state_) {
    case State::kAlone:
      return let_in();
    case State::kServing:
      return serve();
    case State::kAsking:
      return hear_verdict();
    case State::kLeaving:
      return see_off();
  }
  return false;
}

void FeedDoor::close() {
  if (state_ != State::kAlone) {
    hang_up();
  }
}

void FeedDoor::watch(int descriptor) {
  if (watched_ >= 0) {
    ::epoll_ctl(epoll_, EPOLL_CTL_DEL, watched_, nullptr);
  }
  watched_ = descriptor;
  epoll_event event{};
  event.events = EPOLLIN;
  ::epoll_ctl(epoll_, EPOLL_CTL_ADD, descriptor, &event);
}

bool FeedDoor::let_in() {
  // Asked first, as accept4 makes a whole socket before it finds that nobody is there: microseconds in every
  // pass.
  epoll_event event{};
  if (::epoll_wait(epoll_, &event, 1, 0) <= 0) return false;
  publisher_ = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (publisher_ < 0) {
    return false;
  }
  add(counters_.feed_connections);
  const int yes = 1;
  ::setsockopt(publisher_, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  frames_.reset();
  state_ = State::kServing;
  watch(publisher_);
  return true;
}

bool FeedDoor::serve() {
  const Got got = read_more();
  if (got == Got::kNothing) {
    return false;
  }
  if (got == Got::kEnd || !take_frames()) {
    if (state_ != State::kLeaving) hang_up();
  }
  return true;
}

bool FeedDoor::hear_verdict() {
  const std::optional<HelloDesk::Verdict> verdict = desk_.verdict();
  if (!verdict) {
    return false;
  }
  state_ = State::kServing;
  watch(publisher_);
  if (!verdict->error.empty()) {
    static_cast<void>(refuse(verdict->error));
    return true;
  }
  engine_.adopt();
  engine_.begin_feed(verdict->introduction);
  frames_.accept(verdict->introduction.depth);
  decisions_before_ = engine_.decisions();
  reply(FrameKind::kHello, R"({"accepted": true})");
  if (!take_frames() && state_ != State::kLeaving) hang_up();
  return true;
}

bool FeedDoor::see_off() {
  frames_.reset();  // what it still sends is looked at by nobody
  const std::span<char> room = frames_.room();
  const ssize_t got = ::recv(publisher_, room.data(), room.size(), MSG_DONTWAIT);
  const bool waits = got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR));
  if (!waits || monotonic_ns() >= leaves_ns_) {
    hang_up();
    return true;
  }
  return got > 0;
}

void FeedDoor::hang_up() {
  if (state_ == State::kAsking) {
    desk_.withdraw();
  }
  watch(listener_);
  ::close(publisher_);
  publisher_ = -1;
  state_ = State::kAlone;
  engine_.end_feed();
}

FeedDoor::Got FeedDoor::read_more() {
  const std::span<char> room = frames_.room();
  const ssize_t got = ::recv(publisher_, room.data(), room.size(), MSG_DONTWAIT);
  if (got < 0) {
    return errno == EAGAIN || errno == EINTR ? Got::kNothing : Got::kEnd;
  }
  frames_.took(static_cast<std::size_t>(got));
  return got > 0 ? Got::kBytes : Got::kEnd;
}

bool FeedDoor::take_frames() {
  while (state_ == State::kServing) {
    switch (frames_.next(engine_.fed())) {
      case FeedFrames::Step::kMore:
        return true;
      case FeedFrames::Step::kHello:
        desk_.ask(frames_.text());
        state_ = State::kAsking;
        watch(desk_.fd());
        break;
      case FeedFrames::Step::kEvent:
        // An event's latency starts when it leaves the buffer: what it waited there is the answers before it,
        // which are charged to the versions that gave them.
        engine_.on_event(frames_.event(), monotonic_ns(), frames_.depth());
        break;
      case FeedFrames::Step::kEnd:
        engine_.end_feed();
        reply(FrameKind::kEnd, "{\"events\": " + std::to_string(frames_.events()) + ", \"decisions\": " +
                                   std::to_string(engine_.decisions() - decisions_before_) + "}");
        break;
      case FeedFrames::Step::kRefused:
        return refuse(frames_.why());
    }
  }
  return true;
}

bool FeedDoor::refuse(const std::string& why) {
  add(counters_.feed_refused);
  reply(FrameKind::kHello, "{\"error\": " + json_text(why) + "}");
  // Unread bytes would turn the close into a reset, and the publisher would never read why.
  ::shutdown(publisher_, SHUT_WR);
  state_ = State::kLeaving;
  leaves_ns_ = monotonic_ns() + kLeaveNs;
  return false;
}

void FeedDoor::reply(FrameKind kind, const std::string& json) const {
  std::string frame(kPrefixBytes, '\0');
  const auto length = static_cast<std::uint32_t>(json.size() + 1);
  std::memcpy(frame.data(), &length, sizeof length);
  frame[sizeof length] = static_cast<char>(kind);
  frame += json;
  // A few hundred bytes always find room where the ones before them were read; else nobody reads.
  static_cast<void>(::send(publisher_, frame.data(), frame.size(), MSG_NOSIGNAL | MSG_DONTWAIT));
}

}  // namespace ringcraft
