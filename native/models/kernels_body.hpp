// The kernels, for the instruction set that the including file is compiled for. That file defines
// RINGCRAFT_VECTOR_BYTES, RINGCRAFT_KERNELS (the table's name) and RINGCRAFT_ISA (its text).

#include "models/kernels_integers.hpp"
#include "models/kernels_products.hpp"
#include "models/kernels_trees.hpp"
#include "models/kernels_vector.hpp"

namespace ringcraft {
namespace {

RINGCRAFT_INLINE Floats unary_of(Unary kind, Floats x, float a, float b) noexcept {
  switch (kind) {
    case Unary::kRelu:
      return at_least(x, splat(0.0F));
    case Unary::kSigmoid:
      return sigmoid_of(x);
    case Unary::kTanh:
      return tanh_of(x);
    case Unary::kGelu:
      return gelu_of(x);
    case Unary::kGeluTanh:
      return gelu_tanh_of(x);
    case Unary::kLeakyRelu:
      return choose(x < splat(0.0F), x * a, x);
    case Unary::kClip:
      return at_most(at_least(x, splat(a)), splat(b));
    case Unary::kExp:
      return exp_of(x);
    case Unary::kSqrt: {
      Floats y = x;
      for (std::size_t i = 0; i < kLanes; ++i) {
        y[i] = __builtin_sqrtf(x[i]);
      }
      return y;
    }
    case Unary::kErf:
      return erf_of(x);
    case Unary::kAbs:
      return choose(x < splat(0.0F), -x, x);
    case Unary::kNegate:
      return -x;
    case Unary::kSquare:
      return x * x;
    case Unary::kReciprocal:
      return 1.0F / x;
    case Unary::kHardSigmoid:
      return at_most(at_least(x * a + b, splat(0.0F)), splat(1.0F));
    case Unary::kSilu:
      return x * sigmoid_of(x);
  }
  return x;
}

template <Unary kKind>
RINGCRAFT_INLINE void unary_over(const float* x, float* y, std::size_t count, float a, float b) noexcept {
  for (std::size_t i = 0; i < count; i += kLanes) {
    store(y + i, unary_of(kKind, load(x + i), a, b));
  }
}

void run_unary(Unary kind, const float* x, float* y, std::size_t count, float a, float b) noexcept {
  switch (kind) {
    case Unary::kRelu:
      return unary_over<Unary::kRelu>(x, y, count, a, b);
    case Unary::kSigmoid:
      return unary_over<Unary::kSigmoid>(x, y, count, a, b);
    case Unary::kTanh:
      return unary_over<Unary::kTanh>(x, y, count, a, b);
    case Unary::kGelu:
      return unary_over<Unary::kGelu>(x, y, count, a, b);
    case Unary::kLeakyRelu:
      return unary_over<Unary::kLeakyRelu>(x, y, count, a, b);
    case Unary::kClip:
      return unary_over<Unary::kClip>(x, y, count, a, b);
    default:
      for (std::size_t i = 0; i < count; i += kLanes) {
        store(y + i, unary_of(kind, load(x + i), a, b));
      }
  }
}

template <Binary kKind>
RINGCRAFT_INLINE Floats binary_of(Floats left, Floats right) noexcept {
  switch (kKind) {
    case Binary::kAdd:
      return left + right;
    case Binary::kSub:
      return left - right;
    case Binary::kMul:
      return left * right;
    case Binary::kDiv:
      return left / right;
    case Binary::kMin:
      return at_most(left, right);
    case Binary::kMax:
      return at_least(left, right);
  }
  return left;
}

template <Binary kKind>
RINGCRAFT_INLINE void binary_over(const Zip& zip, const float* left, const float* right, float* y) noexcept {
  for (std::size_t row = 0; row < zip.rows; ++row) {
    const float* l = left + zip.left_rows[row];
    const float* r = right + zip.right_rows[row];
    float* to = y + row * zip.columns;
    const Floats one_left = splat(*l);
    const Floats one_right = splat(*r);
    for (std::size_t i = 0; i < zip.columns; i += kLanes) {
      const Floats a = zip.left_repeats ? one_left : load(l + i);
      const Floats b = zip.right_repeats ? one_right : load(r + i);
      store(to + i, binary_of<kKind>(a, b));
    }
  }
}

void run_binary(Binary kind, const Zip& zip, const float* left, const float* right, float* y) noexcept {
  switch (kind) {
    case Binary::kAdd:
      return binary_over<Binary::kAdd>(zip, left, right, y);
    case Binary::kSub:
      return binary_over<Binary::kSub>(zip, left, right, y);
    case Binary::kMul:
      return binary_over<Binary::kMul>(zip, left, right, y);
    case Binary::kDiv:
      return binary_over<Binary::kDiv>(zip, left, right, y);
    case Binary::kMin:
      return binary_over<Binary::kMin>(zip, left, right, y);
    case Binary::kMax:
      return binary_over<Binary::kMax>(zip, left, right, y);
  }
}

void normalise(const float* x, const float* centre, const float* factor, float low, float high, float* y,
               std::size_t count) noexcept {
  for (std::size_t i = 0; i < count; i += kLanes) {
    const Floats scaled = (load(x + i) - load(centre + i)) * load(factor + i);
    store(y + i, at_most(at_least(scaled, splat(low)), splat(high)));
  }
}

void softmax(const float* x, float* y, std::size_t rows, std::size_t columns) noexcept {
  for (std::size_t row = 0; row < rows; ++row, x += columns, y += columns) {
    float highest = x[0];
    for (std::size_t i = 1; i < columns; ++i) {
      highest = x[i] > highest ? x[i] : highest;
    }
    for (std::size_t i = 0; i < columns; i += kLanes) {
      store(y + i, exp_of(load(x + i) - highest));
    }
    float sum = 0;
    for (std::size_t i = 0; i < columns; ++i) {
      sum += y[i];
    }
    for (std::size_t i = 0; i < columns; i += kLanes) {
      store(y + i, load(y + i) / sum);
    }
  }
}

void layer_norm(const float* x, const float* scale, const float* bias, float* y, std::size_t rows,
                std::size_t columns, float epsilon) noexcept {
  const auto count = static_cast<float>(columns);
  for (std::size_t row = 0; row < rows; ++row, x += columns, y += columns) {
    float mean = 0;
    for (std::size_t i = 0; i < columns; ++i) {
      mean += x[i];
    }
    mean /= count;
    float variance = 0;
    for (std::size_t i = 0; i < columns; ++i) {
      variance += (x[i] - mean) * (x[i] - mean);
    }
    const float inverse = 1.0F / __builtin_sqrtf(variance / count + epsilon);
    for (std::size_t i = 0; i < columns; i += kLanes) {
      store(y + i, (load(x + i) - mean) * inverse * load(scale + i) + load(bias + i));
    }
  }
}

RINGCRAFT_INLINE Floats reduced(Reduction kind, Floats sum, Floats x) noexcept {
  return kind == Reduction::kMax ? at_least(sum, x) : kind == Reduction::kMin ? at_most(sum, x) : sum + x;
}

RINGCRAFT_INLINE float reduced_one(Reduction kind, float sum, float x) noexcept {
  return kind == Reduction::kMax   ? (x > sum ? x : sum)
         : kind == Reduction::kMin ? (x < sum ? x : sum)
                                   : sum + x;
}

/// Over numbers that lie side by side.
RINGCRAFT_INLINE float along(Reduction kind, const float* x, std::size_t count) noexcept {
  float result = x[0];
  std::size_t i = 1;
  if (count >= kLanes) {
    Floats lanes = load(x);
    for (i = kLanes; i + kLanes <= count; i += kLanes) {
      lanes = reduced(kind, lanes, load(x + i));
    }
    result = lanes[0];
    for (std::size_t lane = 1; lane < kLanes; ++lane) {
      result = reduced_one(kind, result, lanes[lane]);
    }
  }
  for (; i < count; ++i) {
    result = reduced_one(kind, result, x[i]);
  }
  return result;
}

void reduce(Reduction kind, const float* x, float* y, std::size_t outer, std::size_t count,
            std::size_t inner) noexcept {
  const float share = kind == Reduction::kMean ? 1.0F / static_cast<float>(count) : 1.0F;
  for (std::size_t o = 0; o < outer; ++o, x += count * inner, y += inner) {
    for (std::size_t i = 0; i < inner; i += kLanes) {
      if (inner == 1) {
        y[0] = along(kind, x, count) * share;
        continue;
      }
      Floats sum = load(x + i);
      for (std::size_t j = 1; j < count; ++j) {
        sum = reduced(kind, sum, load(x + j * inner + i));
      }
      store(y + i, sum * share);
    }
  }
}

void quantize(const float* x, float* y, std::size_t count, const Scale& to) noexcept {
  for (std::size_t i = 0; i < count; i += kLanes) {
    const Floats whole = whole_steps(load(x + i), to);
    store(y + i, to.back ? (whole - to.zero) * to.scale : whole);
  }
}

}  // namespace

const Kernels RINGCRAFT_KERNELS = {RINGCRAFT_ISA,  kLanes,    sum_trees,  run_linear,  run_rows,
                                   run_lstm_cells, run_unary, run_binary, normalise,   softmax,
                                   layer_norm,     reduce,    quantize,   run_integers};

}  // namespace ringcraft
