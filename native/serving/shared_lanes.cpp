#include "serving/shared_lanes.hpp"

#include <array>

namespace ringcraft {
namespace {

SharedRegion region_at(const std::string& path) {
  struct stat facts{};
  if (::stat(path.c_str(), &facts) == 0 &&
      static_cast<std::size_t>(facts.st_size) != sizeof(client::Memory)) {
    ::unlink(path.c_str());  // of another version of this software, whose clients cannot be understood
  }
  return SharedRegion::open_or_create(path, sizeof(client::Memory));
}

}  // namespace

SharedLanes::SharedLanes(const std::string& path)
    : region_(region_at(path)), memory_(static_cast<client::Memory*>(region_.data())), path_(path) {
  lock_ = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  struct flock lock = client::byte_lock(client::kServerByte, F_WRLCK);
  if (lock_ < 0 || ::fcntl(lock_, F_OFD_SETLK, &lock) != 0) {
    const std::runtime_error failure = system_failure(path + ": another worker serves this door");
    if (lock_ >= 0) ::close(lock_);
    throw failure;
  }
  const std::string bell = path + ".bell";
  ::unlink(bell.c_str());
  // Held open for writing too, so that it never reads as closed while no client is there.
  bell_ = ::mkfifo(bell.c_str(), 0600) == 0 ? ::open(bell.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC) : -1;
  if (bell_ < 0) {
    const std::runtime_error failure = system_failure(bell);
    ::close(lock_);
    throw failure;
  }
  serve([](const client::Request&, client::Reply& reply) noexcept {
    reply.status = client::Status::kRestarted;
    reply.rows = 0;
    constexpr std::string_view kWhy = "the worker was started anew: ask again";
    reply.reason.fill('\0');
    std::copy(kWhy.begin(), kWhy.end(), reply.reason.begin());
  });
  memory_->header.sleeping.store(0);
  memory_->header.bytes = sizeof(client::Memory);
  memory_->header.magic.store(client::kMagic, std::memory_order_release);
}

SharedLanes::~SharedLanes() {
  // Whoever asks from now on rings a bell that nobody hears, and is told by its own timeout.
  ::close(bell_);
  ::close(lock_);
}

void SharedLanes::answer(client::Reply& reply, std::uint64_t asked) noexcept {
  reply.stamp.store(asked, std::memory_order_release);
  // Either this sees that the client sleeps, or the client sees the answer before it does.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (reply.waits.load(std::memory_order_relaxed) != 0) {
    client::futex(reply.stamp, FUTEX_WAKE, INT_MAX, nullptr);
  }
}

void SharedLanes::sleeps() noexcept {
  memory_->header.sleeping.store(1, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_seq_cst);
}

void SharedLanes::wakes() noexcept {
  memory_->header.sleeping.store(0, std::memory_order_relaxed);
  std::array<char, 256> rung;
  while (::read(bell_, rung.data(), rung.size()) > 0) {
  }
}

}  // namespace ringcraft
