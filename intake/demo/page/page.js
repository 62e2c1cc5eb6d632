// The playground's page. It knows the daemon by its event log, and the mailboxes by IMAP and SMTP; nothing else.
"use strict";

const RING = 3000; // ms from one ring to the next
const RINGS_IN_TIME = 3;
const SHOWN_FOR = 180000; // ms that a delivered message stays on the strip
const ROWS = 2; // of dots at a station
const WIDTH = 120; // px of a dot, at most; with hours on its clock:
const WIDTH_WITH_HOURS = 142;
const LANGUAGES = Object.keys(WORDS);

const by = (selector, within = document) => within.querySelector(selector);
const all = (selector, within = document) => [...within.querySelectorAll(selector)];

let language = languageOf();
let setup = null;
let skew = 0; // ms that the daemon's clock is ahead of ours

// --- words ---------------------------------------------------------------------------------------------------------

function languageOf() {
  const kept = localStorage.getItem("playground-language");
  if (LANGUAGES.includes(kept)) return kept;
  const tag = navigator.language || "";
  if (!/^zh\b/i.test(tag)) return "en";
  return /hant|tw|hk|mo/i.test(tag) ? "zh-Hant" : "zh-Hans";
}

function say(key, filled = {}) {
  return WORDS[language][key].replace(/\{(\w+)\}/g, (_, name) => filled[name] ?? "");
}

function clock(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const minutes = Math.floor(seconds / 60) % 60;
  const hours = Math.floor(seconds / 3600);
  const two = (n) => String(n).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}

function hour(moment) {
  const locale = { "zh-Hant": "zh-TW", "zh-Hans": "zh-CN", en: "en-GB" }[language];
  // The desk's time, as in its mails, wherever the browser thinks that it is.
  const format = { hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone: setup?.timezone };
  return new Date(moment).toLocaleTimeString(locale, format);
}

