// One query: its picture is unpacked when it is first looked at.

const pictures = new Map();

async function picture(section, query) {
  const key = `${section}/${query}`;
  if (!pictures.has(key)) {
    if (!pictures.has(section)) pictures.set(section, read(`pictures-${section}`));
    const packed = pictures.get(section)[query];
    if (packed === null) return null;
    pictures.set(key, JSON.parse(await unpacked(packed)));
  }
  return pictures.get(key);
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
  const shown = await picture(section, query);
  if (choice.section !== section || choice.system !== system || choice.query !== query) return;
  if (!shown) {
    const { main } = sections[section];
    const known = systems.map(({ values }) => ({ values: values[query] === null ? {} : { [main]: values[query] } }));
    parts.push(valuesTable({ systems: known }), make("p", { class: "note" }, "The rankings of this query are not in the page: it keeps those on which the systems differ most."));
    return $("query").replaceChildren(...parts);
  }
  const seen = shown.systems[system];
  parts.push(valuesTable(shown));
  if (seen?.error) parts.push(make("p", { class: "error" }, make("b", {}, "This query failed. "), seen.error));
  const charts = [];
  const chart = (id, words, figure) => {
    const element = make("div", { class: "chart", id });
    charts.push([element, figure]);
    parts.push(make("h4", {}, words), element);
  };
  const name = systems[system].name;
  if (seen?.html) {
    if (systems[system].kind !== "first stage") chart("movement", `How ${name} moved the passages`, movementOf(shown, seen));
    if (seen.lifted) {
      chart("neighbours", `What lifted the first passages of ${name}`, neighboursOf(shown, seen));
      parts.push(make("p", { class: "note" }, "An arc joins a passage to one that lifted it: above, one that stands before it; below, one that stands after it."));
    }
    const fragment = make("div");
    // The fragment is the library's own markup, with all text in it escaped.
    fragment.innerHTML = seen.html;
    parts.push(make("h4", {}, `The ranking by ${name}`), fragment);
  }
  $("query").replaceChildren(...parts);
  for (const [element, figure] of charts) draw(element, figure);
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
  return make("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "table" }, make("table", {},
    make("thead", {}, make("tr", {}, make("th", {}, "system"), ...heads)), make("tbody", {}, ...lines)));
}

/** Lines from the old place to the new one: all relevant passages, and what is near the top on a side. */
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
    const high = Math.min(before ?? Infinity, now ?? Infinity) <= near;
    if (now === undefined || !(relevant.has(index) || high)) continue;
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

/** The first passages and those that lifted them in a row, best first, with an arc for each lift. */
function neighboursOf(shown, seen) {
  const place = new Map(seen.kept.map((index, at) => [index, at + 1]));
  const at = (index) => place.get(index) ?? Infinity;
  const lifted = new Map(seen.lifted);
  const nodes = [...new Set(seen.lifted.flatMap(([index, lifters]) => [index, ...lifters.map(([other]) => other)]))];
  nodes.sort((a, b) => (at(a) < at(b) ? -1 : at(a) > at(b) ? 1 : a - b));
  const slot = new Map(nodes.map((index, number) => [index, number]));
  const figure = structuredClone(figures.neighbours);
  const [arc, strong, others, relevant] = figure.data;
  const wanted = new Set(shown.relevant);
  const channels = [...new Set(seen.lifted.flatMap(([, lifters]) => lifters.map(([, , channel]) => channel)))];
  const arcs = channels.flatMap((channel, number) => [arc, strong].map((trace) => ({
    ...structuredClone(trace),
    name: plain(channel, 40),
    showlegend: trace === arc && channel !== "",
    legendgroup: channel,
    line: { ...trace.line, dash: ["solid", "dot", "dash", "dashdot"][number % 4] },
  })));
  for (const [index, lifters] of lifted) {
    for (const [other, , channel] of lifters) {
      const { x, y } = arcs[2 * channels.indexOf(channel) + Number(wanted.has(index))];
      const [from, to] = [slot.get(other), slot.get(index)];
      for (let turn = 0; turn <= 16; turn++) {
        x.push((from + to) / 2 - ((to - from) / 2) * Math.cos((Math.PI * turn) / 16));
        y.push((to - from) * Math.sin((Math.PI * turn) / 16));
      }
      x.push(null);
      y.push(null);
    }
  }
  for (const index of nodes) {
    const [id, text, grade] = shown.pool[index];
    const line = wanted.has(index) ? relevant : others;
    const told = (lifted.get(index) ?? []).map(([other, weight, channel]) =>
      `<br>lifted by ${plain(shown.pool[other][1], 40)}${channel ? ` (${plain(channel, 24)})` : ""}, ${fixed(weight)}`);
    line.x.push(slot.get(index));
    line.y.push(0);
    line.hovertext.push(`<b>${plain(id, 40)}</b> ${plain(text)}${grade === null ? "" : `<br>grade ${grade}`}${told.join("")}`);
  }
  figure.data = [...arcs, others, relevant].filter((trace) => trace.x.length || trace.showlegend);
  const heights = arcs.flatMap((trace) => trace.y);
  const [low, high] = [Math.min(...heights), Math.max(...heights)];
  const room = 0.1 * (high - low) + 0.5;
  figure.layout.yaxis.range = [low - room, high + room];
  figure.layout.xaxis.range = [-0.6, nodes.length - 0.4];
  const every = Math.ceil((nodes.length * 26) / Math.min(innerWidth, 1072));
  figure.layout.xaxis.tickvals = nodes.map((_, number) => number).filter((number) => number % every === 0);
  figure.layout.xaxis.ticktext = figure.layout.xaxis.tickvals.map((number) => (at(nodes[number]) < Infinity ? String(at(nodes[number])) : "out"));
  return figure;
}
