#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>

#include "serving/echo_server.hpp"
#include "serving/http_load.hpp"

namespace nb = nanobind;

namespace ringcraft {
namespace {

nb::dict load(const std::string& host, std::uint16_t port, const nb::bytes& request, std::size_t connections,
              double per_second, double seconds, double patience_s) {
  if (connections == 0 || !(per_second >= 0) || !(seconds > 0) || !(patience_s >= 0)) {
    throw nb::value_error("http_load: expected connections, seconds > 0 and per_second, patience_s >= 0");
  }
  const LoadOptions options{host,
                            port,
                            {request.c_str(), request.size()},
                            connections,
                            per_second,
                            static_cast<std::int64_t>(seconds * 1e9),
                            static_cast<std::int64_t>(patience_s * 1e9)};
  auto* run = new LoadRun();
  nb::capsule owner(run, [](void* pointer) noexcept { delete static_cast<LoadRun*>(pointer); });
  {
    const nb::gil_scoped_release unlocked;
    *run = run_load(options);
  }
  nb::dict found;
  found["latencies_ns"] = nb::ndarray<nb::numpy, std::int64_t, nb::ndim<1>>(
      run->latencies_ns.data(), {run->latencies_ns.size()}, owner);
  found["start_ns"] = run->start_ns;
  found["elapsed_ns"] = run->elapsed_ns;
  found["answered"] = run->answered;
  found["refused"] = run->refused;
  found["broken"] = run->broken;
  found["unanswered"] = run->unanswered;
  found["status"] = run->status;
  return found;
}

}  // namespace

void bind_load(nb::module_& module) {
  module.def("http_load", &load, nb::arg("host"), nb::arg("port"), nb::arg("request"), nb::kw_only(),
             nb::arg("connections"), nb::arg("per_second"), nb::arg("seconds"), nb::arg("patience_s"));
  nb::class_<EchoServer>(module, "EchoServer")
      .def(
          "__init__",
          [](EchoServer* self, std::size_t request_bytes, const nb::bytes& response, std::uint16_t port,
             bool spin, std::uint64_t stall_at, double stall_s) {
            if (request_bytes == 0) throw nb::value_error("EchoServer: expected request_bytes > 0");
            new (self) EchoServer(request_bytes, {response.c_str(), response.size()}, port, spin, stall_at,
                                  static_cast<std::int64_t>(stall_s * 1e9));
          },
          nb::arg("request_bytes"), nb::arg("response"), nb::kw_only(), nb::arg("port") = 0,
          nb::arg("spin") = false, nb::arg("stall_at") = 0, nb::arg("stall_s") = 0.0)
      .def_prop_ro("port", &EchoServer::port)
      .def("stop", &EchoServer::stop, nb::call_guard<nb::gil_scoped_release>());
}

}  // namespace ringcraft
