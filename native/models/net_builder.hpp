#pragma once
// From an ONNX graph to a list of kernels over buffers of fixed size, for one row at a time.
//
// Whatever does not depend on the row is worked out while building. A node that is not known here refuses the
// graph; ONNX Runtime then runs it.

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "models/aligned.hpp"
#include "models/kernels.hpp"
#include "models/onnx_file.hpp"

namespace ringcraft {

using Sizes = std::vector<std::int64_t>;

[[nodiscard]] std::size_t count_of(const Sizes& sizes) noexcept;

class NetOp;

/// How a value was rounded to steps and brought back, from what, and by which op.
struct Rounding {
  Scale to;
  const float* x = nullptr;
  const NetOp* op = nullptr;
};

/// Constants that were steps: (value - zero) of each, and scales, one or along `axis`.
struct WeightSteps {
  std::vector<std::int16_t> values;
  std::vector<float> scales;
  std::size_t axis = 0;
};

/// A tensor with one row in it: a buffer, or a constant.
struct NetValue {
  Sizes sizes;
  float* data = nullptr;  ///< null for constant integers
  bool constant = false;
  bool integral = false;  ///< constant integers, in `integers`
  std::vector<std::int64_t> integers{};
  Element element = Element::kFloat;
  std::shared_ptr<const Rounding> rounding{};
  std::shared_ptr<const WeightSteps> steps{};

  [[nodiscard]] std::size_t count() const noexcept { return count_of(sizes); }
};

/// One kernel on its buffers.
class NetOp {
 public:
  NetOp() = default;
  virtual ~NetOp() = default;
  NetOp(const NetOp&) = delete;
  NetOp& operator=(const NetOp&) = delete;
  virtual void run() noexcept = 0;
  /// Does what the next run() would otherwise begin with.
  virtual void settle() noexcept {}
};

/// An op that keeps states of many sequences and moves on the selected one's.
class NetCarrier {
 public:
  NetCarrier() = default;
  virtual ~NetCarrier() = default;
  NetCarrier(const NetCarrier&) = delete;
  NetCarrier& operator=(const NetCarrier&) = delete;
  virtual void select(std::size_t stream) noexcept = 0;
  virtual void restart(std::size_t stream) noexcept = 0;
};

/// What a graph was built into.
struct Net {
  std::vector<std::unique_ptr<NetOp>> ops;
  std::vector<NetCarrier*> carriers;  ///< among the ops
  std::vector<Aligned<float>> buffers;
  float* input = nullptr;
  const float* output = nullptr;
  std::size_t outputs = 0;
  const char* family = "dense";  ///< what it mostly is: dense, attention, conv, lstm
};

class NetBuilder {
 public:
  /// @param kernels whose functions the net calls.
  /// @param streams whose states LSTM layers carry from run to run; 0: every run begins afresh.
  NetBuilder(const OnnxGraph& graph, const Kernels& kernels, std::size_t streams = 0)
      : kernels_(kernels), graph_(graph), streams_(streams) {}

  /// @param input sizes of the graph's input, the first of them 1.
  /// @throws OnnxError something in it is not known here, or malformed.
  [[nodiscard]] Net build(const Sizes& input);

  // For the functions that build one kind of node.

  [[nodiscard]] const Kernels& kernels() const noexcept { return kernels_; }
  [[nodiscard]] std::int64_t opset() const noexcept { return graph_.opset; }
  [[nodiscard]] std::size_t streams() const noexcept { return streams_; }

  /// The node's input at `index`.
  [[nodiscard]] const NetValue& in(const OnnxNode& node, std::size_t index) const;
  [[nodiscard]] static bool has(const OnnxNode& node, std::size_t index) noexcept {
    return index < node.inputs.size() && !node.inputs[index].empty();
  }
  /// Constant integers at `index`.
  [[nodiscard]] const std::vector<std::int64_t>& integers(const OnnxNode& node, std::size_t index) const;
  /// Axes as the operator set has them: the input at `index`, or the attribute; empty: none are stated.
  [[nodiscard]] std::vector<std::int64_t> stated_axes(const OnnxNode& node, std::size_t index) const;
  /// A constant of one float at `index`.
  [[nodiscard]] float scalar(const OnnxNode& node, std::size_t index) const;

