// The frame's own behaviour: the dialog, toasts, menus, presses, announcements.
(() => {
  "use strict";
  const TOAST_MS = 8000;
  const MOST_TOASTS = 3;
  const ANNOUNCE_MS = 10000;
  const dialog = document.getElementById("dialog");
  const dialogBody = document.getElementById("dialog-body");
  const toasts = document.getElementById("toasts");

  // --- The navigation: on a phone its end is pushed out of sight ---

  const here = document.querySelector(".mainnav [aria-current]");
  if (here) here.parentElement.scrollLeft = here.offsetLeft - here.parentElement.clientWidth / 2;

  // --- Dialog: whatever is swapped into #dialog-body is shown ---

  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target === dialogBody && !dialog.open) dialog.showModal();
  });
  // A refused verb comes as 403, 409 or 422 with the reason as its fragment.
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { xhr, target } = event.detail;
    if (!xhr || xhr.status < 400) return;
    const fragment = xhr.getResponseHeader("X-Fragment") === "true";
    if (fragment) event.detail.shouldSwap = true;
    else if (target === dialogBody) {
      toast({ text: interpolate(gettext("The server answered %s."), [xhr.status]), level: "bad" });
    }
  });
  // Nobody knows whether an act without an answer was carried out; to ask changes nothing.
  for (const kind of ["htmx:sendError", "htmx:timeout"]) {
    document.addEventListener(kind, ({ detail }) => {
      const { verb, elt } = detail.requestConfig;
      if (elt.hasAttribute("data-live")) return;
      if (verb !== "get") {
        toast({ text: gettext("No answer from the server. Look at the page again before you repeat it."), level: "bad" });
      } else if (detail.target === dialogBody) {
        toast({ text: gettext("No answer from the server. Try again when it is back."), level: "bad" });
      }
    });
  }
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog || event.target.closest("[data-close]")) {
      event.preventDefault();
      dialog.close();
    }
  });
  dialog.addEventListener("close", () => dialogBody.replaceChildren());

  // --- A field is marked for as long as the alert that it names says what is wrong ---

  function markWrongFields() {
    for (const alert of document.querySelectorAll("[role=alert][data-keep]")) {
      const field = document.querySelector(`[aria-describedby~="${alert.id}"]`);
      if (alert.firstElementChild) field?.setAttribute("aria-invalid", "true");
      else field?.removeAttribute("aria-invalid");
    }
  }
  document.addEventListener("htmx:afterSwap", markWrongFields);
  document.addEventListener("console:fresh", markWrongFields);

  // --- What the server says with HX-Trigger: done, toast ---

  document.addEventListener("done", (event) => {
    dialog.close();
    event.target.closest?.("form")?.reset(); // the fields say again what is in force
    for (const error of document.querySelectorAll("[role=alert][data-keep]")) error.replaceChildren();
    markWrongFields();
    toast(event.detail);
    document.dispatchEvent(new CustomEvent("console:refresh"));
  });

  // --- What the stream says of any job, unless the reader wants no such words here ---

  document.addEventListener("console:news", ({ detail }) => {
    if (detail.toast && !document.hidden) toast(detail);
  });

  function toast({ text, url = "", level = "good" }) {
    const box = document.createElement("div");
    box.className = `toast-box toast-${level}`;
    const words = document.createElement(url ? "a" : "span");
    words.textContent = text;
    if (url) words.href = url;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "toast-close";
    button.setAttribute("aria-label", gettext("Dismiss"));
    button.textContent = "×";
    button.addEventListener("click", () => box.remove());
    box.append(words, button);
    toasts.append(box);
    while (toasts.children.length > MOST_TOASTS) toasts.firstElementChild.remove();
    let timer;
    const leaveSoon = () => {
      timer = window.setTimeout(() => box.remove(), TOAST_MS);
    };
    box.addEventListener("pointerenter", () => window.clearTimeout(timer));
    box.addEventListener("pointerleave", leaveSoon);
    leaveSoon();
  }

  // --- Menus are <details>: they close on Escape and on a click elsewhere ---

  const menus = () => document.querySelectorAll("details[data-menu][open]");
  document.addEventListener("click", (event) => {
    for (const menu of menus()) if (!menu.contains(event.target)) menu.open = false;
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const menu of menus()) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
  });

  // --- A link that is a button to the eye answers to the space bar too ---

  document.addEventListener("keydown", (event) => {
    if (event.key !== " " || !event.target.matches("a[role=button]")) return;
    event.preventDefault(); // the page would scroll
    if (!event.repeat) event.target.click();
  });

  // --- Nothing moves under a pressed pointer: the click that began would be lost ---

  const PRESS_MS = 3000; // the end of a longer press may never be told
  const postponed = new Map(); // who asked for a part of the page, and on which event
  let pressedAt = -Infinity;

  document.addEventListener("pointerdown", ({ button, timeStamp }) => {
    if (button === 0) pressedAt = timeStamp;
  });
  function released() {
    pressedAt = -Infinity;
    window.setTimeout(() => { // once the click has been told
      const askers = [...postponed];
      postponed.clear();
      for (const [asker, kind] of askers) htmx.trigger(asker, kind);
    });
  }
  document.addEventListener("pointerup", released);
  document.addEventListener("pointercancel", released);
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { elt, verb, triggeringEvent } = event.detail.requestConfig;
    const looks = verb === "get" || elt.hasAttribute("data-live");
    if (!looks || performance.now() - pressedAt > PRESS_MS) return;
    event.preventDefault();
    if (triggeringEvent) postponed.set(elt, triggeringEvent.type);
  });

  // --- A form that is checked while one types: no answer to what it said before ---

  document.addEventListener("input", ({ target }) => {
    const form = target.closest?.("form[data-live]");
    // Whether a warning is accepted, and why, changes nothing about the question.
    if (!form || ["reason", "accepted"].includes(target.name)) return;
    htmx.trigger(form, "htmx:abort");
    for (const part of form.querySelectorAll("[data-key]")) part.setAttribute("aria-busy", "true");
  });

  // --- A button that writes its value into a field ---

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-fills]");
    if (!button) return;
    event.preventDefault();
    const field = document.getElementById(button.dataset.fills);
    field.value = button.value;
    field.dispatchEvent(new Event("input", { bubbles: true }));
  });

  // --- Progress for screen readers, politely and seldom ---

  const announcer = document.getElementById("announcer");
  window.setInterval(() => {
    const words = document.querySelector("[data-announce]")?.dataset.announce ?? "";
    if (announcer.textContent !== words) announcer.textContent = words;
  }, ANNOUNCE_MS);
})();
