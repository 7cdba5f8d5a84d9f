#pragma once
// HTTP/1.1 requests out of any pieces of bytes, one at a time. llhttp (Debian's node-llhttp: the parser of
// Node.js, kept by its people, a few C files without dependencies) reads them; the limits are ours.

#include <llhttp/llhttp.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ringcraft {

struct HttpLimits {
  std::size_t head_bytes = std::size_t{16} << 10U;  ///< request line and headers
  std::size_t body_bytes = std::size_t{8} << 20U;   ///< as sent, and once more as inflated
};

/// Headers that mean something here.
struct HttpHeaders {
  std::string authorization;
  std::string content_encoding;
  std::string accept_encoding;
  std::string json_bytes;   ///< Inference-Header-Content-Length
  std::string key;          ///< Ringcraft-Key
  std::string instrument;   ///< Ringcraft-Instrument
  std::string arm;          ///< Ringcraft-Arm
  std::string deadline_ms;  ///< Ringcraft-Deadline-Ms
  std::string expect;
  std::string origin;  ///< of the page that asks, where a browser does
};

struct HttpRequest {
  std::uint8_t method = HTTP_GET;
  bool keep_alive = true;
  bool old = false;  ///< HTTP/1.0, whose clients must be told that the connection stays
  std::string target;
  HttpHeaders headers;
  std::vector<char> body;

  /// Forgets the request; memory stays, up to a modest size.
  void clear() noexcept;
};

class HttpParser {
 public:
  enum class State : std::uint8_t { kMore, kWhole, kBad };

  explicit HttpParser(const HttpLimits& limits) noexcept;
  HttpParser(const HttpParser&) = delete;
  HttpParser& operator=(const HttpParser&) = delete;

  /// Takes bytes until they are used up or a request is whole.
  /// @param bytes what is left of them afterwards.
  State take(std::string_view& bytes);

  /// Whether a request has begun and is not whole.
  [[nodiscard]] bool midway() const noexcept { return midway_; }

  /// The next request begins.
  void next() noexcept;

  [[nodiscard]] const HttpRequest& request() const noexcept { return request_; }
  [[nodiscard]] HttpRequest& request() noexcept { return request_; }

  /// Of a bad request: its status and what is wrong.
  [[nodiscard]] int status() const noexcept { return status_; }
  [[nodiscard]] const std::string& error() const noexcept { return error_; }

  /// Whether the client waits to be told to go on (Expect: 100-continue); once.
  [[nodiscard]] bool wants_continue() noexcept;

 private:
  struct Hooks;
  int refuse(int status, std::string error);
  [[nodiscard]] bool counted(std::size_t bytes);

  llhttp_t parser_{};
  HttpLimits limits_;
  HttpRequest request_;
  std::string field_;
  std::string* value_ = nullptr;
  std::size_t head_ = 0;
  unsigned hosts_ = 0;  ///< Host fields of this request
  bool midway_ = false;
  bool told_ = false;
  bool continue_ = false;
  int status_ = 0;
  std::string error_;
};

}  // namespace ringcraft
