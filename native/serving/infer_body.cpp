#include "serving/infer_body.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <functional>
#include <new>
#include <numeric>
#include <span>

#include "serving/plain_infer.hpp"

namespace ringcraft {
namespace {

using simdjson::dom::array;
using simdjson::dom::element;
using simdjson::dom::element_type;
using simdjson::dom::object;

constexpr std::size_t kCapacity = std::size_t{1} << 16U;
constexpr std::size_t kDepthMax = 32;

std::string wrong(std::string_view field, std::string_view expected, std::string_view got) {
  std::string text(field);
  text.append(": expected ").append(expected).append(", got ").append(got);
  return text;
}

std::string_view kind_of(const element& value) noexcept {
  switch (value.type()) {
    case element_type::ARRAY:
      return "an array";
    case element_type::OBJECT:
      return "an object";
    case element_type::STRING:
      return "a string";
    case element_type::BOOL:
      return "a boolean";
    case element_type::NULL_VALUE:
      return "null";
    default:
      return "a number";
  }
}

/// A whole number, however it is spelled: 5, 5.0 and 5e0 are one in JSON.
bool whole(const element& value, std::uint64_t& into) noexcept {
  constexpr double kBeyond = 18446744073709551616.0;
  double number = 0;
  if (value.get_uint64().get(into) == simdjson::SUCCESS) return true;
  if (value.get_double().get(number) != simdjson::SUCCESS) return false;
  const bool met = number >= 0 && number < kBeyond && std::trunc(number) == number;
  if (met) into = static_cast<std::uint64_t>(number);
  return met;
}

/// The same JSON with ".0" behind integers that may not fit 64 bits, which simdjson would not read:
/// JavaScript writes 1e20 as a hundred million million millions.
void spell_long_integers(std::string_view json, std::string& into) {
  constexpr std::size_t kSure = 18;  ///< so many digits always fit
  into.clear();
  for (std::size_t i = 0; i < json.size();) {
    const std::size_t from = i;
    if (json[i] == '"') {
      for (++i; i < json.size() && json[i] != '"'; ++i) i += json[i] == '\\' ? 1 : 0;
      i = std::min(i + 1, json.size());
      into += json.substr(from, i - from);
      continue;
    }
    const auto digit = [&](std::size_t at) { return at < json.size() && json[at] >= '0' && json[at] <= '9'; };
    while (digit(i)) ++i;
    const bool fraction = from > 0 && (json[from - 1] == '.' || json[from - 1] == 'e' ||
                                       json[from - 1] == 'E' || json[from - 1] == '+');
    const bool more = i < json.size() && (json[i] == '.' || json[i] == 'e' || json[i] == 'E');
    const bool spell = i - from > kSure && !fraction && !more;
    if (i == from) ++i;
    into += json.substr(from, i - from);
    if (spell) into += ".0";
  }
}

using Dims = std::span<const std::size_t>;

bool take_number(const element& value, std::vector<float>& into) {
  double number = 0;
  if (value.get_double().get(number) != simdjson::SUCCESS) return false;
  into.push_back(narrowed(number));
  return true;
}

/// Appends the numbers of an array that is nested as `dims` are; false at anything else.
bool append_nested(const array& values, Dims dims, std::vector<float>& into) {
  if (values.size() != dims.front()) return false;
  return std::all_of(values.begin(), values.end(), [&](const element value) {
    if (dims.size() == 1) return take_number(value, into);
    return value.is_array() && append_nested(array(value), dims.subspan(1), into);
  });
}

/// Appends the numbers of an array, flat or nested as `dims` are; false at anything else, or beyond their
/// product. Nested in another way it would be other rows than whoever sent it means.
bool flatten(const array& values, Dims dims, std::vector<float>& into) {
  if (values.size() > 0 && (*values.begin()).is_array()) return append_nested(values, dims, into);
  const std::size_t most = std::accumulate(dims.begin(), dims.end(), std::size_t{1}, std::multiplies<>());
  return std::all_of(values.begin(), values.end(),
                     [&](const element value) { return into.size() < most && take_number(value, into); });
}

/// Of so many rows; what `flatten` is told.
std::array<std::size_t, 3> dims_of(std::size_t rows, const InputShape& shape) {
  return shape.window > 1 ? std::array{rows, shape.window, shape.width}
                          : std::array{rows, shape.width, std::size_t{1}};
}

Dims told(const std::array<std::size_t, 3>& dims, const InputShape& shape) {
  return Dims(dims).first(shape.window > 1 ? 3 : 2);
}

/// Triton's extensions that are not served: their answer would be another than the one asked for.
std::string unserved(const object& owner, std::string_view where) {
  for (const std::string_view name : {"classification", "shared_memory_region"}) {
    element parameters;
    element value;
    if (owner.at_key("parameters").get(parameters) == simdjson::SUCCESS && parameters.is_object() &&
        object(parameters).at_key(name).get(value) == simdjson::SUCCESS) {
      return wrong(std::string(where).append(".parameters.").append(name),
                   "none, as that extension is not served",
                   std::string(simdjson::minify(value)).substr(0, 100));
    }
  }
  return {};
}

std::string shape_text(const array& shape) {
  std::string text = "[";
  for (const element dim : shape) {
    if (text.size() > 1) text += ',';
    if (text.size() > 80) return text + "...]";
    text += std::string(simdjson::minify(dim)).substr(0, 40);
  }
  return text + "]";
}

/// The rows that a shape states; 0 where it is not the model's.
std::size_t rows_of(const array& shape, const InputShape& model) {
  std::size_t place = 0;
  std::size_t rows = 0;
  const std::size_t rank = model.window > 1 ? 3 : 2;
  for (const element dim : shape) {
    std::uint64_t size = 0;
    if (!whole(dim, size) || place >= rank) return 0;
    const std::size_t expected = place == 0 ? 0 : place + 1 == rank ? model.width : model.window;
    if (place == 0) {
      if (size < 1 || size > model.rows_max) return 0;
      rows = size;
    } else if (size != expected) {
      return 0;
    }
    ++place;
  }
  return place == rank ? rows : 0;
}

std::string read_parameters(const object& root, InferBody& into) {
  element told;
  if (root.at_key("parameters").get(told) != simdjson::SUCCESS) return {};
  if (!told.is_object()) return wrong("parameters", "an object", kind_of(told));
  const object parameters(told);
  element timeout;
  if (parameters.at_key("timeout").get(timeout) == simdjson::SUCCESS && !whole(timeout, into.timeout_us)) {
    return wrong("parameters.timeout", "whole microseconds", kind_of(timeout));
  }
  for (const auto& [name, place] : {std::pair("key", &into.key), std::pair("instrument", &into.instrument)}) {
    element text;
    if (parameters.at_key(name).get(text) == simdjson::SUCCESS &&
        text.get_string().get(*place) != simdjson::SUCCESS) {
      return wrong(std::string("parameters.") + name, "a string", kind_of(text));
    }
  }
  return {};
}

/// Reads a flag of the owner's parameters; none: absent.
std::string read_flag(const object& owner, const char* name, std::string_view where,
                      std::optional<bool>& into) {
  into.reset();
  element parameters;
  if (owner.at_key("parameters").get(parameters) != simdjson::SUCCESS) return {};
  const auto place = [where] { return std::string(where) + "parameters"; };
  if (!parameters.is_object()) return wrong(place(), "an object", kind_of(parameters));
  element told;
  if (object(parameters).at_key(name).get(told) != simdjson::SUCCESS) return {};
  bool flag = false;
  if (told.get_bool().get(flag) != simdjson::SUCCESS) {
    return wrong(place() + "." + name, "true or false", kind_of(told));
  }
  into = flag;
  return {};
}

}  // namespace

std::string InputShape::text() const {
  std::string dims = "[1.." + std::to_string(rows_max) + ",";
  if (window > 1) dims += std::to_string(window) + ",";
  return dims + std::to_string(width) + "]";
}

BodyReader::BodyReader() {
  if (parser_.allocate(kCapacity, kDepthMax) != simdjson::SUCCESS) throw std::bad_alloc();
}

std::string BodyReader::parse(std::string_view json) {
  if (json.size() > parser_.capacity() &&
      parser_.allocate(std::max(json.size(), 2 * parser_.capacity()), kDepthMax) != simdjson::SUCCESS) {
    return wrong("body", "as much memory as it takes", "less");
  }
  auto error = parser_.parse(json.data(), json.size(), false).get(root_);
  if (error == simdjson::NUMBER_ERROR) {
    spell_long_integers(json, spelled_);
    error = parser_.parse(spelled_).get(root_);
  }
  if (error != simdjson::SUCCESS) return wrong("body", "JSON", simdjson::error_message(error));
  return root_.is_object() ? std::string() : wrong("body", "an object", kind_of(root_));
}

std::string BodyReader::read(std::string_view body, std::optional<std::size_t> json_bytes,
                             const InputShape& shape, InferBody& into) {
  into.rows.clear();
  into.has_id = into.raw = false;
  into.timeout_us = 0;
  into.id = into.key = into.instrument = {};
  std::fill(std::begin(into.outputs), std::end(into.outputs), Form::kJson);
  const std::size_t row_bytes = shape.row_floats() * sizeof(float);
  if (json_bytes && *json_bytes > body.size()) {
    return wrong("Inference-Header-Content-Length", "at most " + std::to_string(body.size()),
                 std::to_string(*json_bytes));
  }
  if (json_bytes && *json_bytes == 0) {
    into.raw = true;
    into.count = body.size() / row_bytes;
    if (body.size() % row_bytes != 0 || into.count < 1 || into.count > shape.rows_max) {
      return wrong(
          "body", "1.." + std::to_string(shape.rows_max) + " rows of " + std::to_string(row_bytes) + " bytes",
          std::to_string(body.size()) + " bytes");
    }
    into.rows.resize(body.size() / sizeof(float));
    std::memcpy(into.rows.data(), body.data(), body.size());
    std::fill(std::begin(into.outputs), std::end(into.outputs), Form::kBinary);
    return {};
  }
  const std::string_view json = body.substr(0, json_bytes.value_or(body.size()));
  const std::string_view binary = body.substr(json.size());
  if (binary.empty() && read_plain(json, shape, into)) return {};
  return read_any(json, binary, shape, into);
}

std::string BodyReader::read_any(std::string_view json, std::string_view binary, const InputShape& shape,
                                 InferBody& into) {
  if (std::string error = parse(json); !error.empty()) return error;
  const object root(root_);
  element id;
  if (root.at_key("id").get(id) == simdjson::SUCCESS) {
    if (id.get_string().get(into.id) != simdjson::SUCCESS) return wrong("id", "a string", kind_of(id));
    into.has_id = true;
  }
  if (std::string error = read_parameters(root, into); !error.empty()) return error;
  element inputs;
  if (root.at_key("inputs").get(inputs) != simdjson::SUCCESS) return wrong("inputs", "one tensor", "nothing");
  if (!inputs.is_array() || array(inputs).size() != 1) {
    return wrong(
        "inputs", "an array of one tensor",
        inputs.is_array() ? std::to_string(array(inputs).size()) + " tensors" : std::string(kind_of(inputs)));
  }
  const element input = array(inputs).at(0);
  if (!input.is_object()) return wrong("inputs[0]", "an object", kind_of(input));
  if (std::string error = read_input(object(input), binary, shape, into); !error.empty()) return error;
  return read_outputs(root, into);
}

std::string BodyReader::read_input(const object& input, std::string_view binary, const InputShape& shape,
                                   InferBody& into) {
  std::string_view name;
  if (input.at_key("name").get_string().get(name) != simdjson::SUCCESS || name != kInputName) {
    return wrong("inputs[0].name", kInputName, name.empty() ? "nothing" : name.substr(0, 100));
  }
  if (std::string error = unserved(input, "inputs[0]"); !error.empty()) return error;
  std::string_view datatype;
  if (input.at_key("datatype").get_string().get(datatype) != simdjson::SUCCESS || datatype != "FP32") {
    return wrong("inputs[0].datatype", "FP32", datatype.empty() ? "nothing" : datatype.substr(0, 100));
  }
  array dims;
  if (input.at_key("shape").get_array().get(dims) != simdjson::SUCCESS) {
    return wrong("inputs[0].shape", shape.text(), "nothing");
  }
  into.count = rows_of(dims, shape);
  if (into.count == 0) return wrong("inputs[0].shape", shape.text(), shape_text(dims));
  const std::size_t floats = into.count * shape.row_floats();
  element parameters;
  element size_told;
  const bool sized = input.at_key("parameters").get(parameters) == simdjson::SUCCESS &&
                     parameters.is_object() &&
                     object(parameters).at_key("binary_data_size").get(size_told) == simdjson::SUCCESS;
  element data;
  const bool has_data = input.at_key("data").get(data) == simdjson::SUCCESS;
  if (sized) {
    std::uint64_t size = 0;
    if (has_data) return wrong("inputs[0].data", "none beside binary_data_size", kind_of(data));
    if (!whole(size_told, size) || size != floats * sizeof(float)) {
      return wrong("inputs[0].parameters.binary_data_size", std::to_string(floats * sizeof(float)),
                   std::string(simdjson::minify(size_told)).substr(0, 100));
    }
    if (binary.size() != size) {
      return wrong("body", std::to_string(size) + " bytes behind the JSON", std::to_string(binary.size()));
    }
    into.rows.resize(floats);
    std::memcpy(into.rows.data(), binary.data(), size);
    return {};
  }
  if (!binary.empty()) {
    return wrong("body", "nothing behind the JSON", std::to_string(binary.size()) + " bytes");
  }
  if (!has_data || !data.is_array()) {
    return wrong("inputs[0].data", "an array", has_data ? kind_of(data) : "nothing");
  }
  const auto dims_told = dims_of(into.count, shape);
  if (!flatten(array(data), told(dims_told, shape), into.rows) || into.rows.size() != floats) {
    return wrong("inputs[0].data", std::to_string(floats) + " numbers, flat or nested as the shape",
                 into.rows.size() == floats ? "more, or something else" : std::to_string(into.rows.size()));
  }
  return {};
}

std::string BodyReader::read_outputs(const object& root, InferBody& into) const {
  std::optional<bool> flag;
  if (std::string error = read_flag(root, "binary_data_output", "", flag); !error.empty()) return error;
  const Form form = flag.value_or(false) ? Form::kBinary : Form::kJson;
  element outputs;
  if (root.at_key("outputs").get(outputs) != simdjson::SUCCESS) {
    std::fill(std::begin(into.outputs), std::end(into.outputs), form);
    return {};
  }
  if (!outputs.is_array()) return wrong("outputs", "an array", kind_of(outputs));
  std::fill(std::begin(into.outputs), std::end(into.outputs), array(outputs).size() == 0 ? form : Form::kNot);
  for (const element output : array(outputs)) {
    std::string_view name;
    if (!output.is_object() || object(output).at_key("name").get_string().get(name) != simdjson::SUCCESS) {
      return wrong("outputs", "objects with a name", kind_of(output));
    }
    const auto* known = std::find(std::begin(kOutputNames), std::end(kOutputNames), name);
    if (known == std::end(kOutputNames)) {
      return wrong("outputs[].name", "output, action, decision_id or abstain", name.substr(0, 100));
    }
    if (std::string error = read_flag(object(output), "binary_data", "outputs[].", flag); !error.empty()) {
      return error;
    }
    if (std::string error = unserved(object(output), "outputs[]"); !error.empty()) return error;
    into.outputs[known - std::begin(kOutputNames)] = !flag ? form : *flag ? Form::kBinary : Form::kJson;
  }
  return {};
}

std::string BodyReader::read_short(std::string_view body, DecideBody& into) {
  into = {};
  if (std::string error = parse(body); !error.empty()) return error;
  const object root(root_);
  for (const auto field : root) {
    const bool text = field.key == "model" || field.key == "instrument" || field.key == "key";
    if (text) {
      std::string_view& place = field.key == "model" ? into.model
                                : field.key == "key" ? into.key
                                                     : into.instrument;
      if (field.value.get_string().get(place) != simdjson::SUCCESS) {
        return wrong(field.key, "a string", kind_of(field.value));
      }
    } else if (field.key == "deadline_ms") {
      const bool met = field.value.get_double().get(into.deadline_ms) == simdjson::SUCCESS &&
                       into.deadline_ms > 0 && into.deadline_ms <= 1e6;
      if (!met)
        return wrong("deadline_ms", "a number in (0, 1000000]", simdjson::minify(field.value).substr(0, 100));
    } else if (field.key != "features") {
      return wrong("body", "model, features, instrument, key, deadline_ms", field.key.substr(0, 100));
    }
  }
  return into.model.empty() ? wrong("model", "a name", "nothing") : std::string();
}

std::string BodyReader::features(const InputShape& shape, InferBody& into) {
  into.rows.clear();
  element data;
  const bool there = object(root_).at_key("features").get(data) == simdjson::SUCCESS;
  const std::size_t floats = shape.row_floats();
  if (!there || !data.is_array())
    return wrong("features", std::to_string(floats) + " numbers", there ? kind_of(data) : "nothing");
  // A vector may lie in a list of its own, as the one row of v2.
  const auto dims =
      shape.window > 1 ? std::array{shape.window, shape.width} : std::array{std::size_t{1}, shape.width};
  if (!flatten(array(data), dims, into.rows) || into.rows.size() != floats) {
    return wrong("features", std::to_string(floats) + " numbers",
                 into.rows.size() == floats ? "more, or something else" : std::to_string(into.rows.size()));
  }
  into.count = 1;
  return {};
}

std::string BodyReader::read_index(std::string_view body) {
  if (body.empty()) return {};
  if (std::string error = parse(body); !error.empty()) return error;
  element ready;
  return object(root_).at_key("ready").get(ready) == simdjson::SUCCESS && !ready.is_bool()
             ? wrong("ready", "a boolean", kind_of(ready))
             : std::string();
}

}  // namespace ringcraft
