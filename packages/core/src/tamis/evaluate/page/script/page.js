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
for (const anchor of document.querySelectorAll("a[data-system]")) {
  const section = Number(anchor.dataset.section ?? anchor.closest(".dataset").dataset.index);
  anchor.href = link(section, sections[section].systems.findIndex((item) => item.name === anchor.dataset.system));
  anchor.title = "Show this system in the charts below";
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

/** Plotly comes packed; its script runs only if it is the one whose hash the content security policy names. */
async function begin() {
  if (!sections.length) return;
  if (typeof DecompressionStream === "undefined") {
    $("old").hidden = false;
    return;
  }
  document.head.append(make("script", {}, await unpacked($("plotly").textContent)));
  $("explorer").hidden = false;
  addEventListener("hashchange", follow);
  let width = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth !== width) showAxes();
    width = innerWidth;
  });
  follow();
}

begin();
