#pragma once
// Ask a Ringcraft worker on this host for decisions through shared memory. One header, Linux, C++20, no
// library.
//
//   ringcraft::client::Client client("/dev/shm/ringcraft-...-worker-0.door.shm");
//   ringcraft::client::Question question;
//   question.model = "touch-net";
//   question.values = row;        // rows * floats a row, oldest vector of a window first
//   question.rows = 1;
//   const ringcraft::client::Answer& answer = client.ask(question);
//   if (answer.status == ringcraft::client::Status::kOk) use(answer.actions[0], answer.reasons[0]);
//
// A Client holds one of the door's lanes, one question at a time: take one for each thread. A lane belongs to
// whoever holds the lock on its byte of the file, which the kernel takes back from a process that dies, so
// that a client killed half-way keeps nobody waiting: the worker sees a question only once it is whole, and
// the next client takes the lane over.

#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

namespace ringcraft::client {

inline constexpr std::uint64_t kMagic = 0x0001'524F'4F44'4352ULL;
inline constexpr std::size_t kLanes = 32;          ///< clients at once
inline constexpr std::size_t kModelBytes = 128;    ///< of a name; shorter by one at least, as the next
inline constexpr std::size_t kAccountBytes = 128;  ///< of who asks
inline constexpr std::size_t kTextBytes = 64;      ///< of an instrument, and of a key
inline constexpr std::size_t kRowsMax = 256;       ///< of a question
inline constexpr std::size_t kFloatsMax = 16'384;  ///< of all its rows
inline constexpr std::size_t kOutputsMax = 4;      ///< of a row; the first, where a model gives more
inline constexpr std::size_t kReasonBytes = 120;
inline constexpr off_t kServerByte = 1 << 20;  ///< the worker's lock; lane n's is byte n

/// What became of a question as a whole; each row's own fate is in its abstain reason.
enum class Status : std::uint32_t {
  kOk = 0,
  kUnknownModel = 1,    ///< no model of that name is served
  kUnknownVersion = 2,  ///< it is not held ready
  kBadShape = 3,        ///< not whole rows of the model's width, or more than a lane takes
  kTakenOff = 4,        ///< a hard limit took the version off
  kNotReady = 5,        ///< no version of the model is ready yet
  kRestarted = 6,       ///< the worker was started anew meanwhile: ask again
  kTimeout = 7,         ///< nothing came in the time that the client gave; made by the client
  kStream = 8,          ///< the model carries a state that moves with its feed's events alone
};

/// Written by the client, whole before `stamp`.
struct Request {
  alignas(64) std::atomic<std::uint64_t> stamp;  ///< number of the question
  std::array<char, kModelBytes> model;           ///< zero-padded, as the next
  std::array<char, kTextBytes> instrument;       ///< empty: none
  std::array<char, kTextBytes> key;              ///< of an assignment by request; empty: none
  std::array<char, kAccountBytes> account;       ///< of an assignment by account; empty: none
  std::int64_t deadline_ns;                      ///< CLOCK_MONOTONIC; 0: none
  std::uint32_t version;                         ///< 0: as routed
  std::uint32_t rows;
  std::uint32_t floats;  ///< of all rows
  std::uint8_t arm;      ///< 0 champion, 1 challenger, 255 as drawn
  std::uint8_t door;     ///< where it came in first: 2 WebSocket, 3 gRPC, 4 ZeroMQ, 5 here
  alignas(64) std::array<float, kFloatsMax> values;
};

/// Written by the worker, whole before `stamp`.
struct Reply {
  alignas(64) std::atomic<std::uint64_t> stamp;  ///< of the question that it answers
  std::atomic<std::uint32_t> waits;              ///< the client sleeps on the stamp's low half; the client's
  Status status;
  std::uint32_t version;
  std::uint32_t rows;
  std::uint32_t outputs;  ///< of a row
  std::uint8_t arm;
  std::int64_t worker_ns;                         ///< from the look that found the question to the answer
  std::array<std::uint64_t, kRowsMax> decisions;  ///< ids, as in the journal and on the decisions' bus
  std::array<std::int8_t, kRowsMax> actions;      ///< +1 buy, 0 flat, -1 sell
  std::array<std::uint8_t, kRowsMax> reasons;     ///< why a row is an abstention; 0: it is none
  std::array<char, kReasonBytes> reason;          ///< one line for a person, where status is not kOk
  alignas(64) std::array<float, kRowsMax * kOutputsMax> values;
};

struct Lane {
  Request request;
  Reply reply;
};

struct Header {
  std::atomic<std::uint64_t> magic;
  std::uint64_t bytes;                              ///< of the file: another layout has another size
  alignas(64) std::atomic<std::uint64_t> used;      ///< bit n: lane n was taken and not given back
  alignas(64) std::atomic<std::uint32_t> sleeping;  ///< the worker waits for the bell
};

struct Memory {
  Header header;
  std::array<Lane, kLanes> lanes;
};

static_assert(std::atomic<std::uint64_t>::is_always_lock_free, "locks would not reach across processes");

inline std::int64_t now_ns() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
}

