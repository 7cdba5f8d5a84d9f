#pragma once
// Arrays that start on a cache line.

#include <cstddef>
#include <new>
#include <vector>

#include "models/model.hpp"

namespace ringcraft {

template <class T>
struct CacheLineAllocator {
  using value_type = T;

  CacheLineAllocator() = default;
  template <class U>
  explicit CacheLineAllocator(const CacheLineAllocator<U>&) noexcept {}

  T* allocate(std::size_t count) {
    return static_cast<T*>(::operator new(count * sizeof(T), std::align_val_t{kValueAlignment}));
  }
  void deallocate(T* memory, std::size_t) noexcept {
    ::operator delete(memory, std::align_val_t{kValueAlignment});
  }
  bool operator==(const CacheLineAllocator&) const noexcept { return true; }
};

template <class T>
using Aligned = std::vector<T, CacheLineAllocator<T>>;

}  // namespace ringcraft