function make(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function icon(name) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  const use = document.createElementNS(space, "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

// --- asking the daemon's machine -----------------------------------------------------------------------------------

async function ask(path, body) {
  const options = body && {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), keepalive: true,
  };
  const answer = await fetch(path, options);
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(told.error || String(answer.status));
  return told;
}

// --- the strip -----------------------------------------------------------------------------------------------------

const chips = new Map(); // message id -> element
let dots = [];

function drawStrip() {
  const now = Date.now() + skew;
  const visible = dots.filter((dot) => !dot.delivered_at || now - Date.parse(dot.delivered_at) < SHOWN_FOR);
  const before = new Map([...chips].map(([id, chip]) => [id, chip.getBoundingClientRect()]));
  for (const [id, chip] of chips) {
    if (visible.some((dot) => dot.message === id)) continue;
    chip.remove();
    chips.delete(id);
  }
  for (const station of all("#strip li")) {
    const here = visible.filter((dot) => dot.stage === station.dataset.stage).reverse();
    const cell = by(".cell", station);
    const width = here.some((dot) => now - Date.parse(dot.accepted_at) > 3600000) ? WIDTH_WITH_HOURS : WIDTH;
    const places = ROWS * Math.max(1, Math.floor(cell.clientWidth / width));
    const fitting = here.length > places ? places - 1 : places; // the last place says how many more
    const shown = here.slice(0, fitting);
    for (const dot of here.slice(fitting)) {
      chips.get(dot.message)?.remove();
      chips.delete(dot.message);
    }
    const rest = here.length - shown.length;
    cell.replaceChildren(
      ...shown.map(chipOf),
      ...(rest ? [make("span", { className: "rest", textContent: say("more", { n: rest }) })] : []),
    );
    station.classList.toggle("busy", here.some((dot) => !dot.delivered_at));
  }
  for (const [id, chip] of chips) glide(chip, before.get(id));
  tick();
}

function chipOf(dot) {
  let chip = chips.get(dot.message);
  if (!chip) {
    const medium = setup.channels[dot.channel] || "email";
    const known = ["email", "chat", "phone"].includes(medium) ? medium : "chat";
    chip = make("span", { className: `dot fresh ${known}` }, make("i", {}, icon(known)), make("b"), make("time"));
    chips.set(dot.message, chip);
  }
  const agent = setup.people.find((person) => person.key === dot.agent);
  by("b", chip).textContent = dot.ticket ? `#${dot.ticket}` : "";
  chip.title = agent ? agent.name : dot.agent;
  chip.classList.toggle("done", Boolean(dot.delivered_at));
  return chip;
}

function glide(chip, from) {
  if (!from || matchMedia("(prefers-reduced-motion: reduce)").matches) return;
  const to = chip.getBoundingClientRect();
  const [x, y] = [from.left - to.left, from.top - to.top];
  if (!x && !y) return;
  chip.classList.remove("fresh");
  chip.animate([{ transform: `translate(${x}px, ${y}px)` }, { transform: "none" }], { duration: 650, easing: "cubic-bezier(.3,.7,.2,1)" });
}

function tick() {
  const now = Date.now() + skew;
  for (const dot of dots) {
    const chip = chips.get(dot.message);
    if (chip) by("time", chip).textContent = clock((dot.delivered_at ? Date.parse(dot.delivered_at) : now) - Date.parse(dot.accepted_at));
  }
}

// --- mailboxes -----------------------------------------------------------------------------------------------------

class Mailboxes {
  constructor(body, people, { canWrite, follows }) {
    this.people = people;
    this.canWrite = canWrite;
    this.follows = follows; // turns to whoever gets mail, until somebody chose for himself
    this.who = people[0];
    this.lines = new Map(people.map((person) => [person.key, []]));
    this.open = null; // {uid, letter, isPlain}
    this.drafts = new Map();
    this.tabs = make("div", { className: "tabs", role: "tablist" });
    this.place = make("div", { className: "body" });
    body.replaceChildren(this.tabs, this.place);
  }

  unseen(person) {
    return this.lines.get(person.key).filter((line) => !line.is_seen).length;
  }

  async refresh(key) {
    const known = this.lines.get(key).length;
    this.lines.set(key, await ask(`/demo/mail/${key}`));
    const hasNew = this.lines.get(key).length > known;
    if (hasNew && this.follows && key !== this.who.key && !this.unseen(this.who) && !this.open && this.ready) {
      this.who = this.people.find((person) => person.key === key);
    }
    this.drawTabs();
    if (key === this.who.key && !this.open) this.drawList();
  }

  choose(person) {
    this.who = person;
    this.open = null;
    this.follows = false;
    this.draw();
  }

  draw() {
    this.drawTabs();
    if (this.open) this.drawLetter();
    else this.drawList();
  }

  drawTabs() {
    this.tabs.replaceChildren(...this.people.map((person) => {
      const count = this.unseen(person);
      const tab = make("button", { type: "button", role: "tab", onclick: () => this.choose(person) }, person.name);
      if (count) tab.append(make("span", { className: "count", textContent: count }));
      tab.setAttribute("aria-selected", person === this.who);
      return tab;
    }));
  }

  drawList() {
    const lines = this.lines.get(this.who.key);
    const list = make("ol", { className: "list" }, ...lines.map((line) => {
      const [name, address] = line.from;
      const button = make("button", { type: "button", className: line.is_seen ? "" : "unseen", onclick: () => this.read(line.uid) },
        make("span", { className: "from", textContent: name || address }),
        make("time", { textContent: hour(line.at) }),
        make("span", { className: "subject", textContent: line.subject }),
        make("span", { className: "preview", textContent: line.preview }));
      return make("li", {}, button);
    }));
    const empty = make("p", { className: "empty", textContent: say("empty") });
    const kept = by(".compose", this.place);
    const compose = this.canWrite ? [kept && kept.dataset.who === this.who.key + language ? kept : this.compose()] : [];
    if (kept && kept === compose[0]) {
      // What is being typed stays: only what is below it is drawn anew.
      all(":scope > :not(.compose)", this.place).forEach((old) => old.remove());
      this.place.append(lines.length ? list : empty);
    } else {
      this.place.replaceChildren(...compose, lines.length ? list : empty);
    }
  }

  compose() {
    const person = this.who;
    const subject = make("input", { placeholder: say("subject"), maxLength: 200 });
    const cc = make("input", { placeholder: say("cc"), maxLength: 200, inputMode: "email" });
    const text = make("textarea", { placeholder: say("text"), rows: 4 });
    cc.dataset.optional = "yes";
    cc.setAttribute("aria-label", say("cc"));
    subject.setAttribute("aria-label", say("subject"));
    text.setAttribute("aria-label", say("text"));
    let turn = 0;
    const example = make("button", { type: "button", className: "plain", textContent: say("example"), onclick: () => {
      const examples = WORDS[language].examples;
      [subject.value, text.value] = examples[turn++ % examples.length];
    } });
    const form = this.form([subject, cc, text], say("send"), example, async () => {
      await ask(`/demo/mail/${person.key}`, { subject: subject.value, cc: cc.value, text: text.value });
      subject.value = cc.value = text.value = "";
    });
    form.className = "compose";
    form.dataset.who = person.key + language;
    return form;
  }

  form(fields, label, beside, send) {
    const said = make("span", { className: "said", role: "status" });
    const button = make("button", { className: "do", textContent: label });
    const form = make("form", {}, ...fields, make("div", { className: "row" }, said, ...(beside ? [beside] : []), button));
    form.onsubmit = async (event) => {
      event.preventDefault();
      const empty = fields.find((field) => !field.dataset.optional && !field.value.trim());
      if (empty) return empty.focus();
      button.disabled = true;
      try {
        await send();
        Object.assign(said, { className: "said", textContent: say("sent") });
        setTimeout(() => { said.textContent = ""; }, 4000);
      } catch (error) {
        Object.assign(said, { className: "said bad", textContent: say("failed", { why: error.message }) });
      }
      button.disabled = false;
    };
    return form;
  }

  async read(uid) {
    const who = this.who;
    const letter = await ask(`/demo/mail/${who.key}/${uid}`);
    if (who !== this.who) return;
    this.open = { uid, letter, isPlain: !letter.has_html };
    const line = this.lines.get(who.key).find((one) => one.uid === uid);
    if (line) line.is_seen = true;
    this.draw();
  }

  drawLetter() {
    const { uid, letter, isPlain } = this.open;
    const person = this.who;
    const back = make("button", { type: "button", className: "icon", onclick: () => { this.open = null; this.draw(); } }, icon("back"));
    back.setAttribute("aria-label", say("back"));
    const toggle = make("button", { type: "button", className: "plain", hidden: !letter.has_html,
      textContent: say(isPlain ? "formatted" : "plain"), onclick: () => { this.open.isPlain = !isPlain; this.draw(); } });
    const [name, address] = letter.sender;
    const meta = `${name} <${address}>${letter.files.length ? ` · ${say("files")} ${letter.files.map(([file]) => file).join("、")}` : ""}`;
    const header = make("header", {}, back, make("h3", { textContent: letter.subject }), toggle,
      make("p", { className: "meta", textContent: meta }));
    const words = isPlain ? make("div", { className: "words", textContent: letter.text }) : make("iframe", { title: letter.subject });
    if (!isPlain) {
      words.setAttribute("sandbox", "");
      words.src = `/demo/mail/${person.key}/${uid}/html`;
    }
    const text = make("textarea", { rows: 3, placeholder: say(this.canWrite ? "replyBack" : "replyHere") });
    text.setAttribute("aria-label", say("reply"));
    const draft = `${person.key}/${uid}`;
    text.value = this.drafts.get(draft) || "";
    text.oninput = () => this.drafts.set(draft, text.value);
    const form = this.form([text], say("reply"), null, async () => {
      await ask(`/demo/mail/${person.key}`, { reply: uid, text: text.value });
      text.value = "";
      this.drafts.delete(draft);
    });
    this.place.replaceChildren(make("article", { className: "letter" }, header, words, form));
  }
}

// --- the telephone -------------------------------------------------------------------------------------------------

const phone = { state: "idle", id: "", direction: "in", number: "", agent: null, since: 0, rings: 0, busy: false };

function drawPhone() {
  const place = by("#call");
  place.dataset.state = phone.state;
  const seconds = Date.now() - phone.since;
  if (phone.state === "ringing") phone.rings = Math.floor(seconds / RING) + 1;
  const isOut = phone.direction === "out";
  const isLate = phone.state === "ringing" && !isOut && phone.rings > RINGS_IN_TIME;
  by("#rings").classList.toggle("late", isLate);
  all("#rings li").forEach((mark, position) => mark.classList.toggle("on", position < phone.rings));
  const told = by("#told");
  if (!told.classList.contains("bad") || phone.state !== "idle") {
    told.className = isLate ? "late" : "";
    told.textContent = {
      idle: say("dial"),
      ringing: isOut ? say("callingBack", { name: phone.agent.name, n: phone.rings }) : say(isLate ? "late" : "ringing", { n: phone.rings }),
      talking: say("talking", { name: phone.agent?.name, clock: clock(seconds) }),
    }[phone.state];
  }
  by("#ring").disabled = phone.state !== "idle";
  by("#ring").setAttribute("aria-label", say("dial"));
  const caller = by("#caller");
  caller.disabled = phone.state !== "idle";
  by("#number").textContent = caller.value || "\u00a0";
  by("#back").hidden = phone.state !== "idle";
  by("#callback").disabled = !caller.value;
  by("#callback").textContent = say("callBack", { name: caller.value ? nameOf(caller.value) : "…" });
  const hangup = by("#hangup");
  hangup.hidden = phone.state === "idle";
  hangup.textContent = say(phone.state === "talking" ? "end" : isOut ? "notReached" : "giveUp");
  hangup.className = phone.state === "talking" ? "do" : "plain";
  const answerers = by("#answerers");
  const wanted = phone.state === "ringing" ? phone.id + language : "";
  if (answerers.dataset.for === wanted) return;
  answerers.dataset.for = wanted;
  const whoever = setup.people.filter((person) => isOut ? person.phone === phone.number : person.part === "agent");
  answerers.replaceChildren(...(wanted ? whoever : []).map((person) =>
    make("button", { type: "button", className: "answer", textContent: say("answer", { name: person.name }), onclick: () => pickUp(person) })));
}

async function tell(event, more = {}) {
  if (phone.busy) return false;
  phone.busy = true;
  try {
    const { id, direction, number } = phone;
    await ask("/demo/call", { event, call_id: id, direction, [direction === "out" ? "to" : "from"]: number, ...more });
    return true;
  } catch (error) {
    phone.state = "idle";
    Object.assign(by("#told"), { className: "bad", textContent: say("failed", { why: error.message }) });
    return false;
  } finally {
    phone.busy = false;
  }
}

function nameOf(number) {
  return setup.people.find((person) => person.phone === number)?.name || number;
}

async function dial() {
  await call("in", null);
}

// Who has the missed call calls back; where nobody has one, any agent does.
async function callBack() {
  const open = dots.filter((dot) => setup.channels[dot.channel] === "phone" && dot.agent && !dot.delivered_at);
  const staff = setup.people.filter((person) => person.part === "agent");
  await call("out", staff.find((person) => person.key === open.at(-1)?.agent) || staff[0]);
}

async function call(direction, agent) {
  Object.assign(phone, { id: crypto.randomUUID(), direction, number: by("#caller").value, agent, rings: 0 });
  by("#told").className = "";
  if (await tell("newCall", { agent: agent?.key })) Object.assign(phone, { state: "ringing", since: Date.now() });
  drawPhone();
}

async function pickUp(person) {
  const { rings, direction } = phone;
  const agent = direction === "out" ? phone.agent : person;
  if (await tell("answer", { agent: agent.key })) {
    Object.assign(phone, { state: "talking", agent, since: Date.now(), rings });
  }
  drawPhone();
}

async function hangUp() {
  const { state, agent, rings, direction, number: from } = phone;
  if (!(await tell("hangup", { cause: state === "talking" ? "normalClearing" : "cancel", agent: agent?.key }))) return drawPhone();
  const key = { in: ["wasMissed", "wasAnswered"], out: ["wasNotReached", "wasCalledBack"] }[direction][Number(state === "talking")];
  const words = say(key, { name: agent?.name, n: rings });
  by("#calls").prepend(make("li", {},
    make("time", { textContent: hour(Date.now()) }),
    make("span", { className: state === "talking" ? "" : "missed", textContent: words }),
    make("span"), make("time", { textContent: from || say("withheld") })));
  all("#calls li").slice(5).forEach((old) => old.remove());
  phone.state = "idle";
  drawPhone();
}

// A page that is closed does not leave the hotline ringing.
addEventListener("pagehide", () => {
  if (phone.state !== "idle") tell("hangup", { cause: phone.state === "talking" ? "normalClearing" : "cancel" });
});

// --- all of it -----------------------------------------------------------------------------------------------------

let customers, agents;

function drawWords() {
  document.documentElement.lang = language;
  document.title = `intake · ${say("demo")}`;
  all("[data-say]").forEach((place) => { place.textContent = say(place.dataset.say); });
  all("#strip small").forEach((place) => { place.title = place.textContent; });
  by("#languages").replaceChildren(...LANGUAGES.map((one) => {
    const button = make("button", { type: "button", lang: one, textContent: WORDS[one].name, onclick: () => speak(one) });
    button.setAttribute("aria-pressed", one === language);
    return button;
  }));
  const caller = by("#caller");
  const kept = caller.value;
  const known = setup.people.filter((person) => person.phone).map((person) =>
    make("option", { value: person.phone, textContent: person.name }));
  caller.replaceChildren(...known, make("option", { value: "", textContent: say("withheld") }));
  caller.value = kept || customers.who.phone;
  by("#ports").textContent = say("ports", { imap: setup.ports.imap, smtp: setup.ports.smtp, folder: setup.passwords });
  by("#chat iframe").title = say("chat");
  const chat = `${setup.chat}?lang=${language}`;
  if (by("#chat iframe").getAttribute("src") !== chat) by("#chat iframe").src = chat;
}

function speak(chosen) {
  language = chosen;
  localStorage.setItem("playground-language", chosen);
  drawWords();
  drawPhone();
  drawStrip();
  customers.draw();
  agents.draw();
}

function listen() {
  const stream = new EventSource("/demo/events");
  const counts = new Map();
  stream.onmessage = (event) => {
    const state = JSON.parse(event.data);
    by("#link").textContent = "";
    skew = Date.parse(state.now) - Date.now();
    dots = state.dots;
    drawStrip();
    for (const box of [customers, agents]) {
      for (const person of box.people) {
        const count = state.mail[person.key] || 0;
        if (counts.get(person.key) === count) continue;
        counts.set(person.key, count);
        box.refresh(person.key).catch(() => counts.delete(person.key));
      }
    }
  };
  stream.onerror = () => {
    by("#link").textContent = say("lost");
    counts.clear(); // a daemon that was started anew has empty mailboxes
    if (stream.readyState !== EventSource.CLOSED) return;
    stream.close(); // refused outright: the browser would not try again by itself
    setTimeout(listen, 3000);
  };
}

async function start() {
  setup = await ask("/demo/setup");
  const playing = (part) => setup.people.filter((person) => person.part === part);
  customers = new Mailboxes(by("#customers .body"), playing("customer"), { canWrite: true, follows: false });
  agents = new Mailboxes(by("#agents .body"), playing("agent"), { canWrite: false, follows: true });
  const mine = { "zh-Hant": "meiling", "zh-Hans": "xiaoming", en: "emma" }[language];
  customers.who = customers.people.find((person) => person.key === mine) || customers.who;
  // The panel offers to close itself wherever it stands in a frame; here it is the whole column.
  by("#chat iframe").onload = ({ target }) => { const close = target.contentDocument?.getElementById("close"); if (close) close.hidden = true; };
  by("#ring").onclick = dial;
  by("#hangup").onclick = hangUp;
  by("#callback").onclick = callBack;
  by("#caller").onchange = drawPhone;
  drawWords();
  drawPhone();
  customers.draw();
  agents.draw();
  await Promise.all([customers, agents].flatMap((box) => box.people.map((person) => box.refresh(person.key))));
  agents.ready = true;
  listen();
  setInterval(() => { tick(); if (phone.state !== "idle") drawPhone(); }, 250);
  setInterval(drawStrip, 5000);
}

start();
