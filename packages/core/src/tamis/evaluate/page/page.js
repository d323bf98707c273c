"use strict";

const $ = (id) => document.getElementById(id);
const read = (id) => JSON.parse($(id).textContent);
const { sections, figures } = read("data");
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

// Charts: colours are names of custom properties, filled in under the theme of the moment.

const drawn = new Map();
const probe = document.body.appendChild(make("span", { hidden: "" }));

function colour(name) {
  probe.style.color = `var(${name})`;
  return getComputedStyle(probe).color;
}

function coloured(value, key = "") {
  if (Array.isArray(value)) return value.map((item) => coloured(item, key));
  if (value && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, coloured(item, name)]));
  }
  return typeof value === "string" && key.endsWith("color") && value.startsWith("--") ? colour(value) : value;
}

function draw(element, figure) {
  drawn.set(element, figure);
  Plotly.react(element, coloured(figure.data), coloured(figure.layout), { responsive: true, displayModeBar: false });
}

function onPoint(element, handle) {
  element.removeAllListeners("plotly_click");
  element.on("plotly_click", (event) => handle(event.points[0]));
}

function repaint() {
  for (const [element, figure] of drawn) {
    if (element.isConnected) draw(element, figure);
    else drawn.delete(element);
  }
}

// Theme: the system's, until the button says otherwise; paper is always light.

const dark = matchMedia("(prefers-color-scheme: dark)");
dark.addEventListener("change", repaint);
$("theme").addEventListener("click", () => {
  const theme = document.documentElement.dataset.theme ?? (dark.matches ? "dark" : "light");
  document.documentElement.dataset.theme = theme === "dark" ? "light" : "dark";
  repaint();
});
addEventListener("beforeprint", () => {
  const before = document.documentElement.dataset.theme;
  document.documentElement.dataset.theme = "light";
  repaint();
  addEventListener("afterprint", () => {
    if (before) document.documentElement.dataset.theme = before;
    else delete document.documentElement.dataset.theme;
    repaint();
  }, { once: true });
});

// Links: #dataset/system/query.

function link(section, system = null, query = null) {
  const { name, systems, queries } = sections[section];
  const parts = [name];
  if (system !== null) parts.push(systems[system].name);
  if (query !== null) parts.push(queries[query][0]);
  return "#" + parts.map((part) => encodeURIComponent(part.toWellFormed?.() ?? part)).join("/");
}

function follow() {
  let parts = [];
  try {
    parts = location.hash.slice(1).split("/").map(decodeURIComponent);
  } catch {
    // A hash that is no address of this page is none.
  }
  const section = Math.max(0, sections.findIndex((item) => item.name === parts[0]));
  const { systems, queries } = sections[section];
  const named = systems.findIndex((item) => item.name === parts[1] && item.kind !== "bound");
  const asked = queries.findIndex((item) => item[0] === parts[2]);
  const moved = section !== choice.section || !drawn.size;
  if (moved) choice.against = 0;
  choice.section = section;
  choice.system = named >= 0 ? named : moved ? best(systems) : choice.system;
  if (asked >= 0) choice.query = asked;
  else if (moved) choice.query = sorted("gain")[0] ?? 0;
  show(moved);
  if (asked >= 0) $("query").focus({ preventScroll: true }), $("query").scrollIntoView({ block: "start" });
}

/** The system with the highest mean; the first stage only where there is no other. */
function best(systems) {
  const rivals = systems.map((item, index) => ({ ...item, index })).filter((item) => item.kind !== "bound" && item.index > 0);
  rivals.sort((a, b) => (b.mean ?? -Infinity) - (a.mean ?? -Infinity));
  return rivals[0]?.index ?? 0;
}

function difference(query) {
  const { systems } = current();
  const value = systems[choice.system].values[query];
  const base = systems[choice.against].values[query];
  return value === null || base === null ? null : value - base;
}

/** Queries in one of the orders of the list; those without a value come last. */
function sorted(order) {
  const { systems, queries } = current();
  const values = systems[choice.system].values;
  const keys = {
    gain: (query) => -(difference(query) ?? -Infinity),
    loss: (query) => difference(query) ?? Infinity,
    low: (query) => values[query] ?? Infinity,
    order: (query) => query,
  };
  const key = queries.map((_, query) => keys[order](query));
  return queries.map((_, query) => query).sort((a, b) => (key[a] === key[b] ? a - b : key[a] - key[b]));
}