inline void pause() noexcept {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

/// A lock on one byte of a file, which its process's death gives back.
inline struct flock byte_lock(off_t byte, short type) noexcept {
  struct flock lock{};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = byte;
  lock.l_len = 1;
  return lock;
}

inline long futex(std::atomic<std::uint64_t>& word, int operation, std::uint32_t value,
                  const timespec* timeout) noexcept {
  // The low half, where the machine is little-endian, as the platform is throughout.
  return ::syscall(SYS_futex, reinterpret_cast<std::uint32_t*>(&word), operation, value, timeout, nullptr, 0);
}

/// What is asked; rows * floats of a row in `values`.
struct Question {
  std::string_view model;
  std::span<const float> values;
  std::uint32_t rows = 1;
  std::uint32_t version = 0;  ///< 0: as routed
  std::uint8_t arm = 255;     ///< 255: as drawn
  std::uint8_t door = 5;      ///< for doors that are processes of their own
  std::string_view instrument{};
  std::string_view key{};                   ///< what an assignment by request goes by
  std::string_view account{};               ///< what an assignment by account goes by
  std::int64_t deadline_ns = 0;             ///< CLOCK_MONOTONIC; a later answer is an abstention; 0: none
  std::int64_t timeout_ns = 1'000'000'000;  ///< of the client: kTimeout after
  std::int64_t spin_ns = 20'000;            ///< looked for without sleep; then the client sleeps
};

/// What came; the spans hold until the client's next question.
struct Answer {
  Status status = Status::kTimeout;
  std::string_view reason;
  std::uint32_t version = 0;
  std::uint8_t arm = 255;
  std::uint32_t rows = 0;
  std::uint32_t outputs = 0;  ///< of a row
  std::int64_t worker_ns = 0;
  std::span<const std::uint64_t> decisions;
  std::span<const std::int8_t> actions;
  std::span<const std::uint8_t> reasons;
  std::span<const float> values;  ///< rows * outputs

  /// One that has no rows.
  [[nodiscard]] static Answer without_rows(Status status, std::string_view why) noexcept {
    Answer answer;
    answer.status = status;
    answer.reason = why;
    return answer;
  }
};

class Client {
 public:
  /// Takes a lane of the door at `path`.
  /// @throws std::runtime_error there is no door, or every lane is taken.
  explicit Client(const std::string& path) : path_(path) {
    file_ = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
    if (file_ < 0) fail(": " + std::string(std::strerror(errno)));
    struct stat facts{};
    const bool whole =
        ::fstat(file_, &facts) == 0 && static_cast<std::size_t>(facts.st_size) == sizeof(Memory);
    if (!whole) fail(": expected a door of " + std::to_string(sizeof(Memory)) + " bytes");
    void* memory = ::mmap(nullptr, sizeof(Memory), PROT_READ | PROT_WRITE, MAP_SHARED, file_, 0);
    if (memory == MAP_FAILED) fail(": " + std::string(std::strerror(errno)));
    memory_ = static_cast<Memory*>(memory);
    if (memory_->header.magic.load(std::memory_order_acquire) != kMagic) fail(": expected a door");
    bell_ = ::open((path + ".bell").c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    take_lane();
  }

  ~Client() {
    if (lane_ != nullptr) memory_->header.used.fetch_and(~(std::uint64_t{1} << place_));
    release();
  }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  /// Asks and waits. A question that was not answered in time leaves the lane as it is: the next waits for it
  /// first.
  /// @return the answer; kTimeout where none came, kBadShape where the question does not fit a lane.
  Answer ask(const Question& question) noexcept {
    if (question.rows < 1 || question.rows > kRowsMax || question.values.size() > kFloatsMax ||
        question.values.size() % question.rows != 0 || question.model.size() >= kModelBytes ||
        question.instrument.size() >= kTextBytes || question.key.size() >= kTextBytes ||
        question.account.size() >= kAccountBytes) {
      return Answer::without_rows(Status::kBadShape,
                                  "expected 1 to 256 rows of one width, 16384 numbers, texts of 63 bytes and "
                                  "an account of 127 at most");
    }
    const std::int64_t until_ns = now_ns() + question.timeout_ns;
    if (!wait(asked_, question.spin_ns, until_ns))
      return Answer::without_rows(Status::kTimeout, "the question before is not answered yet");
    write(question);
    Request& request = lane_->request;
    request.stamp.store(++asked_, std::memory_order_release);
    // Either the worker sees the question before it sleeps, or this sees that it sleeps.
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (memory_->header.sleeping.load(std::memory_order_relaxed) != 0) ring();
    if (!wait(asked_, question.spin_ns, until_ns))
      return Answer::without_rows(Status::kTimeout, "no answer in time");
    return read();
  }

  /// Whether a worker serves the door.
  [[nodiscard]] bool served() const noexcept {
    struct flock lock = byte_lock(kServerByte, F_WRLCK);
    return ::fcntl(file_, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
  }

  [[nodiscard]] std::size_t lane() const noexcept { return place_; }

 private:
  [[noreturn]] void fail(const std::string& why) {
    release();
    throw std::runtime_error(path_ + why);
  }

  void release() noexcept {
    if (memory_ != nullptr) ::munmap(memory_, sizeof(Memory));
    if (bell_ >= 0) ::close(bell_);
    if (file_ >= 0) ::close(file_);  // and with it the lock on the lane
  }

  void take_lane() {
    for (place_ = 0; place_ < kLanes; ++place_) {
      struct flock lock = byte_lock(static_cast<off_t>(place_), F_WRLCK);
      if (::fcntl(file_, F_OFD_SETLK, &lock) != 0) continue;
      Lane& lane = memory_->lanes[place_];
      asked_ = lane.request.stamp.load(std::memory_order_acquire);
      // What a client before left unanswered is answered first; where nobody answers, another lane may be
      // clean.
      if (answered(lane, asked_) || place_ + 1 == kLanes || !served()) {
        lane_ = &lane;
        memory_->header.used.fetch_or(std::uint64_t{1} << place_);
        return;
      }
      lock = byte_lock(static_cast<off_t>(place_), F_UNLCK);
      ::fcntl(file_, F_OFD_SETLK, &lock);
    }
    fail(": expected a free lane, all " + std::to_string(kLanes) + " are taken");
  }

  static bool answered(const Lane& lane, std::uint64_t stamp) noexcept {
    return lane.reply.stamp.load(std::memory_order_acquire) == stamp;
  }

  template <std::size_t kBytes>
  static void copy(std::string_view text, std::array<char, kBytes>& into) noexcept {
    std::fill(std::copy(text.begin(), text.end(), into.begin()), into.end(), '\0');
  }

  void write(const Question& question) noexcept {
    Request& request = lane_->request;
    copy(question.model, request.model);
    copy(question.instrument, request.instrument);
    copy(question.key, request.key);
    copy(question.account, request.account);
    request.deadline_ns = question.deadline_ns;
    request.version = question.version;
    request.arm = question.arm;
    request.door = question.door;
    request.rows = question.rows;
    request.floats = static_cast<std::uint32_t>(question.values.size());
    std::copy(question.values.begin(), question.values.end(), request.values.begin());
  }

  void ring() noexcept {
    if (bell_ < 0 || !pull()) {
      // Full: it rings already. Nobody listens: the worker was started anew, and has another bell.
      if (bell_ < 0 || errno == EPIPE || errno == ENXIO) {
        if (bell_ >= 0) ::close(bell_);
        bell_ = ::open((path_ + ".bell").c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC);
        if (bell_ >= 0) static_cast<void>(pull());
      }
    }
  }

  /// Whether the bell took it; a worker that has gone must not end this process by SIGPIPE.
  [[nodiscard]] bool pull() const noexcept {
    sigset_t pipe;
    sigset_t before;
    ::sigemptyset(&pipe);
    ::sigaddset(&pipe, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &pipe, &before);
    const char one = 1;
    const bool taken = ::write(bell_, &one, 1) == 1;
    const int why = errno;
    const timespec at_once{};
    if (!taken && why == EPIPE && ::sigismember(&before, SIGPIPE) == 0)
      ::sigtimedwait(&pipe, nullptr, &at_once);
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    errno = why;
    return taken;
  }

  bool wait(std::uint64_t stamp, std::int64_t spin_ns, std::int64_t until_ns) noexcept {
    const std::int64_t spin_until_ns = now_ns() + spin_ns;
    for (;;) {
      for (int looks = 0; looks < 64; ++looks) {
        if (answered(*lane_, stamp)) return true;
        pause();
      }
      const std::int64_t now = now_ns();
      if (now >= until_ns) return false;
      if (now >= spin_until_ns) return sleep(stamp, until_ns);
    }
  }

  bool sleep(std::uint64_t stamp, std::int64_t until_ns) noexcept {
    Reply& reply = lane_->reply;
    reply.waits.store(1, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_seq_cst);
    bool came = false;
    for (;;) {
      const std::uint64_t seen = reply.stamp.load(std::memory_order_acquire);
      came = seen == stamp;
      const std::int64_t left_ns = until_ns - now_ns();
      if (came || left_ns <= 0) break;
      const timespec left{left_ns / 1'000'000'000, left_ns % 1'000'000'000};
      futex(reply.stamp, FUTEX_WAIT, static_cast<std::uint32_t>(seen), &left);
    }
    reply.waits.store(0, std::memory_order_relaxed);
    return came;
  }

  Answer read() const noexcept {
    const Reply& reply = lane_->reply;
    const std::size_t rows = std::min<std::size_t>(reply.rows, kRowsMax);
    const std::size_t outputs = std::min<std::size_t>(reply.outputs, kOutputsMax);
    const auto reason_bytes = static_cast<std::size_t>(
        std::find(reply.reason.begin(), reply.reason.end(), '\0') - reply.reason.begin());
    return {.status = reply.status,
            .reason = reply.status == Status::kOk ? std::string_view()
                                                  : std::string_view(reply.reason.data(), reason_bytes),
            .version = reply.version,
            .arm = reply.arm,
            .rows = static_cast<std::uint32_t>(rows),
            .outputs = static_cast<std::uint32_t>(outputs),
            .worker_ns = reply.worker_ns,
            .decisions = {reply.decisions.data(), rows},
            .actions = {reply.actions.data(), rows},
            .reasons = {reply.reasons.data(), rows},
            .values = {reply.values.data(), rows * outputs}};
  }

  std::string path_;
  int file_ = -1;
  int bell_ = -1;
  Memory* memory_ = nullptr;
  Lane* lane_ = nullptr;
  std::size_t place_ = 0;
  std::uint64_t asked_ = 0;
};

}  // namespace ringcraft::client
