#include "market_data/udp_source.hpp"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <unistd.h>

#include <cstring>

#include "transport/clock.hpp"
#include "transport/shared_region.hpp"

namespace ringcraft {
namespace {

template <class Value>
bool set(int file, int level, int name, const Value& value) {
  return ::setsockopt(file, level, name, &value, sizeof value) == 0;
}

}  // namespace

UdpSource::UdpSource(const std::vector<UdpLine>& lines, const UdpOptions& options)
    : packet_bytes_(options.packet_bytes),
      rooms_(std::make_unique<std::uint8_t[]>(kBatch * options.packet_bytes)) {
  sockets_.reserve(lines.size());
  for (std::size_t i = 0; i < kBatch; ++i) vectors_[i] = {rooms_.get() + i * packet_bytes_, packet_bytes_};
  try {
    for (const UdpLine& line : lines) open(line, options);
  } catch (...) {
    for (const Socket& each : sockets_) ::close(each.file);
    throw;
  }
}

UdpSource::~UdpSource() {
  for (const Socket& each : sockets_) ::close(each.file);
}

void UdpSource::open(const UdpLine& line, const UdpOptions& options) {
  const std::string name = line.address + ":" + std::to_string(line.port);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(line.port);
  if (::inet_pton(AF_INET, line.address.c_str(), &address.sin_addr) != 1) {
    throw std::runtime_error(name + ": expected an IPv4 address");
  }
  const int file = ::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (file < 0) throw system_failure(name);
  sockets_.push_back({file, ntohl(address.sin_addr.s_addr), line.port, 0});
  const bool group = IN_MULTICAST(sockets_.back().address);
  if (group) set(file, SOL_SOCKET, SO_REUSEADDR, 1);  // several processes may follow a group
  ask(file, line, options);
  if (::bind(file, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    throw system_failure(name);
  if (group) join(file, sockets_.back().address, options.interface, name);
  socklen_t size = sizeof address;
  ::getsockname(file, reinterpret_cast<sockaddr*>(&address), &size);
  sockets_.back().port = ntohs(address.sin_port);
}

void UdpSource::ask(int file, const UdpLine& line, const UdpOptions& options) {
  const auto note = [&](const std::string& what) {
    refused_.push_back(line.address + ":" + std::to_string(line.port) + ": " + what + ": " +
                       std::strerror(errno));
  };
  if (!set(file, SOL_SOCKET, SO_TIMESTAMPNS, 1)) note("no time stamps by the kernel");
  if (!set(file, SOL_SOCKET, SO_RXQ_OVFL, 1)) note("drops are not counted");
  if (options.busy_poll_us > 0 && !set(file, SOL_SOCKET, SO_BUSY_POLL, options.busy_poll_us)) {
    note("no busy polling by the kernel");
  }
  // The plain option is capped by net.core.rmem_max, the forced one needs a privilege.
  if (set(file, SOL_SOCKET, SO_RCVBUFFORCE, options.buffer_bytes)) return;
  set(file, SOL_SOCKET, SO_RCVBUF, options.buffer_bytes);
  int granted = 0;
  socklen_t size = sizeof granted;
  ::getsockopt(file, SOL_SOCKET, SO_RCVBUF, &granted, &size);
  if (granted / 2 < options.buffer_bytes) {  // the kernel doubles it for its own book-keeping
    errno = EPERM;
    note("buffer of " + std::to_string(granted / 2) + " bytes, asked for " +
         std::to_string(options.buffer_bytes));
  }
}

void UdpSource::join(int file, std::uint32_t group, const std::string& interface,
                     const std::string& name) const {
  ip_mreqn request{};
  request.imr_multiaddr.s_addr = htonl(group);
  if (!interface.empty() && ::inet_pton(AF_INET, interface.c_str(), &request.imr_address) != 1) {
    request.imr_ifindex = static_cast<int>(::if_nametoindex(interface.c_str()));
    if (request.imr_ifindex == 0) throw system_failure(name + ": interface " + interface);
  }
  if (!set(file, IPPROTO_IP, IP_ADD_MEMBERSHIP, request))
    throw system_failure(name + ": group cannot be joined");
}

std::size_t UdpSource::receive(std::span<UdpPacket> batch) {
  const std::size_t most = std::min(batch.size(), kBatch);
  std::size_t count = 0;
  for (std::size_t i = 0; i < sockets_.size() && count < most; ++i) {
    // Each call begins with another line, so that none starves.
    Socket& from = sockets_[(next_ + i) % sockets_.size()];
    count += take(from, batch.subspan(count, most - count), count);
  }
  ++next_;
  return count;
}

std::size_t UdpSource::take(Socket& from, std::span<UdpPacket> batch, std::size_t room_at) {
  mmsghdr* first = &headers_[room_at];
  for (std::size_t i = 0; i < batch.size(); ++i) {
    first[i] = {};
    first[i].msg_hdr.msg_iov = &vectors_[room_at + i];
    first[i].msg_hdr.msg_iovlen = 1;
    first[i].msg_hdr.msg_control = &controls_[room_at + i];
    first[i].msg_hdr.msg_controllen = sizeof(Control);
  }
  const int got = ::recvmmsg(from.file, first, static_cast<unsigned>(batch.size()), MSG_DONTWAIT, nullptr);
  if (got <= 0) return 0;
  ++summary_.calls;
  std::size_t kept = 0;
  for (std::size_t i = 0; i < static_cast<std::size_t>(got); ++i) {
    UdpPacket& packet = batch[kept];
    packet = {{rooms_.get() + (room_at + i) * packet_bytes_, first[i].msg_len}, 0, from.address, from.port};
    read_control(from, first[i].msg_hdr, packet);
    ++summary_.packets;
    summary_.bytes += first[i].msg_len;
    if ((static_cast<unsigned>(first[i].msg_hdr.msg_flags) & MSG_TRUNC) != 0) {
      ++summary_.cut;
      continue;
    }
    if (packet.time_ns == 0) packet.time_ns = read_clock_ns(CLOCK_REALTIME);
    ++kept;
  }
  return kept;
}

void UdpSource::read_control(Socket& from, msghdr& header, UdpPacket& packet) {
  for (cmsghdr* each = CMSG_FIRSTHDR(&header); each != nullptr; each = CMSG_NXTHDR(&header, each)) {
    if (each->cmsg_level != SOL_SOCKET) continue;
    if (each->cmsg_type == SCM_TIMESTAMPNS) {
      timespec stamp{};
      std::memcpy(&stamp, CMSG_DATA(each), sizeof stamp);
      packet.time_ns = static_cast<std::int64_t>(stamp.tv_sec) * 1'000'000'000 + stamp.tv_nsec;
    } else if (each->cmsg_type == SO_RXQ_OVFL) {
      std::uint32_t dropped = 0;
      std::memcpy(&dropped, CMSG_DATA(each), sizeof dropped);
      summary_.dropped += dropped - from.dropped;  // counts up from the socket's start, and may wrap
      from.dropped = dropped;
    }
  }
}

void UdpSource::wait(std::int64_t timeout_ns) {
  std::array<pollfd, 16> files{};
  const std::size_t count = std::min(files.size(), sockets_.size());
  for (std::size_t i = 0; i < count; ++i) files[i] = {sockets_[i].file, POLLIN, 0};
  const timespec timeout{timeout_ns / 1'000'000'000, timeout_ns % 1'000'000'000};
  ::ppoll(files.data(), count, &timeout, nullptr);
}

std::vector<std::uint16_t> UdpSource::ports() const {
  std::vector<std::uint16_t> found;
  for (const Socket& each : sockets_) found.push_back(each.port);
  return found;
}

}  // namespace ringcraft
