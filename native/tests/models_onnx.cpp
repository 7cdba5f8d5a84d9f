#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "models/onnx_model.hpp"

namespace ringcraft {
namespace {

/// ONNX Runtime's library, where the environment names one.
std::string library() {
  const char* path = std::getenv("RINGCRAFT_ONNXRUNTIME");
  return path == nullptr ? "" : path;
}

std::string message_of(const std::string& model, const std::string& runtime) {
  try {
    const OnnxModel loaded(model, runtime);
  } catch (const OnnxError& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("a runtime that is not there is refused by name") {
  CHECK(message_of("model.onnx", "/nowhere/libonnxruntime.so").find("/nowhere/libonnxruntime.so") !=
        std::string::npos);
}

TEST_CASE("a library that is no ONNX Runtime is refused") {
  CHECK(message_of("model.onnx", "libm.so.6").find("found no OrtGetApiBase") != std::string::npos);
}

TEST_CASE("the runtime proves itself, and files that hold no graph are refused") {
  if (library().empty()) {
    MESSAGE("RINGCRAFT_ONNXRUNTIME names no library: not run");
    return;
  }
  CHECK(onnxruntime_version(library()).rfind("1.", 0) == 0);
  CHECK(message_of("/nowhere/model.onnx", library()).find("/nowhere/model.onnx") != std::string::npos);
  const std::string path = (std::filesystem::temp_directory_path() / "ringcraft-not-a-graph.onnx").string();
  std::ofstream(path) << "not a graph";
  CHECK(message_of(path, library()).find(path) != std::string::npos);
  std::filesystem::remove(path);
}

}  // namespace ringcraft
