#include "models/net_copies.hpp"

#include <cstring>

namespace ringcraft {
namespace {

/// y[to..] = x[from..] piece by piece.
struct PiecesOp final : NetOp {
  struct Piece {
    std::uint32_t to;
    std::uint32_t from;
    std::uint32_t count;
  };

  void run() noexcept override {
    for (const Piece& piece : pieces) {
      std::memcpy(y + piece.to, x + piece.from, piece.count * sizeof(float));
    }
  }

  const float* x = nullptr;
  float* y = nullptr;
  std::vector<Piece> pieces;
};

/// y[i] = x[from[i]].
struct TableOp final : NetOp {
  void run() noexcept override {
    for (std::size_t i = 0; i < from.size(); ++i) {
      y[i] = x[from[i]];
    }
  }

  const float* x = nullptr;
  float* y = nullptr;
  Indices from;
};

}  // namespace

Indices walk(const Sizes& sizes, const Sizes& strides, std::int64_t first) {
  const std::size_t count = count_of(sizes);
  Indices indices;
  indices.reserve(count);
  std::vector<std::int64_t> at(sizes.size(), 0);
  std::int64_t offset = first;
  for (std::size_t i = 0; i < count; ++i) {
    indices.push_back(static_cast<std::uint32_t>(offset));
    for (std::size_t axis = sizes.size(); axis-- > 0;) {
      offset += strides[axis];
      if (++at[axis] < sizes[axis]) break;
      offset -= strides[axis] * sizes[axis];
      at[axis] = 0;
    }
  }
  return indices;
}

void take(NetBuilder& net, const std::string& name, const NetValue& value, const Sizes& sizes,
          const Indices& from, float fill) {
  if (value.integral) {
    std::vector<std::int64_t> taken;
    for (const std::uint32_t index : from) {
      taken.push_back(index == kNowhere ? static_cast<std::int64_t>(fill) : value.integers.at(index));
    }
    net.constant_integers(name, sizes, std::move(taken), value.element);
    return;
  }
  if (value.constant) {
    OnnxTensor tensor;
    tensor.element = Element::kFloat;
    tensor.sizes = sizes;
    for (const std::uint32_t index : from) {
      tensor.reals.push_back(index == kNowhere ? fill : value.data[index]);
    }
    net.constant(name, tensor);
    return;
  }
  float* y = net.make(name, sizes).data;
  Indices to;
  Indices kept;
  for (std::size_t i = 0; i < from.size(); ++i) {
    y[i] = fill;
    if (from[i] == kNowhere) continue;
    to.push_back(static_cast<std::uint32_t>(i));
    kept.push_back(from[i]);
  }
  copy_pairs(net, value.data, y, to, kept);
}

const Sizes& sane(const OnnxNode& node, const Sizes& sizes) {
  double count = 1;
  for (const std::int64_t size : sizes) {
    count *= static_cast<double>(size);
    if (size < 0 || !(count <= 1e6)) refuse_net(node.kind + ": too large");
  }
  return sizes;
}

void copy_pairs(NetBuilder& net, const float* x, float* y, const Indices& to, const Indices& from) {
  auto pieces = std::make_unique<PiecesOp>();
  bool in_order = true;
  for (std::size_t i = 0; i < to.size(); ++i) {
    in_order = in_order && to[i] == i;
    if (!pieces->pieces.empty()) {
      PiecesOp::Piece& last = pieces->pieces.back();
      if (last.to + last.count == to[i] && last.from + last.count == from[i]) {
        ++last.count;
        continue;
      }
    }
    pieces->pieces.push_back({to[i], from[i], 1});
  }
  if (in_order && pieces->pieces.size() * 4 > to.size()) {
    auto table = std::make_unique<TableOp>();
    table->x = x;
    table->y = y;
    table->from = from;
    net.add_op(std::move(table));
    return;
  }
  pieces->x = x;
  pieces->y = y;
  net.add_op(std::move(pieces));
}

void copy_strided(NetBuilder& net, const float* x, float* y, const Sizes& sizes, const Sizes& strides,
                  std::int64_t first) {
  const Indices from = walk(sizes, strides, first);
  Indices to(from.size());
  for (std::size_t i = 0; i < to.size(); ++i) to[i] = static_cast<std::uint32_t>(i);
  copy_pairs(net, x, y, to, from);
}

}  // namespace ringcraft
