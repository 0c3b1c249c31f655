// The account page: what an empty time zone means in this browser, and whether the
// browser may notify. It is asked on a click here, and nowhere else.
(() => {
  "use strict";
  const zone = document.getElementById("browser-zone");
  const permission = document.getElementById("permission");
  const box = document.getElementById("id_notifications");

  zone.querySelector("strong").textContent = Intl.DateTimeFormat().resolvedOptions().timeZone;
  zone.hidden = false;
  if (!permission) return;

  // Without HTTPS there are no locks (notify.js), and no notifications either.
  const works = "Notification" in window && "locks" in navigator;

  function show() {
    const now = works ? Notification.permission : "missing";
    for (const words of permission.querySelectorAll("[data-permission]")) {
      words.hidden = words.dataset.permission !== now;
    }
  }

  async function ask() {
    await Notification.requestPermission();
    show();
  }

  permission.querySelector("button").addEventListener("click", ask);
  box.addEventListener("change", () => {
    if (box.checked && works && Notification.permission === "default") ask();
  });
  show();
})();