  /// A new buffer, with slack; zero to begin with.
  [[nodiscard]] float* buffer(std::size_t count);
  /// A constant buffer of these values.
  [[nodiscard]] float* keep(const std::vector<float>& values);

  /// Says that `name` is a new buffer of these sizes.
  NetValue& make(const std::string& name, const Sizes& sizes);
  /// Says how the value `name` came about.
  void rounded(const std::string& name, Rounding rounding);
  void stepped(const std::string& name, WeightSteps steps);
  /// Says that `name` is `value` read with other sizes.
  void view(const std::string& name, const NetValue& value, const Sizes& sizes);
  void constant(const std::string& name, const OnnxTensor& tensor);
  void constant_integers(const std::string& name, Sizes sizes, std::vector<std::int64_t> values,
                         Element element = Element::kInt64);

  template <class Op, class... Arguments>
  const NetOp* add(Arguments&&... arguments) {
    net_.ops.push_back(std::make_unique<Op>(std::forward<Arguments>(arguments)...));
    return net_.ops.back().get();
  }

  void add_op(std::unique_ptr<NetOp> op) { net_.ops.push_back(std::move(op)); }

  /// Says that an op keeps states; it is added too.
  void carries(NetCarrier& carrier) { net_.carriers.push_back(&carrier); }

  /// Takes back an op whose result another one makes for itself.
  void drop(const NetOp* op);

  /// Whether `name` has been built.
  [[nodiscard]] bool known(const std::string& name) const { return values_.contains(name); }
  /// The constant floats called `name`, null where it is something else.
  [[nodiscard]] const NetValue* constant_floats(const std::string& name) const;

  /// Whether a node on which the answer depends, or the answer itself, reads `name`.
  [[nodiscard]] bool read(const std::string& name) const;
  /// How many such nodes read `name`.
  [[nodiscard]] std::size_t readers(const std::string& name) const { return readers_.count(name); }
  /// The node that alone reads `name`, if it is of this kind and not yet built; else null.
  [[nodiscard]] const OnnxNode* only_reader(const std::string& name, const std::string& kind) const;
  /// Says that another node's kernel does this node's work too.
  void absorb(const OnnxNode& node) { done_[&node] = true; }

  /// Absorbs the activation that alone reads `name`; `name` becomes its output.
  Activation activation_after(std::string& name, float& slope);

  void is_family(const char* family);

 private:
  void build(const OnnxNode& node);
  /// Notes who reads what, and marks as done what the answer does not depend on.
  void link();

  const Kernels& kernels_;
  const OnnxGraph& graph_;
  std::size_t streams_;
  std::map<std::string, NetValue> values_;
  std::multimap<std::string, const OnnxNode*> readers_;
  std::map<const OnnxNode*, bool> done_;
  Net net_;
  std::size_t floats_ = 0;
};

[[noreturn]] void refuse_net(const std::string& why);

/// Does one node; false where its kind is not among this group's.
bool build_elementwise(NetBuilder& net, const OnnxNode& node);
bool build_product(NetBuilder& net, const OnnxNode& node);
bool build_conv(NetBuilder& net, const OnnxNode& node);
bool build_lstm(NetBuilder& net, const OnnxNode& node);
bool build_movement(NetBuilder& net, const OnnxNode& node);
bool build_shape(NetBuilder& net, const OnnxNode& node);
bool build_reduction(NetBuilder& net, const OnnxNode& node);
bool build_quantization(NetBuilder& net, const OnnxNode& node);

/// `axis` of `rank`, counted from the end where negative.
[[nodiscard]] std::size_t axis_of(std::int64_t axis, std::size_t rank);

/// Absorbs a constant bias that is added to every row of `name`, by the one node that reads it.
bool absorb_bias(NetBuilder& net, std::string& name, std::vector<float>& bias);

/// Packs weights [inputs][outputs] for Kernels::linear.
[[nodiscard]] std::vector<float> pack_linear(const std::vector<float>& weights, std::size_t inputs,
                                             std::size_t outputs, std::size_t lanes);

/// Strides of a tensor of these sizes, row by row.
[[nodiscard]] Sizes strides_of(const Sizes& sizes);

}  // namespace ringcraft
