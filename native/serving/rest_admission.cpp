// What a request has to pass before it is read: who may ask and how often, and how its body is packed.
#include "serving/rest_api.hpp"

namespace ringcraft {
namespace {

/// Takes as long whatever is wrong with it.
bool same_secret(std::string_view a, std::string_view b) noexcept {
  unsigned difference = a.size() == b.size() ? 0U : 1U;
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference |=
        static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(b.empty() ? 'x' : b[i % b.size()]);
  }
  return difference == 0;
}

}  // namespace

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

bool RestApi::has_room(std::int64_t turn_ns, Reply& reply) {
  if (turn_ns != counted_turn_ns_) {
    counted_turn_ns_ = turn_ns;
    asked_in_turn_ = 0;
    asked_of_model_.fill(0);
  }
  if (++asked_in_turn_ <= config_.concurrency.all) return true;
  add(counters_.rest_concurrent);
  reply = error(503, "concurrency: expected at most " + std::to_string(config_.concurrency.all) +
                         " requests in flight at this door, got more");
  return false;
}

bool RestApi::model_has_room(std::size_t model, Reply& reply) {
  if (config_.concurrency.models.empty()) return true;
  const std::string& name = engine_.plan_of(model)->name;
  const std::size_t asked = ++asked_of_model_[model];
  for (const auto& [limited, most] : config_.concurrency.models) {
    if (limited == name && asked > most) {
      add(counters_.rest_concurrent);
      reply = error(503, "concurrency: expected at most " + std::to_string(most) +
                             " requests in flight of model " + name + ", got more");
      return false;
    }
  }
  return true;
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

}  // namespace ringcraft
