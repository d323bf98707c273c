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

// Labels of points: each on the side where it covers least.

const SIDES = ["middle right", "top right", "bottom right", "middle left", "top left", "bottom left", "top center", "bottom center"];
const pen = document.createElement("canvas").getContext("2d");

function along({ range: [low, high], type }, length) {
  return (value) => (((type === "log" ? Math.log10(value) : value) - low) / (high - low)) * length;
}

function box(side, x, y, width) {
  const [vertical, horizontal] = side.split(" ");
  const left = { right: x + 9, left: x - 9 - width, center: x - width / 2 }[horizontal];
  const top = { top: y - 22, middle: y - 9, bottom: y + 4 }[vertical];
  return [left, top, left + width, top + 18];
}

function overlap(a, b) {
  return Math.max(0, Math.min(a[2], b[2]) - Math.max(a[0], b[0])) * Math.max(0, Math.min(a[3], b[3]) - Math.max(a[1], b[1]));
}

/** Sides for the labels of `points`, given the line through the best of them and the layout the chart will have. */
function sides(points, line, layout, element) {
  const { l, r, t, b } = layout.margin;
  const [width, height] = [element.clientWidth - l - r, element.clientHeight - t - b];
  const [across, up] = [along(layout.xaxis, width), along(layout.yaxis, height)];
  const down = (value) => height - up(value);
  const { array, arrayminus } = points.error_y;
  const taken = points.x.flatMap((x, index) => {
    const [px, y] = [across(x), points.y[index]];
    return [
      [px - 8, down(y) - 8, px + 8, down(y) + 8],
      [px - 2, down(y + array[index]), px + 2, down(y - arrayminus[index])],
    ];
  });
  for (let index = 1; index < line.x.length; index++) {
    const [x0, x1] = [across(line.x[index - 1]), across(line.x[index])];
    const [y0, y1] = [down(line.y[index - 1]), down(line.y[index])];
    taken.push([x0, y0 - 2, x1, y0 + 2], [x1 - 2, y1, x1 + 2, y0]);
  }
  pen.font = `13px ${getComputedStyle(document.body).fontFamily}`;
  for (const { y0, label } of layout.shapes) {
    const length = pen.measureText(label.text).width + 6;
    const left = label.textposition === "start" ? 0 : width - length;
    taken.push([left, down(y0) - 20, left + length, down(y0)], [0, down(y0) - 1, width, down(y0) + 1]);
  }
  const inside = [0, 0, width + r - 4, height]; // Not over the numbers of the axis.
  return points.text.map((text, index) => {
    const length = pen.measureText(text).width;
    const cost = (side) => {
      const place = box(side, across(points.x[index]), down(points.y[index]), length);
      const out = length * 18 - overlap(place, inside);
      return taken.reduce((sum, other) => sum + overlap(place, other), 20 * out) + 3 * SIDES.indexOf(side);
    };
    const side = SIDES.reduce((best, next) => (cost(next) < cost(best) ? next : best));
    taken.push(box(side, across(points.x[index]), down(points.y[index]), length));
    return side;
  });
}
