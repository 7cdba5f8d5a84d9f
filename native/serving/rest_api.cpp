// Which path and method is answered by what.
#include "serving/rest_api.hpp"

#include <algorithm>

#include "serving/number_text.hpp"
#include "serving/rest_document.hpp"

namespace ringcraft {
namespace {

int hex_of(char digit) noexcept {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
  return -1;
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
  const bool document = is({"v2", "openapi.json"});
  const bool served = known && (is({"v2"}) || health || posts || document ||
                                (part(0) == "v2" && part(1) == "models" && path_.count >= 3));
  if (!served)
    return error(404, "path: expected one of /v2, /v1/decide, got " + request.target.substr(0, 200));
  const bool reads = request.method == HTTP_GET || request.method == HTTP_HEAD;
  if (posts ? request.method != HTTP_POST : !reads) {
    const std::string_view allow = posts ? "POST" : "GET, HEAD";
    Reply reply = error(405, std::string("method: expected ").append(posts ? "POST" : "GET") + ", got " +
                                 llhttp_method_name(static_cast<llhttp_method_t>(request.method)));
    reply.allow = allow;
    return reply;
  }
  Reply refused;
  if (!health && !admitted(request, infers, refused)) return refused;
  if (infers && !has_room(times.turn_ns, refused)) return refused;
  if (!inflated(request, refused)) return refused;
  if (is({"v2"})) return server();
  if (document) {
    json_ = rest_document();
    return {};
  }
  if (is({"v2", "health", "live"})) {
    json_ = R"({"live":true})";
    return {};
  }
  if (health) return ready();
  if (is({"v1", "decide"})) return decide(request, times);
  if (posts && !infers) return index(request);
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
  if (!spelled.empty() && !holds(*model, version)) return not_found(name, spelled);
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

}  // namespace ringcraft
