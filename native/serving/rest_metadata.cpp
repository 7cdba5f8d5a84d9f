// What REST says of the server and its models.
#include <algorithm>

#include "serving/json_text.hpp"
#include "serving/rest_api.hpp"

namespace ringcraft {
namespace {

constexpr std::string_view kPlatform = "onnx";

void append_versions(std::string& out, const std::vector<std::uint32_t>& versions, bool quoted) {
  out += '[';
  for (std::size_t i = 0; i < versions.size(); ++i) {
    if (i > 0) out += ',';
    if (quoted) out += '"';
    append_number(out, versions[i]);
    if (quoted) out += '"';
  }
  out += ']';
}

/// A dimension; what is not known is -1.
void append_dim(std::string& out, std::size_t size) {
  if (size == 0) {
    out += "-1";
  } else {
    append_number(out, size);
  }
}

}  // namespace

std::vector<std::uint32_t> RestApi::versions_of(std::size_t model) const {
  std::vector<std::uint32_t> versions;
  for (std::size_t slot = 0; slot < kMaxSlots; ++slot) {
    const std::uint32_t version = holdings_.held_version(model, slot);
    if (version != kNoVersion) versions.push_back(version);
  }
  std::sort(versions.begin(), versions.end());
  return versions;
}

bool RestApi::holds(std::size_t model, std::uint32_t version) const {
  for (std::size_t slot = 0; slot < kMaxSlots; ++slot) {
    if (version != kNoVersion && holdings_.held_version(model, slot) == version) return true;
  }
  return false;
}

std::size_t RestApi::outputs_of(std::size_t model, std::uint32_t version) const {
  std::size_t common = 0;
  for (std::size_t slot = 0; slot < kMaxSlots; ++slot) {
    const std::uint32_t held = holdings_.held_version(model, slot);
    const LoadedSlot* loaded = held == kNoVersion || (version != kNoVersion && version != held)
                                   ? nullptr
                                   : holdings_.slot(model, slot, held);
    if (loaded == nullptr) continue;
    const std::size_t outputs = loaded->live->outputs();
    if (common != 0 && common != outputs) return 0;
    common = outputs;
  }
  return common;
}

bool RestApi::model_is_ready(std::size_t model) const {
  const Route* route = engine_.route_of(model);
  return route != nullptr && route->champion_version != kNoVersion &&
         holdings_.slot(model, route->champion_slot, route->champion_version) != nullptr;
}

bool RestApi::all_ready() const {
  std::size_t models = 0;
  for (std::size_t model = 0; model < kMaxModels; ++model) {
    if (engine_.plan_of(model) == nullptr) continue;
    if (!model_is_ready(model)) return false;
    ++models;
  }
  return models > 0;
}

VersionStats& RestApi::stats_of(std::size_t model, std::uint32_t version) {
  for (VersionStats& stats : stats_) {
    if (stats.model == model && stats.version == version) return stats;
  }
  if (stats_.size() == stats_.capacity()) stats_.erase(stats_.begin());  // the oldest, long gone
  stats_.push_back({model, version});
  return stats_.back();
}

RestApi::Reply RestApi::server() {
  json_ = R"({"name":"ringcraft","version":"1","extensions":["binary_tensor_data","model_configuration",)"
          R"("model_repository","statistics"]})";
  return {};
}

RestApi::Reply RestApi::ready() {
  if (all_ready()) {
    json_ = R"({"ready":true})";
    return {};
  }
  Reply reply = error(503,
                      "models: expected every served model to have a champion that is verified and warm, got "
                      "one that has none");
  json_.insert(1, R"("ready":false,)");
  return reply;
}

RestApi::Reply RestApi::model_ready(std::size_t model, std::uint32_t version) {
  const std::string& name = engine_.plan_of(model)->name;
  if (version == kNoVersion && !model_is_ready(model)) {
    return error(503, name + ": expected a champion that is verified and warm, got none");
  }
  json_ = "{\"name\":";
  append_text(json_, name);
  json_ += ",\"ready\":true}";
  return {};
}

RestApi::Reply RestApi::model_metadata(std::size_t model, std::uint32_t version) {
  const InputShape shape = shape_of(model);
  json_ = "{\"name\":";
  append_text(json_, engine_.plan_of(model)->name);
  json_ += ",\"versions\":";
  append_versions(json_, version != kNoVersion ? std::vector{version} : versions_of(model), true);
  json_.append(",\"platform\":\"").append(kPlatform);
  json_ += R"(","inputs":[{"name":"features","datatype":"FP32","shape":[-1,)";
  if (shape.window > 1) {
    append_number(json_, shape.window);
    json_ += ',';
  }
  append_number(json_, shape.width);
  json_ += R"(]}],"outputs":[{"name":"output","datatype":"FP32","shape":[-1,)";
  append_dim(json_, outputs_of(model, version));
  json_ +=
      R"(]},{"name":"action","datatype":"INT8","shape":[-1]},)"
      R"({"name":"decision_id","datatype":"UINT64","shape":[-1]},{"name":"abstain","datatype":"UINT8","shape":[-1]}]})";
  return {};
}

RestApi::Reply RestApi::model_config(std::size_t model, std::uint32_t version) {
  const InputShape shape = shape_of(model);
  json_ = "{\"name\":";
  append_text(json_, engine_.plan_of(model)->name);
  json_.append(",\"platform\":\"").append(kPlatform);
  json_ += R"(","backend":"ringcraft","max_batch_size":0,"version_policy":{"specific":{"versions":)";
  append_versions(json_, version != kNoVersion ? std::vector{version} : versions_of(model), false);
  json_ += R"(}},"input":[{"name":"features","data_type":"TYPE_FP32","dims":[-1,)";
  if (shape.window > 1) {
    append_number(json_, shape.window);
    json_ += ',';
  }
  append_number(json_, shape.width);
  json_ += R"(]}],"output":[{"name":"output","data_type":"TYPE_FP32","dims":[-1,)";
  append_dim(json_, outputs_of(model, version));
  json_ +=
      R"(]},{"name":"action","data_type":"TYPE_INT8","dims":[-1]},)"
      R"({"name":"decision_id","data_type":"TYPE_UINT64","dims":[-1]},{"name":"abstain","data_type":"TYPE_UINT8","dims":[-1]}]})";
  return {};
}

RestApi::Reply RestApi::statistics(std::optional<std::size_t> model, std::uint32_t version) {
  json_ = R"({"model_stats":[)";
  bool first = true;
  const auto duration = [&](std::string_view name, std::uint64_t count, std::uint64_t ns) {
    json_.append("\"").append(name).append("\":{\"count\":");
    append_number(json_, count);
    json_ += ",\"ns\":";
    append_number(json_, ns);
    json_ += '}';
  };
  for (std::size_t place = 0; place < kMaxModels; ++place) {
    if (engine_.route_of(place) == nullptr || (model && *model != place)) continue;
    for (const std::uint32_t held : versions_of(place)) {
      if (version != kNoVersion && version != held) continue;
      const VersionStats& stats = stats_of(place, held);
      if (!first) json_ += ',';
      first = false;
      json_ += "{\"name\":";
      append_text(json_, engine_.plan_of(place)->name);
      json_ += ",\"version\":\"";
      append_number(json_, held);
      json_ += "\",\"last_inference\":";
      // 0: never. Told as wall time only here: a request has no need of a second clock.
      append_number(json_, stats.last_ns == 0 ? 0 : WallClock().wall_ns(stats.last_ns) / 1'000'000);
      json_ += ",\"inference_count\":";
      append_number(json_, stats.rows);
      json_ += ",\"execution_count\":";
      append_number(json_, stats.rows);
      json_ += ",\"inference_stats\":{";
      duration("success", stats.requests, stats.total_ns);
      json_ += ',';
      duration("fail", stats.failures, 0);
      json_ += ',';
      duration("queue", stats.requests, 0);
      json_ += ',';
      duration("compute_input", stats.requests, stats.total_ns - stats.infer_ns);
      json_ += ',';
      duration("compute_infer", stats.requests, stats.infer_ns);
      json_ += ',';
      duration("compute_output", stats.requests, 0);
      json_ += "},\"batch_stats\":[]}";
    }
  }
  json_ += "]}";
  return {};
}

RestApi::Reply RestApi::index(HttpRequest& request) {
  const std::size_t size = request.body.size();
  request.body.resize(size + simdjson::SIMDJSON_PADDING);
  if (const std::string wrong = reader_.read_index({request.body.data(), size}); !wrong.empty()) {
    return error(400, wrong);
  }
  json_ += '[';
  for (std::size_t model = 0; model < kMaxModels; ++model) {
    if (engine_.route_of(model) == nullptr) continue;
    for (const std::uint32_t version : versions_of(model)) {
      if (json_.size() > 1) json_ += ',';
      json_ += "{\"name\":";
      append_text(json_, engine_.plan_of(model)->name);
      json_ += ",\"version\":\"";
      append_number(json_, version);
      json_ += R"(","state":"READY","reason":""})";
    }
  }
  json_ += ']';
  return {};
}

}  // namespace ringcraft
