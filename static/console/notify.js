// Notifications of the browser's, for who chose them and allowed them in this browser.
//
// Only hidden tabs notify: who looks at the console sees it there. Of several hidden
// tabs one keeps watch (the lock "watch"); the tabs that are seen say so by a lock too.
(() => {
  "use strict";
  const SEEN = "blockcopy-seen";
  const WATCH = "blockcopy-watch";
  const allowed = () => "Notification" in window && Notification.permission === "granted";
  let letGo = () => {};

  // Holds a lock until the tab is shown, hidden or left, or gives up its place in line.
  function hold(name, mode, begin = () => {}) {
    const line = new AbortController();
    const held = new Promise((resolve) => {
      letGo = () => {
        line.abort();
        resolve();
      };
    });
    const options = { mode, signal: line.signal };
    navigator.locks
      .request(name, options, () => {
        begin();
        return held;
      })
      .catch((error) => {
        if (error.name !== "AbortError") throw error;
      });
  }

  function takePlace() {
    letGo();
    if (!allowed()) return;
    if (!document.hidden) hold(SEEN, "shared");
    else hold(WATCH, "exclusive", () => document.dispatchEvent(new CustomEvent("console:watch")));
  }

  async function isSeenElsewhere() {
    const { held } = await navigator.locks.query();
    return held.some(({ name }) => name === SEEN);
  }

  async function notify({ text, more, url, job, level }) {
    if (await isSeenElsewhere()) return;
    const options = { body: more, tag: `job-${job}`, requireInteraction: level !== "good" };
    const notice = new Notification(text, options);
    notice.addEventListener("click", () => {
      notice.close();
      if (location.pathname === url) window.focus();
      else window.open(url, `job-${job}`);
    });
  }

  if (!navigator.locks) return; // without HTTPS there is neither
  document.addEventListener("console:news", ({ detail }) => {
    if (detail.notify && document.hidden && allowed()) notify(detail);
  });
  document.addEventListener("visibilitychange", takePlace);
  window.addEventListener("pagehide", () => letGo());
  window.addEventListener("pageshow", (event) => event.persisted && takePlace());
  takePlace();
})();
