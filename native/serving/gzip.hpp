#pragma once
// gzip and deflate, as HTTP's Content-Encoding names them.

#include <zlib.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace ringcraft {

class Inflater {
 public:
  enum class Outcome { kDone, kBad, kTooLong };

  Inflater();
  ~Inflater();
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  /// Inflates gzip or zlib data; stops at `limit` bytes, whatever the data would still become.
  [[nodiscard]] Outcome inflate(std::string_view from, std::vector<char>& into, std::size_t limit);

 private:
  z_stream stream_{};
};

class Deflater {
 public:
  Deflater();
  ~Deflater();
  Deflater(const Deflater&) = delete;
  Deflater& operator=(const Deflater&) = delete;

  /// Appends `from` as gzip, or as zlib data where `gzip` is false, to `into`.
  void deflate(std::string_view from, bool gzip, std::string& into);

 private:
  z_stream gzip_{};
  z_stream zlib_{};
};

}  // namespace ringcraft
