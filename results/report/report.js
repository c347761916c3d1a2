"use strict";
// Tables sort by a click on a heading, numbers by their value in full precision, intervals by where they begin; what has none comes last.
for (const table of document.querySelectorAll("table.sheet")) {
  const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells];
  const value = (row, column) => {
    const cell = row.cells[column], text = cell.textContent.trim();
    const number = Number.parseFloat(cell.dataset.value ?? (cell.className.includes("number") ? text : ""));
    return Number.isNaN(number) ? text : number;
  };
  const compare = (one, other) => {
    const kinds = [typeof one, typeof other];
    if (kinds[0] !== kinds[1]) return kinds[0] === "number" ? -1 : 1;
    return kinds[0] === "number" ? one - other : one.localeCompare(other, "en", { numeric: true });
  };
  heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
    const down = head.getAttribute("aria-sort") === "ascending";
    heads.forEach((each) => each.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const rows = [...body.rows].map((row) => [value(row, column), row]);
    rows.sort(([one], [other]) => {
      const same = typeof one === typeof other;
      return same && down ? compare(other, one) : compare(one, other);
    });
    body.append(...rows.map(([, row]) => row));
  }));
  const search = table.closest("section").querySelector("input[type=search]");
  if (search) search.addEventListener("input", () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of body.rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
    }
  });
}
