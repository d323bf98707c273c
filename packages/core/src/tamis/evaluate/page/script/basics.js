"use strict";

const $ = (id) => document.getElementById(id);
const read = (id) => JSON.parse($(id).textContent);
const { sections, figures, near } = read("data");
const choice = { section: 0, system: 0, query: 0, against: 0, axis: null };
const current = () => sections[choice.section];

/** An element with attributes and children; text never becomes markup. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

const signed = (value) => (value < 0 ? "−" : "+") + Math.abs(value).toFixed(3);
const fixed = (value) => (value === undefined || value === null ? "–" : Math.abs(value) < 2 ? value.toFixed(3) : String(Number(value.toFixed(1))));
const cut = (text, length) => (text.length > length ? text.slice(0, length - 1) + "…" : text);
/** Text for plotly, which reads some HTML in its labels. */
const plain = (text, length = 70) => cut(text, length).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

/** The text that was gzipped and written in base64. */
async function unpacked(packed) {
  const letters = atob(packed);
  const bytes = new Uint8Array(letters.length);
  for (let index = 0; index < letters.length; index++) bytes[index] = letters.charCodeAt(index);
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
}
