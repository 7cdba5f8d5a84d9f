#pragma once
// The inner loops of all kernels, behind one table of functions per instruction set.
//
// kernels_body.hpp is compiled once for each set, in a file of its own, and the processor chooses at run
// time.
//
// Buffers: every one a kernel writes has kSlack floats after its last element, which kernels may overwrite,
// and kSlack floats after what they read may be read. So whole vectors are loaded and stored at a row's end.

#include <cstddef>
#include <cstdint>

namespace ringcraft {

inline constexpr std::size_t kSlack = 16;  ///< floats: the widest vector

/// What is done to a sum on its way out; `Activation` of Linear and Rows.
enum class Activation : std::uint8_t { kNone, kRelu, kSigmoid, kTanh, kGelu, kGeluTanh, kLeakyRelu };

/// Functions of one number; a and b are their parameters.
enum class Unary : std::uint8_t {
  kRelu,
  kSigmoid,
  kTanh,
  kGelu,       ///< x * (1 + erf(x / sqrt 2)) / 2
  kGeluTanh,   ///< its tanh form
  kLeakyRelu,  ///< x < 0: a * x
  kClip,       ///< to a..b
  kExp,
  kSqrt,
  kErf,
  kAbs,
  kNegate,
  kSquare,
  kReciprocal,
  kHardSigmoid,  ///< a * x + b, in 0..1
  kSilu,
};

enum class Binary : std::uint8_t { kAdd, kSub, kMul, kDiv, kMin, kMax };

enum class Reduction : std::uint8_t { kSum, kMean, kMax, kMin };

/// A split: a row whose feature's key is below `key` goes one way, else the other. Which nodes those are
/// follows from the layout of its group.
struct TreeNode {
  std::uint32_t key;
  std::uint32_t link;  ///< linked: place of the first of two children << 8 | feature; full: the feature
};

inline constexpr std::size_t kTreesInFlight = 8;
inline constexpr std::uint32_t kFullLevels = 8;  ///< deepest tree that is laid out in full

/// Eight trees that are walked side by side and add to one output.
///
/// Full: each tree has a node for every split that its levels could hold, number 1 the root, below number i
/// the numbers 2 i + 1 (below the key) and 2 i (not); then its leaves in the same order. All of one level
/// count. Linked: below a node come two neighbours, the first for rows below the key; a leaf leads to itself.
struct TreeGroup {
  std::uint32_t roots[kTreesInFlight];  ///< places of the trees in `nodes`
  std::uint32_t levels;
  std::uint32_t output;
  std::uint32_t first_leaf;  ///< full: place of the first tree's leaves
  bool full;
};

struct Trees {
  const TreeNode* nodes = nullptr;
  const float* leaves = nullptr;              ///< linked: by node; full: after those, by tree and leaf
  const std::uint8_t* missing_low = nullptr;  ///< by node: whether a missing value counts as below the key
  const TreeGroup* groups = nullptr;
  std::size_t group_count = 0;
  std::size_t features = 0;
};

/// y[m] = act(x[m] * weights + bias) for rows m; weights packed by pack_linear().
struct Linear {
  const float* weights = nullptr;
  const float* bias = nullptr;  ///< padded with zeros to whole panels
  std::size_t inputs = 0;
  std::size_t outputs = 0;
  Activation activation = Activation::kNone;
  float slope = 0;  ///< of kLeakyRelu
};

/// c[m][n] = act(bias[m] + sum over k of a[m * a_row + k] * b[offsets[k] + n]).
struct Rows {
  std::size_t m = 0;
  std::size_t n = 0;
  std::size_t k = 0;
  std::size_t a_row = 0;
  std::size_t c_row = 0;
  const std::uint32_t* offsets = nullptr;
  const float* bias = nullptr;  ///< of each m; null: none
  Activation activation = Activation::kNone;
  float slope = 0;
};

/// One step of LSTM sequences side by side. Gates of a row: [block of lanes][i o f c][lanes].
struct LstmStep {
  const float* projected = nullptr;  ///< gates' part of the input, with bias
  std::size_t projected_row = 0;     ///< 0: all rows share one
  const float* recurred = nullptr;   ///< gates' part of the hidden state before
  std::size_t recurred_row = 0;
  float* cells = nullptr;   ///< [rows][wide]; moved on
  float* states = nullptr;  ///< [rows][wide]; written
  std::size_t wide = 0;     ///< whole vectors
  std::size_t rows = 1;
};

/// Offsets of the rows of two operands that are combined row by row; a step of 0 repeats one element.
struct Zip {
  std::size_t rows = 1;
  std::size_t columns = 0;
  const std::uint32_t* left_rows = nullptr;
  const std::uint32_t* right_rows = nullptr;
  bool left_repeats = false;
  bool right_repeats = false;
};

/// How numbers become integers of a byte, kept as floats: clip(round(x / scale) + zero, low, high), halves to
/// even; and, where `back` is set, numbers again at once: (that - zero) * scale.
struct Scale {
  float scale = 1;
  float zero = 0;
  float low = -128;
  float high = 127;
  bool back = false;
};

/// y = act(sum over inputs of whole(x) * weights, exact, times factors + bias) for rows of whole numbers.
struct IntegerLinear {
  const std::int16_t* weights = nullptr;  ///< whole numbers within 255, packed by pairs of inputs
  const float* factors = nullptr;         ///< of each output: scale of x times scale of its weights
  const float* bias = nullptr;
  std::size_t inputs = 0;
  std::size_t outputs = 0;
  Scale x;  ///< how x becomes whole
  Activation activation = Activation::kNone;
  float slope = 0;
};

/// The functions compiled for one instruction set.
struct Kernels {
  const char* name;   ///< "avx2"
  std::size_t lanes;  ///< floats of a vector

