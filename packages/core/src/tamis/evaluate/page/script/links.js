// Links: #dataset/system/query.

function link(section, system = null, query = null) {
  const { name, systems, queries } = sections[section];
  const parts = [name];
  if (system !== null) parts.push(systems[system].name);
  if (query !== null) parts.push(queries[query][0]);
  return "#" + parts.map((part) => encodeURIComponent(part.toWellFormed?.() ?? part)).join("/");
}

function follow(event) {
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
  if (moved && event && asked < 0) $("datasets").scrollIntoView({ block: "start" });
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
