#pragma once
// Where threads run, whether their memory may be paged out, in pages of what size. What the system refuses is
// told, never fatal.

#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <string>

namespace ringcraft {

/// Binds a thread to one core; below 0: to none.
/// @return empty, or one line that says what was refused and why.
[[nodiscard]] inline std::string pin(pthread_t thread, int core) {
  if (core < 0) return {};
  cpu_set_t cores;
  CPU_ZERO(&cores);
  int refused = EINVAL;
  if (core < CPU_SETSIZE) {
    CPU_SET(static_cast<std::size_t>(core), &cores);
    refused = ::pthread_setaffinity_np(thread, sizeof cores, &cores);
  }
  if (refused == 0) return {};
  return "not pinned to core " + std::to_string(core) + ": " + std::strerror(refused);
}

/// Keeps all memory of this process, now and to come, from being paged out.
/// @return empty, or one line that says what was refused and why.
[[nodiscard]] inline std::string lock_memory() {
  if (::mlockall(MCL_CURRENT | MCL_FUTURE) == 0) return {};
  return std::string("memory not locked: ") + std::strerror(errno) +
         "; needs CAP_IPC_LOCK or a higher ulimit -l";
}

/// Whether the pools, which ask for pages of 2 MiB (huge_allocator.hpp), will be given ordinary ones.
/// @param setting where the kernel says what it grants.
/// @return empty, or one line that says why.
[[nodiscard]] inline std::string no_huge_pages(
    const std::string& setting = "/sys/kernel/mm/transparent_hugepage/enabled") {
  if (::prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0) == 1) {
    return "no huge pages: switched off for this process (PR_SET_THP_DISABLE)";
  }
  std::ifstream file(setting);
  std::string said;
  if (!std::getline(file, said)) return "no huge pages: " + setting + " cannot be read";
  if (said.find("[never]") == std::string::npos) return {};
  return "no huge pages: " + setting + " is never; needs madvise or always";
}

}  // namespace ringcraft
