// Replaces the page's sections as the adapter sends them. Without this script the page reloads itself instead.
"use strict";

(() => {
  const RETRY_MS = 15000;
  // A stream that is only renewed is back within this time, and nobody need be told.
  const GRACE_MS = 4000;
  const SILENCE_MS = Number(document.body.dataset.silence);
  const stale = document.getElementById("stale");
  let source = null;
  let silence = 0;
  let grace = 0;
  let retry = 0;

  const tell = () => { stale.textContent = stale.dataset.text; };

  const quiet = () => {
    for (const timer of [silence, grace, retry]) clearTimeout(timer);
    silence = grace = retry = 0;
  };

  const heard = () => {
    quiet();
    if (stale.textContent) stale.textContent = "";
    silence = setTimeout(lost, SILENCE_MS);
  };

  const close = () => {
    quiet();
    if (source) source.close();
    source = null;
  };

  const lost = () => {
    tell();
    close();
    retry = setTimeout(open, RETRY_MS);
  };

  const show = (message) => {
    heard();
    const { id, html } = JSON.parse(message.data);
    const section = document.getElementById(id);
    if (section && "fragment" in section.dataset) section.innerHTML = html;
  };

  const failed = () => {
    // The browser tries again by itself unless the adapter refused the stream.
    if (source.readyState === EventSource.CLOSED) lost();
    else if (!grace) grace = setTimeout(tell, GRACE_MS);
  };

  const open = () => {
    if (source) return;
    source = new EventSource(document.body.dataset.events);
    source.addEventListener("fragment", show);
    source.addEventListener("alive", heard);
    source.addEventListener("error", failed);
    silence = setTimeout(lost, SILENCE_MS);
  };

  addEventListener("pagehide", close);
  addEventListener("pageshow", open);
})();
