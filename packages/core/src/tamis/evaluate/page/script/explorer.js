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
  $("undrawn").textContent = current().undrawn;
  $("undrawn").hidden = !current().undrawn;
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
  const [line, points] = figure.data;
  if (innerWidth < 600) points.text = points.customdata.map((name) => plain(name, 14));
  points.textposition = sides(points, line, figure.layout, $("tradeoff"));
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
  const left = Object.values(current().uncounted).length;
  const not = left ? ` ${left} more ${left === 1 ? "query does" : "queries do"} not count; each says why.` : "";
  const said = (verdict ? ` Tested: ${verdict}.` : "") + not;
  $("balance").textContent = choice.system === choice.against
    ? "Choose two different systems to see where one gains and the other loses."
    : `${count((v) => v > 0)} queries better, ${count((v) => v < 0)} worse, ${count((v) => v === 0)} the same; on average ${signed(mean)} ${main}.${said}`;
  const [bars] = figures.gains.data;
  const layout = structuredClone(figures.gains.layout);
  layout.yaxis.title.text = `difference in ${plain(main)}`;
  const chosen = order.indexOf(choice.query) + 1;
  if (chosen) layout.shapes = [{ ...layout.shapes[0], x0: chosen, x1: chosen }];
  else delete layout.shapes;
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
  onPoint($("gains"), (point) => {
    location.hash = link(choice.section, choice.system, order[point.pointNumber]);
  });
}

function showQueries() {
  const { queries, uncounted } = current();
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
    make("span", { class: "text" }, make("bdi", {}, queries[query][1])),
    ...(uncounted[query] ? [make("span", { class: "why" }, `does not count: ${uncounted[query]}`)] : [])));
  }));
}

function showScores() {
  const { scores, note, reliability, trust, dropped, name } = current().systems[choice.system];
  $("scores-note").textContent = `${name}: ${note}`;
  $("scores").hidden = !scores;
  if (scores) draw($("scores"), scores);
  $("trust").hidden = !reliability;
  $("trust-note").textContent = trust;
  if (reliability) draw($("reliability"), reliability);
  const line = ([why, passages, relevant, queries]) => make("li", {},
    make("b", {}, passages.toLocaleString("en")), ` ${why}, in ${queries.toLocaleString("en")} queries; `,
    make("span", { class: relevant ? "worse" : "muted" }, relevant ? `${relevant.toLocaleString("en")} of them relevant` : "none of them relevant"));
  $("dropped").replaceChildren(dropped.length
    ? make("ul", {}, ...dropped.map(line))
    : make("p", { class: "note" }, `${name} dropped nothing.`));
}
