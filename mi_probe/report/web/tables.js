"use strict";
// Tables: a click on a heading sorts, what is typed or chosen above filters.
(() => {
  const words = new Intl.Collator("en-GB", { numeric: true });

  const compare = (place, sign) => (one, two) => {
    const [a, b] = [one.cells[place], two.cells[place]];
    const number = a.dataset.key !== undefined && b.dataset.key !== undefined;
    if (number) return sign * (Number(a.dataset.key) - Number(b.dataset.key));
    // What has no value comes last either way.
    const [empty, other] = [a, b].map((cell) => cell.textContent === "\u2013");
    if (empty || other) return empty - other;
    return sign * words.compare(a.textContent, b.textContent);
  };

  const sortable = (table) => {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, place) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      head.replaceChildren(button);
      head.setAttribute("aria-sort", "none");
      button.addEventListener("click", () => {
        const up = head.getAttribute("aria-sort") !== "ascending";
        for (const one of heads) one.setAttribute("aria-sort", "none");
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        const body = table.tBodies[0];
        body.append(...[...body.rows].sort(compare(place, up ? 1 : -1)));
      });
    });
  };

  const filtered = (block) => {
    const controls = [...block.querySelectorAll("[data-filter]")];
    const count = block.querySelector(".count");
    const whole = count.textContent;
    const rows = [...block.querySelector("tbody").rows];
    const update = () => {
      let shown = 0;
      for (const row of rows) {
        row.hidden = !controls.every(({ value, dataset }) => {
          if (!value) return true;
          if (dataset.filter !== "any") return row.cells[dataset.filter].textContent === value;
          return row.textContent.toLowerCase().includes(value.toLowerCase());
        });
        shown += !row.hidden;
      }
      count.textContent = shown === rows.length ? whole : `${shown} of ${whole}`;
    };
    for (const control of controls) control.addEventListener("input", update);
    update();
  };

  for (const block of document.querySelectorAll(".table")) {
    sortable(block.querySelector("table"));
    filtered(block);
  }
})();
