// The account page: says what an empty time zone means in this browser.
(() => {
  "use strict";
  const zone = document.getElementById("browser-zone");
  zone.querySelector("strong").textContent = Intl.DateTimeFormat().resolvedOptions().timeZone;
  zone.hidden = false;
})();
