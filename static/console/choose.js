// Selecting rows: all of a page by one box, and how many are selected. Without it each
// row is selected by its own box, and the server counts.
(() => {
  "use strict";
  const boxesOf = (form) => [...form.elements].filter((box) => box.matches("[data-choose]"));

  function show(form) {
    const boxes = boxesOf(form);
    const on = boxes.filter((box) => box.checked).length;
    const whole = form.querySelector("[data-choose-page]");
    if (whole) {
      whole.hidden = false;
      whole.checked = on > 0 && on === boxes.length;
      whole.indeterminate = on > 0 && on < boxes.length;
    }
    const count = form.querySelector("[data-choose-count]");
    if (!count) return;
    const all = form.querySelector("input[name=all]:checked");
    let words = count.dataset.chooseCount;
    if (all) words = interpolate(gettext("All %s:"), [all.value]);
    else if (on) words = interpolate(ngettext("%s selected:", "%s selected:", on), [on]);
    if (count.textContent !== words) count.textContent = words;
  }

  const forms = () => new Set([...document.querySelectorAll("[data-choose-count]")].map((node) => node.closest("form")));
  const showAll = () => {
    for (const form of forms()) if (form) show(form);
  };

  document.addEventListener("change", ({ target }) => {
    const form = target.form;
    if (!form?.querySelector("[data-choose-count]")) return;
    if (target.matches("[data-choose-page]")) {
      for (const box of boxesOf(form)) box.checked = target.checked;
    }
    show(form);
  });
  document.addEventListener("console:fresh", showAll);
  window.addEventListener("pageshow", showAll); // "back" brings the boxes back as they were
  showAll();
})();
