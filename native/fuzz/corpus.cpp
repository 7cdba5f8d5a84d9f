// Writes what the fuzzers start from: corpus FOLDER makes FOLDER/TARGET/ for each target.

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "fuzz/rest_seeds.hpp"
#include "market_data/market_tape.hpp"
#include "tests/captures.hpp"
#include "tests/onnx_writer.hpp"

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

/// A Databento record by order, of instrument 1 at publisher 1, the last of its event.
void put_by_order(Data& out, std::mt19937_64& random, std::uint64_t number) {
  const std::uint64_t price = (1'000 + random() % 20) * 1'000'000'000;
  put(out, 14, 1), put(out, 160, 1), put(out, 1, 2, false), put(out, 1, 4, false), put(out, number, 8, false);
  put(out, random() % 30, 8, false), put(out, price, 8, false), put(out, 1 + random() % 9, 4, false);
  put(out, number == 0 ? 0 : 128, 1), put(out, 0, 1);
  put(out, static_cast<std::uint64_t>(number == 0 ? 'R' : "AAAACMTF"[random() % 8]), 1);
  put(out, static_cast<std::uint64_t>(number == 0 ? 'N' : "BA"[random() % 2]), 1);
  put(out, number, 8, false), put(out, 0, 4, false), put(out, number, 4, false);
}

/// Levels as text: bids and asks in turn, a line each.
void put_levels(Data& out, std::mt19937_64& random) {
  for (const std::uint64_t middle : {90U, 110U}) {
    std::string line = "[";
    for (int i = 0; i < 4; ++i) {
      line += (i == 0 ? "[\"" : ",[\"") + std::to_string(middle + random() % 10) + "." +
              std::to_string(5 * (random() % 20)) + "\",\"" + std::to_string(random() % 3) + ".25\"]";
    }
    line += "]\n";
    out.insert(out.end(), line.begin(), line.end());
  }
}

/// One small file of each kind of model.
std::vector<std::string> model_files() {
  OnnxWriter dense({-1, 4}, {-1, 3});
  dense.constant("mean", {4}, {1, 2, 3, 4});
  dense.constant("w", {4, 3}, std::vector<float>(12, 0.5F));
  dense.node("Sub", {"features", "mean"}, {"c"});
  dense.node("MatMul", {"c", "w"}, {"m"});
  dense.node("Softmax", {"m"}, {"output"}, OnnxWriter::integer("axis", 1));

  OnnxWriter trees({-1, 4}, {-1, 1});
  trees.node(
      "TreeEnsembleRegressor", {"features"}, {"output"},
      OnnxWriter::integers("nodes_treeids", {0, 0, 0}) + OnnxWriter::integers("nodes_nodeids", {0, 1, 2}) +
          OnnxWriter::integers("nodes_featureids", {2, 0, 0}) +
          OnnxWriter::reals("nodes_values", {0.5F, 0, 0}) +
          OnnxWriter::texts("nodes_modes", {"BRANCH_LT", "LEAF", "LEAF"}) +
          OnnxWriter::integers("nodes_truenodeids", {1, 0, 0}) +
          OnnxWriter::integers("nodes_falsenodeids", {2, 0, 0}) +
          OnnxWriter::integers("target_treeids", {0, 0}) + OnnxWriter::integers("target_nodeids", {1, 2}) +
          OnnxWriter::integers("target_ids", {0, 0}) + OnnxWriter::reals("target_weights", {1, -1}),
      "ai.onnx.ml");

  const auto lstm = [](std::int64_t steps) {
    OnnxWriter graph({-1, steps, 2}, {-1, 2});
    graph.constant("w", {1, 8, 2}, std::vector<float>(16, 0.25F));
    graph.constant("r", {1, 8, 2}, std::vector<float>(16, 0.125F));
    graph.node("Transpose", {"features"}, {"t"}, OnnxWriter::integers("perm", {1, 0, 2}));
    graph.node("LSTM", {"t", "w", "r"}, {"", "h"}, OnnxWriter::integer("hidden_size", 2));
    graph.node("Flatten", {"h"}, {"output"}, OnnxWriter::integer("axis", 2));
    return graph.bytes();
  };

  OnnxWriter conv({-1, 4, 2}, {-1, 4});
  conv.constant("c", {1, 4, 3}, std::vector<float>(12, 0.5F));
  conv.node("Conv", {"features", "c"}, {"y"}, OnnxWriter::integers("pads", {2, 2}));
  conv.node("MaxPool", {"y"}, {"p"}, OnnxWriter::integers("kernel_shape", {1}));
  conv.node("Flatten", {"p"}, {"output"});
  return {dense.bytes(), trees.bytes(), lstm(3), lstm(-1), conv.bytes()};
}

/// A publisher's frames: HELLO, events (with their levels where `deep`), END.
Data feed_frames(std::mt19937_64& random, bool deep, std::uint64_t events) {
  Data out{static_cast<std::uint8_t>(random())};
  put(out, 2, 4, false), put(out, 1, 1), put(out, static_cast<std::uint64_t>(deep ? 'd' : '['), 1);
  put(out, 1 + events * (deep ? 400 : 80), 4, false), put(out, 2, 1);
  for (std::uint64_t i = 0; i < events; ++i) {
    put(out, i, 8, false), put(out, i, 8, false), put(out, i, 8, false);
    for (const std::uint64_t number : {100U, 5U, 101U, 5U, 101U, 1U}) put(out, number, 8, false);
    put(out, i % 3, 4, false), put(out, 0, 4, false);
    for (std::uint64_t level = 0; deep && level < 40; ++level) put(out, level, 8, false);
  }
  put(out, 1, 4, false), put(out, 3, 1);
  return out;
}

/// How many records a bus gets, and what garbles it: places and words, fuzz/bus.cpp.
Data bus_patches(std::mt19937_64& random, std::uint64_t patches) {
  Data out{static_cast<std::uint8_t>(random())};
  for (std::uint64_t i = 0; i < patches; ++i) {
    const bool in_slots = random() % 4 != 0;
    put(out, in_slots ? 0x8000U | random() % 128 : random() % 8, 2, false);
    put(out, random() % 3 == 0 ? random() : random() % 40, 8, false);
  }
  return out;
}

void write(Corpus& corpus) {
  for (const std::string& file : model_files()) {
    corpus.add("onnx", Data(file.begin(), file.end()));
  }
  for (const auto& [target, bytes] : fuzz::rest_seeds()) {
    corpus.add(target, Data(bytes.begin(), bytes.end()));
  }
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
    Data records;
    for (std::uint64_t number = 0; number < 30 * seed; ++number) put_by_order(records, random, number);
    corpus.add("dbn", records);
    Data levels;
    for (std::uint64_t line = 0; line < 2 * seed; ++line) put_levels(levels, random);
    corpus.add("levels", levels);
    corpus.add("feed", feed_frames(random, seed % 2 == 0, 3 * seed));
    corpus.add("bus", bus_patches(random, 4 * seed));
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
