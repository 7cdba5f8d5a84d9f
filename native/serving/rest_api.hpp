#pragma once
// What REST says: paths, methods and bodies to answers. No sockets.

#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "serving/engine.hpp"
#include "serving/gzip.hpp"
#include "serving/http_request.hpp"
#include "serving/infer_body.hpp"

namespace ringcraft {

/// Whoever may ask, and how much.
struct ApiKey {
  std::string name;    ///< also the account that a policy may assign by
  std::string secret;  ///< as in Authorization: Bearer SECRET
  bool read = true;    ///< may ask for everything but decisions
  bool infer = true;   ///< may ask for decisions
  double requests_per_second = kNoLimit;
};

inline constexpr std::size_t kAnyNumber = std::numeric_limits<std::size_t>::max();

/// Requests for decisions that may wait for their answers at once: those that one turn of the loop finds.
struct Concurrency {
  std::size_t all = kAnyNumber;
  std::vector<std::pair<std::string, std::size_t>> models{};  ///< by name; who is not here has no limit
};

struct RestConfig {
  std::string host = "127.0.0.1";
  std::uint16_t port = 0;  ///< 0: any free
  HttpLimits limits;
  std::size_t connections_max = 12'000;
  std::int64_t request_ns = 10'000'000'000;  ///< from a request's first byte to its last
  std::int64_t idle_ns = 75'000'000'000;     ///< between two requests
  bool allow_arm_override = false;
  std::vector<ApiKey> keys;  ///< none: everyone may
  double instrument_requests_per_second = kNoLimit;
  Concurrency concurrency{};
  std::array<std::int64_t, 3> shed_after_ns = {1'000'000, 5'000'000,
                                               20'000'000};  ///< shadow, challenger, champion
};

/// Counts of one version, as Triton's statistics have them.
struct VersionStats {
  std::size_t model = 0;
  std::uint32_t version = 0;
  std::uint64_t rows = 0;
  std::uint64_t requests = 0;
  std::uint64_t failures = 0;
  std::uint64_t total_ns = 0;
  std::uint64_t infer_ns = 0;
  std::int64_t last_ns = 0;  ///< monotonic, of its last answer; 0: none
};

class RestApi {
 public:
  /// Of one request.
  struct Times {
    std::int64_t read_ns;    ///< monotonic, when its bytes were read
    std::int64_t waited_ns;  ///< for those that were served before it in this turn
    std::int64_t turn_ns;    ///< monotonic, when this turn began
  };

  RestApi(Engine& engine, Holdings& holdings, Counters& counters, const RestConfig& config);

  /// Appends the whole response to `out`.
  /// @return whether the connection goes on.
  bool answer(HttpRequest& request, const Times& times, std::string& out);

  /// Appends a response that says what is wrong and that the connection ends.
  void refuse(int status, std::string_view error, std::string& out);

 private:
  struct Path {
    std::array<std::string, 8> parts;
    std::size_t count = 0;
  };
  struct Reply {
    int status = 200;
    std::string_view allow;      ///< of a 405
    std::size_t json_bytes = 0;  ///< where binary follows; 0: it is all JSON
    bool binary = false;
    bool retry = false;
  };

  [[nodiscard]] Reply respond(HttpRequest& request, const Times& times);
  [[nodiscard]] Reply model_path(HttpRequest& request, const Times& times);
  [[nodiscard]] Reply not_found(std::string_view model, std::string_view version);
  [[nodiscard]] bool split(std::string_view target);
  // rest_reply.cpp
  [[nodiscard]] Reply error(int status, std::string_view text);
  void write_head(const Reply& reply, const HttpRequest* request, std::string& out);
  // rest_admission.cpp
  [[nodiscard]] bool admitted(const HttpRequest& request, bool infers, Reply& reply);
  [[nodiscard]] bool inflated(HttpRequest& request, Reply& reply);
  /// Counts a request for decisions among those of its turn.
  [[nodiscard]] bool has_room(std::int64_t turn_ns, Reply& reply);
  [[nodiscard]] bool model_has_room(std::size_t model, Reply& reply);
  // rest_ask.cpp
  [[nodiscard]] InputShape shape_of(std::size_t model) const;
  [[nodiscard]] Reply ask(InferRequest& asked, const HttpRequest& request, const Times& times,
                          InferReply& reply);
  // rest_infer.cpp
  [[nodiscard]] Reply infer(HttpRequest& request, const Times& times, std::size_t model,
                            std::uint32_t version);
  void write_infer(const InferReply& reply, std::size_t model, Reply& into);
  void write_tensor(const InferReply& reply, std::size_t tensor, Form form);
  // rest_decide.cpp
  [[nodiscard]] Reply decide(HttpRequest& request, const Times& times);
  // rest_metadata.cpp
  [[nodiscard]] Reply server();
  [[nodiscard]] Reply ready();
  [[nodiscard]] Reply model_metadata(std::size_t model, std::uint32_t version);
  [[nodiscard]] Reply model_ready(std::size_t model, std::uint32_t version);
  [[nodiscard]] Reply model_config(std::size_t model, std::uint32_t version);
  [[nodiscard]] Reply statistics(std::optional<std::size_t> model, std::uint32_t version);
  [[nodiscard]] Reply index(HttpRequest& request);
  [[nodiscard]] std::vector<std::uint32_t> versions_of(std::size_t model) const;
  /// Whether a version is held; allocates nothing.
  [[nodiscard]] bool holds(std::size_t model, std::uint32_t version) const;
  /// Numbers in a version's output, or in that of every version; 0: they differ, or none is held.
  [[nodiscard]] std::size_t outputs_of(std::size_t model, std::uint32_t version) const;
  [[nodiscard]] bool model_is_ready(std::size_t model) const;
  [[nodiscard]] bool all_ready() const;
  VersionStats& stats_of(std::size_t model, std::uint32_t version);

  Engine& engine_;
  Holdings& holdings_;
  Counters& counters_;
  const RestConfig& config_;
  Inflater inflater_;
  Deflater deflater_;
  BodyReader reader_;
  Path path_;
  InferBody body_;
  DecideBody short_;
  std::vector<char> inflated_;
  std::string json_;    ///< the response's body
  std::string packed_;  ///< and deflated
  std::vector<TokenBucket> key_paces_;
  std::array<TokenBucket, 1024> instrument_paces_{};  ///< by the symbol's hash
  std::int64_t counted_turn_ns_ = 0;
  std::size_t asked_in_turn_ = 0;
  std::array<std::size_t, kMaxModels> asked_of_model_{};  ///< in that turn
  const ApiKey* caller_ = nullptr;
  std::vector<VersionStats> stats_;
};

}  // namespace ringcraft
