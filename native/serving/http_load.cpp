#include "serving/http_load.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <deque>
#include <optional>
#include <string_view>

#include "transport/clock.hpp"
#include "transport/shared_region.hpp"

namespace ringcraft {
namespace {

constexpr std::size_t kAnswerBytesMax = std::size_t{1} << 20U;
constexpr int kEventsATurn = 64;

struct Answer {
  int status = 0;
  std::size_t bytes = 0;
};

/// The answer at the start of `bytes`, none before its head is whole.
std::optional<Answer> answer_at(std::string_view bytes) {
  const std::size_t head = bytes.find("\r\n\r\n");
  if (head == std::string_view::npos) return std::nullopt;
  Answer answer;
  constexpr std::string_view kVersion = "HTTP/1.1 ";
  constexpr std::string_view kLength = "content-length:";
  const char* const end = bytes.data() + head;
  bool framed = false;
  const bool ours = head > kVersion.size() && bytes.starts_with(kVersion) &&
                    std::from_chars(bytes.data() + kVersion.size(), end, answer.status).ec == std::errc();
  for (std::size_t at = bytes.find("\r\n"); at < head; at = bytes.find("\r\n", at + 2)) {
    const char* line = bytes.data() + at + 2;
    const bool whole = at + 2 + kLength.size() < head;
    if (!whole || ::strncasecmp(line, kLength.data(), kLength.size()) != 0) continue;
    line += kLength.size();
    while (*line == ' ') ++line;
    framed = std::from_chars(line, end, answer.bytes).ec == std::errc();
  }
  if (!framed || !ours) {
    throw std::runtime_error("load: expected HTTP/1.1 with a Content-Length, got " +
                             std::string(bytes.substr(0, std::min<std::size_t>(head, 200))));
  }
  answer.bytes += head + 4;
  return answer;
}

class Load {
 public:
  explicit Load(const LoadOptions& options)
      : options_(options), links_(options.connections), epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
    if (epoll_ < 0) throw system_failure("load");
    for (std::size_t i = 0; i < links_.size(); ++i) {
      if (!connect(i)) throw system_failure("load: " + options.host + ":" + std::to_string(options.port));
    }
  }
  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;
  ~Load() {
    for (const Link& link : links_) {
      if (link.socket >= 0) ::close(link.socket);
    }
    ::close(epoll_);
  }

  LoadRun run() {
    const bool open = options_.per_second > 0;
    const double beat_ns = open ? 1e9 / options_.per_second : 1;
    const auto planned = static_cast<std::size_t>(static_cast<double>(options_.duration_ns) / beat_ns);
    if (open) run_.latencies_ns.reserve(planned);
    run_.start_ns = monotonic_ns();
    const std::int64_t last_ns = run_.start_ns + options_.duration_ns;
    std::int64_t now_ns = run_.start_ns;
    while (now_ns < last_ns + options_.patience_ns) {
      while (!idle_.empty() && (open ? run_.latencies_ns.size() < planned : now_ns < last_ns)) {
        const auto beats = static_cast<double>(run_.latencies_ns.size());
        const std::int64_t due_ns =
            open ? run_.start_ns + static_cast<std::int64_t>(beats * beat_ns) : now_ns;
        if (due_ns > now_ns) break;
        ask(due_ns);
        now_ns = monotonic_ns();
      }
      const bool all_asked = open ? run_.latencies_ns.size() >= planned : now_ns >= last_ns;
      if ((all_asked && waiting_ == 0) || (idle_.empty() && waiting_ == 0)) break;
      hear();
      now_ns = monotonic_ns();
    }
    run_.elapsed_ns = now_ns - run_.start_ns;
    if (open) run_.latencies_ns.resize(planned, kNoAnswer);  // also those that never found a connection
    run_.unanswered = run_.latencies_ns.size() - run_.answered - run_.refused - run_.broken;
    return std::move(run_);
  }

 private:
  struct Link {
    int socket = -1;
    bool waits = false;
    std::size_t request = 0;
    std::int64_t due_ns = 0;
    std::string in;
  };

  bool connect(std::size_t at) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(options_.port);
    if (::inet_pton(AF_INET, options_.host.c_str(), &address.sin_addr) != 1) errno = EINVAL;
    const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int yes = 1;
    ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = at;
    if (socket < 0 || ::connect(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
        ::epoll_ctl(epoll_, EPOLL_CTL_ADD, socket, &event) != 0) {
      const int why = errno;
      ::close(socket);
      errno = why;
      return false;
    }
    links_[at].socket = socket;
    links_[at].waits = false;
    links_[at].in.clear();
    idle_.push_back(at);
    return true;
  }

  void ask(std::int64_t due_ns) {
    const std::size_t at = idle_.front();
    idle_.pop_front();
    Link& link = links_[at];
    link.request = run_.latencies_ns.size();
    link.due_ns = due_ns;
    link.waits = true;
    ++waiting_;
    run_.latencies_ns.push_back(kNoAnswer);
    // Nothing else waits on the connection, so that a request always fits what the kernel holds for it.
    const ssize_t sent =
        ::send(link.socket, options_.request.data(), options_.request.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent != static_cast<ssize_t>(options_.request.size())) lose(at);
  }

  void hear() {
    std::array<epoll_event, kEventsATurn> events;
    const int count = ::epoll_wait(epoll_, events.data(), kEventsATurn, 0);
    for (int i = 0; i < count; ++i) {
      const auto at = static_cast<std::size_t>(events[static_cast<std::size_t>(i)].data.u64);
      const ssize_t got = ::recv(links_[at].socket, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
      if (got > 0) {
        take(at, {buffer_.data(), static_cast<std::size_t>(got)});
      } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
        lose(at);
      }
    }
  }

  void take(std::size_t at, std::string_view bytes) {
    Link& link = links_[at];
    // Most answers come in one piece and are never copied.
    const bool pieces = !link.in.empty();
    if (pieces) bytes = link.in.append(bytes);
    const std::optional<Answer> answer = answer_at(bytes);
    if (!answer || bytes.size() < answer->bytes) {
      if (bytes.size() > kAnswerBytesMax) throw std::runtime_error("load: expected at most 1 MiB, got more");
      if (!pieces) link.in = bytes;
      return;
    }
    if (!link.waits || bytes.size() > answer->bytes) {
      throw std::runtime_error("load: expected one answer to one request, got more");
    }
    link.in.clear();
    link.waits = false;
    --waiting_;
    idle_.push_back(at);
    if (answer->status == 200) {
      run_.latencies_ns[link.request] = monotonic_ns() - link.due_ns;
      ++run_.answered;
      return;
    }
    ++run_.refused;
    if (run_.status == 0) run_.status = answer->status;
  }

  /// The connection is gone, and the request on it; another takes its place where there is one to be had.
  void lose(std::size_t at) {
    Link& link = links_[at];
    if (link.waits) {
      ++run_.broken;
      --waiting_;
    } else {
      std::erase(idle_, at);
    }
    ::close(link.socket);
    link.socket = -1;
    static_cast<void>(connect(at));
  }

  const LoadOptions& options_;
  std::vector<Link> links_;
  std::deque<std::size_t> idle_;
  std::size_t waiting_ = 0;
  int epoll_;
  LoadRun run_;
  std::array<char, std::size_t{64} << 10U> buffer_;
};

}  // namespace

LoadRun run_load(const LoadOptions& options) { return Load(options).run(); }

}  // namespace ringcraft
