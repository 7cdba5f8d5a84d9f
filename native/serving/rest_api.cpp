#include "serving/rest_api.hpp"

#include <algorithm>
#include <cstring>

#include "serving/json_text.hpp"
#include "serving/words.hpp"

namespace ringcraft {
namespace {

constexpr std::size_t kDeflateFrom = 1024;  ///< bytes; shorter bodies cost more than they save

std::string_view phrase_of(int status) noexcept {
  switch (status) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 413:
      return "Content Too Large";
    case 415:
      return "Unsupported Media Type";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    default:
      return "Service Unavailable";
  }
}

int hex_of(char digit) noexcept {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
  return -1;
}

/// Takes as long whatever is wrong with it.
bool same_secret(std::string_view a, std::string_view b) noexcept {
  unsigned difference = a.size() == b.size() ? 0U : 1U;
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference |=
        static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(b.empty() ? 'x' : b[i % b.size()]);
  }
  return difference == 0;
}

template <class Number>
std::optional<Number> number_of(std::string_view text) noexcept {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

template <class Value>
void append_bytes(std::string& out, const Value& value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

}  // namespace

RestApi::RestApi(Engine& engine, Holdings& holdings, Counters& counters, const RestConfig& config)
    : engine_(engine),
      holdings_(holdings),
      counters_(counters),
      config_(config),
      key_paces_(config.keys.size()) {
  body_.rows.reserve(kMaxRows * kMaxFeatures);
  json_.reserve(std::size_t{64} << 10U);
  stats_.reserve(64);
}

bool RestApi::answer(HttpRequest& request, const Times& times, std::string& out) {
  json_.clear();
  add(counters_.rest_requests);
  const Reply reply = respond(request, times);
  add(counters_.rest_refused, reply.status == 200 ? 0 : 1);
  write_head(reply, &request, out);
  return request.keep_alive;
}

void RestApi::refuse(int status, std::string_view text, std::string& out) {
  json_.clear();
  add(counters_.rest_refused);
  write_head(error(status, text), nullptr, out);
}

void RestApi::write_head(const Reply& reply, const HttpRequest* request, std::string& out) {
  std::string_view body = json_;
  std::string_view encoding;
  if (request != nullptr && body.size() >= kDeflateFrom) {
    const std::string& accepts = request->headers.accept_encoding;
    encoding = accepts.find("gzip") != std::string::npos      ? "gzip"
               : accepts.find("deflate") != std::string::npos ? "deflate"
                                                              : "";
  }
  if (!encoding.empty()) {
    packed_.clear();
    deflater_.deflate(body, encoding == "gzip", packed_);
    body = packed_;
  }
  out += "HTTP/1.1 ";
  append_number(out, reply.status);
  out.append(" ").append(phrase_of(reply.status)).append("\r\nContent-Type: ");
  out += reply.binary ? "application/octet-stream" : "application/json";
  out += "\r\nContent-Length: ";
  append_number(out, body.size());
  if (reply.binary) {
    out += "\r\nInference-Header-Content-Length: ";
    append_number(out, reply.json_bytes);
  }
  if (!encoding.empty()) out.append("\r\nContent-Encoding: ").append(encoding);
  if (!reply.allow.empty()) out.append("\r\nAllow: ").append(reply.allow);
  if (reply.retry) out += "\r\nRetry-After: 1";
  if (reply.status == 401) out += "\r\nWWW-Authenticate: Bearer";
  if (request == nullptr || !request->keep_alive) out += "\r\nConnection: close";
  out.append("\r\n\r\n").append(body);
}

RestApi::Reply RestApi::error(int status, std::string_view text) {
  json_ = "{\"error\":";
  append_text(json_, text);
  json_ += '}';
  Reply reply;
  reply.status = status;
  reply.retry = status == 429 || status == 503;
  return reply;
}

bool RestApi::split(std::string_view target) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (target.starts_with(scheme)) {
      target.remove_prefix(std::min(target.size(), target.find('/', scheme.size())));
    }
  }
  target = target.substr(0, target.find('?'));
  path_.count = 0;
  while (!target.empty() && target.front() == '/') {
    target.remove_prefix(1);
    const std::string_view part = target.substr(0, target.find('/'));
    target.remove_prefix(part.size());
    if (part.empty() && target.empty()) break;  // a slash at the end says nothing
    if (path_.count == path_.parts.size()) return false;
    std::string& place = path_.parts[path_.count++];
    place.clear();
    for (std::size_t i = 0; i < part.size(); ++i) {
      const bool coded =
          part[i] == '%' && i + 2 < part.size() && hex_of(part[i + 1]) >= 0 && hex_of(part[i + 2]) >= 0;
      place += coded ? static_cast<char>(hex_of(part[i + 1]) * 16 + hex_of(part[i + 2])) : part[i];
      i += coded ? 2 : 0;
    }
  }
  return target.empty();
}

