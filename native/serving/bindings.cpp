#include <nanobind/nanobind.h>

namespace nb = nanobind;

namespace ringcraft {

void bind_serving(nb::module_& /*module*/) {}

}  // namespace ringcraft
