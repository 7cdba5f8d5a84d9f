#include <nanobind/nanobind.h>

namespace nb = nanobind;

namespace ringcraft {

void bind_market_data(nb::module_& /*module*/) {}

}  // namespace ringcraft