// The parts of the page.

function show(moved) {
  if (moved) {
    for (const element of document.querySelectorAll(".dataset")) element.hidden = Number(element.dataset.index) !== choice.section;
    for (const [index, element] of [...$("datasets").children].entries()) {
      if (index === choice.section) element.setAttribute("aria-current", "true");
      else element.removeAttribute("aria-current");
    }
    showAxes();
  }
  showChoice();
  showGains();
  showQueries();
  showQuery();
  showScores();
}

function showAxes() {
  const costs = Object.entries(current().tradeoff);
  $("tradeoff-part").hidden = !costs.length;
  if (!costs.length) return;
  if (!current().tradeoff[choice.axis]) choice.axis = costs[0][0];
  const button = ([name, figure]) => {
    const element = make("button", { type: "button", "aria-pressed": String(name === choice.axis) }, figure.layout.xaxis.title.text);
    element.addEventListener("click", () => {
      choice.axis = name;
      showAxes();
    });
    return element;
  };
  $("axes").replaceChildren(...(costs.length > 1 ? costs.map(button) : []));
  const figure = structuredClone(current().tradeoff[choice.axis]);
  const names = figure.data[1];
  if (innerWidth < 600) names.text = names.customdata.map((name) => plain(name, 14));
  draw($("tradeoff"), figure);
  onPoint($("tradeoff"), (point) => {
    const system = current().systems.findIndex((item) => item.name === point.customdata);
    if (system >= 0) location.hash = link(choice.section, system);
  });
}

function showChoice() {
  const { systems } = current();
  const options = (chosen) => systems
    .map((item, index) => ({ ...item, index }))
    .filter((item) => item.kind !== "bound")
    .map((item) => new Option(cut(item.name, 60), item.index, false, item.index === chosen));
  $("system").replaceChildren(...options(choice.system));
  $("against").replaceChildren(...options(choice.against));
  for (const anchor of document.querySelectorAll(`.dataset[data-index="${choice.section}"] a[data-system]`)) {
    anchor.closest("tr").classList.toggle("chosen", anchor.dataset.system === systems[choice.system].name);
  }
}

function showGains() {
  const { systems, queries, main, verdicts } = current();
  const order = sorted("gain").filter((query) => difference(query) !== null);
  const values = order.map(difference);
  const [system, base] = [systems[choice.system].name, systems[choice.against].name];
  const count = (test) => values.filter(test).length;
  const verdict = verdicts[`${system}\n${base}`];
  const mean = values.reduce((sum, value) => sum + value, 0) / (values.length || 1);
  const said = verdict ? ` Tested: ${verdict}.` : "";
  $("balance").textContent = choice.system === choice.against
    ? "Choose two different systems to see where one gains and the other loses."
    : `${count((v) => v > 0)} queries better, ${count((v) => v < 0)} worse, ${count((v) => v === 0)} the same; on average ${signed(mean)} ${main}.${said}`;
  const [bars] = figures.gains.data;
  const layout = structuredClone(figures.gains.layout);
  layout.yaxis.title.text = `difference in ${plain(main)}`;
  draw($("gains"), {
    data: [{
      ...bars,
      x: order.map((_, place) => place + 1),
      y: values,
      marker: { ...bars.marker, color: values.map((value) => (value < 0 ? "--worse" : "--better")) },
      hovertext: order.map((query, place) => `<b>${plain(queries[query][1])}</b><br>${signed(values[place])}`),
    }],
    layout,
  });
  onPoint($("gains"), (point) => open(order[point.pointNumber]));
}

function open(query) {
  location.hash = link(choice.section, choice.system, query);
}

