// Sets light or dark before the first paint; "system" follows the system's choice.
(() => {
  "use strict";
  const root = document.documentElement;
  const dark = window.matchMedia("(prefers-color-scheme: dark)");

  function apply() {
    const chosen = root.dataset.appearance;
    const isDark = chosen === "dark" || (chosen === "system" && dark.matches);
    root.dataset.bsTheme = isDark ? "dark" : "light";
  }

  dark.addEventListener("change", apply);
  // The preferences view answers with this event (HX-Trigger).
  document.addEventListener("appearance", (event) => {
    root.dataset.appearance = event.detail.chosen;
    for (const button of document.querySelectorAll("button[name=appearance]")) {
      button.setAttribute("aria-pressed", String(button.value === event.detail.chosen));
    }
    apply();
  });
  apply();
})();
