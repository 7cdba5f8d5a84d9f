#include <nanobind/nanobind.h>

namespace nb = nanobind;

namespace ringcraft {

void bind_models(nb::module_& /*module*/) {}

}  // namespace ringcraft
