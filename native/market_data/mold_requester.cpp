#include "market_data/mold_requester.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>

#include "transport/shared_region.hpp"

namespace ringcraft {

void MoldRequestPlan::want(const MoldSession& session, std::uint64_t from, std::uint64_t count) {
  if (session != session_) wanted_.clear();
  session_ = session;
  wanted_.push_back({from, from + count});
}

void MoldRequestPlan::done(std::uint64_t next) noexcept {
  std::erase_if(wanted_, [next](const Range& range) { return range.to <= next; });
  if (!wanted_.empty()) wanted_.front().from = std::max(wanted_.front().from, next);
}

bool MoldRequestPlan::due(std::int64_t now_ns, std::uint64_t& from, std::uint16_t& count) noexcept {
  constexpr std::uint64_t kMost = 0xFFFE;  // 0xFFFF means the session's end elsewhere
  if (wanted_.empty()) return false;
  const Range& first = wanted_.front();
  const bool answered = first.from != asked_from_;
  if (!answered && now_ns >= asked_ns_ && now_ns - asked_ns_ < retry_ns_) return false;
  from = asked_from_ = first.from;
  count = static_cast<std::uint16_t>(std::min(first.to - first.from, kMost));
  asked_ns_ = now_ns;
  return true;
}

MoldRequester::MoldRequester(const std::string& server) {
  const std::size_t colon = server.rfind(':');
  const std::string host = server.substr(0, colon);
  std::uint16_t port = 0;
  const char* end = server.data() + server.size();
  const bool number = colon != std::string::npos &&
                      std::from_chars(server.data() + colon + 1, end, port).ptr == end && port != 0;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  if (!number || ::inet_pton(AF_INET, host.c_str(), &address.sin_addr) != 1) {
    throw std::runtime_error("retransmit: expected IPV4:PORT, got " + server);
  }
  file_ = ::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (file_ < 0 || ::connect(file_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    const std::runtime_error failure = system_failure("retransmit: " + server);
    if (file_ >= 0) ::close(file_);
    throw failure;
  }
}

MoldRequester::~MoldRequester() { ::close(file_); }

void MoldRequester::serve(MoldArbiter& arbiter, std::int64_t now_ns, std::size_t line) {
  if (plan_.idle()) return;
  for (;;) {
    const ssize_t got = ::recv(file_, room_.data(), room_.size(), MSG_DONTWAIT);
    if (got < 0) break;
    ++answers_;
    arbiter.take({room_.data(), static_cast<std::size_t>(got)}, now_ns, line);
  }
  plan_.done(arbiter.expected());
  std::uint64_t from = 0;
  std::uint16_t count = 0;
  if (!plan_.due(now_ns, from, count)) return;
  const auto request = mold_request(plan_.session(), from, count);
  // A request that is lost, here or on its way, is repeated.
  if (::send(file_, request.data(), request.size(), MSG_DONTWAIT) > 0) ++requests_;
}

}  // namespace ringcraft
