#pragma once
// The shared-memory door: neighbours on this host ask, and are answered within a pass of the decision loop.

#include <string>

#include "serving/door.hpp"
#include "serving/engine.hpp"
#include "serving/shared_lanes.hpp"

namespace ringcraft {

class SharedDoor final : public Door {
 public:
  /// @param path of the shared memory; its bell lies beside it.
  /// @param busy the decision loop never sleeps: nobody needs to ring.
  /// @throws std::runtime_error it cannot be had.
  SharedDoor(const std::string& path, Engine& engine, bool busy)
      : lanes_(path), engine_(engine), busy_(busy) {}

  bool poll() override;
  [[nodiscard]] int fd() const noexcept override { return lanes_.bell(); }
  void close() override {}

 private:
  bool look() noexcept;
  void linger() noexcept;
  void answer(const client::Request& request, client::Reply& reply) noexcept;

  SharedLanes lanes_;
  Engine& engine_;
  bool busy_;
  bool asleep_ = false;  ///< as clients are told
};

}  // namespace ringcraft
