#include "models/kernels.hpp"

#include <array>
#include <string_view>

namespace ringcraft {
namespace {

#if defined(RINGCRAFT_X86_KERNELS)
bool runs_avx2() noexcept {
  return __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0;
}

bool runs_avx512() noexcept {
  return __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512vl") != 0 &&
         __builtin_cpu_supports("avx512bw") != 0 && __builtin_cpu_supports("avx512dq") != 0;
}

bool runs_avx512vnni() noexcept { return runs_avx512() && __builtin_cpu_supports("avx512vnni") != 0; }
#endif

struct Choice {
  const Kernels* kernels;
  bool (*runs)() noexcept;
};

/// Best first.
constexpr auto kChoices = std::to_array<Choice>({
#if defined(RINGCRAFT_X86_KERNELS)
    {&kAvx512VnniKernels, runs_avx512vnni},
    {&kAvx512Kernels, runs_avx512},
    {&kAvx2Kernels, runs_avx2},
#endif
    {&kPortableKernels, +[]() noexcept { return true; }},
});

}  // namespace

const Kernels& best_kernels() noexcept {
  const Choice* choice = kChoices.begin();
  while (!choice->runs()) {
    ++choice;  // the last runs everywhere
  }
  return *choice->kernels;
}

const Kernels* kernels_named(const char* name) noexcept {
  for (const Choice& choice : kChoices) {
    if (std::string_view(choice.kernels->name) == name) {
      return choice.runs() ? choice.kernels : nullptr;
    }
  }
  return nullptr;
}

}  // namespace ringcraft
