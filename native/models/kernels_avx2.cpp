// Compiled for avx2; CMakeLists.txt gives the flags.
#define RINGCRAFT_VECTOR_BYTES 32
#define RINGCRAFT_KERNELS kAvx2Kernels
#define RINGCRAFT_ISA "avx2"
#include "models/kernels_body.hpp"
