#pragma once
// An LSTM layer whose state goes on from one run to the next, of many sequences in turns.

#include "models/net_builder.hpp"

namespace ringcraft {

/// Adds the layer of `node`, over one vector, with a state for each of net.streams().
/// @throws OnnxError it runs backwards, over more than a step, or is otherwise unusual.
void add_carried_lstm(NetBuilder& net, const OnnxNode& node, const NetValue& x);

}  // namespace ringcraft
