// The round button on the firm's own page, and the frame that the chat opens in.
// <script src="https://…/chat/widget.js" async></script>; optional: data-lang="zh-Hant|zh-Hans|en", data-name="…"
(() => {
"use strict";
const script = document.currentScript || document.querySelector('script[src*="/widget.js"]');
if (!script || window.intakeChat) return;
const base = new URL(".", script.src);
const wanted = script.dataset.lang || navigator.language || "";
const lang = /^zh\b/i.test(wanted) ? (/hant|tw|hk|mo/i.test(wanted) ? "zh-Hant" : "zh-Hans") : "en";
const [OPEN, CLOSE, UNREAD] = {
  "zh-Hant": ["線上客服", "收起對話", "則新訊息"],
  "zh-Hans": ["在线客服", "收起对话", "条新消息"],
  "en": ["Chat with us", "Close the chat", "new"],
}[lang];
const DAYS = 864e5;

const css = `
:host { all: initial; position: fixed; width: 0; height: 0; z-index: 2147483000; }
button, .frame { position: fixed; }
button {
  right: calc(20px + env(safe-area-inset-right)); bottom: calc(20px + env(safe-area-inset-bottom)); width: 56px; height: 56px;
  padding: 15px; border: 0; border-radius: 50%; cursor: pointer; background: #1c6b62; color: #fff;
  box-shadow: 0 2px 6px rgb(0 0 0 / .18), 0 6px 20px rgb(0 0 0 / .16);
}
button:hover { background: #15564f; }
button:focus-visible { outline: 3px solid #1c6b62; outline-offset: 3px; box-shadow: 0 0 0 3px #fff; }
svg { display: block; fill: none; stroke: currentColor; stroke-width: 1.9; stroke-linecap: round; stroke-linejoin: round; }
.down, [aria-expanded=true] .talk { display: none; }
[aria-expanded=true] .down { display: block; }
.count {
  position: absolute; top: -3px; right: -3px; min-width: 22px; height: 22px; padding: 0 6px; border-radius: 11px; box-sizing: border-box;
  background: #b3261e; color: #fff; font: 600 13px/22px system-ui, sans-serif; text-align: center;
}
.count:empty { display: none; }
.frame {
  right: calc(20px + env(safe-area-inset-right)); bottom: calc(88px + env(safe-area-inset-bottom)); width: 380px;
  height: min(560px, 100vh - 108px); border-radius: 16px; overflow: hidden; background: #fff;
  box-shadow: 0 0 0 1px rgb(0 0 0 / .06), 0 12px 44px rgb(0 0 0 / .22);
}
.frame[hidden] { display: none; }
iframe { display: block; width: 100%; height: 100%; border: 0; }
@media (prefers-color-scheme: dark) { .frame { background: #141918; box-shadow: 0 0 0 1px rgb(255 255 255 / .1), 0 12px 44px rgb(0 0 0 / .6); } }
@media (max-width: 480px), (max-height: 420px) {
  .frame { inset: 0; width: 100%; height: 100%; border-radius: 0; box-shadow: none; }
  [aria-expanded=true] { visibility: hidden; }
}
@media (prefers-reduced-motion: no-preference) {
  .frame:not([hidden]) { animation: open .16s ease-out; }
  button { transition: background-color .12s; }
  @keyframes open { from { opacity: 0; transform: translateY(10px); } }
}`;

const host = document.createElement("div");
const root = host.attachShadow({ mode: "open" });
// A constructed sheet, since the site's own policy may forbid inline styles.
const sheet = new CSSStyleSheet();
sheet.replaceSync(css);
root.adoptedStyleSheets = [sheet];
root.innerHTML = `<div class="frame" hidden></div>
<button type="button" aria-expanded="false" aria-haspopup="dialog">
<svg class="talk" viewBox="0 0 24 24" aria-hidden="true"><path d="M20.5 11.6c0 4.2-3.8 7.6-8.5 7.6-1.1 0-2.2-.2-3.2-.5L4 20.3l1.4-3.9a7.1 7.1 0 0 1-1.9-4.8C3.5 7.4 7.3 4 12 4s8.5 3.4 8.5 7.6Z"/></svg>
<svg class="down" viewBox="0 0 24 24" aria-hidden="true"><path d="m6 9 6 6 6-6"/></svg><span class="count"></span></button>`;
const [frame, button] = [root.querySelector(".frame"), root.querySelector("button")];
const count = root.querySelector(".count");
let iframe = null, isOpen = false, isReady = false;

const memory = (store, key, value) => {
  try {
    if (value === undefined) return store.getItem(key);
    store.setItem(key, value);
  } catch { /* storage is switched off: the chat works, it only forgets where it was */ }
  return null;
};

function tell(word) {
  if (isReady) {
    const page = location.origin + location.pathname;  // never the query: it may hold what is private
    iframe.contentWindow.postMessage({ intake: word, page, name: script.dataset.name || "" }, base.origin);
  }
}

function load() {
  if (iframe) return;
  iframe = document.createElement("iframe");
  iframe.title = OPEN;
  iframe.src = new URL("panel?lang=" + lang, base).href;
  frame.append(iframe);
}

function show(open, byHand) {
  isOpen = open;
  if (open) load();
  frame.hidden = !open;
  button.setAttribute("aria-expanded", open);
  memory(sessionStorage, "intake.open", open ? "1" : "");
  if (open) unread(0);
  label();
  if (open && byHand) iframe.focus();
  tell(open ? (byHand ? "open" : "shown") : "hidden");
  if (!open && byHand) button.focus();
  fit();
}

function unread(n) {
  count.textContent = n ? (n > 9 ? "9+" : n) : "";
  label();
}

function label() {
  const n = count.textContent;
  button.setAttribute("aria-label", isOpen ? CLOSE : OPEN + (n ? ` (${n} ${UNREAD})` : ""));
}

// A phone's keyboard covers the lower part of what is fixed: follow the part that can be seen.
function fit() {
  const view = window.visualViewport;
  const isFull = isOpen && view && matchMedia("(max-width: 480px), (max-height: 420px)").matches;
  frame.style.height = isFull ? view.height + "px" : "";
  frame.style.top = isFull ? view.offsetTop + "px" : "";
}

button.addEventListener("click", () => show(!isOpen, true));
// Who points at the button is about to press it: by then the panel is there.
for (const hint of ["pointerover", "pointerdown", "focus"]) button.addEventListener(hint, load, { once: true });
window.visualViewport?.addEventListener("resize", fit);
window.visualViewport?.addEventListener("scroll", fit);
window.addEventListener("message", (e) => {
  if (!iframe || e.source !== iframe.contentWindow || e.origin !== base.origin) return;
  const { intake, n } = e.data || {};
  if (intake === "ready") { isReady = true; tell(isOpen ? "open" : "hidden"); }
  if (intake === "close") show(false, true);
  if (intake === "unread" && !isOpen) unread(n);
  if (intake === "talked") memory(localStorage, "intake.talked", Date.now());
});

window.intakeChat = { open: () => show(true, true), close: () => show(false, true) };

function start() {
  label();
  document.body.append(host);
  if (memory(sessionStorage, "intake.open") && !matchMedia("(max-width: 480px)").matches) show(true, false);
  // Who has written lately hears of an answer on whatever page he is.
  else if (Date.now() - (memory(localStorage, "intake.talked") || 0) < 2 * DAYS) (window.requestIdleCallback || setTimeout)(load);
}
if (document.body) start();
else addEventListener("DOMContentLoaded", start);
})();
