#pragma once
// Arrays between numpy and native code.

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <span>
#include <vector>

namespace ringcraft {

using Bytes =
    nanobind::ndarray<const std::uint8_t, nanobind::ndim<1>, nanobind::c_contig, nanobind::device::cpu>;

inline std::span<const std::uint8_t> view(const Bytes& bytes) { return {bytes.data(), bytes.size()}; }

/// Hands a heap array to numpy, which frees it.
template <class Value>
nanobind::object to_numpy(std::unique_ptr<Value[]> data, std::initializer_list<std::size_t> shape) {
  Value* raw = data.release();
  nanobind::capsule owner(raw, [](void* pointer) noexcept { delete[] static_cast<Value*>(pointer); });
  return nanobind::cast(nanobind::ndarray<nanobind::numpy, Value>(raw, shape, owner));
}

/// The values as an array of its own; of structs, their bytes.
template <class Item, class Value = Item>
nanobind::object copy_to_numpy(const std::vector<Item>& values) {
  static_assert(sizeof(Item) % sizeof(Value) == 0);
  const std::size_t count = values.size() * (sizeof(Item) / sizeof(Value));
  auto data = std::make_unique_for_overwrite<Value[]>(count);
  if (count != 0) std::memcpy(data.get(), values.data(), count * sizeof(Value));
  return to_numpy(std::move(data), {count});
}

}  // namespace ringcraft
