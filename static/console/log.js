// The log of a job's events: followed, or paused while somebody reads.
//
// Newest comes first, so following is to stand at the top. Paused, the list is left
// alone by refreshes (data-keep, see morph.js), with its scroll position; what came
// meanwhile is counted. Without this script the list is simply there.
(() => {
  "use strict";
  let countAtPause = null; // how many events there were; null: following

  const panel = () => document.getElementById("events");
  const list = () => document.getElementById("log");
  const count = () => Number(panel().dataset.events);

  function pause() {
    countAtPause = count();
    list().setAttribute("data-keep", "");
    show();
  }

  function follow() {
    countAtPause = null;
    list().removeAttribute("data-keep");
    list().scrollTop = 0;
    show();
  }

  function show() {
    const holder = document.getElementById("log-follow");
    if (!holder) return;
    if (!holder.firstChild) holder.append(made());
    const button = holder.firstChild;
    const paused = countAtPause !== null;
    const missed = paused ? Math.max(0, count() - countAtPause) : 0;
    let text = gettext("Pause");
    if (paused) text = gettext("Follow");
    if (missed) text = interpolate(ngettext("Follow (%s new)", "Follow (%s new)", missed), [missed]);
    if (button.textContent !== text) button.textContent = text;
  }

  function made() {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "btn btn-quiet btn-small";
    button.addEventListener("click", () => {
      if (countAtPause === null) return pause();
      follow();
      document.dispatchEvent(new CustomEvent("console:refresh"));
    });
    return button;
  }

  // Another choice of events is another list.
  document.addEventListener("click", ({ target }) => {
    if (target.closest?.("#events .chip")) follow();
  });
  document.addEventListener("console:fresh", show);
  show();
})();
