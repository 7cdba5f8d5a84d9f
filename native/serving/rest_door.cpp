#include "serving/rest_door.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "transport/shared_region.hpp"

namespace ringcraft {
namespace {

constexpr std::size_t kReadBytes = std::size_t{64} << 10U;
constexpr std::size_t kOutKept = std::size_t{64} << 10U;
constexpr int kEventsATurn = 64;
constexpr int kAcceptsATurn = 64;
constexpr std::int64_t kSweepNs = 250'000'000;
/// Looked at in a turn: whoever asks meanwhile waits for so many, not for all.
constexpr std::size_t kSweptATurn = 256;
/// Refused or dropped in a turn: each costs a few calls of the system.
constexpr int kEndedATurn = 8;
/// So long one that was refused may go on sending before the close cuts off why.
constexpr std::int64_t kLeaveNs = 1'000'000'000;

}  // namespace

RestDoor::RestDoor(const RestConfig& config, Engine& engine, Holdings& holdings, Counters& counters)
    : config_(config), counters_(counters), api_(engine, holdings, counters, config_), buffer_(kReadBytes) {
  const std::string where = "REST door " + config.host + ":" + std::to_string(config.port);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(config.port);
  if (::inet_pton(AF_INET, config.host.c_str(), &address.sin_addr) != 1) {
    throw std::runtime_error(where + ": expected an IPv4 address");
  }
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const int yes = 1;
  ::setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  socklen_t size = sizeof address;
  const bool listening = listener_ >= 0 &&
                         ::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
                         ::listen(listener_, SOMAXCONN) == 0 &&
                         ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  epoll_ = listening ? ::epoll_create1(EPOLL_CLOEXEC) : -1;
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = listener_;
  if (epoll_ < 0 || ::epoll_ctl(epoll_, EPOLL_CTL_ADD, listener_, &event) != 0) {
    const std::runtime_error failure = system_failure(where);
    ::close(listener_);
    throw failure;
  }
  port_ = ntohs(address.sin_port);
}

RestDoor::~RestDoor() {
  close();
  ::close(epoll_);
  ::close(listener_);
}

bool RestDoor::poll() {
  std::array<epoll_event, kEventsATurn> events;
  const int count = ::epoll_wait(epoll_, events.data(), kEventsATurn, 0);
  const std::int64_t now_ns = monotonic_ns();
  const bool sweeping = sweep(now_ns);
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events[static_cast<std::size_t>(i)];
    if (event.data.fd == listener_) {
      let_in(now_ns);
      continue;
    }
    Connection* connection = connections_[static_cast<std::size_t>(event.data.fd)].get();
    if (connection == nullptr) continue;
    if ((event.events & EPOLLOUT) != 0 && !flush(*connection)) continue;
    if ((event.events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0 && !connection->waits_to_send)
      serve(*connection, now_ns);
  }
  return count > 0 || sweeping;
}

void RestDoor::close() {
  for (const auto& connection : connections_) {
    if (connection) drop(*connection);
  }
}

void RestDoor::let_in(std::int64_t now_ns) {
  for (int i = 0; i < kAcceptsATurn; ++i) {
    const int socket = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (socket < 0) return;
    if (open_ >= config_.connections_max) {
      add(counters_.rest_turned_away);
      ::close(socket);
      continue;
    }
    const int yes = 1;
    ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    const auto place = static_cast<std::size_t>(socket);
    if (place >= connections_.size()) connections_.resize(place + 64);
    connections_[place] = std::make_unique<Connection>(socket, config_.limits, now_ns);
    ++open_;
    add(counters_.rest_connections);
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = socket;
    if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, socket, &event) != 0) drop(*connections_[place]);
  }
}

void RestDoor::serve(Connection& connection, std::int64_t turn_ns) {
  const ssize_t got = ::recv(connection.socket, buffer_.data(), buffer_.size(), 0);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) {
    // Half-closed: what it asked for is answered by now, and nothing more will come.
    drop(connection);
    return;
  }
  if (connection.leaving) return;  // what it goes on sending is thrown away
  const std::int64_t read_ns = monotonic_ns();
  take(connection, {buffer_.data(), static_cast<std::size_t>(got)}, read_ns, turn_ns);
  static_cast<void>(flush(connection));
}

