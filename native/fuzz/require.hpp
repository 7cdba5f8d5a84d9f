#pragma once

#include <cstdio>
#include <cstdlib>

namespace ringcraft::fuzz {

/// Ends the run, so that libFuzzer keeps the input.
inline void require(bool met, const char* what) {
  if (met) return;
  std::fprintf(stderr, "not so: %s\n", what);
  std::abort();
}

}  // namespace ringcraft::fuzz
