#pragma once
// A graph run by kernels of our own, where it is made of what they know.

#include <memory>
#include <string>
#include <string_view>

#include "models/kernels.hpp"
#include "models/model.hpp"

namespace ringcraft {

/// Builds kernels from a model file's bytes: tree ensembles, or nets of the nodes that NetBuilder knows.
///
/// Nothing here says that the kernels answer as ONNX Runtime does: who serves one compares them first.
///
/// @param bytes the .onnx file's.
/// @param kernels the instruction set; its name ends the tier's: "trees-avx2".
/// @throws OnnxError the graph is malformed, or something in it is not known here; the message says what.
[[nodiscard]] std::unique_ptr<Model> build_kernel(std::string_view bytes, const Kernels& kernels);

/// The same from the file at `path`, with the best instruction set of this processor, or the one named.
/// @param isa "avx512", "avx2", "portable"; empty: the best.
/// @throws OnnxError as build_kernel; the file cannot be read; this processor or build lacks the set.
[[nodiscard]] std::unique_ptr<Model> load_kernel(const std::string& path, const std::string& isa = "");

/// The bytes of a model file.
/// @throws OnnxError it cannot be read.
[[nodiscard]] std::string read_model_file(const std::string& path);

/// The best instruction set of this processor, or the one named.
/// @throws OnnxError this processor or build lacks it.
[[nodiscard]] const Kernels& chosen_kernels(const std::string& isa);

}  // namespace ringcraft
