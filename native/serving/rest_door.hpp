#pragma once
// REST's sockets: epoll, keep-alive, pipelining, limits on how much and how long.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "serving/door.hpp"
#include "serving/rest_api.hpp"

namespace ringcraft {

class RestDoor final : public Door {
 public:
  /// Listens.
  /// @throws std::runtime_error the address cannot be had.
  RestDoor(const RestConfig& config, Engine& engine, Holdings& holdings, Counters& counters);
  ~RestDoor() override;

  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }

  bool poll() override;
  [[nodiscard]] int fd() const noexcept override { return epoll_; }
  void close() override;

 private:
  struct Connection {
    Connection(int descriptor, const HttpLimits& limits, std::int64_t now_ns)
        : socket(descriptor), parser(limits), since_ns(now_ns) {}
    int socket;
    HttpParser parser;
    std::string out;  ///< from `sent` on still to be sent
    std::size_t sent = 0;
    std::int64_t since_ns;  ///< when it fell idle, or its request or farewell began
    bool leaving = false;   ///< nothing of it is read as a request any more
    bool said_all = false;  ///< everything is sent and our side is shut
    bool waits_to_send = false;
  };

  void let_in(std::int64_t now_ns);
  void serve(Connection& connection, std::int64_t turn_ns);
  void take(Connection& connection, std::string_view bytes, std::int64_t read_ns, std::int64_t turn_ns);
  [[nodiscard]] bool flush(Connection& connection);
  void leave(Connection& connection, std::int64_t now_ns);
  void drop(Connection& connection);
  /// Ends who is overdue, a part of all connections at a time.
  /// @return whether there are more to look at.
  bool sweep(std::int64_t now_ns);
  bool end_if_overdue(Connection& connection, std::int64_t now_ns);

  RestConfig config_;
  Counters& counters_;
  RestApi api_;
  int listener_ = -1;
  int epoll_ = -1;
  std::uint16_t port_ = 0;
  std::vector<std::unique_ptr<Connection>> connections_;  ///< by descriptor
  std::size_t open_ = 0;
  std::vector<char> buffer_;
  std::int64_t swept_ns_ = 0;  ///< when the last sweep ended
  std::size_t sweep_at_ = 0;   ///< where the one under way stands
};

}  // namespace ringcraft
