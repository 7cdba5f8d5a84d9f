#pragma once
// A tree ensemble of an ONNX file, laid out for sum_trees().

#include <string>
#include <vector>

#include "models/aligned.hpp"
#include "models/kernels.hpp"
#include "models/onnx_file.hpp"

namespace ringcraft {

/// What a tree-ensemble node does to the sums in the end.
enum class TreeTransform : std::uint8_t { kNone, kSoftmax, kLogistic };

class PackedTrees {
 public:
  /// Packs a TreeEnsembleClassifier, TreeEnsembleRegressor or TreeEnsemble of ai.onnx.ml.
  ///
  /// Every comparison becomes "below": x <= t is x below the next float, and x > t is its opposite. Trees are
  /// renumbered breadth first, so that the splits near a root, which every row reads, lie together.
  ///
  /// @throws OnnxError it is malformed (an index out of range, a cycle) or something not done here: tests for
  ///     equality, averages, a binary classifier's single score, other transforms.
  explicit PackedTrees(const OnnxNode& node);

  /// Adds to every sum, as an Add after the node does.
  void add_base(const float* values);
  void transform(TreeTransform transform) noexcept { transform_ = transform; }

  [[nodiscard]] const Trees& trees() const noexcept { return trees_; }
  [[nodiscard]] const std::vector<float>& base() const noexcept { return base_; }
  [[nodiscard]] TreeTransform transform() const noexcept { return transform_; }
  [[nodiscard]] std::size_t outputs() const noexcept { return base_.size(); }

 private:
  struct Reader;

  std::vector<float> base_;
  TreeTransform transform_ = TreeTransform::kNone;
  Aligned<TreeNode> nodes_;
  Aligned<float> leaves_;
  Aligned<std::uint8_t> missing_low_;
  std::vector<TreeGroup> groups_;
  Trees trees_;
};

}  // namespace ringcraft
