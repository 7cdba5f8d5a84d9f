// A request on its way to the engine, in whichever form its rows came.
#include <algorithm>

#include "serving/json_text.hpp"
#include "serving/number_text.hpp"
#include "serving/rest_api.hpp"

namespace ringcraft {

InputShape RestApi::shape_of(std::size_t model) const {
  return {engine_.plan_of(model)->window, engine_.width_of(model), kMaxRows};
}

RestApi::Reply RestApi::ask(InferRequest& asked, const HttpRequest& request, const Times& times,
                            InferReply& reply) {
  if (Reply refused; !model_has_room(asked.model, refused)) return refused;
  asked.rows = body_.rows.data();
  asked.count = body_.count;
  asked.row_floats = body_.rows.size() / body_.count;
  if (!request.headers.arm.empty()) {
    asked.asked = request.headers.arm == "challenger" ? Arm::kChallenger
                  : request.headers.arm == "champion" ? Arm::kChampion
                                                      : Arm::kNone;
    if (asked.asked == Arm::kNone) {
      return error(
          400, "Ringcraft-Arm: expected champion or challenger, got " + request.headers.arm.substr(0, 100));
    }
    if (!config_.allow_arm_override) {
      return error(403, "Ringcraft-Arm: expected none, as serving.allow_arm_override is false, got " +
                            request.headers.arm);
    }
  }
  if (caller_ != nullptr) asked.account = assignment_key(caller_->name);
  if (asked.instrument.empty()) asked.instrument = request.headers.instrument;
  if (!asked.key && !request.headers.key.empty()) asked.key = assignment_key(request.headers.key);
  if (!request.headers.deadline_ms.empty()) {
    const auto limit = number_of<double>(request.headers.deadline_ms);
    const bool met = limit && *limit > 0 && *limit <= 1e6;
    if (!met) {
      return error(400, "Ringcraft-Deadline-Ms: expected a number in (0, 1000000], got " +
                            request.headers.deadline_ms.substr(0, 100));
    }
    asked.deadline_ns = std::min(asked.deadline_ns, times.read_ns + static_cast<std::int64_t>(*limit * 1e6));
  }
  if (!asked.instrument.empty()) {
    TokenBucket& pace = instrument_paces_[assignment_key(asked.instrument) % instrument_paces_.size()];
    if (!pace.take(times.read_ns, config_.instrument_requests_per_second)) {
      add(counters_.rest_limited);
      std::string text = "rate: expected at most ";
      append_number(text, config_.instrument_requests_per_second);
      return error(429, text + " requests a second of one instrument, got more");
    }
  }
  for (const std::int64_t limit_ns : config_.shed_after_ns) {
    if (times.waited_ns > limit_ns) asked.load = static_cast<Load>(static_cast<int>(asked.load) + 1);
  }
  asked.receive_ns = monotonic_ns();
  reply = engine_.on_request(asked);
  const std::int64_t done_ns = monotonic_ns();
  const std::uint32_t version = reply.version != kNoVersion ? reply.version : asked.version;
  if (version != kNoVersion) {
    VersionStats& stats = stats_of(asked.model, version);
    const bool answered = reply.status == InferStatus::kAnswered;
    stats.requests += answered ? 1 : 0;
    stats.rows += answered ? reply.rows.size() : 0;
    stats.failures += answered ? 0 : 1;
    stats.infer_ns += static_cast<std::uint64_t>(done_ns - asked.receive_ns);
    stats.total_ns += static_cast<std::uint64_t>(done_ns - times.read_ns);
    stats.last_ns = done_ns;
  }
  switch (reply.status) {
    case InferStatus::kAnswered:
      return {};
    case InferStatus::kUnknownModel:
    case InferStatus::kUnknownVersion:
      return not_found(engine_.plan_of(asked.model) != nullptr ? engine_.plan_of(asked.model)->name : "",
                       std::to_string(asked.version));
    case InferStatus::kTakenOff:
      return error(409, "version " + std::to_string(asked.version) +
                            ": expected one that may act, got one that was taken off");
    case InferStatus::kNotReady:
      return error(503, "model: expected a version that is ready, got none");
    case InferStatus::kStream:
      return error(409, std::string(kStreamAsked));
    case InferStatus::kBadRow:
    case InferStatus::kBadCount:
      break;
  }
  return error(400, "rows: expected rows of " + std::to_string(reply.expected_floats) + " numbers, got " +
                        std::to_string(asked.row_floats));
}

}  // namespace ringcraft
