// Replaces the page's sections as the adapter sends them. Without this script the page reloads itself instead.
"use strict";

(() => {
  const RETRY_MS = 15000;
  const SILENCE_MS = 45000;
  const stale = document.getElementById("stale");
  let source = null;
  let silence = 0;

  const heard = () => {
    stale.textContent = "";
    clearTimeout(silence);
    silence = setTimeout(lost, SILENCE_MS);
  };

  const lost = () => {
    stale.textContent = stale.dataset.text;
    clearTimeout(silence);
    if (source) source.close();
    source = null;
    setTimeout(open, RETRY_MS);
  };

  const show = (message) => {
    heard();
    const { id, html } = JSON.parse(message.data);
    const section = document.getElementById(id);
    if (section && "fragment" in section.dataset) section.innerHTML = html;
  };

  const open = () => {
    if (source) return;
    source = new EventSource(document.body.dataset.events);
    source.addEventListener("fragment", show);
    source.addEventListener("alive", heard);
    source.onerror = () => {
      stale.textContent = stale.dataset.text;
      // The browser tries again by itself unless the adapter refused the stream.
      if (source && source.readyState === EventSource.CLOSED) lost();
    };
    heard();
  };

  addEventListener("pagehide", () => { if (source) source.close(); source = null; clearTimeout(silence); });
  addEventListener("pageshow", open);
})();
