#include "serving/echo_server.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>

#include "transport/shared_region.hpp"

namespace ringcraft {
namespace {

constexpr int kEventsATurn = 64;
constexpr int kLookMs = 20;  // at whether to end

}  // namespace

EchoServer::EchoServer(std::size_t request_bytes, std::string response, std::uint16_t port, bool spin,
                       std::uint64_t stall_at, std::int64_t stall_ns)
    : request_bytes_(request_bytes),
      response_(std::move(response)),
      spin_(spin),
      stall_at_(stall_at),
      stall_ns_(stall_ns) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  socklen_t size = sizeof address;
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = listener_;
  if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      ::listen(listener_, SOMAXCONN) != 0 ||
      ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0 ||
      ::epoll_ctl(epoll_, EPOLL_CTL_ADD, listener_, &event) != 0) {
    const std::runtime_error failure = system_failure("echo server");
    ::close(epoll_);
    ::close(listener_);
    throw failure;
  }
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { run(); });
}

EchoServer::~EchoServer() {
  stop();
  for (std::size_t socket = 0; socket < got_.size(); ++socket) {
    if (got_[socket] != 0) ::close(static_cast<int>(socket));
  }
  ::close(epoll_);
  ::close(listener_);
}

void EchoServer::stop() {
  stop_ = true;
  if (thread_.joinable()) thread_.join();
}

void EchoServer::run() {
  std::array<epoll_event, kEventsATurn> events;
  while (!stop_.load(std::memory_order_relaxed)) {
    const int count = ::epoll_wait(epoll_, events.data(), kEventsATurn, spin_ ? 0 : kLookMs);
    for (int i = 0; i < count; ++i) {
      const int socket = events[static_cast<std::size_t>(i)].data.fd;
      socket == listener_ ? let_in() : serve(socket);
    }
  }
}

void EchoServer::let_in() {
  const int socket = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (socket < 0) return;
  const int yes = 1;
  ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  const auto place = static_cast<std::size_t>(socket);
  if (place >= got_.size()) got_.resize(place + 1);
  got_[place] = 1;  // one more than there are, so that 0 is no socket
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = socket;
  ::epoll_ctl(epoll_, EPOLL_CTL_ADD, socket, &event);
}

void EchoServer::serve(int socket) {
  std::array<char, std::size_t{64} << 10U> buffer;
  const ssize_t count = ::recv(socket, buffer.data(), buffer.size(), 0);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  std::size_t& got = got_[static_cast<std::size_t>(socket)];
  if (count <= 0) {
    ::close(socket);
    got = 0;
    return;
  }
  got += static_cast<std::size_t>(count);
  for (; got > request_bytes_; got -= request_bytes_) {
    if (++answers_ == stall_at_) std::this_thread::sleep_for(std::chrono::nanoseconds(stall_ns_));
    static_cast<void>(::send(socket, response_.data(), response_.size(), MSG_NOSIGNAL));
  }
}

}  // namespace ringcraft
