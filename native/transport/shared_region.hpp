#pragma once
// A file mapped into memory and shared between processes; it outlives them.

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <utility>

namespace ringcraft {

/// Something of the operating system's failed: "<what>: <its reason>".
[[nodiscard]] inline std::runtime_error system_failure(const std::string& what) {
  return std::runtime_error(what + ": " + std::strerror(errno));
}

class SharedRegion {
 public:
  /// Maps the file at `path`, made with `size` zero bytes where there is none.
  ///
  /// It appears whole or not at all: two processes may race for it and both get the same one.
  /// @throws std::runtime_error it cannot be made or mapped, or is there with another size.
  [[nodiscard]] static SharedRegion open_or_create(const std::string& path, std::size_t size) {
    if (::access(path.c_str(), F_OK) != 0) {
      make(path, size);
    }
    SharedRegion region = open(path);
    if (region.size() != size) {
      throw std::runtime_error(path + ": expected " + std::to_string(size) + " bytes, got " +
                               std::to_string(region.size()));
    }
    return region;
  }

  enum class Access : std::uint8_t { kRead, kReadWrite };

  /// Maps the file at `path`.
  /// @throws std::runtime_error it is not there or cannot be mapped.
  [[nodiscard]] static SharedRegion open(const std::string& path, Access access = Access::kReadWrite) {
    const bool writes = access == Access::kReadWrite;
    SharedRegion region;
    region.file_ = ::open(path.c_str(), (writes ? O_RDWR : O_RDONLY) | O_CLOEXEC);
    if (region.file_ < 0) {
      throw system_failure(path);
    }
    struct stat facts{};
    if (::fstat(region.file_, &facts) != 0) {
      throw system_failure(path);
    }
    region.size_ = static_cast<std::size_t>(facts.st_size);
    if (region.size_ == 0) {
      throw std::runtime_error(path + ": expected shared memory, got an empty file");
    }
    void* memory = ::mmap(nullptr, region.size_, writes ? PROT_READ | PROT_WRITE : PROT_READ,
                          MAP_SHARED | MAP_POPULATE, region.file_, 0);
    if (memory == MAP_FAILED) {
      throw system_failure(path);
    }
    region.memory_ = memory;
    return region;
  }

  SharedRegion(SharedRegion&& other) noexcept { swap(other); }
  SharedRegion& operator=(SharedRegion&& other) noexcept {
    swap(other);
    return *this;
  }
  SharedRegion(const SharedRegion&) = delete;
  SharedRegion& operator=(const SharedRegion&) = delete;

  ~SharedRegion() {
    if (memory_ != nullptr) {
      ::munmap(memory_, size_);
    }
    if (file_ >= 0) {
      ::close(file_);
    }
  }

  [[nodiscard]] void* data() const noexcept { return memory_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

  /// Takes the file for this mapping alone until it goes or its process dies; false where another has it.
  [[nodiscard]] bool lock() const noexcept {
    struct flock whole = whole_file();
    return ::fcntl(file_, F_OFD_SETLK, &whole) == 0;
  }

  /// Whether another mapping has taken the file; asking takes nothing.
  [[nodiscard]] bool locked_elsewhere() const noexcept {
    struct flock whole = whole_file();
    return ::fcntl(file_, F_OFD_GETLK, &whole) == 0 && whole.l_type != F_UNLCK;
  }

  /// Whether `path` still names this file: it may have been removed, or made anew.
  [[nodiscard]] bool is_at(const std::string& path) const noexcept {
    struct stat here{};
    struct stat there{};
    return ::fstat(file_, &here) == 0 && ::stat(path.c_str(), &there) == 0 && here.st_ino == there.st_ino &&
           here.st_dev == there.st_dev;
  }

 private:
  SharedRegion() = default;

  static struct flock whole_file() noexcept {
    struct flock whole{};
    whole.l_type = F_WRLCK;
    whole.l_whence = SEEK_SET;
    return whole;
  }

  static void make(const std::string& path, std::size_t size) {
    const std::string part = path + "." + std::to_string(::getpid());
    const int file = ::open(part.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file < 0) {
      throw system_failure(part);
    }
    // Reserved at once: running out of memory must not show itself as a bus error on the hot path.
    const int refused = ::posix_fallocate(file, 0, static_cast<off_t>(size));
    ::close(file);
    errno = refused;
    const bool linked = refused == 0 && (::link(part.c_str(), path.c_str()) == 0 || errno == EEXIST);
    const std::runtime_error failure = system_failure(path);
    ::unlink(part.c_str());
    if (!linked) {
      throw failure;
    }
  }

  void swap(SharedRegion& other) noexcept {
    std::swap(memory_, other.memory_);
    std::swap(size_, other.size_);
    std::swap(file_, other.file_);
  }

  void* memory_ = nullptr;
  std::size_t size_ = 0;
  int file_ = -1;
};

}  // namespace ringcraft
