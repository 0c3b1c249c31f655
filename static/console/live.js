// Keeps the page's live regions fresh: one event stream per tab, polling without it.
//
// A region is an element with data-live="job-12 hosts" (the template tag `live`). The
// stream only says what changed; the region is then fetched and morphed. It says
// "beat" when it begins and each 15 seconds, and every region is fetched then too, so
// that nothing is stale for longer even when nobody sends a wake-up. A wake-up with a
// key is for the region in which that key stands. A region that says data-asking waits
// for an answer: it is fetched again and again until it has it, unless it just is.
(() => {
  "use strict";
  const POLL_MS = 3000;
  const ASK_MS = 600;
  const HIDDEN_POLL_MS = 30000;
  const RETRY_MS = 2000;
  const SILENCE_MS = 40000; // the stream beats each 15 s
  const address = document.body.dataset.stream;
  const indicator = document.getElementById("live-state");
  let stream = null;
  let heard = 0;
  let polling = null;
  let retrying = null;

  const regions = () => [...document.querySelectorAll("[data-live]")];
  const topicsOf = (region) => region.dataset.live.split(" ").filter(Boolean);

  function refresh(topic, key) {
    for (const region of regions()) {
      // A form that is not looked at has no host asked on its behalf.
      if (document.hidden && region.matches("form")) continue;
      if (topic && !topicsOf(region).includes(topic)) continue;
      if (key && !region.querySelector(`[data-key="${CSS.escape(key)}"]`)) continue;
      htmx.trigger(region, "live");
    }
  }

  function askAgain() {
    if (document.hidden) return;
    for (const waiting of document.querySelectorAll("[data-asking]")) {
      const region = waiting.closest("[data-live]");
      if (!region.matches(".htmx-request")) htmx.trigger(region, "live");
    }
  }

  function show(state, text) {
    if (indicator.dataset.state === state) return;
    indicator.dataset.state = state;
    indicator.querySelector(".live-text").textContent = text;
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

  function open() {
    close();
    const topics = new Set(regions().flatMap(topicsOf));
    if (!topics.size) {
      show("none", "");
      return;
    }
    const query = new URLSearchParams({ topics: [...topics].join(" ") });
    stream = new EventSource(`${address}?${query}`);
    heard = Date.now();
    stream.addEventListener("beat", () => {
      alive();
      refresh();
    });
    for (const topic of topics) {
      stream.addEventListener(topic, (event) => {
        alive();
        refresh(topic, JSON.parse(event.data).key);
      });
    }
    stream.addEventListener("toast", (event) => {
      alive();
      const detail = JSON.parse(event.data);
      document.dispatchEvent(new CustomEvent("toast", { detail }));
    });
    stream.onerror = broken;
  }

  function alive() {
    heard = Date.now();
    poll(0);
    show("live", gettext("Live"));
  }

  function broken() {
    close();
    if (document.hidden) return;
    if (!polling) {
      poll(POLL_MS);
      refresh();
    }
    show("polling", gettext("Reconnecting, refreshed every 3 s"));
    retrying = window.setTimeout(open, RETRY_MS);
  }

  // A hidden tab gives its connection back (HTTP/1.1 has six per server) and looks
  // seldom; shown again, it looks at once.
  function visibilityChanged() {
    if (document.hidden) {
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
  window.setInterval(askAgain, ASK_MS);
  window.setInterval(() => {
    if (stream && Date.now() - heard > SILENCE_MS) broken();
  }, 5000);
  visibilityChanged();
})();
