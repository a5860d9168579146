"use strict";
(() => {
  const choice = document.getElementById("normaliser");
  const system = document.getElementById("system-filter");
  const text = document.getElementById("text-filter");
  const shown = document.getElementById("shown");
  const more = document.getElementById("more");
  const body = document.querySelector("#utterances tbody");
  // Players are slow to lay out, so a long table is shown in steps.
  const step = 200;
  let limit = step;

  function key(row, column) {
    const cell = row.cells[column];
    const holder = cell.dataset.value === undefined ? cell.querySelector("[data-value]:not([hidden])") : cell;
    if (holder) return Number(holder.dataset.value);
    const content = cell.textContent.trim();
    const number = Number.parseFloat(content.replaceAll(",", ""));
    return cell.classList.contains("number") ? (Number.isNaN(number) ? Infinity : number) : content;
  }

  function sort(table, column, direction) {
    for (const body of table.tBodies) {
      const keyed = [...body.rows].map((row) => [key(row, column), row]);
      keyed.sort(([a], [b]) => direction * (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), undefined, { numeric: true })));
      body.append(...keyed.map(([, row]) => row));
    }
  }

  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => head.firstElementChild.addEventListener("click", () => {
      const ascending = head.getAttribute("aria-sort") !== "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
      sort(table, column, ascending ? 1 : -1);
      if (table.contains(body)) restart();
    }));
  }

  function showNormaliser() {
    for (const body of document.querySelectorAll("[data-normaliser]")) {
      body.hidden = body.dataset.normaliser !== choice.value;
    }
    for (const variant of document.querySelectorAll("[data-normalisers]")) {
      variant.hidden = !variant.dataset.normalisers.split(" ").includes(choice.value);
    }
  }

  function filter() {
    const query = text.value.toLowerCase();
    let fitting = 0;
    for (const row of body.rows) {
      const fits = (!system.value || row.dataset.system === system.value)
        && (!query || row.textContent.toLowerCase().includes(query));
      fitting += fits;
      row.hidden = !fits || fitting > limit;
    }
    shown.textContent = `${Math.min(fitting, limit)} of ${fitting} shown, ${body.rows.length} in all`;
    more.hidden = fitting <= limit;
  }

  function restart() {
    limit = step;
    filter();
  }

  choice.addEventListener("change", showNormaliser);
  system.addEventListener("change", restart);
  text.addEventListener("input", restart);
  more.addEventListener("click", () => {
    limit += step;
    filter();
  });
  document.getElementById("utterances").addEventListener("click", (event) => {
    const button = event.target.closest("button.utterance");
    if (!button) return;
    text.value = text.value === button.textContent ? "" : button.textContent;
    system.value = "";
    restart();
  });
  // Only one player plays at a time.
  document.addEventListener("play", (event) => {
    for (const player of document.querySelectorAll("audio")) {
      if (player !== event.target) player.pause();
    }
  }, true);
  showNormaliser();
  filter();
})();
