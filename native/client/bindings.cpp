#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>

#include <algorithm>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "client/ringcraft_client.hpp"

namespace nb = nanobind;

namespace ringcraft {
namespace {

using client::Answer;
using client::Client;
using client::Question;
using Rows = nb::ndarray<const float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
template <class T, int kAxes>
using Array = nb::ndarray<nb::numpy, T, nb::ndim<kAxes>>;

template <class T, int kAxes, class Span>
Array<T, kAxes> copied(const Span& from, std::initializer_list<std::size_t> shape) {
  auto* kept = new std::vector<T>(from.begin(), from.end());
  nb::capsule owner(kept, [](void* pointer) noexcept { delete static_cast<std::vector<T>*>(pointer); });
  return Array<T, kAxes>(kept->data(), shape, owner);
}

Question question_of(const std::string& model, const Rows& rows) {
  Question question;
  question.model = model;
  question.values = {rows.data(), rows.size()};
  question.rows = static_cast<std::uint32_t>(std::min<std::size_t>(rows.shape(0), client::kRowsMax + 1));
  return question;
}

nb::tuple ask(Client& self, const std::string& model, const Rows& rows, std::uint32_t version,
              std::uint8_t arm, const std::string& instrument, const std::string& key,
              const std::string& account, std::uint8_t door, std::int64_t deadline_ns, double timeout_s,
              double spin_s) {
  Question question = question_of(model, rows);
  question.version = version;
  question.arm = arm;
  question.instrument = instrument;
  question.key = key;
  question.account = account;
  question.door = door;
  question.deadline_ns = deadline_ns;
  question.timeout_ns = static_cast<std::int64_t>(timeout_s * 1e9);
  question.spin_ns = static_cast<std::int64_t>(spin_s * 1e9);
  Answer answer;
  {
    const nb::gil_scoped_release unlocked;
    answer = self.ask(question);
  }
  const std::size_t count = answer.rows;
  return nb::make_tuple(static_cast<std::uint32_t>(answer.status), std::string(answer.reason), answer.version,
                        answer.arm, answer.worker_ns, copied<std::uint64_t, 1>(answer.decisions, {count}),
                        copied<std::int8_t, 1>(answer.actions, {count}),
                        copied<std::uint8_t, 1>(answer.reasons, {count}),
                        copied<float, 2>(answer.values, {count, answer.outputs}));
}

/// Asks one row again and again, spinning; each round trip, and what the worker spent of it.
std::tuple<Array<std::int64_t, 1>, Array<std::int64_t, 1>> round_trips(Client& self, const std::string& model,
                                                                       const Rows& rows,
                                                                       std::size_t repeats) {
  std::vector<std::int64_t> trips;
  std::vector<std::int64_t> spent;
  {
    const nb::gil_scoped_release unlocked;
    trips.reserve(repeats);
    spent.reserve(repeats);
    Question question = question_of(model, rows);
    question.timeout_ns = 10'000'000'000;
    question.spin_ns = question.timeout_ns;
    for (std::size_t turn = 0; turn < repeats; ++turn) {
      const std::int64_t start = client::now_ns();
      const Answer answer = self.ask(question);
      trips.push_back(client::now_ns() - start);
      spent.push_back(answer.worker_ns);
      if (answer.status != client::Status::kOk) throw std::runtime_error(std::string(answer.reason));
    }
  }
  return {copied<std::int64_t, 1>(trips, {trips.size()}), copied<std::int64_t, 1>(spent, {spent.size()})};
}

}  // namespace

void bind_client(nb::module_& module) {
  nb::class_<Client>(module, "SharedClient")
      .def(
          "__init__", [](Client* self, const std::string& path) { new (self) Client(path); }, nb::arg("path"))
      .def("ask", &ask, nb::arg("model"), nb::arg("rows"), nb::kw_only(), nb::arg("version") = 0,
           nb::arg("arm") = 255, nb::arg("instrument") = "", nb::arg("key") = "", nb::arg("account") = "",
           nb::arg("door") = 5, nb::arg("deadline_ns") = 0, nb::arg("timeout_s") = 1.0,
           nb::arg("spin_s") = 20e-6)
      .def("round_trips_ns", &round_trips, nb::arg("model"), nb::arg("rows"), nb::arg("repeats"))
      .def_prop_ro("served", &Client::served)
      .def_prop_ro("lane", &Client::lane);
}

}  // namespace ringcraft
