#include "market_data/dpdk_source.hpp"

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include <array>
#include <stdexcept>

#include "transport/clock.hpp"

namespace ringcraft {
namespace {

constexpr std::uint16_t kPort = 0;
constexpr std::uint16_t kMost = 64;
constexpr unsigned kBuffers = 8'191;  // one less than a power of two, as DPDK's pools like it
constexpr unsigned kCached = 250;
constexpr std::uint16_t kDescriptors = 1'024;

void check(int result, const char* what) {
  if (result < 0) throw std::runtime_error(std::string("DPDK: ") + what + ": " + rte_strerror(-result));
}

}  // namespace

struct DpdkSource::Burst {
  std::array<rte_mbuf*, kMost> packets{};
  std::uint16_t count = 0;
};

DpdkSource::DpdkSource(const std::vector<std::string>& arguments) : burst_(std::make_unique<Burst>()) {
  std::vector<std::string> kept = arguments;
  std::vector<char*> pointers;
  for (std::string& each : kept) pointers.push_back(each.data());
  if (rte_eal_init(static_cast<int>(pointers.size()), pointers.data()) < 0) {
    throw std::runtime_error(std::string("DPDK does not start: ") + rte_strerror(rte_errno));
  }
  if (rte_eth_dev_count_avail() == 0) throw std::runtime_error("DPDK: expected a port, got none");
  rte_mempool* pool = rte_pktmbuf_pool_create("packets", kBuffers, kCached, 0, RTE_MBUF_DEFAULT_BUF_SIZE,
                                              static_cast<int>(rte_socket_id()));
  if (pool == nullptr) throw std::runtime_error(std::string("DPDK: no memory: ") + rte_strerror(rte_errno));
  const rte_eth_conf configuration{};
  check(rte_eth_dev_configure(kPort, 1, 1, &configuration), "port cannot be configured");
  const unsigned node = rte_socket_id();
  check(rte_eth_rx_queue_setup(kPort, 0, kDescriptors, node, nullptr, pool), "no queue to receive from");
  check(rte_eth_tx_queue_setup(kPort, 0, kDescriptors, node, nullptr), "no queue to send to");
  check(rte_eth_dev_start(kPort), "port does not start");
  // Multicast groups are not ours to join at this level; the switch must send them here.
  if (const int refused = rte_eth_promiscuous_enable(kPort); refused < 0) {
    refused_.push_back(std::string("dpdk: not promiscuous: ") + rte_strerror(-refused));
  }
}

DpdkSource::~DpdkSource() {
  free_burst();
  rte_eth_dev_stop(kPort);
  rte_eal_cleanup();
}

void DpdkSource::free_burst() noexcept {
  rte_pktmbuf_free_bulk(burst_->packets.data(), burst_->count);
  burst_->count = 0;
}

std::size_t DpdkSource::receive(std::span<UdpPacket> batch) {
  free_burst();
  const auto most = static_cast<std::uint16_t>(std::min<std::size_t>(batch.size(), kMost));
  burst_->count = rte_eth_rx_burst(kPort, 0, burst_->packets.data(), most);
  if (burst_->count == 0) return 0;
  ++summary_.calls;
  const std::int64_t now_ns = read_clock_ns(CLOCK_REALTIME);
  std::size_t kept = 0;
  for (std::uint16_t i = 0; i < burst_->count; ++i) {
    const rte_mbuf* packet = burst_->packets[i];
    const std::span<const std::uint8_t> frame(rte_pktmbuf_mtod(packet, const std::uint8_t*),
                                              packet->data_len);
    ++summary_.packets;
    // A frame in several buffers is cut as far as this reader goes.
    if (!find_udp(frame, packet->nb_segs > 1, counts_, batch[kept])) continue;
    batch[kept].time_ns = now_ns;
    summary_.bytes += batch[kept++].payload.size();
  }
  summary_.cut = counts_.cut;
  summary_.other = counts_.other_protocol + counts_.fragments + counts_.garbled;
  return kept;
}

void DpdkSource::wait(std::int64_t timeout_ns) {
  rte_eth_stats stats{};
  if (rte_eth_stats_get(kPort, &stats) == 0) summary_.dropped = stats.imissed + stats.rx_nombuf;
  const timespec nap{0, std::min<std::int64_t>(timeout_ns, 50'000)};
  ::nanosleep(&nap, nullptr);
}

}  // namespace ringcraft
