#pragma once
// Moves worked out while building: for every element of a result, where in its source it lies.

#include <cstdint>
#include <string>
#include <vector>

#include "models/net_builder.hpp"

namespace ringcraft {

using Indices = std::vector<std::uint32_t>;

inline constexpr std::uint32_t kNowhere = ~std::uint32_t{0};

/// Goes over all places of a tensor of these sizes, in order, with the sum of place times stride.
[[nodiscard]] Indices walk(const Sizes& sizes, const Sizes& strides, std::int64_t first);

/// `name` becomes the elements of `value` at `from`; kNowhere gives `fill`.
void take(NetBuilder& net, const std::string& name, const NetValue& value, const Sizes& sizes,
          const Indices& from, float fill = 0);

/// Sizes must hold something and not too much, before anything is worked out for each element.
/// @throws OnnxError they do not.
const Sizes& sane(const OnnxNode& node, const Sizes& sizes);

/// Copies x[from] to y[to] for each pair; y keeps what it holds elsewhere.
void copy_pairs(NetBuilder& net, const float* x, float* y, const Indices& to, const Indices& from);

/// Copies `x`, seen through `strides` from `first` on, into a buffer with these sizes.
/// @param sizes of the result; strides are in elements of x.
void copy_strided(NetBuilder& net, const float* x, float* y, const Sizes& sizes, const Sizes& strides,
                  std::int64_t first);

}  // namespace ringcraft
