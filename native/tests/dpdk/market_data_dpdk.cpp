// DPDK with virtual devices: no card, no huge pages. DPDK starts once a process, so each end is a child.
#include <doctest/doctest.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "market_data/capture_writer.hpp"
#include "market_data/dpdk_source.hpp"
#include "market_data/feed_receiver.hpp"
#include "market_data/itch50_packets.hpp"
#include "market_data/market_tape.hpp"
#include "tests/folder.hpp"
#include "tests/mold_payloads.hpp"
#include "transport/clock.hpp"

namespace ringcraft {
namespace {

constexpr std::uint16_t kLocate = 3;

std::vector<std::string> started(const std::string& device) {
  return {"dpdk_tests", "--no-huge", "--no-pci",      "--no-shconf",     "-m", "256", "--no-telemetry",
          "-l",         "0",         "--log-level=3", "--vdev=" + device};
}

pid_t child(const std::function<void()>& run) {
  const pid_t id = ::fork();
  REQUIRE(id >= 0);
  if (id != 0) return id;
  try {
    run();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    ::_exit(1);
  }
  ::_exit(0);
}

bool ended_well(pid_t id) {
  int status = 0;
  ::waitpid(id, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/// Receives a session from a device and leaves its events in a file.
void receive_into(const std::string& device, const std::string& path) {
  DpdkSource source(started(device));
  ReceiverOptions options;
  options.stocks = {{"", 100, kLocate}};
  FeedReceiver receiver(source, options, nullptr);
  std::ofstream file(path, std::ios::binary);
  const std::int64_t until_ns = monotonic_ns() + 60'000'000'000;
  for (bool more = true; more && monotonic_ns() < until_ns;) {
    more = receiver.run(100'000'000, 1'000'000);
    file.write(reinterpret_cast<const char*>(receiver.events().data()),
               static_cast<std::streamsize>(receiver.events().size() * sizeof(MarketEvent)));
    receiver.forget_events();
  }
  receiver.finish();
}

void wait_until(const char* what, const std::function<bool()>& met) {
  const std::int64_t until_ns = monotonic_ns() + 60'000'000'000;
  while (!met()) {
    if (monotonic_ns() > until_ns) throw std::runtime_error(std::string("waited a minute for ") + what);
    ::usleep(1'000);
  }
}

/// Sends a capture's frames through the port; waits for the other side first, and for room where there is
/// none.
/// @param ready a file that is made once the port is up.
void send_from(const std::string& device, std::span<const std::uint8_t> capture, const std::string& ready) {
  DpdkSource port(started(device));  // sets the port up; it sends as well
  std::ofstream(ready).put('1');
  rte_mempool* pool = rte_mempool_lookup("packets");
  rte_eth_link link{};
  wait_until("the other end",
             [&link] { return rte_eth_link_get_nowait(0, &link) == 0 && link.link_status != 0; });
  for (std::size_t at = 24; at < capture.size();) {
    std::uint32_t bytes = 0;
    std::memcpy(&bytes, capture.data() + at + 8, 4);
    rte_mbuf* packet = nullptr;
    while ((packet = rte_pktmbuf_alloc(pool)) == nullptr) ::usleep(10);
    std::memcpy(rte_pktmbuf_append(packet, static_cast<std::uint16_t>(bytes)), capture.data() + at + 16,
                bytes);
    while (rte_eth_tx_burst(0, 0, &packet, 1) == 0) ::usleep(10);
    at += 16 + bytes;
  }
  ::sleep(2);  // a closed memif takes with it what the other side has not fetched
}

std::vector<MarketEvent> events_in(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(file)), {});
  std::vector<MarketEvent> events(bytes.size() / sizeof(MarketEvent));
  std::memcpy(events.data(), bytes.data(), events.size() * sizeof(MarketEvent));
  for (MarketEvent& each : events) each.receive_ns = 0;  // the receiver's own clock
  return events;
}

/// The events that decoding the capture gives.
std::vector<MarketEvent> expected_of(std::span<const std::uint8_t> capture) {
  ItchPackets whole;
  whole.captures = {capture};
  ItchTape tape;
  (void)decode_itch50_packets(whole, {kLocate, 100, 0}, tape);
  for (MarketEvent& each : tape.events) each.receive_ns = 0;
  return tape.events;
}

bool same(const std::vector<MarketEvent>& left, const std::vector<MarketEvent>& right) {
  return left.size() == right.size() &&
         std::memcmp(left.data(), right.data(), left.size() * sizeof left[0]) == 0;
}

}  // namespace

TEST_CASE("a capture through net_pcap gives the events that decoding it gives") {
  const Folder folder;
  const auto capture =
      capture_of(payloads_of(write_market_tape({9, 20, 20'000, 500, 1}), 7), folder.file("pcap"));
  const auto expected = expected_of(capture);
  REQUIRE(expected.size() > 100);
  CHECK(ended_well(
      child([&] { receive_into("net_pcap0,rx_pcap=" + folder.file("pcap"), folder.file("events")); })));
  CHECK(same(events_in(folder.file("events")), expected));
}

TEST_CASE("two processes over net_memif: what one sends gives the events that decoding it gives") {
  const Folder folder;
  const auto capture =
      capture_of(payloads_of(write_market_tape({9, 20, 20'000, 500, 1}), 7), folder.file("pcap"));
  const std::string socket = ",socket-abstract=no,socket=" + folder.file("memif");
  const std::string ready = folder.file("ready");
  const pid_t sender = child([&] { send_from("net_memif0,role=server" + socket, capture, ready); });
  // A client that knocks before the server's port is started is turned away, and does not knock again.
  const pid_t receiver = child([&] {
    wait_until("the server", [&ready] { return ::access(ready.c_str(), F_OK) == 0; });
    receive_into("net_memif0,role=client" + socket, folder.file("events"));
  });
  CHECK(ended_well(receiver));
  CHECK(ended_well(sender));
  CHECK(same(events_in(folder.file("events")), expected_of(capture)));
}

}  // namespace ringcraft
