// A form with times in it: in the browser's zone, for who has chosen none.
(() => {
  "use strict";
  const field = document.getElementById("id_zone");
  if (field && !document.documentElement.dataset.timeZone) {
    field.value = Intl.DateTimeFormat().resolvedOptions().timeZone;
  }
})();
