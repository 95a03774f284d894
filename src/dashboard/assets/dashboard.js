// Renews the sections of a page as its stream sends them. Without it every page works, and is as old as its last load.
"use strict";
(() => {
  const stream = document.body.dataset.stream;
  const state = document.getElementById("stream-state");
  const hold = document.getElementById("hold");
  if (!stream || !state || !hold || !window.EventSource) return;
  const SILENT_MS = 12000;
  const AGAIN_MS = 5000;
  const waiting = new Map();
  let source = null;
  let again = 0;
  let heard = Date.now();
  let held = false;

  const say = (text, lost) => {
    if (state.textContent !== text) state.textContent = text;
    state.className = lost ? "lost" : "";
  };

  // Whoever works in a section, or marks text in it, is not disturbed: it is renewed when he has left it.
  const isInUse = (section) => {
    const active = document.activeElement;
    if (active && section.contains(active) && active.matches("a, button, input, select, textarea")) return true;
    const marked = document.getSelection();
    return Boolean(marked && !marked.isCollapsed && section.contains(marked.anchorNode));
  };

  const renew = (id, html) => {
    const section = document.getElementById(id);
    if (!section) return;
    if (held || isInUse(section)) {
      waiting.set(id, html);
      return;
    }
    waiting.delete(id);
    const before = [...section.querySelectorAll("[tabindex]")];
    const focused = before.indexOf(document.activeElement);
    const scrolled = before.map((one) => one.scrollLeft);
    section.innerHTML = html;
    section.querySelectorAll("[tabindex]").forEach((one, n) => {
      one.scrollLeft = scrolled[n] || 0;
      if (n === focused) one.focus({ preventScroll: true });
    });
  };

  const catchUp = () => setTimeout(() => [...waiting].forEach(([id, html]) => renew(id, html)), 0);
  document.addEventListener("focusout", catchUp);
  document.addEventListener("selectionchange", catchUp);

  hold.hidden = false;
  hold.addEventListener("click", () => {
    held = !held;
    hold.setAttribute("aria-pressed", String(held));
    if (!held) catchUp();
  });

  const close = () => {
    clearTimeout(again);
    if (source) source.close();
    source = null;
  };

  const open = () => {
    close();
    heard = Date.now();
    source = new EventSource("/live/" + encodeURIComponent(stream));
    source.onmessage = (event) => {
      heard = Date.now();
      const told = JSON.parse(event.data);
      say(told.state, !told.live);
      for (const [id, html] of Object.entries(told.sections)) renew(id, html);
    };
    source.onerror = () => {
      say("Not live: this node does not answer", true);
      // A refusal ends the stream for good: another is tried later.
      if (source && source.readyState === EventSource.CLOSED) again = setTimeout(open, AGAIN_MS);
    };
  };

  setInterval(() => {
    const silent = Date.now() - heard;
    if (source && silent > SILENT_MS) say("Not live for " + Math.round(silent / 1000) + " s", true);
  }, 1000);

  // A page that nobody sees takes no connection: a browser has few for one node.
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  if (!document.hidden) open();
})();
