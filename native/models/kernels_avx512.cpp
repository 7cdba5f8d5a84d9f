// Compiled for avx512; CMakeLists.txt gives the flags.
#define RINGCRAFT_VECTOR_BYTES 64
#define RINGCRAFT_KERNELS kAvx512Kernels
#define RINGCRAFT_ISA "avx512"
#include "models/kernels_body.hpp"
