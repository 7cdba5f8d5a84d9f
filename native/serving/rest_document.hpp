#pragma once
// The REST door's description of itself, serving/openapi.json, as it was when this was built.

#include <string_view>

namespace ringcraft {

[[nodiscard]] std::string_view rest_document() noexcept;

}  // namespace ringcraft
