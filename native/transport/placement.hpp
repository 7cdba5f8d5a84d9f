#pragma once
// Where threads run and whether their memory may be paged out. What the system refuses is told, never fatal.

#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstring>
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

}  // namespace ringcraft
