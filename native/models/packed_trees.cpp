#include "models/packed_trees.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <tuple>

namespace ringcraft {
namespace {

constexpr std::uint32_t kMaxNodes = 1U << 24U;  // links hold 24 bits
constexpr std::uint32_t kMaxLevels = 64;
constexpr std::uint32_t kLeafKey = std::numeric_limits<std::uint32_t>::max();  // no number's key is as large
constexpr std::uint32_t kAlwaysFull = 6;  // levels; up to kFullLevels where a tree is dense enough

[[noreturn]] void refuse(const std::string& why) { throw OnnxError("trees: " + why); }

/// As ordered_keys() of the kernels makes it.
std::uint32_t ordered_key(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value + 0.0F);
  return bits ^ ((bits >> 31U) != 0 ? 0xFFFFFFFFU : 0x80000000U);
}

}  // namespace

/// The node's columns, and the way from them to packed trees.
struct PackedTrees::Reader {
  struct Split {
    std::uint32_t key = kLeafKey;
    std::uint32_t feature = 0;
    std::uint32_t low = 0;  // rows of the columns
    std::uint32_t high = 0;
    bool missing_low = false;
    bool leaf = true;
    std::vector<std::pair<std::uint32_t, float>> weights;  // output, value
  };

  /// A tree's part that adds to one output.
  struct Grown {
    bool linked;
    std::uint32_t output;
    std::uint32_t levels;
    std::uint32_t root;   // row of its root
    std::uint32_t place;  // linked: where it lies
  };

  Reader(const OnnxNode& from, PackedTrees& into) : node(from), packed(into) {
    regressor = node.kind == "TreeEnsembleRegressor";
    if (node.kind == "TreeEnsemble") {
      read_shared_leaves();
      return;
    }
    if (!regressor && node.kind != "TreeEnsembleClassifier") {
      refuse("expected a tree ensemble, got " + node.kind);
    }
    read_outputs();
    read_splits();
    read_weights();
    for (std::uint32_t row = 0; row < splits.size(); ++row) {
      if (!below_another[row]) pack_tree(row);
    }
  }

  /// ai.onnx.ml 5: splits by place, leaves apart and perhaps shared.
  void read_shared_leaves() {
    constexpr std::int64_t kSum = 1;
    const std::int64_t outputs = node.integer("n_targets", 0);
    if (outputs < 1 || outputs > static_cast<std::int64_t>(kMaxOutputs) ||
        node.integer("post_transform", 0) != 0 || node.integer("aggregate_function", kSum) != kSum) {
      refuse("expected plain sums for 1.." + std::to_string(kMaxOutputs) + " targets");
    }
    packed.base_.assign(static_cast<std::size_t>(outputs), 0.0F);
    const OnnxAttribute* ids = node.find("nodes_featureids");
    const OnnxAttribute* values = node.find("nodes_splits");
    const OnnxAttribute* modes = node.find("nodes_modes");
    const OnnxAttribute* weights = node.find("leaf_weights");
    const OnnxAttribute* targets = node.find("leaf_targetids");
    const OnnxAttribute* roots = node.find("tree_roots");
    if (ids == nullptr || values == nullptr || modes == nullptr || weights == nullptr || targets == nullptr ||
        roots == nullptr || node.find("membership_values") != nullptr) {
      refuse("a TreeEnsemble of another kind");
    }
    const std::size_t count = ids->integers.size();
    const std::size_t leaves = targets->integers.size();
    if (count > kMaxNodes / 4 || leaves > kMaxNodes / 4 || values->tensor.reals.size() != count ||
        modes->tensor.integers.size() != count || weights->tensor.reals.size() != leaves) {
      refuse("TreeEnsemble: columns of different lengths");
    }
    const auto& low_leaf = column("nodes_trueleafs", count);
    const auto& low = column("nodes_truenodeids", count);
    const auto& high_leaf = column("nodes_falseleafs", count);
    const auto& high = column("nodes_falsenodeids", count);
    const std::vector<std::int64_t> missing = missing_tracks(count);
    splits.resize(count + leaves);
    const auto below = [&](std::int64_t leaf, std::int64_t id) {
      const std::size_t most = leaf != 0 ? leaves : count;
      if (id < 0 || id >= static_cast<std::int64_t>(most)) refuse("a branch to " + std::to_string(id));
      return static_cast<std::uint32_t>(static_cast<std::size_t>(id) + (leaf != 0 ? count : 0));
    };
    for (std::size_t row = 0; row < count; ++row) {
      static constexpr const char* kModes[] = {"BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT"};
      const std::int64_t mode = modes->tensor.integers[row];
      if (mode < 0 || mode > 3) refuse("mode " + std::to_string(mode));
      set_split(splits[row], ids->integers[row], below(low_leaf[row], low[row]),
                below(high_leaf[row], high[row]), missing[row] != 0);
      compare_below(splits[row], kModes[mode], values->tensor.reals[row]);
    }
    for (std::size_t leaf = 0; leaf < leaves; ++leaf) {
      add_weight(splits[count + leaf], targets->integers[leaf], weights->tensor.reals[leaf]);
    }
    for (const std::int64_t root : roots->integers) {
      pack_tree(below(0, root));
    }
  }

