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
    syncAttributes(old, fresh);
    morphChildren(old, fresh, added);
  }

  // A new value attribute leaves what somebody typed: browsers see to that.
  function syncAttributes(old, fresh) {
    const stays = (name) => name === "open" && old.nodeName === "DETAILS";
    for (const { name, value } of fresh.attributes) {
      if (!stays(name) && old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
    for (const { name } of [...old.attributes]) {
      if (!stays(name) && !fresh.hasAttribute(name)) old.removeAttribute(name);
    }
  }

  function morphChildren(old, fresh, added) {
    const wanted = new Set([...fresh.children].map((node) => node.id).filter(Boolean));
    const keyed = new Map();
    for (const child of [...old.children]) {
      if (!child.id) continue;
      if (wanted.has(child.id)) keyed.set(child.id, child);
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

  htmx.defineExtension("morph", {
    isInlineSwap: (style) => style === "morph",
    handleSwap(style, target, fragment) {
      if (style !== "morph") return false;
      const fresh = fragment.querySelector(`[id="${CSS.escape(target.id)}"]`);
      if (!fresh) return [];
      const added = [];
      morph(target, fresh, added);
      document.dispatchEvent(new CustomEvent("console:fresh"));
      return added;
    },
  });
})();
