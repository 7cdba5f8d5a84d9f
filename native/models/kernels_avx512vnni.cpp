// Compiled for avx512 with VNNI; CMakeLists.txt gives the flags.
#define RINGCRAFT_VECTOR_BYTES 64
#define RINGCRAFT_KERNELS kAvx512VnniKernels
#define RINGCRAFT_ISA "avx512vnni"
#include "models/kernels_body.hpp"
