#pragma once
// Sums over trees, without a branch that depends on the row; for kernels_body.hpp alone.

#include "models/kernels_vector.hpp"

namespace ringcraft {
namespace {

/// A float's bits as an unsigned integer of the same order, -0 as 0; NaN comes out at one of the ends.
RINGCRAFT_INLINE Ints ordered_keys(Floats x) noexcept {
  const Ints bits = as_ints(x + 0.0F);
  return bits ^ ((bits >> 31) | static_cast<std::int32_t>(0x80000000U));
}

/// Returns whether something is missing.
RINGCRAFT_INLINE bool fill_keys(const float* row, std::uint32_t* keys, std::size_t features) noexcept {
  Ints missing{};
  std::size_t i = 0;
  for (; i + kLanes <= features; i += kLanes) {
    const Floats x = load(row + i);
    missing |= x != x;
    const Ints key = ordered_keys(x);
    __builtin_memcpy(keys + i, &key, sizeof key);
  }
  if (i < features) {
    float rest[kLanes] = {};
    for (std::size_t j = i; j < features; ++j) {
      rest[j - i] = row[j];
    }
    const Floats x = load(rest);
    missing |= x != x;
    const Ints key = ordered_keys(x);
    __builtin_memcpy(keys + i, &key, sizeof key);
  }
  std::int32_t any = 0;
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    any |= missing[lane];
  }
  return any != 0;
}

/// One tree for a row in which something is missing.
RINGCRAFT_INLINE float careful_leaf(const Trees& trees, const TreeGroup& group, std::size_t tree,
                                    const float* row, const std::uint32_t* keys) noexcept {
  const std::uint32_t root = group.roots[tree];
  std::uint32_t at = group.full ? 1 : root;
  for (std::uint32_t level = 0; level < group.levels; ++level) {
    const std::uint32_t place = group.full ? root + at : at;
    const TreeNode node = trees.nodes[place];
    const std::uint32_t feature = group.full ? node.link : node.link & 0xFFU;
    const bool missing = row[feature] != row[feature];
    const bool low = missing ? trees.missing_low[place] != 0 : keys[feature] < node.key;
    at = group.full ? 2 * at + static_cast<std::uint32_t>(low)
                    : (node.link >> 8U) + static_cast<std::uint32_t>(!low);
  }
  if (!group.full) return trees.leaves[at];
  const std::uint32_t size = 1U << group.levels;
  return trees.leaves[group.first_leaf + tree * size + at - size];
}

/// Eight full trees of one height, one behind the other: where each node lies needs no look-up.
template <std::uint32_t kLevels>
RINGCRAFT_INLINE float sum_full(const TreeNode* nodes, const float* leaves,
                                const std::uint32_t* keys) noexcept {
  constexpr std::size_t kSize = std::size_t{1} << kLevels;
  std::size_t at[kTreesInFlight];
#pragma GCC unroll 8
  for (std::size_t i = 0; i < kTreesInFlight; ++i) {
    at[i] = 1;
  }
#pragma GCC unroll 8
  for (std::uint32_t level = 0; level < kLevels; ++level) {
#pragma GCC unroll 8
    for (std::size_t i = 0; i < kTreesInFlight; ++i) {
      const TreeNode* node = nodes + i * kSize + at[i];
      at[i] = at[i] + at[i] + static_cast<std::size_t>(keys[node->link] < node->key);
    }
  }
  float sum = 0;
#pragma GCC unroll 8
  for (std::size_t i = 0; i < kTreesInFlight; ++i) {
    sum += (leaves + i * kSize - kSize)[at[i]];
  }
  return sum;
}

RINGCRAFT_INLINE float sum_full_group(const Trees& trees, const TreeGroup& group,
                                      const std::uint32_t* keys) noexcept {
  const TreeNode* nodes = trees.nodes + group.roots[0];
  const float* leaves = trees.leaves + group.first_leaf;
  switch (group.levels) {
    case 1:
      return sum_full<1>(nodes, leaves, keys);
    case 2:
      return sum_full<2>(nodes, leaves, keys);
    case 3:
      return sum_full<3>(nodes, leaves, keys);
    case 4:
      return sum_full<4>(nodes, leaves, keys);
    case 5:
      return sum_full<5>(nodes, leaves, keys);
    case 6:
      return sum_full<6>(nodes, leaves, keys);
    case 7:
      return sum_full<7>(nodes, leaves, keys);
    default:
      return sum_full<kFullLevels>(nodes, leaves, keys);
  }
}

RINGCRAFT_INLINE float sum_linked_group(const Trees& trees, const TreeGroup& group,
                                        const std::uint32_t* keys) noexcept {
  const TreeNode* const nodes = trees.nodes;
  std::uint32_t at[kTreesInFlight];
#pragma GCC unroll 8
  for (std::size_t i = 0; i < kTreesInFlight; ++i) {
    at[i] = group.roots[i];
  }
  for (std::uint32_t level = 0; level < group.levels; ++level) {
#pragma GCC unroll 8
    for (std::size_t i = 0; i < kTreesInFlight; ++i) {
      const TreeNode node = nodes[at[i]];
      at[i] = (node.link >> 8U) + static_cast<std::uint32_t>(keys[node.link & 0xFFU] >= node.key);
    }
  }
  float sum = 0;
#pragma GCC unroll 8
  for (std::size_t i = 0; i < kTreesInFlight; ++i) {
    sum += trees.leaves[at[i]];
  }
  return sum;
}

void sum_trees(const Trees& trees, const float* row, std::uint32_t* keys, float* sums) noexcept {
  const bool missing = fill_keys(row, keys, trees.features);
  for (std::size_t g = 0; g < trees.group_count; ++g) {
    const TreeGroup& group = trees.groups[g];
    float sum = 0;
    if (missing) {
      for (std::size_t i = 0; i < kTreesInFlight; ++i) {
        sum += careful_leaf(trees, group, i, row, keys);
      }
    } else {
      sum = group.full ? sum_full_group(trees, group, keys) : sum_linked_group(trees, group, keys);
    }
    sums[group.output] += sum;
  }
}

}  // namespace
}  // namespace ringcraft
