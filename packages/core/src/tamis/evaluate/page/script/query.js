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
  const why = sections[section].uncounted[query];
  if (why) parts.push(make("p", { class: "error", id: "uncounted" }, `This query does not count in the means: ${why}.`));
  const shown = await picture(section, query);
  if (choice.section !== section || choice.system !== system || choice.query !== query) return;
  if (!shown) {
    const { main } = sections[section];
    const known = systems.map(({ values }) => ({ values: values[query] === null ? {} : { [main]: values[query] } }));
    parts.push(...valuesTables({ systems: known }), make("p", { class: "note" }, "The rankings of this query are not in the page: it keeps those on which the systems differ most."));
    return $("query").replaceChildren(...parts);
  }
  const seen = shown.systems[system];
  parts.push(...valuesTables(shown));
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
    const fragment = make("div");
    // The fragment is the library's own markup, with all text in it escaped.
    fragment.innerHTML = seen.html;
    parts.push(make("h4", {}, `The ranking by ${name}`), fragment);
  }
  $("query").replaceChildren(...parts);
  for (const [element, figure] of charts) draw(element, figure);
}

/** Values of all systems for this query, in tables of few enough columns that none is cut. */
function valuesTables(shown) {
  const { metrics } = current();
  const present = metrics.filter((metric) => shown.systems.some((item) => item && metric in item.values));
  const parts = [];
  for (let start = 0; start < present.length; start += 8) parts.push(valuesTable(shown, present.slice(start, start + 8)));
  return parts;
}

function valuesTable(shown, part) {
  const lines = current().systems.map((item, index) => {
    const values = shown.systems[index]?.values ?? {};
    const name = item.kind === "bound" ? make("span", { class: "muted" }, item.name)
      : make("a", { href: link(choice.section, index, choice.query) }, item.name);
    const error = shown.systems[index]?.error ? [make("span", { class: "worse" }, " failed")] : [];
    return make("tr", { class: index === choice.system ? "chosen" : null }, make("th", { scope: "row" }, name, ...error),
      ...part.map((metric) => make("td", { class: "number", "data-head": metric }, fixed(values[metric]))));
  });
  const heads = part.map((metric) => make("th", { class: "number" }, metric));
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
