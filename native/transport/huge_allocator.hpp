#pragma once
// Memory for pools: in huge pages where the system grants them, since pools are reached at random.

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <new>

namespace ringcraft {

/// An allocator whose larger blocks are aligned to 2 MiB and offered to the kernel as huge pages.
///
/// Where the kernel declines (transparent huge pages off), they are pages like any other.
template <class Value>
struct HugeAllocator {
  using value_type = Value;

  HugeAllocator() = default;
  template <class Other>
  explicit HugeAllocator(const HugeAllocator<Other>&) noexcept {}

  [[nodiscard]] Value* allocate(std::size_t count) {
    const std::size_t size = count * sizeof(Value);
    const std::size_t align = size >= kHugePage ? kHugePage : alignment();
    void* memory = ::operator new(size, std::align_val_t{align});
    if (size >= kHugePage) (void)madvise(memory, size, MADV_HUGEPAGE);
    return static_cast<Value*>(memory);
  }
  void deallocate(Value* memory, std::size_t count) noexcept {
    const std::size_t size = count * sizeof(Value);
    ::operator delete(memory, std::align_val_t{size >= kHugePage ? kHugePage : alignment()});
  }

  bool operator==(const HugeAllocator&) const = default;

 private:
  static constexpr std::size_t kHugePage = std::size_t{1} << 21U;
  static constexpr std::size_t alignment() noexcept { return alignof(Value) > 16 ? alignof(Value) : 16; }
};

}  // namespace ringcraft
