// Everything works without this file: it renews what changes, copies a key, and asks before something is revoked.
"use strict";

function renew(part) {
  const busy = document.hidden || part.contains(document.activeElement);
  if (busy) return;
  fetch(part.dataset.live, { credentials: "same-origin", redirect: "manual", cache: "no-store" })
    .then((answer) => {
      if (answer.type === "opaqueredirect") location.reload(); // the session is over
      return answer.ok ? answer.text() : null;
    })
    .then((text) => {
      if (text !== null && !part.contains(document.activeElement)) part.innerHTML = text; // escaped by the server
    })
    .catch(() => {}); // the gateway is away: the next time may find it
}

for (const part of document.querySelectorAll("[data-live]")) {
  setInterval(() => renew(part), Number(part.dataset.seconds) * 1000);
}

for (const button of document.querySelectorAll("[data-copy]")) {
  const source = document.getElementById(button.dataset.copy);
  button.hidden = !navigator.clipboard; // which browsers have over https and on localhost
  button.addEventListener("click", () => {
    navigator.clipboard.writeText(source.value).then(() => { button.textContent = "Copied"; });
  });
  source.addEventListener("focus", () => source.select());
}

for (const button of document.querySelectorAll("button.danger")) {
  button.form.addEventListener("submit", (event) => {
    if (!confirm(`${button.textContent.trim()}?`)) event.preventDefault();
  });
}
