// Bytes as HTTP requests, one behind the other: in whatever pieces they come, the same requests come out of
// them.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "fuzz/require.hpp"
#include "serving/http_request.hpp"

namespace ringcraft::fuzz {
namespace {

constexpr HttpLimits kLimits{512, 2048};

struct Read {
  std::vector<std::string> requests;  ///< all of each that means something
  bool bad = false;
  bool midway = false;
  bool operator==(const Read&) const = default;
};

std::string text_of(const HttpRequest& request) {
  const HttpHeaders& headers = request.headers;
  std::string text = std::to_string(request.method) + (request.keep_alive ? " keep " : " close ");
  for (const std::string* one : {&request.target, &headers.authorization, &headers.content_encoding,
                                 &headers.accept_encoding, &headers.json_bytes, &headers.key,
                                 &headers.instrument, &headers.arm, &headers.deadline_ms, &headers.expect}) {
    text.append(*one) += '\n';
  }
  return text.append(request.body.begin(), request.body.end());
}

/// Takes the bytes in pieces whose sizes follow from `seed`; 0: all at once.
Read read(std::string_view bytes, std::uint32_t seed) {
  HttpParser parser(kLimits);
  Read read;
  while (!bytes.empty()) {
    seed = seed * 1'664'525U + (seed == 0 ? 0U : 1'013'904'223U);
    std::string_view piece = bytes.substr(0, seed == 0 ? bytes.size() : 1 + (seed >> 20U) % 24);
    bytes.remove_prefix(piece.size());
    while (!piece.empty()) {
      const std::size_t had = piece.size();
      const HttpParser::State state = parser.take(piece);
      require(piece.size() <= had, "no byte is taken twice");
      if (state == HttpParser::State::kMore) {
        require(piece.empty(), "whoever wants more has used up what there was");
        static_cast<void>(parser.wants_continue());
        continue;
      }
      if (state == HttpParser::State::kBad) {
        const int status = parser.status();
        require(status == 400 || status == 413 || status == 431, "a bad request has a status");
        require(!parser.error().empty(), "and a reason");
        read.bad = true;
        return read;
      }
      const HttpRequest& request = parser.request();
      require(request.body.size() <= kLimits.body_bytes, "no body is longer than its limit");
      require(request.target.size() <= kLimits.head_bytes, "no target is longer than its limit");
      read.requests.push_back(text_of(request));
      if (!request.keep_alive) return read;
      parser.next();
    }
  }
  read.midway = parser.midway();
  return read;
}

}  // namespace
}  // namespace ringcraft::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ringcraft::fuzz;
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data + 1), size - 1);
  const Read whole = read(bytes, 0);
  require(read(bytes, 1U + data[0]) == whole, "pieces say what the whole says");
  return 0;
}
