#include "serving/gzip.hpp"

#include <algorithm>
#include <new>

namespace ringcraft {
namespace {

constexpr int kEither =
    15 + 32;  // zlib's own marks: a window of 32 KiB; +32 tells gzip from zlib, +16 is gzip
constexpr int kGzip = 15 + 16;
constexpr int kZlib = 15;
constexpr std::size_t kStep = std::size_t{64} << 10U;

Bytef* bytes_of(const char* at) noexcept { return reinterpret_cast<Bytef*>(const_cast<char*>(at)); }

}  // namespace

Inflater::Inflater() {
  if (::inflateInit2(&stream_, kEither) != Z_OK) throw std::bad_alloc();
}

Inflater::~Inflater() { ::inflateEnd(&stream_); }

Inflater::Outcome Inflater::inflate(std::string_view from, std::vector<char>& into, std::size_t limit) {
  ::inflateReset(&stream_);
  into.clear();
  stream_.next_in = bytes_of(from.data());
  stream_.avail_in = static_cast<uInt>(from.size());
  for (;;) {
    const std::size_t had = into.size();
    if (had > limit) return Outcome::kTooLong;
    into.resize(had + std::min(kStep, limit + 1 - had));
    stream_.next_out = bytes_of(into.data() + had);
    stream_.avail_out = static_cast<uInt>(into.size() - had);
    const int said = ::inflate(&stream_, Z_NO_FLUSH);
    into.resize(into.size() - stream_.avail_out);
    if (said == Z_STREAM_END) {
      if (into.size() > limit) return Outcome::kTooLong;
      return stream_.avail_in == 0 ? Outcome::kDone : Outcome::kBad;
    }
    if (said != Z_OK || (stream_.avail_in == 0 && stream_.avail_out > 0)) return Outcome::kBad;
  }
}

Deflater::Deflater() {
  constexpr int kMemory = 8;
  const bool made =
      ::deflateInit2(&gzip_, Z_BEST_SPEED, Z_DEFLATED, kGzip, kMemory, Z_DEFAULT_STRATEGY) == Z_OK &&
      ::deflateInit2(&zlib_, Z_BEST_SPEED, Z_DEFLATED, kZlib, kMemory, Z_DEFAULT_STRATEGY) == Z_OK;
  if (!made) throw std::bad_alloc();
}

Deflater::~Deflater() {
  ::deflateEnd(&gzip_);
  ::deflateEnd(&zlib_);
}

void Deflater::deflate(std::string_view from, bool gzip, std::string& into) {
  z_stream& stream = gzip ? gzip_ : zlib_;
  ::deflateReset(&stream);
  const std::size_t had = into.size();
  into.resize(had + ::deflateBound(&stream, from.size()));
  stream.next_in = bytes_of(from.data());
  stream.avail_in = static_cast<uInt>(from.size());
  stream.next_out = bytes_of(into.data() + had);
  stream.avail_out = static_cast<uInt>(into.size() - had);
  ::deflate(&stream, Z_FINISH);
  into.resize(into.size() - stream.avail_out);
}

}  // namespace ringcraft