  const std::vector<std::int64_t>& column(const std::string& name, std::size_t size) {
    const OnnxAttribute* found = node.find(name);
    if (found == nullptr || found->integers.size() != size) {
      refuse(name + ": expected " + std::to_string(size) + " numbers");
    }
    return found->integers;
  }

  const std::vector<float>& reals(const std::string& name, std::size_t size) {
    const OnnxAttribute* found = node.find(name);
    if (found == nullptr || found->reals.size() != size) {
      refuse(name + ": expected " + std::to_string(size) + " numbers");
    }
    return found->reals;
  }

  void read_outputs() {
    std::size_t outputs = 0;
    if (regressor) {
      outputs = static_cast<std::size_t>(std::max<std::int64_t>(node.integer("n_targets", 1), 0));
      if (node.text("aggregate_function", "SUM") != "SUM") refuse("only sums over trees are done here");
    } else {
      const auto* labels = node.find("classlabels_int64s");
      const auto* names = node.find("classlabels_strings");
      outputs = labels != nullptr && !labels->integers.empty() ? labels->integers.size()
                : names != nullptr                             ? names->texts.size()
                                                               : 0;
      if (outputs < 3) refuse("a classifier of fewer than three classes");
    }
    if (outputs < 1 || outputs > kMaxOutputs) {
      refuse("expected 1.." + std::to_string(kMaxOutputs) + " outputs, got " + std::to_string(outputs));
    }
    packed.base_.assign(outputs, 0.0F);
    if (const OnnxAttribute* base = node.find("base_values"); base != nullptr && !base->reals.empty()) {
      packed.base_ = reals("base_values", outputs);
    }
    const std::string transform = node.text("post_transform", "NONE");
    if (transform == "SOFTMAX") {
      packed.transform_ = TreeTransform::kSoftmax;
    } else if (transform == "LOGISTIC") {
      packed.transform_ = TreeTransform::kLogistic;
    } else if (transform != "NONE") {
      refuse("transform " + transform);
    }
    for (const auto& [name, value] : node.attributes) {
      if (name.ends_with("_as_tensor")) refuse(name);
    }
  }

  void read_splits() {
    const OnnxAttribute* ids = node.find("nodes_nodeids");
    const std::size_t count = ids == nullptr ? 0 : ids->integers.size();
    const OnnxAttribute* modes = node.find("nodes_modes");
    if (count > kMaxNodes / 4 || modes == nullptr || modes->texts.size() != count) {
      if (count == 0) return;  // no trees: the sums are the base values
      refuse("nodes_modes: expected as many as nodes");
    }
    const auto& tree_ids = column("nodes_treeids", count);
    const auto& features = column("nodes_featureids", count);
    const auto& lows = column("nodes_truenodeids", count);
    const auto& highs = column("nodes_falsenodeids", count);
    const auto& values = reals("nodes_values", count);
    const std::vector<std::int64_t> missing = missing_tracks(count);
    for (std::size_t row = 0; row < count; ++row) {
      if (!places.emplace(std::pair(tree_ids[row], ids->integers[row]), static_cast<std::uint32_t>(row))
               .second) {
        refuse("two nodes of one number");
      }
    }
    splits.resize(count);
    below_another.resize(count);
    for (std::size_t row = 0; row < count; ++row) {
      Split& split = splits[row];
      if (modes->texts[row] == "LEAF") continue;
      set_split(split, features[row], place(tree_ids[row], lows[row]), place(tree_ids[row], highs[row]),
                missing[row] != 0);
      below_another[split.low] = below_another[split.high] = true;
      compare_below(split, modes->texts[row], values[row]);
    }
  }

