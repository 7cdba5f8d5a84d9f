#pragma once
// Blocks of one size, named by 32-bit handles.

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "transport/huge_allocator.hpp"

namespace ringcraft {

inline constexpr std::uint32_t kNoHandle = std::numeric_limits<std::uint32_t>::max();

/// A block given back is used again, the last one first, since it is the likeliest to be in a cache.
///
/// No memory is taken once as many blocks were out at a time as ever will be, or after reserve().
/// @note One thread. A handle stays good until it is given back; a reference only until the next take().
template <class Block>
class Pool {
 public:
  void reserve(std::size_t blocks) {
    blocks_.reserve(blocks);
    free_.reserve(blocks);
  }

  /// A block as it was given back; a new one as it is made by default.
  [[nodiscard]] std::uint32_t take() {
    if (!free_.empty()) {
      const std::uint32_t handle = free_.back();
      free_.pop_back();
      return handle;
    }
    blocks_.emplace_back();
    // Giving back needs no memory of its own: it may not throw.
    if (free_.capacity() < blocks_.size()) free_.reserve(blocks_.capacity());
    return static_cast<std::uint32_t>(blocks_.size() - 1);
  }

  void give_back(std::uint32_t handle) noexcept { free_.push_back(handle); }

  [[nodiscard]] Block& operator[](std::uint32_t handle) noexcept { return blocks_[handle]; }
  [[nodiscard]] const Block& operator[](std::uint32_t handle) const noexcept { return blocks_[handle]; }
  /// Blocks that are out.
  [[nodiscard]] std::size_t live() const noexcept { return blocks_.size() - free_.size(); }
  [[nodiscard]] std::size_t bytes() const noexcept { return blocks_.capacity() * sizeof(Block); }

 private:
  std::vector<Block, HugeAllocator<Block>> blocks_;
  std::vector<std::uint32_t> free_;
};

}  // namespace ringcraft
