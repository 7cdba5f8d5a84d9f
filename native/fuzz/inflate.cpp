// Bytes as gzip and deflate: never more than the limit comes out, whatever they would become; and what is
// packed here is unpacked again.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "fuzz/require.hpp"
#include "serving/gzip.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ringcraft;
  using fuzz::require;
  constexpr std::size_t kLimit = 5000;
  static Inflater inflater;
  static Deflater deflater;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  std::vector<char> out;
  if (inflater.inflate(bytes, out, kLimit) == Inflater::Outcome::kDone) {
    require(out.size() <= kLimit, "no more than the limit");
  }
  require(out.capacity() <= 2 * kLimit + 2, "nor memory for more");
  for (const bool gzip : {true, false}) {
    std::string packed;
    deflater.deflate(bytes, gzip, packed);
    require(inflater.inflate(packed, out, size) == Inflater::Outcome::kDone, "what was packed is unpacked");
    require(std::string_view(out.data(), out.size()) == bytes, "as it was");
    require(size == 0 || inflater.inflate(packed, out, size - 1) == Inflater::Outcome::kTooLong,
            "and not where one byte more is too much");
    require(inflater.inflate(std::string_view(packed).substr(0, packed.size() - 1), out, size) ==
                Inflater::Outcome::kBad,
            "nor what was cut");
  }
  return 0;
}
