#include "models/onnx_file.hpp"

#include <bit>
#include <limits>
#include <set>
#include <utility>

#include "models/wire_reader.hpp"

namespace ringcraft {
namespace {

static_assert(std::endian::native == std::endian::little, "raw tensors are little-endian");

constexpr std::int64_t kMaxElements = std::int64_t{1} << 28U;

[[noreturn]] void refuse(const std::string& why) { throw OnnxError("not read here: " + why); }

/// Numbers of a repeated field, packed or one by one.
void add_integers(const WireField& field, std::vector<std::int64_t>& into) {
  if (field.wire == WireField::kVarint) {
    into.push_back(field.integer());
  } else if (field.wire == WireField::kBytes) {
    WireReader reader(field.bytes);
    for (std::uint64_t number = 0; reader.next_varint(number);) {
      into.push_back(static_cast<std::int64_t>(number));
    }
  } else {
    refuse("integers of another wire type");
  }
}

template <class T>
void add_raw(std::string_view bytes, std::vector<T>& into) {
  if (bytes.size() % sizeof(T) != 0) {
    refuse("raw data of no whole number of elements");
  }
  const std::size_t had = into.size();
  into.resize(had + bytes.size() / sizeof(T));
  if (!bytes.empty()) {
    std::memcpy(into.data() + had, bytes.data(), bytes.size());
  }
}

void add_reals(const WireField& field, std::vector<float>& into) {
  if (field.wire == WireField::kFixed32) {
    into.push_back(field.real());
  } else if (field.wire == WireField::kBytes) {
    add_raw(field.bytes, into);
  } else {
    refuse("floats of another wire type");
  }
}

template <class T>
void add_widened(std::string_view bytes, std::vector<std::int64_t>& into) {
  std::vector<T> raw;
  add_raw(bytes, raw);
  into.insert(into.end(), raw.begin(), raw.end());
}

void add_raw_integers(std::string_view bytes, Element element, std::vector<std::int64_t>& into) {
  switch (element) {
    case Element::kUint8:
    case Element::kBool:
      return add_widened<std::uint8_t>(bytes, into);
    case Element::kInt8:
      return add_widened<std::int8_t>(bytes, into);
    case Element::kInt32:
      return add_widened<std::int32_t>(bytes, into);
    case Element::kInt64:
      return add_widened<std::int64_t>(bytes, into);
    default:
      refuse("element type " + std::to_string(static_cast<int>(element)));
  }
}

Element element_of(std::uint64_t number) {
  for (const Element known :
       {Element::kFloat, Element::kUint8, Element::kInt8, Element::kInt32, Element::kInt64, Element::kBool}) {
    if (number == static_cast<std::uint64_t>(known)) {
      return known;
    }
  }
  refuse("element type " + std::to_string(number));
}

OnnxTensor tensor_of(std::string_view message) {
  OnnxTensor tensor;
  std::string_view raw;
  WireReader reader(message);
  for (WireField field; reader.next(field);) {
    switch (field.id) {
      case 1:
        add_integers(field, tensor.sizes);
        break;
      case 2:
        tensor.element = element_of(field.number);
        break;
      case 4:
        add_reals(field, tensor.reals);
        break;
      case 5:
      case 7:
        add_integers(field, tensor.integers);
        break;
      case 8:
        tensor.name = field.bytes;
        break;
      case 9:
        raw = field.bytes;
        break;
      case 12:  // documentation
      case 16:  // metadata
        break;
      default:
        refuse("a tensor's field " + std::to_string(field.id));
    }
  }
  if (tensor.element == Element::kFloat) {
    add_raw(raw, tensor.reals);
  } else {
    add_raw_integers(raw, tensor.element, tensor.integers);
  }
  std::int64_t expected = 1;
  for (const std::int64_t size : tensor.sizes) {
    if (size < 0 || size > kMaxElements || (expected *= size) > kMaxElements) {
      refuse("tensor " + tensor.name + " of too many elements");
    }
  }
  const bool stray = tensor.element == Element::kFloat ? !tensor.integers.empty() : !tensor.reals.empty();
  if (stray || static_cast<std::int64_t>(tensor.count()) != expected) {
    refuse("tensor " + tensor.name + ": expected " + std::to_string(expected) + " elements, got " +
           std::to_string(tensor.count()));
  }
  return tensor;
}

std::pair<std::string, OnnxAttribute> attribute_of(std::string_view message) {
  std::string name;
  OnnxAttribute value;
  WireReader reader(message);
  for (WireField field; reader.next(field);) {
    switch (field.id) {
      case 1:
        name = field.bytes;
        break;
      case 2:
        value.real = field.real();
        break;
      case 3:
        value.integer = field.integer();
        break;
      case 4:
        value.text = field.bytes;
        break;
      case 5:
        value.tensor = tensor_of(field.bytes);
        break;
      case 7:
        add_reals(field, value.reals);
        break;
      case 8:
        add_integers(field, value.integers);
        break;
      case 9:
        value.texts.emplace_back(field.bytes);
        break;
      case 13:  // documentation
      case 20:  // type: the fields that are set say it
        break;
      default:
        refuse("an attribute's field " + std::to_string(field.id));
    }
  }
  return {std::move(name), std::move(value)};
}

OnnxNode node_of(std::string_view message) {
  OnnxNode node;
  WireReader reader(message);
  for (WireField field; reader.next(field);) {
    switch (field.id) {
      case 1:
        node.inputs.emplace_back(field.bytes);
        break;
      case 2:
        node.outputs.emplace_back(field.bytes);
        break;
      case 4:
        node.kind = field.bytes;
        break;
      case 5: {
        auto [name, value] = attribute_of(field.bytes);
        node.attributes.insert_or_assign(std::move(name), std::move(value));
        break;
      }
      case 7:
        node.domain = field.bytes;
        break;
      default:  // name, documentation, metadata
        break;
    }
  }
  node.domain = node.domain == "ai.onnx" ? "" : node.domain;
  return node;
}

std::vector<std::int64_t> shape_of(std::string_view message) {
  std::vector<std::int64_t> sizes;
  WireReader reader(message);
  for (WireField field; reader.next(field);) {
    if (field.id != 1) continue;
    sizes.push_back(-1);
    WireReader size(field.bytes);
    for (WireField part; size.next(part);) {
      if (part.id == 1) sizes.back() = part.integer();
    }
  }
  return sizes;
}

OnnxValue value_of(std::string_view message) {
  OnnxValue value;
  WireReader reader(message);
  for (WireField field; reader.next(field);) {
    if (field.id == 1) value.name = field.bytes;
    if (field.id != 2) continue;
    WireReader type(field.bytes);
    for (WireField kind; type.next(kind);) {
      if (kind.id != 1) refuse("value " + value.name + " that is no tensor");
      WireReader tensor(kind.bytes);
      for (WireField part; tensor.next(part);) {
        if (part.id == 1) value.element = element_of(part.number);
        if (part.id == 2) value.sizes = shape_of(part.bytes);
      }
    }
  }
  return value;
}

void read_graph(std::string_view message, OnnxGraph& graph) {
  std::vector<OnnxValue> inputs;
  WireReader reader(message);
  for (WireField field; reader.next(field);) {
    switch (field.id) {
      case 1:
        graph.nodes.push_back(node_of(field.bytes));
        break;
      case 5: {
        OnnxTensor tensor = tensor_of(field.bytes);
        std::string name = tensor.name;
        graph.constants.insert_or_assign(std::move(name), std::move(tensor));
        break;
      }
      case 11:
        inputs.push_back(value_of(field.bytes));
        break;
      case 12:
        graph.outputs.push_back(value_of(field.bytes));
        break;
      case 15:
        refuse("sparse tensors");
      default:  // name, documentation, shapes that follow from the rest
        break;
    }
  }
  for (OnnxValue& input : inputs) {
    if (!graph.constants.contains(input.name)) {
      graph.inputs.push_back(std::move(input));
    }
  }
}

void read_opset(std::string_view message, OnnxGraph& graph) {
  std::string domain;
  std::int64_t version = 0;
  WireReader reader(message);
  for (WireField field; reader.next(field);) {
    if (field.id == 1) domain = field.bytes;
    if (field.id == 2) version = field.integer();
  }
  if (domain.empty() || domain == "ai.onnx") {
    graph.opset = version;
  }
}

}  // namespace

const OnnxAttribute* OnnxNode::find(const std::string& name) const {
  const auto found = attributes.find(name);
  return found == attributes.end() ? nullptr : &found->second;
}

std::int64_t OnnxNode::integer(const std::string& name, std::int64_t otherwise) const {
  const OnnxAttribute* found = find(name);
  return found == nullptr ? otherwise : found->integer;
}

float OnnxNode::real(const std::string& name, float otherwise) const {
  const OnnxAttribute* found = find(name);
  return found == nullptr ? otherwise : found->real;
}

std::string OnnxNode::text(const std::string& name, const std::string& otherwise) const {
  const OnnxAttribute* found = find(name);
  return found == nullptr ? otherwise : found->text;
}

std::vector<std::int64_t> OnnxNode::integers(const std::string& name) const {
  const OnnxAttribute* found = find(name);
  return found == nullptr ? std::vector<std::int64_t>() : found->integers;
}

OnnxGraph parse_onnx(std::string_view bytes) {
  OnnxGraph graph;
  bool found = false;
  WireReader reader(bytes);
  for (WireField field; reader.next(field);) {
    if (field.id == 7) {
      if (found) refuse("two graphs");
      found = true;
      read_graph(field.bytes, graph);
    }
    if (field.id == 8) read_opset(field.bytes, graph);
    if (field.id == 25) refuse("functions");
  }
  if (!found) {
    throw OnnxError("not an ONNX file: no graph in it");
  }
  return graph;
}

}  // namespace ringcraft
