#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/unique_ptr.h>

#include <memory>
#include <string>
#include <vector>

#include "models/kernel_model.hpp"
#include "models/model.hpp"
#include "models/onnx_model.hpp"
#include "models/stream_model.hpp"

namespace nb = nanobind;

namespace ringcraft {
namespace {

using Rows = nb::ndarray<const float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

void check_width(const Model& model, const Rows& rows) {
  if (rows.shape(1) != model.inputs()) {
    const std::string message =
        "rows: expected width " + std::to_string(model.inputs()) + ", got " + std::to_string(rows.shape(1));
    throw nb::value_error(message.c_str());
  }
}

template <class T>
nb::capsule keep(std::vector<T>* values) {
  return nb::capsule(values, [](void* pointer) noexcept { delete static_cast<std::vector<T>*>(pointer); });
}

nb::ndarray<nb::numpy, float, nb::ndim<2>> predict(Model& model, const Rows& rows, bool together) {
  check_width(model, rows);
  auto out = std::make_unique<std::vector<float>>(rows.shape(0) * model.outputs());
  {
    const nb::gil_scoped_release unlocked;
    if (together && !model.predict_rows(rows.data(), rows.shape(0), out->data())) {
      throw OnnxError(std::to_string(rows.shape(0)) + " rows together: " + model.tier() + " gave no answer");
    }
    for (std::size_t row = 0; !together && row < rows.shape(0); ++row) {
      if (!model.predict(rows.data() + row * model.inputs(), out->data() + row * model.outputs())) {
        throw OnnxError("row " + std::to_string(row) + ": " + model.tier() + " gave no answer");
      }
    }
  }
  auto* kept = out.release();
  return nb::ndarray<nb::numpy, float, nb::ndim<2>>(kept->data(), {rows.shape(0), model.outputs()},
                                                    keep(kept));
}

nb::ndarray<nb::numpy, float, nb::ndim<2>> answers_along(OnnxModel& model, const Rows& vectors) {
  check_width(model, vectors);
  auto* said = new std::vector<float>();
  nb::capsule owner = keep(said);
  {
    const nb::gil_scoped_release unlocked;
    *said = model.answers_along(vectors.data(), vectors.shape(0));
  }
  return nb::ndarray<nb::numpy, float, nb::ndim<2>>(said->data(), {vectors.shape(0), model.outputs()}, owner);
}

std::size_t checked_stream(const StreamModel& model, std::size_t stream) {
  if (stream >= model.streams()) {
    const std::string message =
        "stream: expected below " + std::to_string(model.streams()) + ", got " + std::to_string(stream);
    throw nb::value_error(message.c_str());
  }
  return stream;
}

nb::ndarray<nb::numpy, std::int64_t, nb::ndim<1>> latencies(Model& model, const Rows& rows,
                                                            std::size_t repeats, bool settling) {
  check_width(model, rows);
  auto* spent = new std::vector<std::int64_t>();
  nb::capsule owner = keep(spent);
  {
    const nb::gil_scoped_release unlocked;
    *spent = model.latencies_ns(rows.data(), rows.shape(0), repeats, settling);
  }
  return nb::ndarray<nb::numpy, std::int64_t, nb::ndim<1>>(spent->data(), {spent->size()}, owner);
}

}  // namespace

void bind_models(nb::module_& module) {
  nb::exception<OnnxError>(module, "OnnxError", PyExc_RuntimeError);
  nb::class_<Model>(module, "Model")
      .def_prop_ro("inputs", &Model::inputs)
      .def_prop_ro("window", &Model::window)
      .def_prop_ro("width", &Model::width)
      .def_prop_ro("outputs", &Model::outputs)
      .def_prop_ro("tier", &Model::tier)
      .def_prop_ro("batches", &Model::batches)
      .def("predict", &predict, nb::arg("rows"), nb::arg("together") = false)
      .def("latencies_ns", &latencies, nb::arg("rows"), nb::arg("repeats"), nb::arg("settling") = false);
  nb::class_<OnnxModel, Model>(module, "OnnxModel")
      .def(
          "__init__",
          [](OnnxModel* self, const std::string& path, const std::string& library, bool stream) {
            const nb::gil_scoped_release unlocked;
            new (self) OnnxModel(path, library, stream);
          },
          nb::arg("path"), nb::arg("library"), nb::arg("stream") = false)
      .def("answers_along", &answers_along, nb::arg("vectors"));
  nb::class_<StreamModel, Model>(module, "StreamModel")
      .def_prop_ro("streams", &StreamModel::streams)
      .def(
          "select", [](StreamModel& self, std::size_t stream) { self.select(checked_stream(self, stream)); },
          nb::arg("stream"))
      .def(
          "restart",
          [](StreamModel& self, std::size_t stream) { self.restart(checked_stream(self, stream)); },
          nb::arg("stream"));
  module.def("load_stream", &load_stream, nb::arg("path"), nb::arg("streams"), nb::arg("isa") = "",
             nb::call_guard<nb::gil_scoped_release>());
  module.def("load_kernel", &load_kernel, nb::arg("path"), nb::arg("isa") = "",
             nb::call_guard<nb::gil_scoped_release>());
  module.def("kernel_isa", [] { return std::string(best_kernels().name); });
  module.def("onnxruntime_version", &onnxruntime_version, nb::arg("library"));
}

}  // namespace ringcraft
