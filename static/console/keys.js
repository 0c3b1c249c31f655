// Keys without a modifier: search, moving in lists, selecting, help, going to pages.
//
// They are never taken from who types: not in fields, not in dialogs, not with Ctrl,
// Alt or Meta. The account page switches them off (then this script is not loaded).
(() => {
  "use strict";
  const TYPING = "input, select, textarea, dialog";
  const ROW = "tbody tr, .host-strip li, .left-list li, .view-list li";
  const SECOND_KEY_MS = 3000; // from "g" to its letter
  const help = document.getElementById("keys");
  const pages = new Map([...help.querySelectorAll("[data-go]")].map((link) => [link.dataset.go, link]));
  let goingSince = -Infinity;
  let place = 0; // in the list, also once its row is gone

  const searchField = () => document.querySelector("#main input[type=search]");

  function search() {
    const field = searchField();
    if (!field) return help.querySelector("[data-search]")?.click();
    field.focus();
    field.select();
  }

  // A row is where its first link is: Enter opens it, and the browser shows the focus.
  function links() {
    const rows = [...document.querySelectorAll(`#main :is(${ROW})`)];
    return rows.map((row) => row.querySelector("a[href]")).filter((link) => link?.checkVisibility());
  }

  function move(step) {
    const all = links();
    const row = document.activeElement.closest(ROW);
    const here = all.findIndex((link) => row?.contains(link));
    const wanted = here < 0 ? place : here + step;
    place = Math.min(Math.max(wanted, 0), all.length - 1);
    all[place]?.focus();
  }

  function select() {
    document.activeElement.closest(ROW)?.querySelector("input[data-choose]")?.click();
  }

  const acts = new Map([
    ["/", search],
    ["j", () => move(1)],
    ["k", () => move(-1)],
    ["x", select],
    ["?", () => help.showModal()],
    ["g", () => {
      goingSince = performance.now();
    }],
  ]);

  document.addEventListener("keydown", (event) => {
    const { key, target } = event;
    if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
    if (event.defaultPrevented || key === "Shift") return;
    if (target.closest?.(TYPING) || target.isContentEditable) return;
    if (document.querySelector("dialog[open]")) return;
    const going = performance.now() - goingSince < SECOND_KEY_MS;
    goingSince = -Infinity;
    const act = going ? pages.has(key) && (() => pages.get(key).click()) : acts.get(key);
    if (!act || (event.repeat && !"jk".includes(key))) return;
    event.preventDefault();
    act();
  });

  help.addEventListener("click", (event) => {
    if (event.target === help) help.close();
  });
  for (const button of document.querySelectorAll("[data-keys]")) {
    button.hidden = false;
    button.addEventListener("click", () => help.showModal());
  }
  searchField()?.setAttribute("aria-keyshortcuts", "/");
  if (location.hash === "#q") searchField()?.focus();
})();
