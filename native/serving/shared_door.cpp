#include "serving/shared_door.hpp"

#include <algorithm>
#include <cstring>

namespace ringcraft {
namespace {

/// Who was answered asks again sooner than a round of the other doors' system calls takes; so long they wait
/// at most.
constexpr std::int64_t kLingerNs = 10'000;

/// Text that another process writes: copied once, whatever it does to it meanwhile.
template <std::size_t kBytes>
class Text {
 public:
  explicit Text(const std::array<char, kBytes>& from) noexcept : bytes_(from) {
    size_ = static_cast<std::size_t>(std::find(bytes_.begin(), bytes_.end(), '\0') - bytes_.begin());
  }
  [[nodiscard]] std::string_view view() const noexcept { return {bytes_.data(), size_}; }

 private:
  std::array<char, kBytes> bytes_;
  std::size_t size_;
};

client::Status status_of(InferStatus status) noexcept {
  switch (status) {
    case InferStatus::kAnswered:
      return client::Status::kOk;
    case InferStatus::kUnknownModel:
      return client::Status::kUnknownModel;
    case InferStatus::kUnknownVersion:
      return client::Status::kUnknownVersion;
    case InferStatus::kTakenOff:
      return client::Status::kTakenOff;
    case InferStatus::kNotReady:
      return client::Status::kNotReady;
    case InferStatus::kStream:
      return client::Status::kStream;
    default:
      return client::Status::kBadShape;
  }
}

std::string_view reason_of(client::Status status) noexcept {
  switch (status) {
    case client::Status::kUnknownModel:
      return "no model of that name is served";
    case client::Status::kUnknownVersion:
      return "the version is not held ready";
    case client::Status::kTakenOff:
      return "a hard limit took the version off";
    case client::Status::kNotReady:
      return "no version of the model is ready yet";
    case client::Status::kStream:
      return kStreamAsked;
    default:
      return "the rows are not as wide as what the model reads";
  }
}

void refuse(client::Reply& reply, client::Status status) noexcept {
  const std::string_view why = reason_of(status);
  reply.status = status;
  reply.rows = 0;
  std::fill(std::copy(why.begin(), why.end(), reply.reason.begin()), reply.reason.end(), '\0');
}

}  // namespace

bool SharedDoor::poll() {
  if (look()) {
    if (asleep_) {
      lanes_.wakes();
      asleep_ = false;
    }
    if (busy_) {
      linger();
    }
    return true;
  }
  if (!busy_ && !asleep_) {
    lanes_.sleeps();
    asleep_ = true;
    // A client that asked just before it could see so has not rung.
    return look();
  }
  return false;
}

void SharedDoor::linger() noexcept {
  const std::int64_t until_ns = monotonic_ns() + kLingerNs;
  while (monotonic_ns() < until_ns) {
    look();
  }
}

bool SharedDoor::look() noexcept {
  return lanes_.serve([this](const client::Request& request, client::Reply& reply) noexcept {
    answer(request, reply);
  }) > 0;
}

void SharedDoor::answer(const client::Request& request, client::Reply& reply) noexcept {
  const std::int64_t receive_ns = monotonic_ns();
  const std::optional<std::size_t> model = engine_.model_named(Text(request.model).view());
  const std::uint32_t rows = request.rows;
  const std::uint32_t floats = request.floats;
  if (!model) {
    refuse(reply, client::Status::kUnknownModel);
    return;
  }
  if (rows < 1 || rows > client::kRowsMax || floats > client::kFloatsMax || floats % rows != 0) {
    refuse(reply, client::Status::kBadShape);
    return;
  }
  const Text instrument(request.instrument);
  const Text key(request.key);
  const Text account(request.account);
  InferRequest asked;
  asked.model = *model;
  asked.version = request.version;
  asked.asked = request.arm <= static_cast<std::uint8_t>(Arm::kChallenger) ? Arm{request.arm} : Arm::kNone;
  if (!key.view().empty()) asked.key = assignment_key(key.view());
  if (!account.view().empty()) asked.account = assignment_key(account.view());
  asked.instrument = instrument.view();
  asked.rows = request.values.data();
  asked.row_floats = floats / rows;
  asked.count = rows;
  asked.receive_ns = receive_ns;
  asked.deadline_ns = request.deadline_ns > 0 ? request.deadline_ns : kNoDeadline;
  const std::uint8_t door = request.door;
  const bool known = door >= static_cast<std::uint8_t>(DoorKind::kWebSocket) &&
                     door <= static_cast<std::uint8_t>(DoorKind::kShared);
  asked.door = known ? DoorKind{door} : DoorKind::kShared;
  const InferReply said = engine_.on_request(asked);
  reply.version = said.version;
  reply.arm = static_cast<std::uint8_t>(said.arm);
  if (said.status != InferStatus::kAnswered) {
    refuse(reply, status_of(said.status));
    return;
  }
  reply.status = client::Status::kOk;
  reply.rows = rows;
  const std::size_t outputs = std::min(said.outputs, client::kOutputsMax);
  reply.outputs = static_cast<std::uint32_t>(outputs);
  for (std::size_t row = 0; row < rows; ++row) {
    const RowAnswer& one = said.rows[row];
    reply.decisions[row] = one.decision_id;
    reply.actions[row] = one.action;
    reply.reasons[row] = static_cast<std::uint8_t>(one.abstain);
    std::copy_n(one.output.begin(), outputs,
                reply.values.begin() + static_cast<std::ptrdiff_t>(row * outputs));
  }
  reply.worker_ns = monotonic_ns() - receive_ns;
}

}  // namespace ringcraft
