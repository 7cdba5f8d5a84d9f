#pragma once
// Load on an HTTP/1.1 server, and how long its answers took.
//
// Open loop: requests fall due at a fixed beat whatever the server does, and an answer's time counts from
// when its request was due. So a server that stalls is charged for every request that had to wait, also for
// those that could not even be sent. Closed loop: every connection asks again once it has its answer.

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace ringcraft {

struct LoadOptions {
  std::string host;  ///< IPv4
  std::uint16_t port = 0;
  std::string request;  ///< whole: head and body, keep-alive; the same each time
  std::size_t connections = 1;
  double per_second = 0;  ///< open loop's beat; 0: closed loop
  std::int64_t duration_ns = 0;
  std::int64_t patience_ns = 0;  ///< for answers after the last request was due
};

struct LoadRun {
  /// From due to answered, by request in the order they fell due; kNoAnswer where none came, or no 200.
  std::vector<std::int64_t> latencies_ns;
  std::int64_t start_ns = 0;    ///< CLOCK_MONOTONIC, the first was due
  std::int64_t elapsed_ns = 0;  ///< to the last answer
  std::uint64_t answered = 0;   ///< by 200
  std::uint64_t refused = 0;    ///< by another status
  std::uint64_t broken = 0;     ///< the connection ended first
  std::uint64_t unanswered = 0;
  int status = 0;  ///< first that was not 200
};

inline constexpr std::int64_t kNoAnswer = -1;

/// Asks in the calling thread, which spins; a core of its own is its own to choose.
/// @throws std::runtime_error nobody listens, or an answer is no HTTP/1.1 with a Content-Length.
[[nodiscard]] LoadRun run_load(const LoadOptions& options);

}  // namespace ringcraft
