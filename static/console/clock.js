// Lets times go on while the page stands: ages, durations, the reader's own zone.
// The words are those of jobs/console/clock.py.
(() => {
  "use strict";
  const FRESH_SECONDS = 5;
  const ASK_MS = 3000;
  // The browser's clock may be wrong; ages are told by the server's.
  const offset = Number(document.body.dataset.now) - Date.now();
  const local = new Intl.DateTimeFormat("sv-SE", {
    dateStyle: "short",
    timeStyle: "medium",
    timeZone: document.documentElement.dataset.timeZone, // the browser's, if none is chosen
  });
  let asked = 0;
  const two = (number) => String(number).padStart(2, "0");

  function durationText(seconds) {
    const second = Math.floor(seconds) % 60;
    const minute = Math.floor(seconds / 60) % 60;
    const hour = Math.floor(seconds / 3600) % 24;
    const day = Math.floor(seconds / 86400);
    if (day) return `${day} d ${hour}:${two(minute)}:${two(second)}`;
    if (hour) return `${hour}:${two(minute)}:${two(second)}`;
    return `${minute}:${two(second)}`;
  }

  function roughText(seconds) {
    if (seconds < 60) return `${Math.floor(seconds)} s`;
    const minutes = Math.floor(seconds / 60);
    if (minutes < 60) return `${minutes} min`;
    const hours = Math.floor(minutes / 60);
    if (hours >= 48) return `${Math.floor(hours / 24)} days`;
    const rest = minutes % 60;
    return hours < 10 && rest ? `${hours} h ${rest} min` : `${hours} h`;
  }

  const agoText = (seconds) => (seconds < 2 ? "just now" : `${roughText(seconds)} ago`);

  const texts = {
    ago: agoText,
    since: durationText,
    age: (seconds) => `as of ${agoText(seconds)}`,
  };

  // A number that just grew old: what was derived from it (a rate, the time left) must
  // go too, and the server says what is left to say.
  function ageing(node, isOld) {
    const justNow = isOld && node.hidden;
    node.hidden = !isOld;
    // Were this machine's clock set while the page stands, each answer would be "old".
    if (!justNow || Date.now() - asked < ASK_MS) return;
    asked = Date.now();
    document.dispatchEvent(new CustomEvent("console:refresh"));
  }

  function tick() {
    const now = Date.now() + offset;
    for (const kind of Object.keys(texts)) {
      for (const node of document.querySelectorAll(`time[data-${kind}]`)) {
        const seconds = Math.max(0, (now - Date.parse(node.dateTime)) / 1000);
        const text = texts[kind](seconds);
        if (node.textContent !== text) node.textContent = text;
        if (kind === "age") ageing(node, seconds > FRESH_SECONDS);
      }
    }
  }

  function localise() {
    for (const node of document.querySelectorAll("time[data-moment]")) {
      const text = local.format(Date.parse(node.dateTime));
      if (node.textContent !== text) node.textContent = text;
    }
  }

  function all() {
    tick();
    localise();
  }

  document.addEventListener("console:fresh", all);
  document.addEventListener("htmx:afterSwap", all);
  window.setInterval(tick, 1000);
  all();
})();
