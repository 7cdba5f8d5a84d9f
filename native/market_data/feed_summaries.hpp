#pragma once
// What was read, as Python sees it.

#include <nanobind/nanobind.h>
#include <nanobind/stl/vector.h>

#include <array>
#include <cstdint>

#include "market_data/book_types.hpp"
#include "market_data/capture.hpp"
#include "market_data/itch50_wire.hpp"
#include "market_data/moldudp64.hpp"

namespace ringcraft {

inline const char* status_text(ItchStatus status) {
  switch (status) {
    case ItchStatus::kOk:
      return "";
    case ItchStatus::kTruncated:
      return "a whole message, got the end of the bytes";
    case ItchStatus::kBadLength:
      return "the length of the message's type, got another";
    case ItchStatus::kBadField:
      return "side B or S, got another byte";
  }
  return "";
}

inline nanobind::dict describe_types(const std::array<std::uint64_t, 256>& by_type) {
  nanobind::dict counts;
  for (std::size_t type = 0; type < by_type.size(); ++type) {
    const char letter = static_cast<char>(type);
    if (by_type[type] != 0) counts[nanobind::str(&letter, 1)] = by_type[type];
  }
  return counts;
}

inline nanobind::dict describe(const ItchSummary& summary) {
  nanobind::dict about;
  about["error"] = status_text(summary.status);
  about["offset"] = summary.offset;
  about["messages"] = summary.messages;
  about["by_type"] = describe_types(summary.by_type);
  about["unknown_types"] = summary.unknown_types;
  about["unknown_orders"] = summary.unknown_orders;
  about["duplicate_orders"] = summary.duplicate_orders;
  about["off_grid_orders"] = summary.off_grid_orders;
  about["over_executed"] = summary.over_executed;
  return about;
}

/// How often each state was entered, by the flag's bit.
inline nanobind::list entered(const StateCounts& counts) {
  nanobind::list found;
  for (const std::uint64_t count : counts.entered) found.append(count);
  return found;
}

inline const char* status_text(CaptureStatus status) {
  switch (status) {
    case CaptureStatus::kOk:
      return "";
    case CaptureStatus::kNotCapture:
      return "a packet capture, pcap or pcapng, got another first word";
    case CaptureStatus::kTruncated:
      return "a whole record, got the end of the bytes";
    case CaptureStatus::kBadBlock:
      return "a block whose lengths agree, of an interface described before, got another";
  }
  return "";
}

inline nanobind::dict describe(const CaptureSummary& summary) {
  nanobind::dict about;
  about["error"] = status_text(summary.status);
  about["offset"] = summary.offset;
  about["packets"] = summary.packets;
  about["udp"] = summary.udp;
  about["other_link"] = summary.other_link;
  about["other_protocol"] = summary.other_protocol;
  about["fragments"] = summary.fragments;
  about["cut"] = summary.cut;
  about["garbled"] = summary.garbled;
  return about;
}

inline nanobind::dict describe(const MoldSummary& summary) {
  nanobind::dict about;
  about["packets"] = summary.packets;
  about["heartbeats"] = summary.heartbeats;
  about["sessions"] = summary.sessions;
  about["ended"] = summary.ended;
  about["messages"] = summary.messages;
  about["duplicates"] = summary.duplicates;
  about["bad_packets"] = summary.bad_packets;
  about["other_session"] = summary.other_session;
  about["holes"] = summary.holes;
  about["requested"] = summary.requested;
  about["gaps"] = summary.gaps;
  about["missed"] = summary.missed;
  about["first_by_line"] = summary.first_by_line;
  return about;
}

}  // namespace ringcraft
