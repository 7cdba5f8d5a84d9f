#include "serving/http_request.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace ringcraft {
namespace {

constexpr std::size_t kKeptBytes = std::size_t{64} << 10U;

bool same(std::string_view a, std::string_view lower) noexcept {
  const auto low = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return a.size() == lower.size() &&
         std::equal(a.begin(), a.end(), lower.begin(), [&](char x, char y) { return low(x) == y; });
}

struct KnownHeader {
  std::string_view name;
  std::string HttpHeaders::* place;
};

constexpr std::array<KnownHeader, 10> kKnownHeaders = {{
    {"authorization", &HttpHeaders::authorization},
    {"content-encoding", &HttpHeaders::content_encoding},
    {"accept-encoding", &HttpHeaders::accept_encoding},
    {"inference-header-content-length", &HttpHeaders::json_bytes},
    {"ringcraft-key", &HttpHeaders::key},
    {"ringcraft-instrument", &HttpHeaders::instrument},
    {"ringcraft-arm", &HttpHeaders::arm},
    {"ringcraft-deadline-ms", &HttpHeaders::deadline_ms},
    {"expect", &HttpHeaders::expect},
    {"origin", &HttpHeaders::origin},
}};

std::string* place_of(HttpHeaders& headers, std::string_view name) noexcept {
  for (const auto& [spelled, place] : kKnownHeaders) {
    if (same(name, spelled)) return &(headers.*place);
  }
  return nullptr;
}

}  // namespace

void HttpRequest::clear() noexcept {
  target.clear();
  for (const KnownHeader& known : kKnownHeaders) (headers.*known.place).clear();
  body.clear();
  if (body.capacity() > kKeptBytes) {
    std::vector<char>().swap(body);
  }
}

struct HttpParser::Hooks {
  static HttpParser& self(llhttp_t* parser) noexcept { return *static_cast<HttpParser*>(parser->data); }

  static int begin(llhttp_t* parser) {
    self(parser).midway_ = true;
    return 0;
  }

  static int url(llhttp_t* parser, const char* at, std::size_t size) {
    HttpParser& own = self(parser);
    if (!own.counted(size)) return HPE_USER;
    own.request_.target.append(at, size);
    return 0;
  }

  static int field(llhttp_t* parser, const char* at, std::size_t size) {
    HttpParser& own = self(parser);
    if (!own.counted(size)) return HPE_USER;
    own.field_.append(at, size);
    return 0;
  }

  static int field_complete(llhttp_t* parser) {
    HttpParser& own = self(parser);
    // RFC 9112 5.1; llhttp is this strict only with the fields that it reads itself.
    if (own.field_.find_first_of(" \t") != std::string::npos) {
      return own.refuse(400, "HTTP: expected a header's name without spaces, got one with a space");
    }
    own.value_ = place_of(own.request_.headers, own.field_);
    own.hosts_ += same(own.field_, "host") ? 1 : 0;
    own.field_.clear();
    if (own.value_ != nullptr && !own.value_->empty()) {
      *own.value_ += ',';  // as RFC 9110 5.3 joins a field that comes twice
    }
    return 0;
  }

  static int value(llhttp_t* parser, const char* at, std::size_t size) {
    HttpParser& own = self(parser);
    if (!own.counted(size)) return HPE_USER;
    if (own.value_ != nullptr) own.value_->append(at, size);
    return 0;
  }

  static int headers_complete(llhttp_t* parser) {
    HttpParser& own = self(parser);
    own.request_.method = parser->method;
    own.request_.keep_alive = llhttp_should_keep_alive(parser) != 0;
    own.request_.old = parser->http_major == 1 && parser->http_minor == 0;
    if (parser->content_length > own.limits_.body_bytes) {
      return own.refuse(413, "Content-Length: expected at most " + std::to_string(own.limits_.body_bytes) +
                                 ", got " + std::to_string(parser->content_length));
    }
    // RFC 9112 3.2: proxies in front may each go by another one.
    if (own.hosts_ > 1 || (own.hosts_ == 0 && !own.request_.old)) {
      return own.refuse(400, "Host: expected one, got " + std::to_string(own.hosts_));
    }
    own.continue_ = same(own.request_.headers.expect, "100-continue");
    return 0;
  }

  static int body(llhttp_t* parser, const char* at, std::size_t size) {
    HttpParser& own = self(parser);
    std::vector<char>& body = own.request_.body;
    if (body.size() + size > own.limits_.body_bytes) {
      return own.refuse(
          413, "body: expected at most " + std::to_string(own.limits_.body_bytes) + " bytes, got more");
    }
    body.insert(body.end(), at, at + size);
    return 0;
  }

  static int complete(llhttp_t* parser) {
    HttpParser& own = self(parser);
    own.told_ = true;
    own.continue_ = false;
    return HPE_PAUSED;
  }

  static const llhttp_settings_t& all() {
    static const llhttp_settings_t settings = [] {
      llhttp_settings_t made;
      llhttp_settings_init(&made);
      made.on_message_begin = begin;
      made.on_url = url;
      made.on_header_field = field;
      made.on_header_field_complete = field_complete;
      made.on_header_value = value;
      made.on_headers_complete = headers_complete;
      made.on_body = body;
      made.on_message_complete = complete;
      return made;
    }();
    return settings;
  }
};

HttpParser::HttpParser(const HttpLimits& limits) noexcept : limits_(limits) {
  llhttp_init(&parser_, HTTP_REQUEST, &Hooks::all());
  parser_.data = this;
}

int HttpParser::refuse(int status, std::string error) {
  status_ = status;
  error_ = std::move(error);
  return HPE_USER;
}

bool HttpParser::counted(std::size_t bytes) {
  head_ += bytes;
  if (head_ <= limits_.head_bytes) return true;
  refuse(431, "headers: expected at most " + std::to_string(limits_.head_bytes) + " bytes, got more");
  return false;
}

HttpParser::State HttpParser::take(std::string_view& bytes) {
  if (told_ || status_ != 0) {
    return told_ ? State::kWhole : State::kBad;
  }
  const llhttp_errno_t error = llhttp_execute(&parser_, bytes.data(), bytes.size());
  if (error == HPE_OK) {
    bytes = {};
    return State::kMore;
  }
  if (told_) {
    bytes.remove_prefix(static_cast<std::size_t>(llhttp_get_error_pos(&parser_) - bytes.data()));
    return State::kWhole;
  }
  if (status_ == 0) {
    const char* reason = llhttp_get_error_reason(&parser_);
    const bool upgrade = error == HPE_PAUSED_UPGRADE || error == HPE_PAUSED_H2_UPGRADE;
    refuse(400, std::string("HTTP: expected an HTTP/1.1 request, got ") + (upgrade ? "another protocol"
                                                                           : reason != nullptr && *reason != 0
                                                                               ? reason
                                                                               : llhttp_errno_name(error)));
  }
  return State::kBad;
}

void HttpParser::next() noexcept {
  request_.clear();
  field_.clear();
  head_ = 0;
  hosts_ = 0;
  midway_ = told_ = false;
  llhttp_resume(&parser_);
}

bool HttpParser::wants_continue() noexcept { return std::exchange(continue_, false); }

}  // namespace ringcraft
