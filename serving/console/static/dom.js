// Elements made once and then only told what changed, so that a button under the pointer or a selection stays put.
// Text goes in as text: nothing that a model, a tag or a reason says is ever read as markup.

const SVG = "http://www.w3.org/2000/svg";

/** Make an element: attributes, then children (nodes, strings; null is left out). */
export function h(tag, attributes = {}, ...children) {
  return dress(document.createElement(tag), attributes, children);
}

/** The same in SVG. */
export function s(tag, attributes = {}, ...children) {
  return dress(document.createElementNS(SVG, tag), attributes, children);
}

function dress(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** Set text where it differs. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Set or, with null, remove an attribute where it differs. */
export function setAttribute(element, name, value) {
  if (value === null) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
}

/** Replace children unless `version`, which sums up what they show, is what it was. */
export function setChildren(element, version, make) {
  const said = JSON.stringify(version);
  if (element.shownVersion === said) return;
  element.shownVersion = said;
  element.replaceChildren(...make());
}

/** Link only where the address is a web address. */
export function webAddress(address) {
  return /^https?:\/\//i.test(address) ? address : null;
}

/** A table. columns: {title, unit?, hint?, right?, mono?, two?, wide?}; two and wide: room on a phone. rows: arrays of cells, each a string or a node. */
export function table(caption, columns, rows) {
  const head = columns.map((column) =>
    h("th", { scope: "col", role: "columnheader", class: column.right ? "right" : null, title: column.hint ?? null },
      column.title, column.unit ? h("small", {}, ` ${column.unit}`) : null));
  const body = rows.map((row) => h("tr", { role: "row" }, ...row.map((cell, index) => {
    const { title, unit, right, mono, two, wide } = columns[index];
    const kind = [right && "right", wide && "wide", mono && "mono", two && "two"].filter(Boolean).join(" ");
    return h("td", { role: "cell", class: kind || null, "data-label": unit ? `${title} ${unit}` : title }, cell);
  })));
  return h("table", { role: "table", "aria-label": caption },
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, ...head)),
    h("tbody", { role: "rowgroup" }, ...body));
}
