#pragma once
// The least that a server can be: so many bytes in, so many bytes out. What any other costs is measured
// against it.

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

namespace ringcraft {

class EchoServer {
 public:
  /// Listens on loopback and answers every `request_bytes` bytes by `response`, in a thread of its own.
  /// @param port 0: any free.
  /// @param spin never sleep.
  /// @param stall_at, stall_ns before that answer, from 1, do nothing for so long; 0: never.
  /// @throws std::runtime_error the system refuses.
  EchoServer(std::size_t request_bytes, std::string response, std::uint16_t port, bool spin,
             std::uint64_t stall_at = 0, std::int64_t stall_ns = 0);
  ~EchoServer();
  EchoServer(const EchoServer&) = delete;
  EchoServer& operator=(const EchoServer&) = delete;

  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
  void stop();

 private:
  void run();
  void let_in();
  void serve(int socket);

  std::size_t request_bytes_;
  std::string response_;
  bool spin_;
  std::uint64_t stall_at_;
  std::int64_t stall_ns_;
  std::uint64_t answers_ = 0;
  int listener_ = -1;
  int epoll_ = -1;
  std::uint16_t port_ = 0;
  std::vector<std::size_t> got_;  ///< bytes of the request under way, by socket
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace ringcraft
