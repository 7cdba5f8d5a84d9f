// The extension module: no logic here, each folder binds its own.
#include <nanobind/nanobind.h>

namespace ringcraft {
void bind_client(nanobind::module_& module);
void bind_contracts(nanobind::module_& module);
void bind_load(nanobind::module_& module);
void bind_market_data(nanobind::module_& module);
void bind_models(nanobind::module_& module);
void bind_serving(nanobind::module_& module);
void bind_transport(nanobind::module_& module);
}  // namespace ringcraft

NB_MODULE(_native, module) {
  // Python ends without taking its modules apart, and nanobind would report what they still hold as leaked.
  nanobind::set_leak_warnings(false);
  ringcraft::bind_client(module);
  ringcraft::bind_contracts(module);
  ringcraft::bind_load(module);
  ringcraft::bind_market_data(module);
  ringcraft::bind_models(module);
  ringcraft::bind_serving(module);
  ringcraft::bind_transport(module);
}