void RestDoor::take(Connection& connection, std::string_view bytes, std::int64_t read_ns,
                    std::int64_t turn_ns) {
  HttpParser& parser = connection.parser;
  while (!bytes.empty() && !connection.leaving) {
    const bool fresh = !parser.midway();
    const HttpParser::State state = parser.take(bytes);
    if (state == HttpParser::State::kMore) {
      if (fresh) connection.since_ns = read_ns;
      if (parser.wants_continue()) connection.out += "HTTP/1.1 100 Continue\r\n\r\n";
      return;
    }
    if (state == HttpParser::State::kBad) {
      api_.refuse(parser.status(), parser.error(), connection.out);
      leave(connection, read_ns);
      return;
    }
    const std::int64_t waited_ns = monotonic_ns() - turn_ns;
    if (!api_.answer(parser.request(), {read_ns, waited_ns, turn_ns}, connection.out))
      leave(connection, read_ns);
    parser.next();
    connection.since_ns = read_ns;
  }
}

bool RestDoor::flush(Connection& connection) {
  while (connection.sent < connection.out.size()) {
    const ssize_t sent = ::send(connection.socket, connection.out.data() + connection.sent,
                                connection.out.size() - connection.sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) {
      drop(connection);
      return false;
    }
    if (sent <= 0) break;
    connection.sent += static_cast<std::size_t>(sent);
  }
  const bool waits = connection.sent < connection.out.size();
  if (!waits) {
    connection.out.clear();
    connection.sent = 0;
    if (connection.out.capacity() > kOutKept) std::string().swap(connection.out);
    if (connection.leaving && !connection.said_all) {
      // Unread bytes would turn the close into a reset, and the client would never read why.
      ::shutdown(connection.socket, SHUT_WR);
      connection.said_all = true;
    }
  }
  if (waits != connection.waits_to_send) {
    // Who does not read its answers is not read from either.
    connection.waits_to_send = waits;
    epoll_event event{};
    event.events = waits ? EPOLLOUT : EPOLLIN;
    event.data.fd = connection.socket;
    ::epoll_ctl(epoll_, EPOLL_CTL_MOD, connection.socket, &event);
  }
  return true;
}

void RestDoor::leave(Connection& connection, std::int64_t now_ns) {
  connection.leaving = true;
  connection.since_ns = now_ns;
}

void RestDoor::drop(Connection& connection) {
  const int socket = connection.socket;
  ::close(socket);
  --open_;
  connections_[static_cast<std::size_t>(socket)].reset();
}

bool RestDoor::sweep(std::int64_t now_ns) {
  if (sweep_at_ == 0 && now_ns - swept_ns_ < kSweepNs) return false;
  const std::size_t end = std::min(sweep_at_ + kSweptATurn, connections_.size());
  for (int ended = 0; sweep_at_ < end && ended < kEndedATurn; ++sweep_at_) {
    if (Connection* connection = connections_[sweep_at_].get(); connection != nullptr) {
      ended += end_if_overdue(*connection, now_ns) ? 1 : 0;
    }
  }
  if (sweep_at_ < connections_.size()) return true;
  sweep_at_ = 0;
  swept_ns_ = now_ns;
  return false;
}

bool RestDoor::end_if_overdue(Connection& connection, std::int64_t now_ns) {
  const bool busy = connection.parser.midway() || connection.waits_to_send;
  const std::int64_t limit_ns = connection.leaving ? kLeaveNs : busy ? config_.request_ns : config_.idle_ns;
  if (now_ns - connection.since_ns <= limit_ns) return false;
  if (!connection.leaving) add(counters_.rest_timed_out);
  if (!connection.leaving && connection.parser.midway() && !connection.waits_to_send) {
    api_.refuse(408,
                "request: expected whole within " + std::to_string(config_.request_ns / 1'000'000'000) +
                    " s, got a part",
                connection.out);
    leave(connection, now_ns);
    static_cast<void>(flush(connection));
  } else {
    drop(connection);
  }
  return true;
}

}  // namespace ringcraft