bool RestApi::inflated(HttpRequest& request, Reply& reply) {
  const std::string& encoding = request.headers.content_encoding;
  if (encoding.empty() || encoding == "identity") return true;
  if (encoding != "gzip" && encoding != "deflate") {
    reply =
        error(415, "Content-Encoding: expected gzip, deflate or identity, got " + encoding.substr(0, 100));
    return false;
  }
  const auto outcome =
      inflater_.inflate({request.body.data(), request.body.size()}, inflated_, config_.limits.body_bytes);
  if (outcome == Inflater::Outcome::kDone) {
    request.body.swap(inflated_);
    return true;
  }
  reply = outcome == Inflater::Outcome::kTooLong
              ? error(413, "body: expected at most " + std::to_string(config_.limits.body_bytes) +
                               " bytes once inflated, got more")
              : error(400, "body: expected " + encoding + ", got something else");
  return false;
}

bool RestApi::admitted(const HttpRequest& request, bool infers, Reply& reply) {
  caller_ = nullptr;
  if (config_.keys.empty()) return true;
  constexpr std::string_view kScheme = "Bearer ";
  const std::string_view told = request.headers.authorization;
  for (std::size_t i = 0; i < config_.keys.size() && told.starts_with(kScheme); ++i) {
    if (same_secret(told.substr(kScheme.size()), config_.keys[i].secret)) caller_ = &config_.keys[i];
  }
  if (caller_ == nullptr) {
    add(counters_.rest_unauthorized);
    reply = error(401, std::string("Authorization: expected Bearer and a known key, got ") +
                           (told.empty() ? "nothing" : "something else"));
    return false;
  }
  if (infers && !caller_->infer) {
    add(counters_.rest_unauthorized);
    reply = error(403, "Authorization: expected a key with scope infer, got " + caller_->name);
    return false;
  }
  const auto place = static_cast<std::size_t>(caller_ - config_.keys.data());
  if (!key_paces_[place].take(monotonic_ns(), caller_->requests_per_second)) {
    add(counters_.rest_limited);
    reply = error(429, "rate: expected at most " + std::to_string(caller_->requests_per_second) +
                           " requests a second of key " + caller_->name + ", got more");
    return false;
  }
  return true;
}

RestApi::Reply RestApi::respond(HttpRequest& request, const Times& times) {
  const bool known = split(request.target);
  const auto part = [&](std::size_t i) {
    return i < path_.count ? std::string_view(path_.parts[i]) : std::string_view();
  };
  const auto is = [&](std::initializer_list<std::string_view> parts) {
    return path_.count == parts.size() && std::equal(parts.begin(), parts.end(), path_.parts.begin());
  };
  const bool infers = is({"v1", "decide"}) || (path_.count > 0 && part(path_.count - 1) == "infer");
  const bool posts = infers || is({"v2", "repository", "index"});
  const bool health = is({"v2", "health", "live"}) || is({"v2", "health", "ready"});
  const bool served = known && (is({"v2"}) || health || posts ||
                                (part(0) == "v2" && part(1) == "models" && path_.count >= 3));
  if (!served)
    return error(404, "path: expected one of /v2, /v1/decide, got " + request.target.substr(0, 200));
  if (request.method != (posts ? HTTP_POST : HTTP_GET)) {
    const std::string_view allow = posts ? "POST" : "GET";
    Reply reply = error(405, std::string("method: expected ").append(allow) + ", got " +
                                 llhttp_method_name(static_cast<llhttp_method_t>(request.method)));
    reply.allow = allow;
    return reply;
  }
  Reply refused;
  if (!health && !admitted(request, infers, refused)) return refused;
  if (!inflated(request, refused)) return refused;
  if (is({"v2"})) return server();
  if (is({"v2", "health", "live"})) {
    json_ = R"({"live":true})";
    return {};
  }
  if (health) return ready();
  if (is({"v1", "decide"})) return decide(request, times);
  if (posts && !infers) return index();
  return model_path(request, times);
}