function showQueries() {
  const { queries } = current();
  const words = $("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  const found = sorted($("sort").value).filter((query) => {
    const text = queries[query].join(" ").toLowerCase();
    return words.every((word) => text.includes(word));
  });
  $("found").textContent = `${found.length} of ${queries.length} queries; the columns are the difference and the value of ${current().main}.`;
  $("queries").replaceChildren(...found.map((query) => {
    const gain = difference(query);
    const value = current().systems[choice.system].values[query];
    const tone = gain > 0 ? "better" : gain < 0 ? "worse" : "muted";
    return make("li", {}, make("a", {
      href: link(choice.section, choice.system, query),
      "aria-current": query === choice.query ? "true" : null,
      title: queries[query][1],
    },
    make("span", { class: `number ${tone}` }, gain === null ? "–" : signed(gain)),
    make("span", { class: "number" }, fixed(value)),
    make("span", { class: "text" }, make("bdi", {}, queries[query][1]))));
  }));
}

function showScores() {
  const { scores, note, dropped, name } = current().systems[choice.system];
  $("scores-note").textContent = `${name}: ${note}`;
  $("scores").hidden = !scores;
  if (scores) draw($("scores"), scores);
  const line = ([why, passages, relevant, queries]) => make("li", {},
    make("b", {}, passages.toLocaleString("en")), ` ${why}, in ${queries.toLocaleString("en")} queries; `,
    make("span", { class: relevant ? "worse" : "muted" }, relevant ? `${relevant.toLocaleString("en")} of them relevant` : "none of them relevant"));
  $("dropped").replaceChildren(dropped.length
    ? make("ul", {}, ...dropped.map(line))
    : make("p", { class: "note" }, `${name} dropped nothing.`));
}

// One query: its picture is unpacked when it is first looked at.

const unpacked = new Map();

async function picture(section, query) {
  const key = `${section}/${query}`;
  if (!unpacked.has(key)) {
    if (!unpacked.has(section)) unpacked.set(section, read(`pictures-${section}`));
    const packed = unpacked.get(section)[query];
    if (packed === null) return null;
    const bytes = Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    unpacked.set(key, await new Response(stream).json());
  }
  return unpacked.get(key);
}

async function showQuery() {
  const { section, system, query } = choice;
  const { queries, systems } = sections[section];
  if (!queries.length) return;
  const [id, text] = queries[query];
  const order = sorted($("sort").value);
  const place = order.indexOf(query);
  const step = (words, other) => (other === undefined ? make("span") : make("a", { href: link(section, system, other) }, words));
  const parts = [
    make("div", { class: "steps" }, step("← previous", order[place - 1]),
      make("span", {}, `query ${place + 1} of ${order.length}, by ${$("sort").selectedOptions[0].text}`), step("next →", order[place + 1])),
    make("p", { class: "query-text" }, make("bdi", {}, text)),
    make("p", { class: "muted" }, `id ${id}`),
  ];
  const missing = (words) => make("p", { class: "note" }, words);
  if (typeof DecompressionStream === "undefined") {
    parts.push(missing("This browser cannot unpack the single rankings: it has no DecompressionStream. Chrome 80, Firefox 113, Safari 16.4 and later do."));
    return $("query").replaceChildren(...parts);
  }
  const shown = await picture(section, query);
  if (choice.section !== section || choice.system !== system || choice.query !== query) return;
  if (!shown) {
    parts.push(missing("The rankings of this query are not in the page: it keeps those on which the systems differ most."));
    return $("query").replaceChildren(...parts);
  }
  const seen = shown.systems[system];
  parts.push(valuesTable(shown));
  if (seen?.error) parts.push(make("p", { class: "error" }, make("b", {}, "This query failed. "), seen.error));
  let chart = null;
  if (seen?.html) {
    if (systems[system].kind !== "first stage") {
      chart = make("div", { class: "chart", id: "movement" });
      parts.push(make("h4", {}, `How ${systems[system].name} moved the passages`), chart);
    }
    const fragment = make("div");
    // The fragment is the library's own markup, with all text in it escaped.
    fragment.innerHTML = seen.html;
    parts.push(make("h4", {}, `The ranking by ${systems[system].name}`), fragment);
  }
  $("query").replaceChildren(...parts);
  if (chart) draw(chart, movementOf(shown, seen));
}

