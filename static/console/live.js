// Keeps the page's live regions fresh: one event stream per tab, polling without it.
//
// A region is an element with data-live="job-12 hosts" (the template tag `live`). The
// stream only says what changed; the region is then fetched and morphed. It says
// "beat" when it begins and each 15 seconds, and every region is fetched then too, so
// that nothing is stale for longer even when nobody sends a wake-up. A wake-up with a
// key is for the region in which that key stands. A region that says data-asking waits
// for an answer: it is fetched again and again until it has it, unless it just is.
//
// "news" of any job goes to whoever listens for console:news (console.js, notify.js).
// A page whose last word from the server is over five seconds old says how old it is.
(() => {
  "use strict";
  const POLL_MS = 3000;
  const ASK_MS = 600;
  const HIDDEN_POLL_MS = 30000;
  const RETRY_MS = 2000;
  const SILENCE_MS = 12000; // the stream says something each few seconds
  const FRESH_SECONDS = 5;
  const address = document.body.dataset.stream;
  const indicator = document.getElementById("live-state");
  let stream = null;
  let streamHeard = 0;
  let heard = Date.now(); // the last word from the server, by stream or by answer
  let polling = null;
  let retrying = null;
  const due = new Set(); // regions that are about to be fetched

  const regions = () => [...document.querySelectorAll("[data-live]")];
  const topicsOf = (region) => region.dataset.live.split(" ").filter(Boolean);

  function refresh(topic, key) {
    for (const region of regions()) {
      // A form that is not looked at has no host asked on its behalf.
      if (document.hidden && region.matches("form")) continue;
      if (topic && !topicsOf(region).includes(topic)) continue;
      if (key && !region.querySelector(`[data-key="${CSS.escape(key)}"]`)) continue;
      if (!due.size) window.setTimeout(fetchDue); // one change may come by two topics
      due.add(region);
    }
  }

  function fetchDue() {
    for (const region of due) htmx.trigger(region, "live");
    due.clear();
  }

  function askAgain() {
    if (document.hidden) return;
    for (const waiting of document.querySelectorAll("[data-asking]")) {
      const region = waiting.closest("[data-live]");
      if (!region.matches(".htmx-request")) htmx.trigger(region, "live");
    }
  }

  function show(now = indicator.dataset.state) {
    indicator.dataset.state = regions().length ? now : "none";
    const age = Math.floor((Date.now() - heard) / 1000);
    const polled = age > FRESH_SECONDS ? gettext("Reconnecting, trying every 3 s") : gettext("Reconnecting, refreshed every 3 s");
    const words = now === "polling" ? polled : gettext("Live");
    const old = age > FRESH_SECONDS ? interpolate(gettext("as of %s s ago"), [age]) : "";
    const [text, told] = indicator.querySelectorAll(".live-text, .live-age");
    if (text.textContent !== words) text.textContent = words;
    if (told.textContent !== old) told.textContent = old;
  }

  function poll(every) {
    window.clearInterval(polling);
    polling = every ? window.setInterval(() => refresh(), every) : null;
  }

  function close() {
    window.clearTimeout(retrying);
    if (stream) stream.close();
    stream = null;
  }

  function open(topics = new Set(regions().flatMap(topicsOf))) {
    close();
    const query = new URLSearchParams({ topics: [...topics].join(" ") });
    stream = new EventSource(`${address}?${query}`);
    streamHeard = Date.now();
    stream.addEventListener("beat", () => {
      alive();
      if (!document.hidden) refresh();
    });
    stream.addEventListener("pulse", alive);
    for (const topic of topics) {
      stream.addEventListener(topic, (event) => {
        alive();
        refresh(topic, JSON.parse(event.data).key);
      });
    }
    stream.addEventListener("news", (event) => {
      alive();
      const detail = JSON.parse(event.data);
      document.dispatchEvent(new CustomEvent("console:news", { detail }));
      if (document.hidden) refresh(`job-${detail.job}`);
    });
    stream.onerror = broken;
  }

  function alive() {
    heard = streamHeard = Date.now();
    if (document.hidden) return;
    poll(0);
    show("live");
  }

  function broken() {
    close();
    retrying = window.setTimeout(document.hidden ? watch : open, RETRY_MS);
    if (document.hidden) return;
    if (!polling) {
      poll(POLL_MS);
      refresh();
    }
    show("polling");
  }

  // A hidden tab gives its connection back (HTTP/1.1 has six per server) and looks
  // seldom; shown again, it looks at once. One of the hidden ones may keep watch, for
  // news alone (notify.js says which).
  const watch = () => open(new Set());

  function visibilityChanged() {
    if (document.hidden) {
      due.clear();
      close();
      poll(HIDDEN_POLL_MS);
    } else {
      poll(0);
      open();
    }
  }

  if (!address) return;
  document.addEventListener("console:refresh", () => refresh());
  document.addEventListener("visibilitychange", visibilityChanged);
  window.addEventListener("pagehide", close);
  window.addEventListener("pageshow", (event) => event.persisted && open());
  document.addEventListener("console:watch", () => document.hidden && watch());
  document.addEventListener("htmx:afterRequest", ({ detail }) => {
    if (detail.successful) heard = Date.now();
  });
  // A filter's answer may overtake one that was asked for before: that one is old.
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { elt, path } = event.detail.requestConfig;
    if (elt !== event.detail.target || !elt.matches("[data-live]")) return;
    if (path === elt.getAttribute("hx-get")) return;
    event.preventDefault();
    htmx.trigger(elt, "live");
  });
  window.setInterval(askAgain, ASK_MS);
  window.setInterval(() => {
    if (stream && Date.now() - streamHeard > SILENCE_MS) broken();
    else if (!document.hidden && indicator.dataset.state !== "off") show();
  }, 1000);
  visibilityChanged();
})();
