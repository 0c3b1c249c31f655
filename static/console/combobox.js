// Choosing a row of a list by typing: the arrows move through what was found, Enter
// opens it, the focus stays in the field. Without it the rows' links do the same.
(() => {
  "use strict";
  const field = document.querySelector("[data-chooses]");
  if (!field) return;
  const region = () => document.getElementById(field.dataset.chooses);
  const status = document.getElementById(`${field.dataset.chooses}-found`);
  const link = (row) => row.querySelector("a[data-choice]");
  const rows = () => [...region().querySelectorAll("tbody tr")].filter(link);
  const active = () => region().querySelector("tr[aria-selected=true]");
  // What is shown may be older than what was typed.
  const isFresh = () => region().dataset.text === field.value.trim();

  function activate(row) {
    for (const other of rows()) other.setAttribute("aria-selected", String(other === row));
    if (row) {
      field.setAttribute("aria-activedescendant", row.id);
      row.scrollIntoView({ block: "nearest" });
    } else field.removeAttribute("aria-activedescendant");
  }

  // A table with an active row is a grid.
  function dress() {
    const table = region().querySelector("table");
    table?.setAttribute("role", "grid");
    for (const cell of region().querySelectorAll("td")) cell.setAttribute("role", "gridcell");
    field.setAttribute("aria-expanded", String(Boolean(table)));
    if (table) field.setAttribute("aria-controls", table.id);
    else field.removeAttribute("aria-controls");
    status.textContent = region().dataset.found;
    activate(field.value.trim() ? rows()[0] : null);
  }

  function step(by) {
    const all = rows();
    if (!all.length) return;
    const now = all.indexOf(active());
    activate(all[now < 0 && by < 0 ? all.length - 1 : (now + by + all.length) % all.length]);
  }

  field.addEventListener("keydown", (event) => {
    const { key, isComposing } = event;
    if (isComposing) return;
    if (key === "ArrowDown" || key === "ArrowUp") step(key === "ArrowDown" ? 1 : -1);
    else if (key === "Enter" && active() && isFresh()) link(active()).click();
    else if (key === "Escape" && active()) activate(null);
    else return;
    event.preventDefault();
  });
  document.addEventListener("htmx:afterSettle", ({ target }) => {
    if (target === region()) dress();
  });
  field.setAttribute("role", "combobox");
  field.setAttribute("aria-autocomplete", "list");
  field.setAttribute("aria-haspopup", "grid");
  dress();
})();
