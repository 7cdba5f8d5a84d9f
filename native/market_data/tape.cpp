#include "market_data/tape.hpp"

#include <algorithm>
#include <numeric>
#include <string>
#include <utility>

#include "market_data/wire.hpp"

namespace ringcraft {
namespace {

std::string symbol(std::uint16_t locate) {
  std::string name = locate == 1 ? "RING" : "RING" + std::to_string(locate);
  name.resize(8, ' ');
  return name;
}

/// Seeds of successive stocks that share nothing: one round of SplitMix64 (Steele, Lea & Flood 2014).
std::uint64_t stream_seed(std::uint64_t seed, std::uint64_t stream) {
  std::uint64_t z = seed * 0xD1342543DE82EF95U + stream * 0x9E3779B97F4A7C15U;
  z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9U;
  z = (z ^ (z >> 27U)) * 0x94D049BB133111EBU;
  return z ^ (z >> 31U);
}

}  // namespace

Tape::Tape(const TapeOptions& options)
    : options_(options),
      output_(options.start_ns, options.stocks, options.keep_touches),
      samples_(options.stocks),
      marks_by_time_(options.marks_s.size()),
      marks_(options.marks_s.size()) {
  std::iota(marks_by_time_.begin(), marks_by_time_.end(), 0U);
  std::stable_sort(marks_by_time_.begin(), marks_by_time_.end(), [this](std::size_t a, std::size_t b) {
    return options_.marks_s[a] < options_.marks_s[b];
  });
  for (std::uint16_t locate = 1; locate <= options_.stocks; ++locate) {
    flows_.push_back(std::make_unique<TapeFlow>(stream_seed(options_.seed, locate), locate, symbol(locate),
                                                options_.flow, options_.schedule, output_));
  }
  if (options_.packets) {
    packets_ =
        std::make_unique<PacketWriter>(stream_seed(options_.seed, 0), options_.packet, options_.faults);
  }
}

std::vector<std::uint8_t> Tape::next(std::size_t about_bytes) {
  if (!begun_) begin();
  std::vector<std::uint8_t>& out = packets_ ? packets_->out : out_;
  while (!ended_ && out.size() < about_bytes) step();
  return std::exchange(out, {});
}

void Tape::system(char code, double time_s) {
  output_.writer.system(output_.time_ns(time_s), code);
  output_.wrote(0, {}, 0);
}

void Tape::begin() {
  begun_ = true;
  system('O', 0);
  for (std::uint16_t locate = 1; locate <= options_.stocks; ++locate) {
    output_.writer.directory(output_.start_ns(), locate, symbol(locate), 100);
    output_.wrote(locate, {}, 0);
    output_.writer.trading_action(output_.start_ns(), locate, symbol(locate), 'T');
    output_.wrote(locate, {}, 0);
  }
  system('S', 0);
  system('Q', 0);
  for (const auto& flow : flows_) flow->open();
  hand_on();
  sample_until(0);
}

void Tape::step() {
  TapeFlow* first = flows_.front().get();
  for (const auto& flow : flows_) {
    if (flow->next_s() < first->next_s()) first = flow.get();
  }
  const bool full = options_.most_messages != 0 && output_.messages() + 2 >= options_.most_messages;
  if (first->next_s() > options_.seconds || full) return end();
  time_s_ = first->next_s();
  sample_until(time_s_);
  first->step();
  hand_on();
}

void Tape::end() {
  ended_ = true;
  if (options_.most_messages == 0 || output_.messages() + 2 < options_.most_messages)
    time_s_ = options_.seconds;
  sample_until(time_s_);
  system('M', time_s_);
  system('C', time_s_);
  hand_on();
  while (next_mark_ < marks_.size()) marks_[marks_by_time_[next_mark_++]] = numbered_ + 1;
  if (packets_) packets_->finish(output_.time_ns(time_s_));
}

void Tape::sample_until(double time_s) {
  while (static_cast<double>(samples_.front().size()) <= time_s) {
    for (std::size_t i = 0; i < flows_.size(); ++i) {
      samples_[i].push_back({flows_[i]->signal(), flows_[i]->efficient_ticks(), flows_[i]->mid_ticks()});
    }
  }
}

/// Numbers what was written since the last time, and sends it where it goes.
void Tape::hand_on() {
  ItchWriter& writer = output_.writer;
  writer.finish();
  for (std::size_t at = 0; at < writer.out.size();) {
    const std::size_t length = be16(writer.out.data() + at);
    const std::uint8_t* message = writer.out.data() + at + 2;
    const std::uint64_t time_ns = be48(message + 5);
    ++numbered_;
    ++by_type_[*message];
    while (next_mark_ < marks_.size() &&
           time_ns >= output_.time_ns(options_.marks_s[marks_by_time_[next_mark_]])) {
      marks_[marks_by_time_[next_mark_++]] = numbered_;
    }
    if (packets_) packets_->message({message, length}, time_ns);
    at += 2 + length;
  }
  if (!packets_) out_.insert(out_.end(), writer.out.begin(), writer.out.end());
  writer.clear();
}

}  // namespace ringcraft
