// Lets times go on while the page stands: ages, durations, the reader's own zone.
// The words are those of jobs/console/clock.py, in the reader's language too.
(() => {
  "use strict";
  const FRESH_SECONDS = 5;
  const ASK_MS = 3000;
  // The browser's clock may be wrong; ages are told by the server's.
  const offset = Number(document.body.dataset.now) - Date.now();
  const local = new Intl.DateTimeFormat("en-GB", {
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    hourCycle: "h23",
    timeZone: document.documentElement.dataset.timeZone, // the browser's, if none is chosen
  });
  // The server's order: "Y-m-d H:i:s", "d.m.Y H:i:s".
  const order = get_format("SHORT_DATETIME_FORMAT");
  const letters = { Y: "year", m: "month", d: "day", H: "hour", i: "minute", s: "second" };
  let asked = 0;
  const two = (number) => String(number).padStart(2, "0");
  const say = (text, words) => interpolate(text, words, true);

  function durationText(seconds) {
    const second = Math.floor(seconds) % 60;
    const minute = Math.floor(seconds / 60) % 60;
    const hour = Math.floor(seconds / 3600) % 24;
    const day = Math.floor(seconds / 86400);
    if (day) {
      const clock = `${hour}:${two(minute)}:${two(second)}`;
      return say(gettext("%(days)s d %(clock)s"), { days: day, clock });
    }
    if (hour) return `${hour}:${two(minute)}:${two(second)}`;
    return `${minute}:${two(second)}`;
  }

  function roughText(seconds) {
    if (seconds < 60) return say(gettext("%(seconds)s s"), { seconds: Math.floor(seconds) });
    const minutes = Math.floor(seconds / 60);
    if (minutes < 60) return say(gettext("%(minutes)s min"), { minutes });
    const hours = Math.floor(minutes / 60);
    if (hours >= 48) return say(gettext("%(days)s days"), { days: Math.floor(hours / 24) });
    const rest = minutes % 60;
    return hours < 10 && rest
      ? say(gettext("%(hours)s h %(minutes)s min"), { hours, minutes: rest })
      : say(gettext("%(hours)s h"), { hours });
  }

  function agoText(seconds) {
    if (seconds < 2) return gettext("just now");
    return say(gettext("%(time)s ago"), { time: roughText(seconds) });
  }

  function momentText(moment) {
    const parts = {};
    for (const { type, value } of local.formatToParts(moment)) parts[type] = value;
    return order.replace(/[YmdHis]/g, (letter) => parts[letters[letter]]);
  }

  const texts = {
    ago: agoText,
    since: durationText,
    age: (seconds) => say(gettext("as of %(ago)s"), { ago: agoText(seconds) }),
    until: (seconds) => (seconds < 1 ? gettext("now") : say(gettext("in %(duration)s"), { duration: roughText(seconds) })),
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
        const past = (now - Date.parse(node.dateTime)) / 1000;
        const seconds = Math.max(0, kind === "until" ? -past : past);
        const text = texts[kind](seconds);
        if (node.textContent !== text) node.textContent = text;
        if (kind === "age") ageing(node, seconds > FRESH_SECONDS);
      }
    }
  }

  function localise() {
    for (const node of document.querySelectorAll("time[data-moment]")) {
      const text = momentText(Date.parse(node.dateTime));
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
