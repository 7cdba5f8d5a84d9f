#pragma once
// Counts allocations, for tests of code that must make none.

#include <cstdint>

namespace ringcraft {

/// How often operator new was called in this thread so far.
[[nodiscard]] std::uint64_t allocations_of_this_thread() noexcept;

}  // namespace ringcraft
