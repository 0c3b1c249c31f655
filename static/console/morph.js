// Makes the page's nodes say what new markup says, touching only what differs.
//
// Registered as htmx's swap style "morph". Nodes that stay keep focus, selection,
// scroll position and listeners; an open <details> stays open, text that somebody
// typed stays typed, and an element with data-keep is left alone.
(() => {
  "use strict";

  function morph(old, fresh, added) {
    if (old.isEqualNode(fresh)) return;
    if (old.nodeType !== Node.ELEMENT_NODE) {
      old.nodeValue = fresh.nodeValue;
      return;
    }
    if (old.hasAttribute("data-keep")) return;
    if (syncAttributes(old, fresh)) added.push(old);
    morphChildren(old, fresh, added);
  }

  // A new value attribute leaves what somebody typed: browsers see to that. Returns
  // whether htmx has to read the node again: it keeps what it once read of hx-….
  function syncAttributes(old, fresh) {
    const names = [...old.attributes, ...fresh.attributes].map(({ name }) => name);
    let isForHtmx = false;
    for (const name of new Set(names)) {
      const value = fresh.getAttribute(name);
      if (old.getAttribute(name) === value) continue;
      if (name === "open" && old.nodeName === "DETAILS") continue;
      if (value === null) old.removeAttribute(name);
      else old.setAttribute(name, value);
      isForHtmx ||= name.startsWith("hx-");
    }
    return isForHtmx;
  }

  function morphChildren(old, fresh, added) {
    const kinds = new Map([...fresh.children].map((node) => [node.id, node.nodeName]));
    const keyed = new Map();
    for (const child of [...old.children]) {
      if (!child.id) continue;
      if (kinds.get(child.id) === child.nodeName) keyed.set(child.id, child);
      else child.remove();
    }
    let cursor = old.firstChild;
    for (const child of [...fresh.childNodes]) {
      const match = keyed.get(child.id) || (alike(cursor, child) ? cursor : null);
      if (!match) {
        old.insertBefore(child, cursor);
        if (child.nodeType === Node.ELEMENT_NODE) added.push(child);
        continue;
      }
      if (match === cursor) cursor = cursor.nextSibling;
      else old.insertBefore(match, cursor);
      morph(match, child, added);
    }
    while (cursor) {
      const next = cursor.nextSibling;
      cursor.remove();
      cursor = next;
    }
  }

  function alike(old, fresh) {
    return (
      old !== null &&
      old.nodeType === fresh.nodeType &&
      old.nodeName === fresh.nodeName &&
      (old.id || "") === (fresh.id || "")
    );
  }

  // What has the focus stays where it is seen, whatever comes or goes above it.
  function heldInPlace(act) {
    const focused = document.activeElement;
    const { top, bottom } = focused.getBoundingClientRect();
    act();
    if (!focused.isConnected || bottom < 0 || top > window.innerHeight) return;
    const moved = focused.getBoundingClientRect().top - top;
    if (focused !== document.body && moved) window.scrollBy({ top: moved, behavior: "instant" });
  }

  htmx.defineExtension("morph", {
    isInlineSwap: (style) => style === "morph",
    handleSwap(style, target, fragment) {
      if (style !== "morph") return false;
      const fresh = fragment.querySelector(`[id="${CSS.escape(target.id)}"]`);
      if (!fresh) return [];
      const added = [];
      const focused = document.activeElement.id;
      heldInPlace(() => morph(target, fresh, added));
      // A button that became a link, or the other way round, is another node.
      if (focused && document.activeElement === document.body) {
        document.getElementById(focused)?.focus();
      }
      document.dispatchEvent(new CustomEvent("console:fresh"));
      return added;
    },
  });
})();
