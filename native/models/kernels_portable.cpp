// Compiled for what every processor of this architecture runs.
#define RINGCRAFT_VECTOR_BYTES 16
#define RINGCRAFT_KERNELS kPortableKernels
#define RINGCRAFT_ISA "portable"
#include "models/kernels_body.hpp"