  [[nodiscard]] std::vector<std::int64_t> missing_tracks(std::size_t count) {
    const OnnxAttribute* tracks = node.find("nodes_missing_value_tracks_true");
    return tracks == nullptr || tracks->integers.empty() ? std::vector<std::int64_t>(count, 0)
                                                         : column("nodes_missing_value_tracks_true", count);
  }

  void set_split(Split& split, std::int64_t feature, std::uint32_t low, std::uint32_t high,
                 bool missing_low) {
    if (feature < 0 || feature >= static_cast<std::int64_t>(kMaxFeatures)) {
      refuse("feature " + std::to_string(feature));
    }
    split.leaf = false;
    split.feature = static_cast<std::uint32_t>(feature);
    packed.trees_.features = std::max<std::size_t>(packed.trees_.features, split.feature + 1U);
    split.low = low;
    split.high = high;
    split.missing_low = missing_low;
  }

  void add_weight(Split& split, std::int64_t output, float weight) const {
    if (output < 0 || output >= static_cast<std::int64_t>(packed.base_.size())) {
      refuse("output " + std::to_string(output));
    }
    split.weights.emplace_back(static_cast<std::uint32_t>(output), weight);
  }

  static void compare_below(Split& split, const std::string& mode, float value) {
    if (std::isnan(value)) refuse("a threshold that is not a number");
    const bool opposite = mode == "BRANCH_GT" || mode == "BRANCH_GTE";
    const bool inclusive = mode == "BRANCH_LEQ" || mode == "BRANCH_GT";
    if (!opposite && mode != "BRANCH_LEQ" && mode != "BRANCH_LT") refuse("mode " + mode);
    split.key =
        ordered_key(value) + (inclusive ? 1U : 0U);  // an infinity's key is far from the largest integer
    if (opposite) {
      std::swap(split.low, split.high);
      split.missing_low = !split.missing_low;
    }
  }

  std::uint32_t place(std::int64_t tree, std::int64_t id) const {
    const auto found = places.find({tree, id});
    if (found == places.end()) refuse("a branch to node " + std::to_string(id) + ", which is not there");
    return found->second;
  }

  void read_weights() {
    const std::string prefix = regressor ? "target_" : "class_";
    const OnnxAttribute* ids = node.find(prefix + "ids");
    const std::size_t count = ids == nullptr ? 0 : ids->integers.size();
    if (count == 0) return;
    const auto& tree_ids = column(prefix + "treeids", count);
    const auto& node_ids = column(prefix + "nodeids", count);
    const auto& weights = reals(prefix + "weights", count);
    for (std::size_t i = 0; i < count; ++i) {
      add_weight(splits[place(tree_ids[i], node_ids[i])], ids->integers[i], weights[i]);
    }
  }

