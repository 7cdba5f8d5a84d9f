#pragma once
// What the fuzzers of the REST door start from: requests, bodies and packed bytes as clients send them.

#include <string>
#include <utility>
#include <vector>

#include "serving/gzip.hpp"

namespace ringcraft::fuzz {

inline std::vector<std::pair<std::string, std::string>> rest_seeds() {
  using namespace std::string_literals;
  const std::string row = R"({"name":"features","datatype":"FP32","shape":[1,2],)";
  const std::vector<std::string> bodies = {
      R"({"id":"a","inputs":[)" + row + R"("data":[[1,-2.5e3]]}]})",
      R"({"id":"a","inputs":[)" + row + R"("data":[-0.12345678901234567, 2.5e-3]}]})",
      R"({"parameters":{"timeout":5000,"key":"k","instrument":"A:B","binary_data_output":true},"inputs":[)" +
          row +
          R"("data":[1,2]}],"outputs":[{"name":"output","parameters":{"binary_data":false}},{"name":"action"}]})",
      R"({"model":"m","features":[1,2],"instrument":"A:B","key":"\u00e9\ud83d\ude00","deadline_ms":1.5})",
      R"({"inputs":[{"name":"features","datatype":"FP32","shape":[1,1099511627776],"data":[]}]})",
      R"({"inputs":[{"name":"features","datatype":"BYTES","shape":[1],"data":["x"]}]})",
      std::string(40, '[') + std::string(40, ']'),
      "{\"ready\":true,\"id\":\"\xff\xfe\"}",
  };
  std::vector<std::pair<std::string, std::string>> seeds;
  for (const std::string& body : bodies) {
    // The first byte's low bits choose the model's shape: two numbers wide; the second where the JSON ends.
    seeds.emplace_back("infer", "\x01\x00"s + body);
    seeds.emplace_back(
        "http", "\x05POST /v2/models/m/infer HTTP/1.1\r\nHost: a\r\nRingcraft-Key: k\r\nContent-Length: " +
                    std::to_string(body.size()) + "\r\n\r\n" + body +
                    "GET /v2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  }
  std::string binary = R"({"inputs":[)" + row + R"("parameters":{"binary_data_size":8}}]})";
  binary.resize((binary.size() + 7) / 8 * 8, ' ');
  seeds.emplace_back("infer",
                     "\x09"s + static_cast<char>(binary.size() / 8) + binary + "\0\0\x80\x3f\0\0\x80\x7f"s);
  seeds.emplace_back("infer", "\x09\x00\0\0\x80\x3f\0\0\x80\x7f"s);
  for (const char* request :
       {"\x01POST /v1/decide HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4;x=y\r\n{} "
        "\n\r\n0\r\nA: b\r\n\r\n",
        "\x02POST /v1/decide HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: "
        "chunked\r\n\r\n0\r\n\r\n",
        "\x03POST /v1/decide HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: "
        "1099511627776\r\n\r\n",
        "\x04GET http://a:1/v2/models/%6d?x=1 HTTP/1.0\r\nConnection: keep-alive\r\nRingcraft-Arm: "
        "champion\r\n\r\n",
        "\x07PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "\x08GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n"}) {
    seeds.emplace_back("http", request);
  }
  Deflater deflater;
  for (const bool gzip : {true, false}) {
    for (const std::string& bytes : {bodies[0], std::string(100'000, ' ')}) {
      std::string packed;
      deflater.deflate(bytes, gzip, packed);
      seeds.emplace_back("inflate", packed);
    }
  }
  return seeds;
}

}  // namespace ringcraft::fuzz
