// Writes what the fuzzers start from: corpus FOLDER makes FOLDER/TARGET/ for each target.

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "market_data/market_tape.hpp"
#include "tests/captures.hpp"

namespace ringcraft {
namespace {

class Corpus {
 public:
  explicit Corpus(std::filesystem::path folder) : folder_(std::move(folder)) {}

  void add(const std::string& target, const Data& bytes) {
    const std::filesystem::path folder = folder_ / target;
    std::filesystem::create_directories(folder);
    std::ofstream file(folder / ("seed-" + std::to_string(++written_)), std::ios::binary);
    file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    if (!file.flush()) throw std::runtime_error("cannot write to " + folder.string());
  }

 private:
  std::filesystem::path folder_;
  int written_ = 0;
};

void write(Corpus& corpus) {
  std::mt19937_64 random(1);
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    const Data tape = write_market_tape({seed, static_cast<std::uint16_t>(seed), 60 * seed, 40, 1});
    corpus.add("itch50", tape);
    const auto frames = frames_of(tape);
    for (const Data& capture : {pcap_of(frames), pcapng_of(frames)}) {
      Data halves = capture;  // the same lines twice, of which the second starts at the cut
      halves.insert(halves.begin(), 127);
      halves.insert(halves.end(), capture.begin(), capture.end());
      corpus.add("capture", halves);
    }
    Data bytes(200 * seed);
    for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random());
    corpus.add("books", bytes);
    for (std::size_t i = 0; i < bytes.size(); i += 4) bytes[i] = static_cast<std::uint8_t>(i / 6);
    corpus.add("moldudp64", bytes);
  }
}

}  // namespace
}  // namespace ringcraft

int main(int count, char** arguments) {
  if (count != 2) {
    std::fputs("usage: corpus FOLDER\n", stderr);
    return 2;
  }
  ringcraft::Corpus corpus{arguments[1]};
  ringcraft::write(corpus);
  return 0;
}
