// The tab's title and icon say what the page's region says: data-title, data-icon.
(() => {
  "use strict";
  const icon = document.querySelector("link[rel=icon]");
  const name = document.title.slice(document.title.lastIndexOf(" · "));

  document.addEventListener("console:fresh", () => {
    const told = document.querySelector("[data-title]");
    if (!told) return;
    const title = told.dataset.title + name;
    if (document.title !== title) document.title = title;
    if (icon.getAttribute("href") !== told.dataset.icon) icon.setAttribute("href", told.dataset.icon);
  });
})();
