#pragma once
// A way in to the engine: it parses, asks, answers. The decision thread goes round all of them.

namespace ringcraft {

class Door {
 public:
  Door() = default;
  virtual ~Door() = default;
  Door(const Door&) = delete;
  Door& operator=(const Door&) = delete;

  /// Does what can be done without waiting, a turn's worth at most: others wait for theirs.
  /// @return whether there was anything to do.
  /// @note Decision thread only.
  virtual bool poll() = 0;

  /// Readable when there may be something to do; -1: only looking tells.
  [[nodiscard]] virtual int fd() const noexcept = 0;

  /// Lets go of everybody who is in. Decision thread, once, after the last poll().
  virtual void close() = 0;
};

}  // namespace ringcraft