function valuesTable(shown) {
  const { systems, metrics } = current();
  const present = metrics.filter((metric) => shown.systems.some((item) => item && metric in item.values));
  const lines = systems.map((item, index) => {
    const values = shown.systems[index]?.values ?? {};
    const name = item.kind === "bound" ? make("span", { class: "muted" }, item.name)
      : make("a", { href: link(choice.section, index, choice.query) }, item.name);
    const error = shown.systems[index]?.error ? [make("span", { class: "worse" }, " failed")] : [];
    return make("tr", { class: index === choice.system ? "chosen" : null }, make("th", { scope: "row" }, name, ...error),
      ...present.map((metric) => make("td", { class: "number" }, fixed(values[metric]))));
  });
  const heads = present.map((metric) => make("th", { class: "number" }, metric));
  return make("div", { class: "wide" }, make("table", {},
    make("thead", {}, make("tr", {}, make("th", {}, "system"), ...heads)), make("tbody", {}, ...lines)));
}

/** Lines from the old place to the new one: all relevant passages, and what is among the first twenty on a side. */
function movementOf(shown, seen) {
  const { pool, first } = shown;
  const after = new Map(seen.kept.map((index, place) => [index, place + 1]));
  const dropped = new Set(seen.dropped);
  const last = Math.max(first, seen.kept.length, 2);
  const bottom = last * 1.35;
  const relevant = new Set(shown.relevant);
  const figure = structuredClone(figures.movement);
  for (const [index, [id, text, grade]] of pool.entries()) {
    const before = index < first ? index + 1 : null;
    const now = after.get(index) ?? (dropped.has(index) ? null : undefined);
    const near = Math.min(before ?? Infinity, now ?? Infinity) <= 20;
    if (now === undefined || !(relevant.has(index) || near)) continue;
    const line = figure.data[relevant.has(index) ? 1 : 0];
    const judged = grade === null ? "" : `<br>grade ${grade}`;
    const told = `<b>${plain(id, 40)}</b> ${plain(text)}<br>${before ?? "new"} → ${now ?? "dropped"}${judged}`;
    line.x.push(0, 1, null);
    line.y.push(before ?? bottom, now ?? bottom, null);
    line.hovertext.push(told, told, "");
  }
  figure.data[0].showlegend = figure.data[0].x.length > 0;
  figure.data[1].showlegend = figure.data[1].x.length > 0;
  const ticks = [1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000].filter((tick) => tick <= last);
  const out = dropped.size > 0 || pool.length > first;
  figure.layout.yaxis.tickvals = out ? [...ticks, bottom] : ticks;
  figure.layout.yaxis.ticktext = [...ticks.map(String), ...(out ? ["out"] : [])];
  figure.layout.yaxis.range = [Math.log10(bottom * 1.1), Math.log10(0.85)];
  return figure;
}

// Tables: a click on a head sorts the systems; bounds stay below.

function sortable(table) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    if ("plain" in head.dataset) return;
    const button = make("button", { type: "button" }, ...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const numeric = head.classList.contains("number");
      const rising = head.getAttribute("aria-sort") ? head.getAttribute("aria-sort") === "descending" : !numeric;
      const key = (row) => (numeric ? Number(row.cells[column].dataset.value ?? -Infinity) : row.cells[column].textContent);
      const compare = (a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0) * (rising ? 1 : -1);
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", rising ? "ascending" : "descending");
      const body = table.tBodies[0];
      body.append(...[...body.rows].sort(compare));
    });
  });
}

for (const table of document.querySelectorAll("table.sortable")) sortable(table);
for (const element of document.querySelectorAll(".dataset")) {
  const section = Number(element.dataset.index);
  for (const anchor of element.querySelectorAll("a[data-system]")) {
    anchor.href = link(section, sections[section].systems.findIndex((item) => item.name === anchor.dataset.system));
  }
}
if (sections.length > 1) {
  $("datasets").append(...sections.map((item, index) => make("a", { href: link(index) }, make("bdi", {}, item.name))));
  $("datasets").hidden = false;
}
$("system").addEventListener("change", (event) => {
  location.hash = link(choice.section, Number(event.target.value));
});
$("against").addEventListener("change", (event) => {
  choice.against = Number(event.target.value);
  showGains();
  showQueries();
});
$("search").addEventListener("input", showQueries);
$("sort").addEventListener("change", () => {
  showQueries();
  showQuery();
});
addEventListener("hashchange", follow);
if (sections.length) {
  $("explorer").hidden = false;
  follow();
}
