#pragma once
// The part of ONNX Runtime's C interface that is used here, declared by position.
//
// The runtime hands out a table of function pointers that only ever grows at its end, so a position
// once published keeps its meaning. The wheel carries no header; this one states the positions and the
// signatures of the calls made. OnnxRuntime proves them on a known graph before any model is trusted.

#include <cstddef>
#include <cstdint>

namespace ringcraft::ort {

struct Env;
struct Status;
struct MemoryInfo;
struct Session;
struct Value;
struct RunOptions;
struct TypeInfo;
struct TensorInfo;
struct SessionOptions;
struct Allocator;

/// What OrtGetApiBase() returns.
struct ApiBase {
  const void* const* (*get_api)(std::uint32_t version);
  const char* (*get_version_string)();
};

inline constexpr int kFloatElement = 1;
inline constexpr int kTensorType = 1;
inline constexpr int kLogFatal = 4;
inline constexpr int kAllOptimizations = 99;
inline constexpr int kSequential = 0;
inline constexpr int kArenaAllocator = 1;
inline constexpr int kDefaultMemory = 0;
inline constexpr std::uint32_t kApiVersion = 1;

/// A function of the table: its position and its signature, so that no call can mix them up.
template <std::size_t Position, class Signature>
struct Function;

template <std::size_t Position, class Result, class... Arguments>
struct Function<Position, Result(Arguments...)> {
  using Pointer = Result (*)(Arguments...);

  static Result call(const void* const* table, Arguments... arguments) noexcept {
    return reinterpret_cast<Pointer>(const_cast<void*>(table[Position]))(arguments...);
  }
};

using GetErrorMessage = Function<2, const char*(const Status*)>;
using CreateEnv = Function<3, Status*(int severity, const char* name, Env** out)>;
using CreateSession =
    Function<7, Status*(const Env*, const char* path, const SessionOptions*, Session** out)>;
using CreateSessionFromArray = Function<8, Status*(const Env*, const void* bytes, std::size_t size,
                                                   const SessionOptions*, Session** out)>;
using Run = Function<9, Status*(Session*, const RunOptions*, const char* const* input_names,
                                const Value* const* inputs, std::size_t input_count,
                                const char* const* output_names, std::size_t output_count, Value** outputs)>;
using CreateSessionOptions = Function<10, Status*(SessionOptions** out)>;
using SetSessionExecutionMode = Function<13, Status*(SessionOptions*, int mode)>;
using SetSessionGraphOptimizationLevel = Function<23, Status*(SessionOptions*, int level)>;
using SetIntraOpNumThreads = Function<24, Status*(SessionOptions*, int threads)>;
using SetInterOpNumThreads = Function<25, Status*(SessionOptions*, int threads)>;
using SessionGetInputCount = Function<30, Status*(const Session*, std::size_t* out)>;
using SessionGetOutputCount = Function<31, Status*(const Session*, std::size_t* out)>;
using SessionGetInputTypeInfo = Function<33, Status*(const Session*, std::size_t index, TypeInfo** out)>;
using SessionGetOutputTypeInfo = Function<34, Status*(const Session*, std::size_t index, TypeInfo** out)>;
using SessionGetInputName = Function<36, Status*(const Session*, std::size_t index, Allocator*, char** out)>;
using SessionGetOutputName = Function<37, Status*(const Session*, std::size_t index, Allocator*, char** out)>;
using CreateTensorWithData =
    Function<49, Status*(const MemoryInfo*, void* data, std::size_t bytes, const std::int64_t* shape,
                         std::size_t rank, int type, Value** out)>;
using CastTypeInfoToTensorInfo = Function<55, Status*(const TypeInfo*, const TensorInfo** out)>;
using GetTensorElementType = Function<60, Status*(const TensorInfo*, int* out)>;
using GetDimensionsCount = Function<61, Status*(const TensorInfo*, std::size_t* out)>;
using GetDimensions = Function<62, Status*(const TensorInfo*, std::int64_t* out, std::size_t count)>;
using GetTensorTypeAndShape = Function<65, Status*(const Value*, TensorInfo** out)>;
using CreateCpuMemoryInfo = Function<69, Status*(int allocator, int memory, MemoryInfo** out)>;
using AllocatorFree = Function<76, Status*(Allocator*, void*)>;
using GetDefaultAllocator = Function<78, Status*(Allocator** out)>;
using ReleaseEnv = Function<92, void(Env*)>;
using ReleaseStatus = Function<93, void(Status*)>;
using ReleaseMemoryInfo = Function<94, void(MemoryInfo*)>;
using ReleaseSession = Function<95, void(Session*)>;
using ReleaseValue = Function<96, void(Value*)>;
using ReleaseTypeInfo = Function<98, void(TypeInfo*)>;
using ReleaseTensorInfo = Function<99, void(TensorInfo*)>;
using ReleaseSessionOptions = Function<100, void(SessionOptions*)>;

}  // namespace ringcraft::ort
