// What a request has to pass before it is read: who may ask and how often, and how its body is packed.
#include <algorithm>

#include "serving/json_text.hpp"
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

constexpr std::string_view kScheme = "Bearer ";

/// The secret of an Authorization header, whose scheme RFC 9110 11.1 has in any case; empty: it has none.
std::string_view secret_of(std::string_view told) noexcept {
  const bool same = told.size() > kScheme.size() &&
                    std::equal(kScheme.begin(), kScheme.end(), told.begin(),
                               [](char a, char b) { return a == b || (a != ' ' && (a ^ 0x20) == b); });
  return same ? told.substr(kScheme.size()) : std::string_view();
}

/// Whether a page that a browser shows is of this host; "null", which any page can be, is not.
bool own_page(std::string_view origin) noexcept {
  for (const std::string_view scheme : {"http://", "https://"}) {
    for (const std::string_view host : {"localhost", "127.0.0.1", "[::1]"}) {
      if (!origin.starts_with(scheme) || !origin.substr(scheme.size()).starts_with(host)) continue;
      const std::string_view port = origin.substr(scheme.size() + host.size());
      if (port.empty() || port.front() == ':') return true;
    }
  }
  return false;
}

}  // namespace

bool RestApi::admitted(const HttpRequest& request, bool infers, Reply& reply) {
  caller_ = nullptr;
  if (config_.keys.empty()) {
    // A browser sends what a page of anybody's tells it to; it cannot send a key that the page does not know.
    if (request.headers.origin.empty() || own_page(request.headers.origin)) return true;
    add(counters_.rest_unauthorized);
    reply = error(403, "Origin: expected none, or a page of this host, where no API keys are set; got " +
                           request.headers.origin.substr(0, 100));
    return false;
  }
  const std::string_view told = request.headers.authorization;
  const std::string_view secret = secret_of(told);
  for (std::size_t i = 0; i < config_.keys.size() && !secret.empty(); ++i) {
    if (same_secret(secret, config_.keys[i].secret)) caller_ = &config_.keys[i];
  }
  if (caller_ == nullptr) {
    add(counters_.rest_unauthorized);
    reply = error(401, std::string("Authorization: expected Bearer and a known key, got ") +
                           (told.empty() ? "nothing" : "something else"));
    return false;
  }
  if (infers ? !caller_->infer : !caller_->read) {
    add(counters_.rest_unauthorized);
    reply = error(403, std::string("Authorization: expected a key with scope ") +
                           (infers ? "infer" : "read") + ", got " + caller_->name);
    return false;
  }
  const auto place = static_cast<std::size_t>(caller_ - config_.keys.data());
  if (!key_paces_[place].take(monotonic_ns(), caller_->requests_per_second)) {
    add(counters_.rest_limited);
    std::string text = "rate: expected at most ";
    append_number(text, caller_->requests_per_second);
    reply = error(429, text + " requests a second of key " + caller_->name + ", got more");
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
