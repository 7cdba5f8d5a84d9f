// What every answer begins with, and what a wrong request gets.
#include "serving/json_text.hpp"
#include "serving/rest_api.hpp"

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

}  // namespace

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
  if (request == nullptr || !request->keep_alive) {
    out += "\r\nConnection: close";
  } else if (request->old) {
    out += "\r\nConnection: keep-alive";
  }
  out += "\r\n\r\n";
  // What follows the head of an answer to HEAD would be read as the next answer.
  if (request == nullptr || request->method != HTTP_HEAD) out += body;
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

}  // namespace ringcraft
