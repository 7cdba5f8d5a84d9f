// The short form: one row in, one decision out.
#include "serving/json_text.hpp"
#include "serving/rest_api.hpp"
#include "serving/words.hpp"

namespace ringcraft {

RestApi::Reply RestApi::decide(HttpRequest& request, const Times& times) {
  const std::size_t size = request.body.size();
  request.body.resize(size + simdjson::SIMDJSON_PADDING);
  if (const std::string wrong = reader_.read_short({request.body.data(), size}, short_); !wrong.empty()) {
    return error(400, wrong);
  }
  const std::optional<std::size_t> model = engine_.model_named(short_.model);
  if (!model) return not_found(short_.model, "");
  const InputShape shape = shape_of(*model);
  if (shape.width == 0) return error(503, "model: expected a version that is ready, got none");
  if (const std::string wrong = reader_.features(shape, body_); !wrong.empty()) return error(400, wrong);
  InferRequest asked;
  asked.model = *model;
  asked.instrument = short_.instrument;
  if (!short_.key.empty()) asked.key = assignment_key(short_.key);
  if (short_.deadline_ms > 0)
    asked.deadline_ns = times.read_ns + static_cast<std::int64_t>(short_.deadline_ms * 1e6);
  InferReply reply;
  if (const Reply refused = ask(asked, request, times, reply); refused.status != 200) return refused;
  const RowAnswer& row = reply.rows[0];
  json_ = "{\"decision_id\":";
  append_number(json_, row.decision_id);
  json_ += ",\"model\":";
  append_text(json_, short_.model);
  json_ += ",\"version\":";
  append_number(json_, reply.version);
  json_.append(",\"arm\":\"").append(word_of(reply.arm)).append("\",\"action\":");
  append_number(json_, static_cast<int>(row.action));
  json_.append(",\"reason\":\"")
      .append(word_of(row.abstain))
      .append("\",\"late\":")
      .append(reply.late ? "true" : "false");
  json_ += ",\"outputs\":[";
  for (std::size_t i = 0; i < reply.outputs; ++i) {
    if (i > 0) json_ += ',';
    append_float(json_, row.output[i]);
  }
  json_ += "]}";
  return {};
}

}  // namespace ringcraft
