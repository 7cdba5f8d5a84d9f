// Inference as the Open Inference Protocol v2 has it, with Triton's binary tensors.
#include <algorithm>
#include <cmath>

#include "serving/json_text.hpp"
#include "serving/number_text.hpp"
#include "serving/rest_api.hpp"
#include "serving/words.hpp"

namespace ringcraft {
namespace {

template <class Value>
void append_bytes(std::string& out, const Value& value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

}  // namespace

RestApi::Reply RestApi::infer(HttpRequest& request, const Times& times, std::size_t model,
                              std::uint32_t version) {
  std::optional<std::size_t> json_bytes;
  if (!request.headers.json_bytes.empty()) {
    json_bytes = number_of<std::size_t>(request.headers.json_bytes);
    if (!json_bytes) {
      return error(400, "Inference-Header-Content-Length: expected a number of bytes, got " +
                            request.headers.json_bytes.substr(0, 100));
    }
  }
  const InputShape shape = shape_of(model);
  if (shape.width == 0) return error(503, "model: expected a version that is ready, got none");
  const std::size_t size = request.body.size();
  request.body.resize(size + simdjson::SIMDJSON_PADDING);
  if (const std::string wrong = reader_.read({request.body.data(), size}, json_bytes, shape, body_);
      !wrong.empty()) {
    return error(400, wrong);
  }
  InferRequest asked;
  asked.model = model;
  asked.version = version;
  asked.instrument = body_.instrument;
  if (!body_.key.empty()) asked.key = assignment_key(body_.key);
  if (body_.timeout_us > 0) {
    constexpr std::uint64_t kLongestUs = 1'000'000'000;
    asked.deadline_ns =
        times.read_ns + static_cast<std::int64_t>(std::min(body_.timeout_us, kLongestUs) * 1000);
  }
  InferReply reply;
  if (const Reply refused = ask(asked, request, times, reply); refused.status != 200) return refused;
  for (const RowAnswer& row : reply.rows) {
    const bool whole =
        std::all_of(row.output.begin(), row.output.begin() + static_cast<std::ptrdiff_t>(reply.outputs),
                    [](float value) { return std::isfinite(value); });
    if (!whole || reply.outputs == 0) {
      const int status =
          row.abstain == AbstainReason::kBadFeature || row.abstain == AbstainReason::kFeatureLimit ? 400
          : row.abstain == AbstainReason::kRateLimit                                               ? 429
                                                                                                   : 503;
      return error(status, "decision " + std::to_string(row.decision_id) +
                               ": expected an output, got none: " + std::string(word_of(row.abstain)));
    }
  }
  Reply into;
  write_infer(reply, model, into);
  return into;
}

void RestApi::write_infer(const InferReply& reply, std::size_t model, Reply& into) {
  json_ = "{\"model_name\":";
  append_text(json_, engine_.plan_of(model)->name);
  json_ += ",\"model_version\":\"";
  append_number(json_, reply.version);
  json_ += '"';
  if (body_.has_id) {
    json_ += ",\"id\":";
    append_text(json_, body_.id);
  }
  json_.append(",\"parameters\":{\"arm\":\"").append(word_of(reply.arm)).append("\",\"late\":");
  json_.append(reply.late ? "true" : "false").append(",\"reason\":\"");
  const auto abstained = std::find_if(reply.rows.begin(), reply.rows.end(), [](const RowAnswer& row) {
    return row.abstain != AbstainReason::kNone;
  });
  json_.append(word_of(abstained == reply.rows.end() ? AbstainReason::kNone : abstained->abstain));
  json_ += "\"},\"outputs\":[";
  bool first = true;
  for (std::size_t tensor = 0; tensor < kOutputTensors; ++tensor) {
    const Form form = body_.outputs[tensor];
    if (form == Form::kNot) continue;
    if (!first) json_ += ',';
    first = false;
    into.binary = into.binary || form == Form::kBinary;
    write_tensor(reply, tensor, form);
  }
  json_ += "]}";
  if (!into.binary) return;
  into.json_bytes = json_.size();
  for (std::size_t tensor = 0; tensor < kOutputTensors; ++tensor) {
    if (body_.outputs[tensor] != Form::kBinary) continue;
    for (const RowAnswer& row : reply.rows) {
      if (tensor == 0)
        json_.append(reinterpret_cast<const char*>(row.output.data()), reply.outputs * sizeof(float));
      if (tensor == 1) append_bytes(json_, row.action);
      if (tensor == 2) append_bytes(json_, row.decision_id);
      if (tensor == 3) append_bytes(json_, row.abstain);
    }
  }
}

void RestApi::write_tensor(const InferReply& reply, std::size_t tensor, Form form) {
  constexpr std::array<std::string_view, kOutputTensors> kTypes = {"FP32", "INT8", "UINT64", "UINT8"};
  const std::array<std::size_t, kOutputTensors> sizes = {reply.outputs * sizeof(float), 1, 8, 1};
  json_.append("{\"name\":\"")
      .append(kOutputNames[tensor])
      .append("\",\"datatype\":\"")
      .append(kTypes[tensor]);
  json_ += "\",\"shape\":[";
  append_number(json_, reply.rows.size());
  if (tensor == 0) {
    json_ += ',';
    append_number(json_, reply.outputs);
  }
  if (form == Form::kBinary) {
    json_ += "],\"parameters\":{\"binary_data_size\":";
    append_number(json_, reply.rows.size() * sizes[tensor]);
    json_ += "}}";
    return;
  }
  json_ += "],\"data\":[";
  bool first = true;
  for (const RowAnswer& row : reply.rows) {
    const std::size_t values = tensor == 0 ? reply.outputs : 1;
    for (std::size_t i = 0; i < values; ++i) {
      if (!first) json_ += ',';
      first = false;
      if (tensor == 0) append_float(json_, row.output[i]);
      if (tensor == 1) append_number(json_, static_cast<int>(row.action));
      if (tensor == 2) append_number(json_, row.decision_id);
      if (tensor == 3) append_number(json_, static_cast<unsigned>(row.abstain));
    }
  }
  json_ += "]}";
}

}  // namespace ringcraft