RestApi::Reply RestApi::model_path(HttpRequest& request, const Times& times) {
  const std::string_view name = path_.parts[2];
  if (path_.count == 3 && name == "stats") return statistics(std::nullopt, kNoVersion);
  std::size_t at = 3;
  std::uint32_t version = kNoVersion;
  const std::optional<std::size_t> model = engine_.model_named(name);
  std::string_view spelled;
  if (path_.count > 4 && path_.parts[3] == "versions") {
    spelled = path_.parts[4];
    version = number_of<std::uint32_t>(spelled).value_or(kNoVersion);
    at = 5;
  }
  if (!model) return not_found(name, spelled);
  if (!spelled.empty()) {
    const auto held = versions_of(*model);
    if (version == kNoVersion || std::find(held.begin(), held.end(), version) == held.end())
      return not_found(name, spelled);
  }
  const std::string_view what = at < path_.count ? std::string_view(path_.parts[at]) : std::string_view();
  if (path_.count <= at + 1) {
    if (what.empty()) return model_metadata(*model, version);
    if (what == "ready") return model_ready(*model, version);
    if (what == "config") return model_config(*model, version);
    if (what == "stats") return statistics(model, version);
    if (what == "infer") return infer(request, times, *model, version);
  }
  return error(
      404, "path: expected ready, config, stats or infer of a model, got " + request.target.substr(0, 200));
}

RestApi::Reply RestApi::not_found(std::string_view model, std::string_view version) {
  std::string text = "Request for unknown model: '";
  text.append(model.substr(0, 200)).append("'");
  if (!version.empty()) text.append(" version ").append(version.substr(0, 40));
  return error(404, text.append(" is not found"));
}

InputShape RestApi::shape_of(std::size_t model) const {
  return {engine_.plan_of(model)->window, engine_.width_of(model), kMaxRows};
}

RestApi::Reply RestApi::ask(InferRequest& asked, const HttpRequest& request, const Times& times,
                            InferReply& reply) {
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
      return error(429, "rate: expected at most " + std::to_string(config_.instrument_requests_per_second) +
                            " requests a second of one instrument, got more");
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
    stats.last_ms = WallClock().wall_ns(done_ns) / 1'000'000;
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
    case InferStatus::kBadRow:
    case InferStatus::kBadCount:
      break;
  }
  return error(400, "rows: expected rows of " + std::to_string(reply.expected_floats) + " numbers, got " +
                        std::to_string(asked.row_floats));
}

RestApi::Reply RestApi::infer(HttpRequest& request, const Times& times, std::size_t model,
                              std::uint32_t version) {
  std::optional<std::size_t> json_bytes;
  if (!request.headers.json_bytes.empty()) {
    json_bytes = number_of<std::size_t>(request.headers.json_bytes);
    if (!json_bytes) {
      return error(400, "Inference-Header-Content-Length: expected a number of bytes, got " +
                            request.headers.json_bytes.substr(0, 100));
    }
  }
  const InputShape shape = shape_of(model);
  if (shape.width == 0) return error(503, "model: expected a version that is ready, got none");
  const std::size_t size = request.body.size();
  request.body.resize(size + simdjson::SIMDJSON_PADDING);
  if (const std::string wrong = reader_.read({request.body.data(), size}, json_bytes, shape, body_);
      !wrong.empty()) {
    return error(400, wrong);
  }
  InferRequest asked;
  asked.model = model;
  asked.version = version;
  asked.instrument = body_.instrument;
  if (!body_.key.empty()) asked.key = assignment_key(body_.key);
  if (body_.timeout_us > 0) {
    constexpr std::uint64_t kLongestUs = 1'000'000'000;
    asked.deadline_ns =
        times.read_ns + static_cast<std::int64_t>(std::min(body_.timeout_us, kLongestUs) * 1000);
  }
  InferReply reply;
  if (const Reply refused = ask(asked, request, times, reply); refused.status != 200) return refused;
  for (const RowAnswer& row : reply.rows) {
    const bool whole =
        std::all_of(row.output.begin(), row.output.begin() + static_cast<std::ptrdiff_t>(reply.outputs),
                    [](float value) { return std::isfinite(value); });
    if (!whole || reply.outputs == 0) {
      const int status = row.abstain == AbstainReason::kBadFeature  ? 400
                         : row.abstain == AbstainReason::kRateLimit ? 429
                                                                    : 503;
      return error(status, "decision " + std::to_string(row.decision_id) +
                               ": expected an output, got none: " + std::string(word_of(row.abstain)));
    }
  }
  Reply into;
  write_infer(reply, model, into);
  return into;
}

