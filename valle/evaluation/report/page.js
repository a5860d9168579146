"use strict";
(() => {
  const choice = document.getElementById("normaliser");
  const system = document.getElementById("system-filter");
  const text = document.getElementById("text-filter");
  const shown = document.getElementById("shown");
  const more = document.getElementById("more");
  const body = document.querySelector("#utterances tbody");
  // Players are dear to lay out, so a long table is shown a piece at a time.
  const step = 200;
  let most = step;

  function key(row, column) {
    const cell = row.cells[column];
    const holder = cell.dataset.value === undefined ? cell.querySelector("[data-value]:not([hidden])") : cell;
    if (holder) return Number(holder.dataset.value);
    const words = cell.textContent.trim();
    const number = Number.parseFloat(words.replaceAll(",", ""));
    return cell.classList.contains("number") ? (Number.isNaN(number) ? Infinity : number) : words;
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

  function normalise() {
    for (const body of document.querySelectorAll("[data-normaliser]")) {
      body.hidden = body.dataset.normaliser !== choice.value;
    }
    for (const variant of document.querySelectorAll("[data-normalisers]")) {
      variant.hidden = !variant.dataset.normalisers.split(" ").includes(choice.value);
    }
  }

  function filter() {
    const wanted = text.value.toLowerCase();
    let fitting = 0;
    for (const row of body.rows) {
      const fits = (!system.value || row.dataset.system === system.value)
        && (!wanted || row.textContent.toLowerCase().includes(wanted));
      fitting += fits;
      row.hidden = !fits || fitting > most;
    }
    shown.textContent = `${Math.min(fitting, most)} of ${fitting} shown, ${body.rows.length} in all`;
    more.hidden = fitting <= most;
  }

  function restart() {
    most = step;
    filter();
  }

  choice.addEventListener("change", normalise);
  system.addEventListener("change", restart);
  text.addEventListener("input", restart);
  more.addEventListener("click", () => {
    most += step;
    filter();
  });
  document.getElementById("utterances").addEventListener("click", (event) => {
    const button = event.target.closest("button.utterance");
    if (!button) return;
    text.value = text.value === button.textContent ? "" : button.textContent;
    system.value = "";
    restart();
  });
  // Only one voice at a time.
  document.addEventListener("play", (event) => {
    for (const player of document.querySelectorAll("audio")) {
      if (player !== event.target) player.pause();
    }
  }, true);
  normalise();
  filter();
})();