  /// @param keys trees.features of scratch, padded.
  /// @param sums outputs; added to.
  void (*trees)(const Trees& trees, const float* row, std::uint32_t* keys, float* sums) noexcept;

  /// @param one_by_one sum every row in the same order wherever it stands, so that rows can be kept.
  void (*linear)(const Linear& layer, const float* x, std::size_t x_row, float* y, std::size_t y_row,
                 std::size_t rows, bool one_by_one) noexcept;
  void (*rows)(const Rows& product, const float* a, const float* b, float* c) noexcept;

  void (*lstm_cells)(const LstmStep& step) noexcept;
  void (*unary)(Unary kind, const float* x, float* y, std::size_t count, float a, float b) noexcept;
  void (*binary)(Binary kind, const Zip& zip, const float* left, const float* right, float* y) noexcept;

  /// y = clip((x - centre) * factor, low, high)
  void (*normalise)(const float* x, const float* centre, const float* factor, float low, float high, float* y,
                    std::size_t count) noexcept;
  void (*softmax)(const float* x, float* y, std::size_t rows, std::size_t columns) noexcept;
  void (*layer_norm)(const float* x, const float* scale, const float* bias, float* y, std::size_t rows,
                     std::size_t columns, float epsilon) noexcept;

  /// x is [outer][count][inner], y [outer][inner].
  void (*reduce)(Reduction kind, const float* x, float* y, std::size_t outer, std::size_t count,
                 std::size_t inner) noexcept;

  void (*quantize)(const float* x, float* y, std::size_t count, const Scale& to) noexcept;

  /// @param rounded scratch: rows of padded(inputs, kSlack) + kSlack.
  void (*integers)(const IntegerLinear& layer, const float* x, std::int16_t* rounded, float* y,
                   std::size_t rows) noexcept;
};

/// Floats of whole vectors that hold `count`.
[[nodiscard]] constexpr std::size_t padded(std::size_t count, std::size_t lanes) noexcept {
  return (count + lanes - 1) / lanes * lanes;
}

/// The best set this processor runs; null-terminated names: "avx512vnni", "avx512", "avx2",
/// "portable".
[[nodiscard]] const Kernels& best_kernels() noexcept;

/// A set by name, null where this build or this processor lacks it.
[[nodiscard]] const Kernels* kernels_named(const char* name) noexcept;

extern const Kernels kPortableKernels;
#if defined(RINGCRAFT_X86_KERNELS)
extern const Kernels kAvx2Kernels;
extern const Kernels kAvx512Kernels;
extern const Kernels kAvx512VnniKernels;
#endif

}  // namespace ringcraft