void RestApi::write_infer(const InferReply& reply, std::size_t model, Reply& into) {
  json_ = "{\"model_name\":";
  append_text(json_, engine_.plan_of(model)->name);
  json_ += ",\"model_version\":\"";
  append_number(json_, reply.version);
  json_ += '"';
  if (body_.has_id) {
    json_ += ",\"id\":";
    append_text(json_, body_.id);
  }
  json_.append(",\"parameters\":{\"arm\":\"").append(word_of(reply.arm)).append("\",\"late\":");
  json_.append(reply.late ? "true" : "false").append(",\"reason\":\"");
  const auto abstained = std::find_if(reply.rows.begin(), reply.rows.end(), [](const RowAnswer& row) {
    return row.abstain != AbstainReason::kNone;
  });
  json_.append(word_of(abstained == reply.rows.end() ? AbstainReason::kNone : abstained->abstain));
  json_ += "\"},\"outputs\":[";
  bool first = true;
  for (std::size_t tensor = 0; tensor < kOutputTensors; ++tensor) {
    const Form form = body_.outputs[tensor];
    if (form == Form::kNot) continue;
    if (!first) json_ += ',';
    first = false;
    into.binary = into.binary || form == Form::kBinary;
    write_tensor(reply, tensor, form);
  }
  json_ += "]}";
  if (!into.binary) return;
  into.json_bytes = json_.size();
  for (std::size_t tensor = 0; tensor < kOutputTensors; ++tensor) {
    if (body_.outputs[tensor] != Form::kBinary) continue;
    for (const RowAnswer& row : reply.rows) {
      if (tensor == 0)
        json_.append(reinterpret_cast<const char*>(row.output.data()), reply.outputs * sizeof(float));
      if (tensor == 1) append_bytes(json_, row.action);
      if (tensor == 2) append_bytes(json_, row.decision_id);
      if (tensor == 3) append_bytes(json_, row.abstain);
    }
  }
}

void RestApi::write_tensor(const InferReply& reply, std::size_t tensor, Form form) {
  constexpr std::array<std::string_view, kOutputTensors> kTypes = {"FP32", "INT8", "UINT64", "UINT8"};
  const std::array<std::size_t, kOutputTensors> sizes = {reply.outputs * sizeof(float), 1, 8, 1};
  json_.append("{\"name\":\"")
      .append(kOutputNames[tensor])
      .append("\",\"datatype\":\"")
      .append(kTypes[tensor]);
  json_ += "\",\"shape\":[";
  append_number(json_, reply.rows.size());
  if (tensor == 0) {
    json_ += ',';
    append_number(json_, reply.outputs);
  }
  if (form == Form::kBinary) {
    json_ += "],\"parameters\":{\"binary_data_size\":";
    append_number(json_, reply.rows.size() * sizes[tensor]);
    json_ += "}}";
    return;
  }
  json_ += "],\"data\":[";
  bool first = true;
  for (const RowAnswer& row : reply.rows) {
    const std::size_t values = tensor == 0 ? reply.outputs : 1;
    for (std::size_t i = 0; i < values; ++i) {
      if (!first) json_ += ',';
      first = false;
      if (tensor == 0) append_float(json_, row.output[i]);
      if (tensor == 1) append_number(json_, static_cast<int>(row.action));
      if (tensor == 2) append_number(json_, row.decision_id);
      if (tensor == 3) append_number(json_, static_cast<unsigned>(row.abstain));
    }
  }
  json_ += "]}";
}

RestApi::Reply RestApi::decide(HttpRequest& request, const Times& times) {
  const std::size_t size = request.body.size();
  request.body.resize(size + simdjson::SIMDJSON_PADDING);
  if (const std::string wrong = reader_.read_short({request.body.data(), size}, short_); !wrong.empty()) {
    return error(400, wrong);
  }
  const std::optional<std::size_t> model = engine_.model_named(short_.model);
  if (!model) return not_found(short_.model, "");
  const InputShape shape = shape_of(*model);
  if (shape.width == 0) return error(503, "model: expected a version that is ready, got none");
  if (const std::string wrong = reader_.features(shape, body_); !wrong.empty()) return error(400, wrong);
  InferRequest asked;
  asked.model = *model;
  asked.instrument = short_.instrument;
  if (!short_.key.empty()) asked.key = assignment_key(short_.key);
  if (short_.deadline_ms > 0)
    asked.deadline_ns = times.read_ns + static_cast<std::int64_t>(short_.deadline_ms * 1e6);
  InferReply reply;
  if (const Reply refused = ask(asked, request, times, reply); refused.status != 200) return refused;
  const RowAnswer& row = reply.rows[0];
  json_ = "{\"decision_id\":";
  append_number(json_, row.decision_id);
  json_ += ",\"model\":";
  append_text(json_, short_.model);
  json_ += ",\"version\":";
  append_number(json_, reply.version);
  json_.append(",\"arm\":\"").append(word_of(reply.arm)).append("\",\"action\":");
  append_number(json_, static_cast<int>(row.action));
  json_.append(",\"reason\":\"")
      .append(word_of(row.abstain))
      .append("\",\"late\":")
      .append(reply.late ? "true" : "false");
  json_ += ",\"outputs\":[";
  for (std::size_t i = 0; i < reply.outputs; ++i) {
    if (i > 0) json_ += ',';
    append_float(json_, row.output[i]);
  }
  json_ += "]}";
  return {};
}

}  // namespace ringcraft
