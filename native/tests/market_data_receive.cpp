#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <fstream>
#include <iterator>
#include <random>
#include <string>

#include "market_data/capture_source.hpp"
#include "market_data/feed_receiver.hpp"
#include "market_data/itch50_packets.hpp"
#include "market_data/market_tape.hpp"
#include "market_data/udp_source.hpp"
#include "tests/folder.hpp"
#include "tests/mold_payloads.hpp"
#include "tests/serving_allocations.hpp"
#include "transport/clock.hpp"

namespace ringcraft {
namespace {

constexpr std::uint16_t kLocate = 3;

std::vector<std::uint8_t> tape_of(std::uint64_t messages) {
  return write_market_tape({9, 20, messages, 500, 1});
}

bool same(const MarketEvent& left, const MarketEvent& right) {
  return std::memcmp(&left, &right, sizeof left) == 0;
}

}  // namespace

TEST_CASE("a receiver of a capture makes the events that decoding it makes") {
  const Folder folder;
  const auto capture = capture_of(payloads_of(tape_of(20'000), 7), folder.file("pcap"));
  ItchPackets whole;
  whole.captures = {capture};
  ItchTape expected;
  const ItchOptions options{kLocate, 100, 0};
  const auto decoded = decode_itch50_packets(whole, options, expected);
  REQUIRE(expected.events.size() > 100);
  CaptureSource source(capture);
  ReceiverOptions wanted;
  wanted.stocks = {{"", 100, kLocate}};
  FeedReceiver receiver(source, wanted, nullptr);
  std::vector<MarketEvent> events;
  while (receiver.run(1'000'000, 0)) {
    events.insert(events.end(), receiver.events().begin(), receiver.events().end());
    receiver.forget_events();
  }
  receiver.finish();
  events.insert(events.end(), receiver.events().begin(), receiver.events().end());
  CHECK(std::equal(events.begin(), events.end(), expected.events.begin(), expected.events.end(), same));
  CHECK(receiver.mold().messages == decoded.mold.messages);
  CHECK(receiver.produced() == events.size());
  CHECK(source.summary().packets == decoded.mold.packets);
  CHECK(source.ended());
}

TEST_CASE("a sink of ITCH tells whoever keeps the books of a packet before its messages") {
  ItchSummary summary;
  std::uint64_t bad = 0;
  std::string told;
  const auto take = [&told](ItchMessage message, std::uint64_t, std::int64_t) {
    told += message.type();
    return true;
  };
  const auto ahead = [&told](std::span<const std::uint8_t> blocks) {
    each_itch_message(
        blocks, [&told](ItchMessage message) { told += static_cast<char>(std::tolower(message.type())); });
    told += ' ';
  };
  ItchSink sink(summary, bad, take, [] {}, ahead);
  MoldArbiter arbiter(sink, {}, {});
  const auto payloads = payloads_of(tape_of(0), 4);  // the opening: a directory and who trades
  arbiter.take(payloads[0], 0, 0);
  CHECK(told == "srhr SRHR");
  arbiter.take(payloads[0], 1, 1);
  CHECK(told == "srhr SRHR");
}

TEST_CASE("looking ahead at packets, garbled ones too, changes no chosen stock's events") {
  const Folder folder;
  auto payloads = payloads_of(tape_of(20'000), 7);
  std::mt19937_64 random(3);
  for (auto& payload : payloads) {  // anything but the lengths: they would only lose the packet
    if (random() % 8 != 0 || payload.size() <= 20) continue;
    std::size_t at = 20;
    for (std::size_t skip = random() % 7; skip > 0; --skip) {
      const std::size_t next = at + 2 + std::size_t{payload[at]} * 256 + payload[at + 1];
      if (next < payload.size()) at = next;
    }
    for (std::size_t i = 3; i < 19; ++i) {  // locate code, clock, reference
      if (random() % 4 == 0 && at + i < payload.size() - 2)
        payload[at + i] = static_cast<std::uint8_t>(random());
    }
  }
  const ItchOptions options{kLocate, 100, 0, true};
  ItchTape expected;
  ItchEvents plain(options, expected);
  ItchSummary counted;
  std::uint64_t bad = 0;
  ItchSink sink(
      counted, bad,
      [&](ItchMessage message, std::uint64_t sequence, std::int64_t time_ns) {
        return plain.take(message, sequence, time_ns, counted);
      },
      [&plain] { plain.missed(); }, [](std::span<const std::uint8_t>) {});
  MoldArbiter arbiter(sink, {}, {});
  std::int64_t time_ns = 1'700'000'000'000'000'000;
  for (const auto& payload : payloads) arbiter.take(payload, time_ns, 0), time_ns += 1'000;
  arbiter.finish();
  REQUIRE(expected.events.size() > 100);

  const auto capture = capture_of(payloads, folder.file("pcap"));
  ItchPackets whole;
  whole.captures = {capture};
  ItchTape decoded;
  CHECK(decode_itch50_packets(whole, options, decoded).itch.unknown_orders == counted.unknown_orders);
  CHECK(std::equal(decoded.events.begin(), decoded.events.end(), expected.events.begin(),
                   expected.events.end(), same));

  CaptureSource source(capture);
  ReceiverOptions wanted;
  wanted.stocks = {{"", 100, kLocate + 1}, {"", 100, kLocate}, {"", 100, 0xFFFF}};
  FeedReceiver receiver(source, wanted, nullptr);
  std::vector<MarketEvent> events;
  for (bool more = true; more;) {
    more = receiver.run(1'000'000, 0);
    if (!more) receiver.finish();
    for (MarketEvent event : receiver.events()) {
      if (event.instrument != 1) continue;
      event.instrument = 0;
      events.push_back(event);
    }
    receiver.forget_events();
  }
  CHECK(std::equal(events.begin(), events.end(), expected.events.begin(), expected.events.end(), same));
}

TEST_CASE("a receiver takes no memory once its books have grown") {
  const Folder folder;
  const auto capture = capture_of(payloads_of(tape_of(60'000), 7), folder.file("pcap"));
  CaptureSource source(capture);
  ReceiverOptions wanted;
  wanted.stocks = {{"", 100, kLocate}};
  wanted.keep_events = false;
  SUBCASE("without levels") {}
  SUBCASE("with levels on the bus") { wanted.depth = true; }
  const auto each = static_cast<std::uint32_t>(wanted.depth ? sizeof(DeepEvent) : sizeof(MarketEvent));
  BusWriter bus(folder.file("bus"), {.slots = 1'024, .record_bytes = each}, "");
  FeedReceiver receiver(source, wanted, &bus);
  while (receiver.mold().messages < 40'000) REQUIRE(receiver.run(0, 0));
  const std::uint64_t before = allocations_of_this_thread();
  while (receiver.run(0, 0)) continue;
  CHECK(allocations_of_this_thread() == before);
  CHECK(receiver.mold().messages > 50'000);
  CHECK(bus.produced() == receiver.produced());
}

TEST_CASE("a bus whose records hold no levels is refused where the levels are wanted") {
  const Folder folder;
  CaptureSource source({});
  BusWriter bus(folder.file("bus"), {.slots = 8, .record_bytes = sizeof(MarketEvent)}, "");
  ReceiverOptions wanted;
  wanted.depth = true;
  CHECK_THROWS_AS(FeedReceiver(source, wanted, &bus), std::runtime_error);
}

TEST_CASE(
    "a request plan asks on for what an answer left out, again after a while, and for nothing that came") {
  MoldRequestPlan plan(1'000);
  std::uint64_t from = 0;
  std::uint16_t count = 0;
  CHECK_FALSE(plan.due(0, from, count));
  plan.want(kSession, 10, 20);
  plan.want(kSession, 40, 5);
  REQUIRE(plan.due(0, from, count));
  CHECK(from == 10);
  CHECK(count == 20);
  CHECK_FALSE(plan.due(999, from, count));
  REQUIRE(plan.due(1'000, from, count));  // the answer, or the request, was lost
  CHECK(from == 10);
  plan.done(14);
  REQUIRE(plan.due(1'001, from, count));
  CHECK(from == 14);
  CHECK(count == 16);
  plan.done(40);
  REQUIRE(plan.due(1'002, from, count));
  CHECK(from == 40);
  CHECK(count == 5);
  plan.done(45);
  CHECK(plan.idle());
  CHECK_FALSE(plan.due(9'000, from, count));
}

TEST_CASE("a hole is given up by time alone, though nothing more comes") {
  struct Counting : MoldSink {
    void message(std::span<const std::uint8_t>, std::uint64_t, std::int64_t) override { ++messages; }
    void missed(std::uint64_t, std::uint64_t count) override { lost += count; }
    std::uint64_t messages = 0;
    std::uint64_t lost = 0;
  } sink;
  MoldArbiter arbiter(sink, {.patience_ns = 1'000}, {});
  const auto payloads = payloads_of(tape_of(100), 10);
  arbiter.take(payloads[1], 0, 0);
  arbiter.tick(1'000);
  CHECK(sink.lost == 0);
  arbiter.tick(1'001);
  CHECK(sink.lost == 10);
  CHECK(sink.messages == 10);
  CHECK(arbiter.expected() == 21);
}

TEST_CASE("packets come off the kernel's sockets, of every line, with its time stamps") {
  UdpOptions options;
  options.packet_bytes = 64;
  UdpSource source({{"127.0.0.1", 0}, {"127.0.0.1", 0}}, options);
  const auto ports = source.ports();
  REQUIRE(ports.size() == 2);
  const int sender = ::socket(AF_INET, SOCK_DGRAM, 0);
  const auto send = [&](std::uint16_t port, std::size_t bytes) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const std::vector<std::uint8_t> payload(bytes, static_cast<std::uint8_t>(bytes));
    REQUIRE(::sendto(sender, payload.data(), bytes, 0, reinterpret_cast<sockaddr*>(&to), sizeof to) >= 0);
  };
  for (std::size_t i = 1; i <= 20; ++i) send(ports[i % 2], i);
  send(ports[0], 65);
  source.wait(1'000'000'000);
  std::array<UdpPacket, 64> batch;
  const std::size_t count = source.receive(batch);
  ::close(sender);
  CHECK(count == 20);
  CHECK(source.summary().cut == 1);
  const std::int64_t now_ns = read_clock_ns(CLOCK_REALTIME);
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t bytes = batch[i].payload.size();
    CHECK(batch[i].payload.front() == bytes);
    CHECK(batch[i].port == ports[bytes % 2]);
    CHECK(batch[i].address == INADDR_LOOPBACK);
    CHECK(std::abs(now_ns - batch[i].time_ns) < 60'000'000'000);
  }
  CHECK(source.receive(batch) == 0);
  CHECK_THROWS_AS(UdpSource({{"127.0.0.1", ports[0]}}, {}), std::runtime_error);
}

}  // namespace ringcraft
