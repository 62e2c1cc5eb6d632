// The chat as a visitor sees it: one socket, one list of lines, one text field.
// A line he writes is kept in the browser until the server says it is on the disk; see docs/protocols-webchat.md.
(() => {
"use strict";
const $ = (id) => document.getElementById(id);
const root = document.documentElement;
const isAlone = window.parent === window;

const WORDS = {
  "zh-Hant": {
    people: "由真人回覆", hello: "您好，請問有什麼可以幫忙？",
    hint: "直接把問題寫下來，會有人回覆您。關掉視窗也沒關係，下次回來對話還在。",
    field: "輸入訊息", send: "送出", close: "收起對話", desk: "客服", newer: "有新訊息 ↓",
    offline: "目前離線，您的訊息會先保留，連上後自動送出。", busy: "現在有點忙，您的訊息已保留，稍後自動再送。",
    waiting: "等待送出", stored: "已收到", answered: "已回覆", refused: "沒有送出",
    too_long: "這則太長，沒有送出，請分幾則寫。", empty: "這則沒有內容，沒有送出。", today: "今天", yesterday: "昨天",
  },
  "zh-Hans": {
    people: "由真人回复", hello: "您好，请问有什么可以帮您？",
    hint: "直接把问题写下来，会有人回复您。关掉窗口也没关系，下次回来对话还在。",
    field: "输入消息", send: "发送", close: "收起对话", desk: "客服", newer: "有新消息 ↓",
    offline: "目前离线，您的消息会先保留，连上后自动发送。", busy: "现在有点忙，您的消息已保留，稍后自动再发。",
    waiting: "等待发送", stored: "已收到", answered: "已回复", refused: "没有发送",
    too_long: "这条太长，没有发送，请分几条写。", empty: "这条没有内容，没有发送。", today: "今天", yesterday: "昨天",
  },
  "en": {
    people: "Answered by real people", hello: "Hello, how can we help?",
    hint: "Write your question below and one of us will answer. You can close this window: the conversation will still be here.",
    field: "Write a message", send: "Send", close: "Close the chat", desk: "Support", newer: "New message ↓",
    offline: "You are offline. Your messages are kept and will be sent when you are back.",
    busy: "We are busy right now. Your message is kept and will be sent again by itself.",
    waiting: "Waiting to be sent", stored: "Received", answered: "Answered", refused: "Not sent",
    too_long: "This is too long and was not sent. Please split it.", empty: "This was empty and was not sent.",
    today: "Today", yesterday: "Yesterday",
  },
};
const wanted = new URLSearchParams(location.search).get("lang") || navigator.language || "";
const lang = /^zh\b/i.test(wanted) ? (/hant|tw|hk|mo/i.test(wanted) ? "zh-Hant" : "zh-Hans") : "en";
const t = WORDS[lang];
const locale = { "zh-Hant": "zh-TW", "zh-Hans": "zh-CN", en: /^en-/i.test(navigator.language) ? navigator.language : "en" }[lang];
const clock = new Intl.DateTimeFormat(locale, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const calendar = new Intl.DateTimeFormat(locale, { month: "long", day: "numeric", weekday: "short" });

const GROUP_MS = 5 * 60e3, ACK_MS = 15e3, STALE_MS = 60e3, FADE_MS = 1500, MAX_WAIT_MS = 30e3, BUSY_MS = 60e3;

// --- what outlives the page ----------------------------------------------------------------------------------------

const address = new URL(root.dataset.base + "/", location.href);
const memory = {
  kept: {},
  get(key) {
    try { return JSON.parse(localStorage.getItem(`intake:${address.pathname}:${key}`)) ?? this.kept[key]; } catch { return this.kept[key]; }
  },
  set(key, value) {
    this.kept[key] = value;  // enough for this visit where storage is switched off
    try { localStorage.setItem(`intake:${address.pathname}:${key}`, JSON.stringify(value)); } catch { /* see above */ }
  },
};
const unsent = () => memory.get("unsent") || [];
const newId = () => Array.from(crypto.getRandomValues(new Uint8Array(12)), (b) => b.toString(16).padStart(2, "0")).join("");

// --- the lines -----------------------------------------------------------------------------------------------------

const lines = [];          // as shown, oldest first: {id, client, mine, text, at, author, state, isSeen, el}
const byId = new Map();    // line id or client id -> line
let skew = 0;              // server's clock minus ours, ms
let isShown = isAlone, isNear = true, unread = 0, about = { page: isAlone ? (location.origin + location.pathname).slice(0, 300) : "", name: "" };

function element(tag, name, text) {
  const el = document.createElement(tag);
  if (name) el.className = name;
  if (text) el.textContent = text;
  return el;
}

function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "tick");
  svg.setAttribute("role", "img");
  svg.append(document.createElementNS(svg.namespaceURI, "use"));
  svg.firstChild.setAttribute("href", "#" + name);
  svg.setAttribute("aria-label", t[name]);
  return svg;
}

// Text goes in as text, never as markup; only an address of the web becomes a link.
function write(el, text, hasLinks) {
  let from = 0;
  if (hasLinks) for (const m of text.matchAll(/https?:\/\/[^\s<>"'（）「」『』【】，。；！？]+/g)) {
    const url = m[0].replace(/[.,;:!?)\]]+$/, "");
    const a = element("a", "", url);
    a.href = url;
    a.target = "_blank";
    a.rel = "noopener noreferrer nofollow";
    el.append(text.slice(from, m.index), a);
    from = m.index + url.length;
  }
  el.append(text.slice(from));
}

function build(line) {
  const el = line.el = element("li", "line fresh " + (line.mine ? "mine" : "theirs"));
  const who = element("div", "who"), words = element("div", "words");
  const time = element("time", "", clock.format(line.at));
  time.dateTime = new Date(line.at).toISOString();
  if (!line.mine) {
    const name = line.author || t.desk, face = element("span", "face", initial(name));
    face.setAttribute("aria-hidden", "true");
    who.append(face, element("b", "", name), time);
  } else who.append(time);
  write(words, line.text, !line.mine);
  el.append(who, words);
  if (line.mine) el.append(icon(line.state));
}

const initial = (name) => [...name.trim()][0]?.toUpperCase() || "";

function mark(line, state) {
  line.state = state;
  line.el.classList.remove("waiting", "stored", "answered", "refused");
  line.el.classList.add(state);
  line.el.querySelector(".tick")?.replaceWith(icon(state));
}

// Puts a line where its time belongs; false if it is there already.
function add(line) {
  const known = byId.get(line.client) || byId.get(line.id);
  if (line.id) byId.set(line.id, known || line);
  if (known) {
    known.id = line.id || known.id;
    if (known.state === "waiting" && known.id) settle(known, "stored");
    return false;
  }
  if (line.client) byId.set(line.client, line);
  let at = lines.length;
  while (at && lines[at - 1].at > line.at) at--;
  build(line);
  if (line.mine) mark(line, line.state);
  $("log").insertBefore(line.el, lines[at] ? lines[at].day || lines[at].el : null);
  lines.splice(at, 0, line);
  return true;
}

function settle(line, state) {
  memory.set("unsent", unsent().filter((each) => each.id !== line.client));
  if (inflight === line) inflight = null;
  mark(line, state);
}

function dayOf(at) {
  const day = new Date(at).toDateString();
  if (day === new Date().toDateString()) return t.today;
  return day === new Date(Date.now() - 864e5).toDateString() ? t.yesterday : calendar.format(at);
}

// Days, groups and ticks follow from the order; a list is short enough to be gone over whole.
function tidy() {
  let last = null, isAnswered = false;
  for (const line of lines) {
    const isNewDay = !last || new Date(line.at).toDateString() !== new Date(last.at).toDateString();
    if (isNewDay && !line.day) $("log").insertBefore(line.day = element("li", "day", dayOf(line.at)), line.el);
    if (!isNewDay && line.day) { line.day.remove(); line.day = null; }
    const isFirst = isNewDay || line.mine !== last.mine || line.author !== last.author || line.at - last.at > GROUP_MS;
    line.el.classList.toggle("first", isFirst);
    last = line;
  }
  for (const line of [...lines].reverse()) {
    if (!line.mine) isAnswered ||= !!line.author;  // a person's name: an automatic line answers nothing
    else if (isAnswered && line.state === "stored") mark(line, "answered");
  }
  $("greeting").hidden = lines.length > 0;
  if (isNear) $("scroll").scrollTop = $("scroll").scrollHeight;
}

function take(shown, isLive) {
  let news = 0;
  for (const each of shown) {
    const mine = "client" in each;
    const line = { ...each, mine, state: "stored", author: each.author || "" };
    if (add(line) && !mine) news++;
  }
  tidy();
  if (!news) return;
  if (isLive && !isShown) tell("unread", unread += news);
  if (isLive && !isNear) $("newer").hidden = false;
  if (isAlone && document.hidden) document.title = `(${unread += isLive ? news : 0}) ${firm()}`;
}

// Our word that lines are on the screen; said again until the server has recorded it.
function confirm() {
  const until = lines.findIndex((line) => line.id && line.id === memory.get("seen"));
  lines.forEach((line, i) => { if (i <= until) line.isSeen = true; });
  const ids = lines.filter((line) => !line.mine && line.id && !line.isSeen).map((line) => line.id);
  if (ids.length && isOpen()) for (let i = 0; i < ids.length; i += 200) say({ type: "got", ids: ids.slice(i, i + 200) });
}

// The last line before which nothing is missing and nothing unconfirmed.
function position() {
  let last = "";
  for (const line of lines) {
    if (!line.id || (!line.mine && !line.isSeen)) break;
    last = line.id;
  }
  return last;
}

// --- the socket ----------------------------------------------------------------------------------------------------

let socket = null, isWelcome = false, early = [], inflight = null, failures = 0, busyMs = 0, heardAt = 0;
let ackTimer = 0, retryTimer = 0, sendTimer = 0, noticeTimer = 0;
const isOpen = () => isWelcome && socket?.readyState === 1;
const say = (frame) => socket.send(JSON.stringify(frame));

function notice(word) {
  clearTimeout(noticeTimer);
  if ($("notice").textContent !== (t[word] || "")) $("notice").textContent = t[word] || "";
}

function connect() {
  clearTimeout(retryTimer);
  if (socket) return;
  if (navigator.onLine === false) return notice("offline");
  const url = new URL("ws", address);
  url.protocol = url.protocol.replace("http", "ws");
  const mine = socket = new WebSocket(url);
  noticeTimer = setTimeout(() => { if (!isOpen()) notice("offline"); }, FADE_MS);
  mine.onopen = () => say({ type: "hello", token: memory.get("token"), after: position(), language: lang });
  mine.onmessage = (e) => { if (socket === mine) { heardAt = Date.now(); hear(JSON.parse(e.data)); } };
  mine.onclose = () => { if (socket === mine) lose(); };
}

function lose() {
  const old = socket;
  socket = inflight = null;
  isWelcome = false;
  early = [];
  clearTimeout(ackTimer);
  if (old) { old.onclose = null; old.close(); }
  const wait = Math.min(MAX_WAIT_MS, 500 * 2 ** failures++) * (0.5 + Math.random() / 2);
  clearTimeout(noticeTimer);
  if (navigator.onLine === false) notice("offline");
  else if (!$("notice").textContent) noticeTimer = setTimeout(() => notice("offline"), FADE_MS);
  clearTimeout(retryTimer);
  retryTimer = setTimeout(connect, wait);
}

// The server must answer soon, or the line is dead although nobody has told us.
function expect() {
  clearTimeout(ackTimer);
  ackTimer = setTimeout(lose, ACK_MS);
}

const HEAR = {
  welcome(frame) {
    if (memory.get("token") !== frame.token) memory.set("token", frame.token);
    skew = frame.now - Date.now();
    isWelcome = true;
    failures = 0;
    $("text").maxLength = frame.max_text;
    head(frame);
    notice("");
    take(frame.lines, lines.some((line) => line.id));
    for (const each of early.splice(0)) hear(each);
    confirm();
    if (frame.more) say({ type: "since", after: frame.lines.at(-1).id });
    pump();
  },
  lines(frame) {
    clearTimeout(ackTimer);
    take(frame.lines, false);
    confirm();
    if (frame.more) say({ type: "since", after: frame.lines.at(-1).id });
  },
  line(frame) {
    if (!isWelcome) return early.push(frame);  // what was missed comes first
    delete frame.type;
    take([frame], true);
    confirm();
  },
  seen(frame) {
    for (const id of frame.ids) { const line = byId.get(id); if (line) line.isSeen = true; }
    const last = position();
    if (last) memory.set("seen", last);
  },
  ack(frame) {
    clearTimeout(ackTimer);
    busyMs = 0;
    const line = byId.get(frame.id);
    if (line) {
      line.id = frame.line;
      byId.set(frame.line, line);
      settle(line, "stored");
      tidy();
    }
    notice("");
    tell("talked");
    pump();
  },
  refused(frame) {
    clearTimeout(ackTimer);
    const line = byId.get(frame.id);
    if (line) {
      settle(line, "refused");
      line.el.append(element("div", "fault", t[frame.reason] || t.refused));
    }
    pump();
  },
  slow_down(frame) { again(frame.retry_ms); },
  busy(frame) {
    notice("busy");
    busyMs = Math.min(BUSY_MS, Math.max(frame.retry_ms, busyMs * 2));
    again(busyMs);
  },
};
const hear = (frame) => HEAR[frame.type]?.(frame);

function again(ms) {
  clearTimeout(ackTimer);
  clearTimeout(sendTimer);
  inflight = null;
  sendTimer = setTimeout(() => { sendTimer = 0; pump(); }, ms * (1 + Math.random() / 4));
}

// One unsent line at a time, so that they arrive in the order he wrote them.
function pump() {
  if (inflight || sendTimer || !isOpen()) return;
  inflight = lines.find((line) => line.state === "waiting") || null;
  if (!inflight) return;
  say({ type: "msg", id: inflight.client, text: inflight.text, language: lang, page: about.page, name: about.name });
  expect();
}

// --- writing -------------------------------------------------------------------------------------------------------

function submit() {
  const text = $("text").value.trim();
  if (!text) return;
  const line = { client: newId(), mine: true, text, at: Date.now() + skew, author: "", state: "waiting" };
  memory.set("unsent", [...unsent(), { id: line.client, text, at: line.at }]);
  $("text").value = "";
  grow();
  isNear = true;
  add(line);
  tidy();
  pump();
  if (!socket) connect();
}

function grow() {
  const field = $("text");
  field.style.height = "auto";
  field.style.height = field.scrollHeight + 2 + "px";
  $("send").disabled = !field.value.trim();
}

$("form").addEventListener("submit", (e) => { e.preventDefault(); submit(); $("text").focus(); });
$("text").addEventListener("input", grow);
$("text").addEventListener("keydown", (e) => {
  // 229: the Enter that ends a composition in Safari, which says isComposing = false.
  if (e.key !== "Enter" || e.shiftKey || e.isComposing || e.keyCode === 229) return;
  e.preventDefault();
  submit();
});
document.addEventListener("keydown", (e) => { if (e.key === "Escape" && !e.isComposing && e.keyCode !== 229) tell("close"); });
$("close").addEventListener("click", () => tell("close"));
$("newer").addEventListener("click", () => { isNear = true; tidy(); $("newer").hidden = true; $("text").focus(); });
$("scroll").addEventListener("scroll", () => {
  const el = $("scroll");
  isNear = el.scrollHeight - el.scrollTop - el.clientHeight < 48;
  if (isNear) $("newer").hidden = true;
}, { passive: true });
new ResizeObserver(() => { if (isNear) $("scroll").scrollTop = $("scroll").scrollHeight; }).observe($("scroll"));

// --- the world outside ---------------------------------------------------------------------------------------------

function tell(intake, n) { if (!isAlone) window.parent.postMessage({ intake, n }, "*"); }  // nothing of it is secret

window.addEventListener("message", (e) => {
  if (e.source !== window.parent || isAlone || !e.data?.intake) return;
  const { intake, page, name } = e.data;
  if (typeof page === "string") about = { page: page.slice(0, 300), name: typeof name === "string" ? name.slice(0, 60) : "" };
  isShown = intake !== "hidden";
  if (isShown) { unread = 0; tidy(); }
  if (intake === "open" && !matchMedia("(pointer: coarse)").matches) $("text").focus();
});
window.addEventListener("offline", () => { if (socket) lose(); notice("offline"); });
window.addEventListener("online", () => { failures = 0; connect(); });
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  if (isAlone) { unread = 0; document.title = firm(); }
  if (!socket) { failures = 0; connect(); }
  else if (isOpen() && Date.now() - heardAt > STALE_MS) { say({ type: "since", after: position() }); expect(); }
});

const firm = () => $("firm").textContent;

function head(frame) {
  if (frame.firm) $("firm").textContent = frame.firm;
  $("promise").textContent = frame.promise || t.people;
}

root.lang = lang;
root.classList.toggle("alone", isAlone);
head({});
$("face").textContent = initial(firm());
$("hello").textContent = t.hello;
$("hint").textContent = t.hint;
$("newer").textContent = t.newer;
$("text").placeholder = t.field;
$("text").setAttribute("aria-label", t.field);
$("send").setAttribute("aria-label", t.send);
$("close").setAttribute("aria-label", t.close);
$("close").hidden = isAlone;
for (const each of unsent()) add({ client: each.id, mine: true, text: each.text, at: each.at, author: "", state: "waiting" });
tidy();
connect();
tell("ready");
if (isAlone && !matchMedia("(pointer: coarse)").matches) $("text").focus();
})();