  /// Lays out the tree whose first row is `root`, once for each output that its leaves add to.
  void pack_tree(std::uint32_t root) {
    std::vector<std::uint32_t> rows = {root};
    std::vector<std::uint32_t> level = {0};
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (splits[rows[i]].leaf) continue;
      if (level[i] >= kMaxLevels || rows.size() > 2 * splits.size()) {
        refuse("a tree of more than " + std::to_string(kMaxLevels) + " levels, or a cycle");
      }
      for (const std::uint32_t child : {splits[rows[i]].low, splits[rows[i]].high}) {
        rows.push_back(child);
        level.push_back(level[i] + 1);
      }
    }
    std::vector<std::uint32_t> outputs;
    for (const std::uint32_t row : rows) {
      if (!splits[row].leaf) continue;
      for (const auto& [output, weight] : splits[row].weights) {
        if (std::find(outputs.begin(), outputs.end(), output) == outputs.end()) outputs.push_back(output);
      }
    }
    for (const std::uint32_t output : outputs) {
      const std::uint32_t levels = std::max(level.back(), 1U);
      const bool full = levels <= kAlwaysFull || (levels <= kFullLevels && (1U << levels) <= 2 * rows.size());
      grown.push_back({!full, output, levels, root, full ? 0 : lay_out(rows, output)});
    }
  }

  std::uint32_t lay_out(const std::vector<std::uint32_t>& rows, std::uint32_t output) {
    const std::size_t first = packed.nodes_.size();
    if (first + rows.size() > kMaxNodes) refuse("too many nodes");
    std::size_t next_child = first + 1;
    for (const std::uint32_t row : rows) {
      const Split& split = splits[row];
      const std::size_t own = packed.nodes_.size();
      const std::size_t low = split.leaf ? own : next_child;
      next_child += split.leaf ? 0 : 2;
      packed.nodes_.push_back({split.key, static_cast<std::uint32_t>(low << 8U) | split.feature});
      packed.missing_low_.push_back(split.leaf || split.missing_low ? 1 : 0);
      packed.leaves_.push_back(leaf_value(split, output));
    }
    return static_cast<std::uint32_t>(first);
  }

  /// Puts a tree down in full, number `at` of it and all below; below a leaf all leaves are that one's.
  void lay_out_full(const Grown& tree, std::uint32_t row, std::uint32_t levels, std::size_t at,
                    std::size_t nodes, std::size_t leaves) {
    const Split& split = splits[row];
    const std::size_t size = std::size_t{1} << tree.levels;
    if (levels == 0) {
      packed.leaves_[leaves + at - size] = leaf_value(split, tree.output);
      return;
    }
    packed.nodes_[nodes + at] = {split.leaf ? 0 : split.key, split.feature};
    packed.missing_low_[nodes + at] = split.missing_low ? 1 : 0;
    lay_out_full(tree, split.leaf ? row : split.low, levels - 1, 2 * at + 1, nodes, leaves);
    lay_out_full(tree, split.leaf ? row : split.high, levels - 1, 2 * at, nodes, leaves);
  }

  static float leaf_value(const Split& split, std::uint32_t output) {
    float value = 0;
    for (const auto& [to, weight] : split.weights) {
      value += split.leaf && to == output ? weight : 0.0F;
    }
    return value;
  }

  /// Trees of one output and like depth, eight at a time; where there are fewer, the rest add nothing.
  void group() {
    std::stable_sort(grown.begin(), grown.end(), [](const Grown& one, const Grown& other) {
      return std::tie(one.linked, one.output, one.levels) <
             std::tie(other.linked, other.output, other.levels);
    });
    packed.nodes_.push_back({kLeafKey, static_cast<std::uint32_t>(packed.nodes_.size()) << 8U});
    packed.leaves_.push_back(0);
    packed.missing_low_.push_back(1);
    const auto nothing = static_cast<std::uint32_t>(packed.nodes_.size() - 1);
    for (std::size_t first = 0; first < grown.size();) {
      std::size_t last = first;
      while (last < grown.size() && last - first < kTreesInFlight &&
             grown[last].linked == grown[first].linked && grown[last].output == grown[first].output) {
        ++last;
      }
      TreeGroup group{{}, grown[last - 1].levels, grown[first].output, 0, !grown[first].linked};
      std::fill(std::begin(group.roots), std::end(group.roots), nothing);
      if (group.full) {
        put_full(group, first, last);
      } else {
        for (std::size_t i = first; i < last; ++i) group.roots[i - first] = grown[i].place;
      }
      packed.groups_.push_back(group);
      first = last;
    }
  }

  void put_full(TreeGroup& group, std::size_t first, std::size_t last) {
    const std::size_t size = std::size_t{1} << group.levels;
    const std::size_t nodes = padded(packed.nodes_.size(), kSlack);
    const std::size_t leaves = padded(packed.leaves_.size(), kSlack);
    if (nodes + kTreesInFlight * size > kMaxNodes) refuse("too many nodes");
    packed.nodes_.resize(nodes + kTreesInFlight * size);
    packed.missing_low_.resize(packed.nodes_.size());
    packed.leaves_.resize(leaves + kTreesInFlight * size);
    group.first_leaf = static_cast<std::uint32_t>(leaves);
    for (std::size_t i = 0; i < kTreesInFlight; ++i) {
      group.roots[i] = static_cast<std::uint32_t>(nodes + i * size);
      if (first + i >= last) continue;
      Grown tree = grown[first + i];
      tree.levels = group.levels;
      lay_out_full(tree, tree.root, group.levels, 1, nodes + i * size, leaves + i * size);
    }
  }

  const OnnxNode& node;
  PackedTrees& packed;
  bool regressor = false;
  std::vector<Split> splits;
  std::vector<bool> below_another;  // what is below no other is a root
  std::map<std::pair<std::int64_t, std::int64_t>, std::uint32_t> places;
  std::vector<Grown> grown;
};

PackedTrees::PackedTrees(const OnnxNode& node) {
  Reader(node, *this).group();
  trees_.nodes = nodes_.data();
  trees_.leaves = leaves_.data();
  trees_.missing_low = missing_low_.data();
  trees_.groups = groups_.data();
  trees_.group_count = groups_.size();
}

void PackedTrees::add_base(const float* values) {
  for (std::size_t i = 0; i < base_.size(); ++i) {
    base_[i] += values[i];
  }
}

}  // namespace ringcraft
