#pragma once
// Vectors of RINGCRAFT_VECTOR_BYTES, by the compilers' vector extensions; for kernels_body.hpp alone.
//
// Everything here is in an unnamed namespace and inlined: a function that the linker shared between files
// compiled for different processors could end up running on the wrong one. Hence no standard library either.

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include "models/kernels.hpp"

#define RINGCRAFT_INLINE inline __attribute__((always_inline))

namespace ringcraft {
namespace {

constexpr std::size_t kLanes = RINGCRAFT_VECTOR_BYTES / sizeof(float);

typedef float Floats __attribute__((vector_size(RINGCRAFT_VECTOR_BYTES)));
typedef std::int32_t Ints __attribute__((vector_size(RINGCRAFT_VECTOR_BYTES)));

RINGCRAFT_INLINE Floats load(const float* from) noexcept {
  Floats vector;
  __builtin_memcpy(&vector, from, sizeof vector);
  return vector;
}

RINGCRAFT_INLINE void store(float* to, Floats vector) noexcept {
  __builtin_memcpy(to, &vector, sizeof vector);
}

/// Stores the first `count` lanes.
RINGCRAFT_INLINE void store_some(float* to, Floats vector, std::size_t count) noexcept {
  if (count >= kLanes) {
    store(to, vector);
    return;
  }
  float lanes[kLanes];
  store(lanes, vector);
  for (std::size_t i = 0; i < count; ++i) {
    to[i] = lanes[i];
  }
}

RINGCRAFT_INLINE Floats splat(float value) noexcept { return value - Floats{}; }

RINGCRAFT_INLINE Ints as_ints(Floats vector) noexcept { return __builtin_bit_cast(Ints, vector); }
RINGCRAFT_INLINE Floats as_floats(Ints vector) noexcept { return __builtin_bit_cast(Floats, vector); }

RINGCRAFT_INLINE Floats choose(Ints mask, Floats yes, Floats no) noexcept {
#if defined(__AVX2__) && !defined(__AVX512F__)
  return Floats(_mm256_blendv_ps(__m256(no), __m256(yes), __m256(mask)));
#else
  return as_floats((mask & as_ints(yes)) | (~mask & as_ints(no)));
#endif
}

// One instruction where there is one; of two operands of which one is NaN it gives the second.
// NaN in x stays, as ONNX wants of Clip, Relu and Max.
RINGCRAFT_INLINE Floats at_least(Floats x, Floats low) noexcept {
#if defined(__AVX2__) && !defined(__AVX512F__)
  return Floats(_mm256_max_ps(__m256(low), __m256(x)));
#else
  return choose(x < low, low, x);
#endif
}

RINGCRAFT_INLINE Floats at_most(Floats x, Floats high) noexcept {
#if defined(__AVX2__) && !defined(__AVX512F__)
  return Floats(_mm256_min_ps(__m256(high), __m256(x)));
#else
  return choose(x > high, high, x);
#endif
}

RINGCRAFT_INLINE float sum_of(Floats vector) noexcept {
  float sum = 0;
  for (std::size_t i = 0; i < kLanes; ++i) {
    sum += vector[i];
  }
  return sum;
}

/// Nearest whole number, halves to even; for |x| < 2^22.
RINGCRAFT_INLINE Floats rounded(Floats x) noexcept {
  const Floats magic = splat(12582912.0F);
  return (x + magic) - magic;
}

RINGCRAFT_INLINE Floats whole_steps(Floats x, const Scale& to) noexcept {
  // Bounded first: rounding holds below 2^22 only.
  const Floats units = at_most(at_least(x / to.scale, splat(-65536.0F)), splat(65536.0F));
  return at_most(at_least(rounded(units) + to.zero, splat(to.low)), splat(to.high));
}

/// e^x within 2 units in the last place for x in -87..88, and what it is at the nearer end elsewhere:
/// x = n ln 2 + r, polynomial in r (Cephes, expf).
RINGCRAFT_INLINE Floats bounded_exp(Floats x) noexcept {
  const Floats bounded = at_most(at_least(x, splat(-87.0F)), splat(88.0F));
  const Floats n = rounded(bounded * 1.44269504088896341F);
  const Floats r = (bounded - n * 0.693359375F) + n * 2.12194440e-4F;
  Floats p = splat(1.9875691500e-4F);
  p = p * r + 1.3981999507e-3F;
  p = p * r + 8.3334519073e-3F;
  p = p * r + 4.1665795894e-2F;
  p = p * r + 1.6666665459e-1F;
  p = p * r + 5.0000001201e-1F;
  p = p * (r * r) + r + 1.0F;
  const Ints power = (__builtin_convertvector(n, Ints) + 127) << 23;
  return p * as_floats(power);
}

RINGCRAFT_INLINE Floats exp_of(Floats x) noexcept {
  return choose(x < splat(-87.0F), splat(0.0F), bounded_exp(x));
}

RINGCRAFT_INLINE Floats sigmoid_of(Floats x) noexcept { return 1.0F / (1.0F + bounded_exp(-x)); }

/// Within 2e-7 of tanh.
RINGCRAFT_INLINE Floats tanh_of(Floats x) noexcept { return 1.0F - 2.0F / (bounded_exp(x + x) + 1.0F); }

/// Within 2e-7 of erf: Abramowitz and Stegun 7.1.26.
RINGCRAFT_INLINE Floats erf_of(Floats x) noexcept {
  const Floats size = choose(x < splat(0.0F), -x, x);
  const Floats t = 1.0F / (1.0F + size * 0.3275911F);
  Floats p = splat(1.061405429F);
  p = p * t - 1.453152027F;
  p = p * t + 1.421413741F;
  p = p * t - 0.284496736F;
  p = p * t + 0.254829592F;
  const Floats value = 1.0F - p * t * bounded_exp(-(size * size));
  return choose(x < splat(0.0F), -value, value);
}

RINGCRAFT_INLINE Floats gelu_of(Floats x) noexcept {
  return x * 0.5F * (1.0F + erf_of(x * 0.70710678118654752F));
}

RINGCRAFT_INLINE Floats gelu_tanh_of(Floats x) noexcept {
  return x * 0.5F * (1.0F + tanh_of(0.79788456080286536F * (x + 0.044715F * x * x * x)));
}

RINGCRAFT_INLINE Floats activated(Activation kind, float slope, Floats x) noexcept {
  switch (kind) {
    case Activation::kRelu:
      return at_least(x, splat(0.0F));
    case Activation::kSigmoid:
      return sigmoid_of(x);
    case Activation::kTanh:
      return tanh_of(x);
    case Activation::kGelu:
      return gelu_of(x);
    case Activation::kGeluTanh:
      return gelu_tanh_of(x);
    case Activation::kLeakyRelu:
      return choose(x < splat(0.0F), x * slope, x);
    case Activation::kNone:
      break;
  }
  return x;
}

}  // namespace
}  // namespace ringcraft
