// Convolutions as products of weights and rows of the input, and pooling.

#include <algorithm>
#include <limits>

#include "models/net_copies.hpp"

namespace ringcraft {
namespace {

constexpr std::size_t kMaxTaps = std::size_t{1} << 22U;

struct ConvOp final : NetOp {
  void run() noexcept override { call(product, weights, x, y); }

  decltype(Kernels::rows) call = nullptr;
  Rows product;
  std::vector<std::uint32_t> offsets;
  const float* weights = nullptr;
  const float* x = nullptr;
  float* y = nullptr;
};

/// The largest, or the mean, over the taps of each output.
struct PoolOp final : NetOp {
  void run() noexcept override {
    for (std::size_t i = 0; i < count; ++i) {
      float best = x[from[i]];
      for (std::size_t tap = 1; tap < taps; ++tap) {
        const float next = x[from[tap * count + i]];
        best = mean ? best + next : (next > best ? next : best);
      }
      y[i] = mean ? best / static_cast<float>(taps) : best;
    }
  }

  const float* x = nullptr;
  float* y = nullptr;
  std::size_t count = 0;
  std::size_t taps = 0;
  bool mean = false;
  std::vector<std::uint32_t> from;  // [tap][output]
};

/// A window over the last two axes of [1][channels][height][width].
struct Window {
  std::size_t channels, height, width;
  std::size_t tall, wide;   // of the window
  std::size_t down, along;  // steps
  std::size_t apart_down, apart_along;
  std::size_t out_height, out_width;
  const float* x;  // padded
};

std::size_t positive(const OnnxNode& node, const std::string& name, std::size_t index,
                     std::size_t otherwise) {
  const std::vector<std::int64_t> given = node.integers(name);
  if (given.empty()) return otherwise;
  if (index >= given.size() || given[index] < 0 || given[index] > 4096) refuse_net(node.kind + ": " + name);
  return static_cast<std::size_t>(given[index]);
}

/// Reads a node's window; the input gets its padding, of `fill`.
Window window_of(NetBuilder& net, const OnnxNode& node, Sizes kernel, float fill) {
  const NetValue input = net.in(node, 0);
  const bool flat = input.sizes.size() == 3;  // [1][channels][width]
  const std::string pad = node.text("auto_pad", "NOTSET");
  if (input.integral || (!flat && input.sizes.size() != 4) || input.sizes[0] != 1 ||
      (pad != "NOTSET" && pad != "VALID") || kernel.size() != (flat ? 1U : 2U) ||
      node.integer("ceil_mode", 0) != 0) {
    refuse_net(node.kind + ": expected a window over one or two axes of [1, channels, ...]");
  }
  const std::size_t last = flat ? 0 : 1;
  const auto read = [&](const std::string& name, std::size_t axis, std::size_t otherwise) {
    return positive(node, name, axis, otherwise);
  };
  Window w{};
  w.channels = static_cast<std::size_t>(input.sizes[1]);
  w.height = flat ? 1 : static_cast<std::size_t>(input.sizes[2]);
  w.width = static_cast<std::size_t>(input.sizes.back());
  for (const std::int64_t size : kernel) {
    if (size < 1 || size > 4096) refuse_net(node.kind + ": kernel size " + std::to_string(size));
  }
  w.tall = flat ? 1 : static_cast<std::size_t>(kernel[0]);
  w.wide = static_cast<std::size_t>(kernel[last]);
  w.down = flat ? 1 : read("strides", 0, 1);
  w.along = read("strides", last, 1);
  w.apart_down = flat ? 1 : read("dilations", 0, 1);
  w.apart_along = read("dilations", last, 1);
  const std::size_t axes = flat ? 1 : 2;
  const std::size_t top = flat ? 0 : read("pads", 0, 0);
  const std::size_t left = read("pads", last, 0);
  const std::size_t bottom = flat ? 0 : read("pads", axes, 0);
  const std::size_t right = read("pads", axes + last, 0);
  const std::size_t height = w.height + top + bottom;
  const std::size_t width = w.width + left + right;
  const std::size_t reach_down = (w.tall - 1) * w.apart_down + 1;
  const std::size_t reach_along = (w.wide - 1) * w.apart_along + 1;
  if (w.down == 0 || w.along == 0 || reach_down > height || reach_along > width) {
    refuse_net(node.kind + ": a window larger than its input");
  }
  w.out_height = (height - reach_down) / w.down + 1;
  w.out_width = (width - reach_along) / w.along + 1;
  w.x = input.data;
  if (height != w.height || width != w.width) {
    float* padded_input = net.buffer(w.channels * height * width);
    std::fill(padded_input, padded_input + w.channels * height * width, fill);
    std::vector<std::uint32_t> to;
    std::vector<std::uint32_t> from;
    for (std::size_t i = 0; i < input.count(); ++i) {
      const std::size_t row = i / w.width;
      const std::size_t at = (row / w.height * height + row % w.height + top) * width + i % w.width + left;
      to.push_back(static_cast<std::uint32_t>(at));
      from.push_back(static_cast<std::uint32_t>(i));
    }
    copy_pairs(net, input.data, padded_input, to, from);
    w.x = padded_input;
  }
  w.height = height;
  w.width = width;
  return w;
}

Sizes output_sizes(const NetValue& input, std::size_t channels, const Window& w) {
  const auto whole = [](std::size_t size) { return static_cast<std::int64_t>(size); };
  return input.sizes.size() == 3 ? Sizes{1, whole(channels), whole(w.out_width)}
                                 : Sizes{1, whole(channels), whole(w.out_height), whole(w.out_width)};
}

void add_conv(NetBuilder& net, const OnnxNode& node) {
  const NetValue input = net.in(node, 0);
  const NetValue weights = net.in(node, 1);
  if (!weights.constant || weights.integral || weights.sizes.size() < 3 || node.integer("group", 1) != 1) {
    refuse_net("Conv: expected constant weights of one group");
  }
  const Window w = window_of(net, node, Sizes(weights.sizes.begin() + 2, weights.sizes.end()), 0.0F);
  if (weights.sizes[1] != static_cast<std::int64_t>(w.channels) || weights.count() == 0) {
    refuse_net("Conv: weights of other channels than the input's");
  }
  net.is_family("conv");
  auto op = std::make_unique<ConvOp>();
  Rows& product = op->product;
  product.m = static_cast<std::size_t>(weights.sizes[0]);
  product.n = w.out_height * w.out_width;
  product.k = w.channels * w.tall * w.wide;
  product.a_row = product.k;
  product.c_row = product.n;
  if (product.k * product.n > kMaxTaps) refuse_net("Conv: too large");
  // Where the outputs' inputs lie side by side for every tap, the input serves as it is; else taps are laid
  // out.
  const bool side_by_side = w.down == 1 && w.along == 1 && (w.out_width == w.width || w.out_height == 1);
  std::vector<std::uint32_t> to;
  std::vector<std::uint32_t> from;
  for (std::size_t k = 0; k < product.k; ++k) {
    const std::size_t channel = k / (w.tall * w.wide);
    const std::size_t i = k / w.wide % w.tall * w.apart_down;
    const std::size_t j = k % w.wide * w.apart_along;
    const std::size_t corner = (channel * w.height + i) * w.width + j;
    op->offsets.push_back(static_cast<std::uint32_t>(side_by_side ? corner : k * product.n));
    for (std::size_t n = 0; n < product.n && !side_by_side; ++n) {
      to.push_back(static_cast<std::uint32_t>(k * product.n + n));
      from.push_back(static_cast<std::uint32_t>(corner + n / w.out_width * w.down * w.width +
                                                n % w.out_width * w.along));
    }
  }
  op->x = w.x;
  if (!side_by_side) {
    float* laid_out = net.buffer(product.k * product.n);
    copy_pairs(net, w.x, laid_out, to, from);
    op->x = laid_out;
  }
  product.offsets = op->offsets.data();
  if (net.has(node, 2)) {
    const NetValue bias = net.in(node, 2);
    if (!bias.constant || bias.integral || bias.count() != product.m)
      refuse_net("Conv: expected a constant bias");
    product.bias = bias.data;
  }
  std::string name = node.outputs[0];
  product.activation = net.activation_after(name, product.slope);
  op->call = net.kernels().rows;
  op->weights = weights.data;
  op->y = net.make(name, output_sizes(input, product.m, w)).data;
  net.add_op(std::move(op));
}

void add_pool(NetBuilder& net, const OnnxNode& node, bool mean) {
  const NetValue input = net.in(node, 0);
  if (node.outputs.size() != 1) refuse_net(node.kind + ": indices are not given");
  const float nothing = -std::numeric_limits<float>::infinity();
  const Window w = window_of(net, node, node.integers("kernel_shape"), mean ? 0.0F : nothing);
  const bool padded_mean = mean && w.x != input.data && node.integer("count_include_pad", 0) == 0;
  if (padded_mean) refuse_net("AveragePool: means that leave out the padding");
  auto op = std::make_unique<PoolOp>();
  op->x = w.x;
  op->mean = mean;
  op->taps = w.tall * w.wide;
  op->count = w.channels * w.out_height * w.out_width;
  if (op->taps * op->count > kMaxTaps) refuse_net(node.kind + ": too large");
  for (std::size_t tap = 0; tap < op->taps; ++tap) {
    for (std::size_t i = 0; i < op->count; ++i) {
      const std::size_t channel = i / (w.out_height * w.out_width);
      const std::size_t row = i / w.out_width % w.out_height * w.down + tap / w.wide * w.apart_down;
      const std::size_t column = i % w.out_width * w.along + tap % w.wide * w.apart_along;
      op->from.push_back(static_cast<std::uint32_t>((channel * w.height + row) * w.width + column));
    }
  }
  op->y = net.make(node.outputs[0], output_sizes(input, w.channels, w)).data;
  net.add_op(std::move(op));
}

}  // namespace

bool build_conv(NetBuilder& net, const OnnxNode& node) {
  if (node.kind == "Conv") {
    add_conv(net, node);
  } else if (node.kind == "MaxPool" || node.kind == "AveragePool") {
    add_pool(net, node, node.kind == "AveragePool");
  } else {
    return false;
  }
  return true;
}

}  // namespace ringcraft
