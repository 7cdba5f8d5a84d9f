"""Messages of the Open Inference Protocol v2 over gRPC, with Triton's stream, configuration, statistics and index.

Built when this is imported from the protocol's field numbers, in a pool of their own: no generated code, and no clash
with a client's own messages of the same names in one process.
"""

from collections.abc import Mapping
from typing import Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PACKAGE: Final = "inference"
SERVICE: Final = "inference.GRPCInferenceService"
_TYPES: Final = {
    "bool": 8, "int32": 5, "int64": 3, "uint32": 13, "uint64": 4, "float": 2, "double": 1, "string": 9, "bytes": 12,
}  # fmt: skip
_DURATION: Final = "StatisticDuration"
_STAGES: Final = ("success", "fail", "queue", "compute_input", "compute_infer", "compute_output")
_PARAMETERS: Final = "map InferParameter parameters"
_MESSAGES: Final = {
    "ServerLiveRequest": "",
    "ServerLiveResponse": "bool live=1",
    "ServerReadyRequest": "",
    "ServerReadyResponse": "bool ready=1",
    "ModelReadyRequest": "string name=1, string version=2",
    "ModelReadyResponse": "bool ready=1",
    "ServerMetadataRequest": "",
    "ServerMetadataResponse": "string name=1, string version=2, repeated string extensions=3",
    "ModelMetadataRequest": "string name=1, string version=2",
    "ModelMetadataResponse": "string name=1, repeated string versions=2, string platform=3, "
    "repeated ModelMetadataResponse.TensorMetadata inputs=4, repeated ModelMetadataResponse.TensorMetadata outputs=5",
    "ModelMetadataResponse.TensorMetadata": "string name=1, string datatype=2, repeated int64 shape=3",
    "ModelConfigRequest": "string name=1, string version=2",
    "ModelConfigResponse": "ModelConfig config=1",
    # Of Triton's many fields those that say something here; data_type is an enumeration there.
    "ModelConfig": "string name=1, string platform=2, ModelVersionPolicy version_policy=3, int32 max_batch_size=4, "
    "repeated ModelInput input=5, repeated ModelOutput output=6, string backend=17",
    "ModelVersionPolicy": "ModelVersionPolicy.Specific specific=3",
    "ModelVersionPolicy.Specific": "repeated int64 versions=1",
    "ModelInput": "string name=1, int32 data_type=2, repeated int64 dims=4",
    "ModelOutput": "string name=1, int32 data_type=2, repeated int64 dims=3",
    "InferParameter": "oneof bool bool_param=1, oneof int64 int64_param=2, oneof string string_param=3, "
    "oneof double double_param=4, oneof uint64 uint64_param=5",
    "InferTensorContents": "repeated bool bool_contents=1, repeated int32 int_contents=2, "
    "repeated int64 int64_contents=3, repeated uint32 uint_contents=4, repeated uint64 uint64_contents=5, "
    "repeated float fp32_contents=6, repeated double fp64_contents=7, repeated bytes bytes_contents=8",
    "ModelInferRequest": "string model_name=1, string model_version=2, string id=3, " + _PARAMETERS + "=4, "
    "repeated ModelInferRequest.InferInputTensor inputs=5, "
    "repeated ModelInferRequest.InferRequestedOutputTensor outputs=6, repeated bytes raw_input_contents=7",
    "ModelInferRequest.InferInputTensor": "string name=1, string datatype=2, repeated int64 shape=3, "
    + _PARAMETERS + "=4, InferTensorContents contents=5",
    "ModelInferRequest.InferRequestedOutputTensor": "string name=1, " + _PARAMETERS + "=2",
    "ModelInferResponse": "string model_name=1, string model_version=2, string id=3, " + _PARAMETERS + "=4, "
    "repeated ModelInferResponse.InferOutputTensor outputs=5, repeated bytes raw_output_contents=6",
    "ModelInferResponse.InferOutputTensor": "string name=1, string datatype=2, repeated int64 shape=3, "
    + _PARAMETERS + "=4, InferTensorContents contents=5",
    "ModelStreamInferResponse": "string error_message=1, ModelInferResponse infer_response=2",
    "ModelStatisticsRequest": "string name=1, string version=2",
    "ModelStatisticsResponse": "repeated ModelStatistics model_stats=1",
    _DURATION: "uint64 count=1, uint64 ns=2",
    "InferStatistics": ", ".join(
        f"{_DURATION} {name}={number}"
        for number, name in enumerate(_STAGES, 1)
    ),
    "ModelStatistics": "string name=1, string version=2, uint64 last_inference=3, uint64 inference_count=4, "
    "uint64 execution_count=5, InferStatistics inference_stats=6",
    "RepositoryIndexRequest": "string repository_name=1, bool ready=2",
    "RepositoryIndexResponse": "repeated RepositoryIndexResponse.ModelIndex models=1",
    "RepositoryIndexResponse.ModelIndex": "string name=1, string version=2, string state=3, string reason=4",
}  # fmt: skip


def _field(into: descriptor_pb2.DescriptorProto, text: str, package: str, message: str) -> None:
    words, number = text.rsplit("=", 1)
    *marks, kind, name = words.split()
    field = into.field.add(name=name, number=int(number))
    field.label = field.LABEL_REPEATED if {"repeated", "map"} & set(marks) else field.LABEL_OPTIONAL
    if "oneof" in marks:
        if not into.oneof_decl:
            into.oneof_decl.add(name="parameter_choice")
        field.oneof_index = 0
    if "map" in marks:
        entry = into.nested_type.add(name=name.title() + "Entry")
        entry.options.map_entry = True
        _field(entry, "string key=1", package, message)
        _field(entry, f"{kind} value=2", package, message)
        kind = f"{message}.{entry.name}"
    if kind in _TYPES:
        field.type = _TYPES[kind]
    else:
        field.type = field.TYPE_MESSAGE
        field.type_name = f".{package}.{kind}"


def built(package: str, messages: Mapping[str, str]) -> dict[str, Any]:
    """Return message classes by name, in a pool of their own.

    Args:
        package: of the protocol.
        messages: by message its fields: [repeated | oneof | map] type name=number; a map is from string.
    """
    file = descriptor_pb2.FileDescriptorProto(name=f"ringcraft/{package}.proto", package=package, syntax="proto3")
    made: dict[str, descriptor_pb2.DescriptorProto] = {}
    for name, fields in sorted(messages.items(), key=lambda item: item[0].count(".")):
        outer, _, inner = name.rpartition(".")
        made[name] = made[outer].nested_type.add(name=inner) if outer else file.message_type.add(name=inner)
        for text in filter(None, fields.split(", ")):
            _field(made[name], text, package, name)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}")) for name in messages}


MESSAGES: Final = built(PACKAGE, _MESSAGES)
"""Message classes by name."""
