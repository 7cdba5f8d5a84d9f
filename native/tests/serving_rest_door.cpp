// The REST door by its socket: bytes as nobody should send them, and what a request costs in memory.
#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "serving/rest_door.hpp"
#include "tests/engine_bench.hpp"
#include "tests/serving_allocations.hpp"
#include "tests/sum_model.hpp"

namespace ringcraft {
namespace {

RestConfig small_limits() {
  RestConfig config;
  config.limits = {2048, 16'384};
  config.request_ns = 100'000'000;
  config.shed_after_ns = {kNoDeadline, kNoDeadline, kNoDeadline};
  return config;
}

struct Rest : Bench {
  explicit Rest(const RestConfig& config = small_limits()) : door(config, engine, holdings, counters) {
    holdings.put(0, 0, sums(1));
    holdings.put(0, 1, sums(2));
    engine.adopt();
  }
  RestDoor door;
};

class Client {
 public:
  explicit Client(Rest& rest) : rest_(rest), socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(rest.door.port());
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  }
  ~Client() { ::close(socket_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  void send(std::string_view bytes) const {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent > 0) bytes.remove_prefix(static_cast<std::size_t>(sent));
      if (sent < 0 && errno != EAGAIN) return;
      rest_.door.poll();
    }
  }

  void half_close() const { ::shutdown(socket_, SHUT_WR); }

  /// The next bytes that come, for some two seconds; empty: none, or the end. Allocates nothing.
  [[nodiscard]] std::string_view next() {
    for (int turn = 0; turn < 20'000; ++turn) {
      rest_.door.poll();
      const ssize_t got = ::recv(socket_, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
      if (got >= 0) return {buffer_.data(), static_cast<std::size_t>(got)};
      if (errno != EAGAIN) return {};
      if (turn > 100) std::this_thread::sleep_for(std::chrono::microseconds(100));
    }
    return {};
  }

  /// All that comes until the door closes.
  [[nodiscard]] std::string rest() {
    std::string all;
    for (std::string_view part = next(); !part.empty(); part = next()) all += part;
    return all;
  }

 private:
  Rest& rest_;
  int socket_;
  std::array<char, 65'536> buffer_;
};

std::string post(std::string_view path, std::string_view body, std::string_view headers = "") {
  return std::string("POST ")
      .append(path)
      .append(" HTTP/1.1\r\nHost: a\r\n")
      .append(headers)
      .append("Content-Length: ")
      .append(std::to_string(body.size()))
      .append("\r\n\r\n")
      .append(body);
}

std::string tensor(std::string_view rest) {
  return std::string(R"({"inputs":[{"name":"features",)").append(rest).append("}]}");
}

const std::string kDecide = post("/v1/decide", R"({"model":"model","features":[1,2,3,4]})");
const std::string kInfer = "/v2/models/model/infer";
const std::string kGood = tensor(R"("datatype":"FP32","shape":[1,4],"data":[1,2,3,4])");

int status_of(std::string_view answer) {
  return answer.starts_with("HTTP/1.1 ") ? std::stoi(std::string(answer.substr(9, 3))) : 0;
}

}  // namespace

TEST_CASE("a request allocates nothing between its first byte and its answer's last") {
  Rest bench;
  Client client(bench);
  std::string binary = tensor(R"("datatype":"FP32","shape":[1,4],"parameters":{"binary_data_size":16})");
  const std::string json_bytes = "Inference-Header-Content-Length: " + std::to_string(binary.size()) + "\r\n";
  binary.resize(binary.size() + 16);
  const std::array<std::string, 4> requests = {
      kDecide, post(kInfer, kGood), post("/v2/models/model/versions/2/infer", kGood),
      post(kInfer, binary, json_bytes + "Ringcraft-Key: order-7\r\nRingcraft-Deadline-Ms: 1000\r\n")};
  std::uint64_t before = 0;
  int answered = 0;
  for (int round = 0; round < 300; ++round) {
    if (round == 20) before = allocations_of_this_thread();
    for (const std::string& request : requests) {
      client.send(request);
      answered += client.next().starts_with("HTTP/1.1 200 OK") ? 1 : 0;
    }
  }
  CHECK(allocations_of_this_thread() == before);
  CHECK(answered == 1200);
}

TEST_CASE("bytes that are no request are refused with their status, and the connection ends") {
  const std::vector<std::pair<std::string, int>> wrong = {
      {std::string("\x16\x03\x01\x02\x00\x01\x00", 7), 400},
      {"GET /v2 HTTP/9.9\r\n\r\n", 400},
      {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400},
      {"GET /v2 HTTP/1.1\r\nHost : a\r\n\r\n", 400},
      {"GET /v2 HTTP/1.1\r\n\r\n", 400},
      {"GET /v2 HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
      {"POST /v1/decide HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: "
       "chunked\r\n\r\n0\r\n\r\n",
       400},
      {"POST /v1/decide HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400},
      {"POST /v1/decide HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400},
      {"POST /v1/decide HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999999\r\n\r\n", 400},
      {"POST /v1/decide HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n", 400},
      {"POST /v1/decide HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400},
      {"POST /v1/decide HTTP/1.1\r\nHost: a\r\nContent-Length: 1099511627776\r\n\r\n", 413},
      {"POST /v1/decide HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n" +
           std::string(65'535, 'a'),
       413},
      {"GET /v2 HTTP/1.1\r\nHost: a\r\nX: " + std::string(4000, 'a') + "\r\n\r\n", 431},
      {"GET /" + std::string(4000, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n", 431},
  };
  Rest bench;
  for (const auto& [bytes, status] : wrong) {
    const std::string begin = bytes.substr(0, 60);
    CAPTURE(begin);
    Client client(bench);
    client.send(bytes);
    const std::string said = client.rest();
    CHECK(status_of(said) == status);
    CHECK(said.find("Connection: close\r\n") != std::string::npos);
    CHECK(said.find("{\"error\":\"") != std::string::npos);
  }
  Client client(bench);
  client.send(kDecide);
  CHECK(status_of(client.next()) == 200);
}

TEST_CASE("HEAD is answered as GET without its body, and HTTP/1.0 is told that the connection stays") {
  Rest bench;
  Client client(bench);
  client.send("HEAD /v2/health/live HTTP/1.1\r\nHost: a\r\n\r\nHEAD " + kInfer +
              " HTTP/1.1\r\nHost: a\r\n\r\n");
  const std::string said(client.next());
  CHECK(status_of(said) == 200);
  CHECK(said.find("Content-Length: 13\r\n") != std::string::npos);
  const std::size_t second = said.find("\r\n\r\n") + 4;
  CHECK(status_of(said.substr(second)) == 405);
  CHECK(said.substr(second).ends_with("Allow: POST\r\n\r\n"));
  client.send("GET /v2 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  CHECK(client.next().find("\r\nConnection: keep-alive\r\n") != std::string_view::npos);
  client.send("GET /v2 HTTP/1.0\r\n\r\n");
  CHECK(client.rest().find("\r\nConnection: close\r\n") != std::string::npos);
}

TEST_CASE("tensors that are not the model's are refused before they are read, and the connection goes on") {
  const std::string fp32 = R"("datatype":"FP32",)";
  std::vector<std::string> wrong = {
      tensor(fp32 + R"("shape":[1,1099511627776],"data":[1])"),
      tensor(fp32 + R"("shape":[1099511627776,4],"data":[1])"),
      tensor(fp32 + R"("shape":[4611686018427387904,4],"data":[])"),
      tensor(fp32 + R"("shape":[-1,4],"data":[1,2,3,4])"),
      tensor(fp32 + R"("shape":[1e300,4],"data":[1,2,3,4])"),
      tensor(fp32 + R"("shape":[0,4],"data":[])"),
      tensor(fp32 + R"("shape":[257,4],"data":[])"),
      tensor(fp32 + R"("shape":[1,4],"data":[1,2,3])"),
      tensor(fp32 + R"("shape":[1,4],"data":[1,2,3,4,5])"),
      tensor(fp32 + R"("shape":[2,4],"data":[[1,2],[3,4],[5,6],[7,8]])"),
      tensor(fp32 + R"("shape":[2,4],"data":[[1,2,3,4,5],[6,7,8]])"),
      tensor(fp32 + R"("shape":[2,4],"data":[[1,2,3,4],5,6,7,8])"),
      tensor(fp32 + R"("shape":[2,4],"data":[[[1,2],[3,4]],[[5,6],[7,8]]])"),
      tensor(fp32 +
             R"("shape":[1,4],"parameters":{"shared_memory_region":"a","shared_memory_byte_size":16})"),
      tensor(fp32 + R"("shape":[1,4],"data":[1,2,3,null])"),
      tensor(fp32 + R"("shape":[1,4],"data":[1,2,3,1e400])"),
      tensor(fp32 + R"("shape":[1,4],"parameters":{"binary_data_size":18446744073709551615})"),
      tensor(R"("datatype":"BYTES","shape":[1],"data":["abcd"])"),
      tensor(fp32 + R"("shape":[1,4],"data":)" + std::string(5000, '[') + std::string(5000, ']')),
      std::string(8000, '['),
      R"({"id":")"
      "\xff\xfe\",\"inputs\":[]}",
      "[]",
      "7",
      "",
      "nul",
      R"({"inputs":{}})",
      R"({"inputs":[7]})",
      R"({"inputs":[{},{}]})",
  };
  const std::string whole = tensor(fp32 + R"("shape":[1,4],"data":[1,2,3,4])");
  for (const char* more : {R"(,"parameters":{"binary_data_output":1}})", R"(,"parameters":[]})",
                           R"(,"outputs":[{"name":"output","parameters":{"binary_data":{}}}]})",
                           R"(,"outputs":[{"name":"output","parameters":{"classification":2}}]})",
                           R"(,"outputs":[{"name":"output","parameters":{"shared_memory_region":"a"}}]})",
                           R"(,"outputs":[{"name":"output","parameters":true}]})"}) {
    wrong.push_back(whole.substr(0, whole.size() - 1) + more);
  }
  Rest bench;
  Client client(bench);
  for (const std::string& body : wrong) {
    CAPTURE(body.substr(0, 100));
    client.send(post(kInfer, body));
    const std::string_view said = client.next();
    CHECK(status_of(said) == 400);
    CHECK(said.find("{\"error\":\"") != std::string_view::npos);
    CHECK(said.find(": expected ") != std::string_view::npos);
  }
  client.send(post(kInfer, tensor(fp32 + R"("shape":[2,4],"data":[[1,2,3,4],[5,6,7,8]])")));
  CHECK(status_of(client.next()) == 200);
  client.send(post(kInfer, "abc", "Inference-Header-Content-Length: 99\r\n"));
  CHECK(status_of(client.next()) == 400);
  client.send(post(kInfer, std::string(15, '\0'), "Inference-Header-Content-Length: 0\r\n"));
  CHECK(status_of(client.next()) == 400);
  client.send(post(kInfer, tensor(fp32 + R"("shape":[1,4.0],"data":[1,2,3,100000000000000000000])")));
  CHECK(client.next().find("\"data\":[0,0,1e+20]") != std::string_view::npos);
}

TEST_CASE("requests in flight beyond the door's or the model's limit are refused at once, and counted") {
  const auto answered = [](const Concurrency& concurrency) {
    RestConfig config = small_limits();
    config.concurrency = concurrency;
    Rest bench(config);
    Client client(bench);
    client.send(kDecide + kDecide + kDecide + "GET /v2/health/live HTTP/1.1\r\nHost: a\r\n\r\n");
    const std::string all(client.next());
    CHECK(all.find("\"live\":true") != std::string::npos);  // what asks for no decision does not count
    CHECK(bench.counters.rest_concurrent.load() == bench.counters.rest_refused.load());
    client.send(kDecide);
    CHECK(status_of(client.next()) == 200);  // the others are answered: there is room
    const std::size_t refused = all.find("HTTP/1.1 503");
    return std::pair(bench.counters.requests.load(),
                     refused == std::string::npos ? std::string() : all.substr(refused));
  };
  CHECK(answered({}) == std::pair(std::uint64_t{4}, std::string()));
  const auto [by_door, door_says] = answered({2, {}});
  CHECK(by_door == 3);
  CHECK(door_says.find("concurrency: expected at most 2 requests in flight at this door, got more") !=
        std::string::npos);
  CHECK(door_says.find("Retry-After: 1") != std::string::npos);
  const auto [by_model, model_says] = answered({kAnyNumber, {{"other", 1}, {"model", 1}}});
  CHECK(by_model == 2);
  CHECK(model_says.find("at most 1 requests in flight of model model") != std::string::npos);
  CHECK(answered({kAnyNumber, {{"other", 1}}}).first == 4);
}

TEST_CASE("what is no UTF-8 in a path is no UTF-8 in no answer") {
  Rest bench;
  Client client(bench);
  client.send("GET /v2/models/a%ff%c3%a9%ed%a0%80b HTTP/1.1\r\nHost: a\r\n\r\n");
  CHECK(client.next().find("'a\\ufffd\xc3\xa9\\ufffd\\ufffd\\ufffdb'") != std::string_view::npos);
}

TEST_CASE("who is slow is told so, and who half closes still gets the answer") {
  Rest bench;
  Client slow(bench);
  slow.send(std::string_view(kDecide).substr(0, 30));
  const std::string said = slow.rest();
  CHECK(status_of(said) == 408);
  Client half(bench);
  half.send(kDecide + kDecide);
  half.half_close();
  const std::string both = half.rest();
  CHECK(both.find("decision_id") != both.rfind("decision_id"));
}

TEST_CASE("requests with bytes changed at random are answered or refused, and the next client is served") {
  Rest bench;
  std::mt19937 random(1);
  const std::string binary = post(kInfer, std::string(16, '\1'), "Inference-Header-Content-Length: 0\r\n");
  for (int stream = 0; stream < 1500; ++stream) {
    std::string bytes = kDecide + post(kInfer, kGood) + binary + "GET /v2 HTTP/1.1\r\nHost: a\r\n\r\n";
    for (std::uint32_t change = random() % 8; change > 0; --change) {
      bytes[random() % bytes.size()] = static_cast<char>(random());
    }
    const Client client(bench);
    for (std::string_view left = bytes; !left.empty();) {
      const std::string_view piece = left.substr(0, 1 + random() % 200);
      client.send(piece);
      left.remove_prefix(piece.size());
    }
  }
  Client client(bench);
  client.send(kDecide);
  CHECK(status_of(client.next()) == 200);
}

}  // namespace ringcraft
