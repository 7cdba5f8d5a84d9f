#pragma once
// Products in whole numbers of graphs quantized to int8.

#include <vector>

#include "models/net_builder.hpp"

namespace ringcraft {

/// Builds `node`, x times constant weights, in whole numbers; false where x was not rounded for it alone or
/// the weights are no bytes.
/// @param turned weights are [outputs][inputs].
/// @param bias of each output.
bool add_integer_product(NetBuilder& net, const OnnxNode& node, const NetValue& x, const NetValue& weights,
                         bool turned, std::vector<float> bias, const Sizes& sizes);

}  // namespace ringcraft
