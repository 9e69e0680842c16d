// What a page does beyond HTML: keys, copying, the reader's time zone, and the stream of changes. It is right without.
"use strict";

const KEYS_WAIT = 1000;
const QUIET_AFTER = 300;
let goTo = -KEYS_WAIT;
let stream = null;

function typing(target) {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
}

function rows() {
  return [...document.querySelectorAll("main tbody tr")].filter((row) => row.querySelector("a"));
}

function step(by) {
  const all = rows();
  const at = all.findIndex((row) => row.contains(document.activeElement));
  const next = all[Math.min(all.length - 1, Math.max(0, at + by))];
  if (next) next.querySelector("a").focus();
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape") document.querySelectorAll(".menu[open]").forEach((menu) => { menu.open = false; });
  if (typing(event.target)) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  if (event.timeStamp - goTo < KEYS_WAIT) {
    goTo = -KEYS_WAIT;
    const link = document.querySelector(`.rail a[data-go="${CSS.escape(event.key)}"]`);
    if (link) { event.preventDefault(); link.click(); }
    return;
  }
  if (event.key === "g") goTo = event.timeStamp;
  else if (event.key === "/") { event.preventDefault(); document.getElementById("search")?.focus(); }
  else if (event.key === "?") document.getElementById("keys")?.showModal();
  else if (event.key === "j") step(1);
  else if (event.key === "k") step(-1);
});

document.addEventListener("click", (event) => {
  const button = event.target instanceof Element ? event.target.closest("button.copy") : null;
  if (button) {
    navigator.clipboard?.writeText(button.dataset.copy).then(() => {
      button.textContent = "copied";
      setTimeout(() => { button.textContent = "copy"; }, 1500);
    });
  }
  document.querySelectorAll(".menu[open]").forEach((menu) => { if (!menu.contains(event.target)) menu.open = false; });
});

const local = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });

function prepare() {
  document.querySelectorAll("button.copy[hidden]").forEach((button) => { button.hidden = false; });
  document.querySelectorAll("time[datetime]:not([data-zone])").forEach((element) => {
    const at = new Date(element.dateTime);
    if (Number.isNaN(at.getTime())) return;
    element.dataset.zone = "";
    element.title = `${local.format(at)}\n${element.title}`;
  });
  document.querySelectorAll("[data-without-script]").forEach((element) => { element.hidden = true; });
  const range = document.getElementById("moment");
  if (range && range.step !== "1") {
    range.step = "1"; // without this script the arrow keys move by a part of the span
    range.value = range.defaultValue;
  }
  show(stream?.readyState === EventSource.OPEN);
}

// -- the slider of a page of the past: it shows its moment while it moves, and goes there when it rests

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const RESTS_AFTER = 350;
let resting = 0;

function inUtc(at) {
  const [day, time] = at.toISOString().split("T");
  return `${at.getUTCDate()} ${MONTHS[at.getUTCMonth()]} ${day.slice(0, 4)}, ${time.slice(0, 8)} UTC`;
}

function momentOf(range) {
  const option = range.list?.querySelector(`option[value="${CSS.escape(range.value)}"]`);
  const text = option?.dataset.at || new Date(range.value * 1000).toISOString().replace(".000", "");
  return { text, label: option?.label || "" };
}

document.addEventListener("input", (event) => {
  const range = event.target;
  if (range.id !== "moment") return;
  const { text, label } = momentOf(range);
  const words = label ? `${inUtc(new Date(text))} · ${label}` : inUtc(new Date(text));
  document.getElementById("moment-text").textContent = words;
  range.setAttribute("aria-valuetext", words);
});

document.addEventListener("change", (event) => {
  if (event.target.id !== "moment") return;
  clearTimeout(resting);
  resting = setTimeout(() => { if (event.target.isConnected) event.target.form.requestSubmit(); }, RESTS_AFTER);
});

document.addEventListener("formdata", (event) => {
  const range = event.target.elements.namedItem("moment");
  if (range) event.formData.set(range.name, momentOf(range).text);
});

document.addEventListener("keydown", (event) => {
  const range = event.target;
  const by = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 }[event.key];
  if (range.id !== "moment" || !by || event.ctrlKey || event.metaKey || event.altKey) return;
  const moments = [...range.list.options].map((option) => Number(option.value));
  const at = Number(range.value);
  const next = by > 0 ? moments.find((one) => one > at) ?? Number(range.max) : moments.findLast((one) => one < at) ?? Number(range.min);
  event.preventDefault();
  range.value = next;
  for (const name of ["input", "change"]) range.dispatchEvent(new Event(name, { bubbles: true }));
});

// -- changes: one stream for the tab, closed while it is hidden

function show(on) {
  const mark = document.getElementById("live");
  if (!mark) return;
  mark.dataset.state = on ? "on" : "off";
  mark.querySelector(".word").textContent = on ? "live" : "not live";
}

function concerns(topics) {
  const wanted = (document.getElementById("content")?.dataset.live || "").split(" ").filter(Boolean);
  return wanted.includes("any") || topics.some((topic) => wanted.includes(topic));
}

function beingFilled() {
  return [...document.querySelectorAll("main form")].some((form) =>
    form.contains(document.activeElement) ||
    [...form.elements].some((field) => field.type !== "hidden" && "defaultValue" in field && field.value !== field.defaultValue));
}

// what must not be replaced under its reader
function busy() {
  return beingFilled() || !window.htmx || document.querySelector("details.act[open], .menu[open], dialog[open]");
}

function notify() {
  const notice = document.getElementById("changed");
  if (notice) notice.hidden = false;
}

let waiting = 0;
let pressed = false; // what is replaced between pressing and releasing gets no click

document.addEventListener("pointerdown", (event) => { pressed = event.button === 0; }, true);
for (const end of ["pointerup", "pointercancel"]) {
  document.addEventListener(end, () => setTimeout(() => { pressed = false; }), true);
}

function changed() {
  clearTimeout(waiting);
  waiting = setTimeout(() => {
    if (busy()) notify();
    else if (pressed) changed();
    else refresh();
  }, QUIET_AFTER);
}

// what has the focus, as its selector and its place from the end: new rows come first
function focused(shown) {
  const one = document.activeElement;
  if (!one || !shown.contains(one)) return null;
  const href = one.getAttribute("href");
  const found = one.id ? `#${CSS.escape(one.id)}` : href ? `${one.localName}[href="${CSS.escape(href)}"]` : "";
  if (!found) return null;
  const same = [...shown.querySelectorAll(found)];
  return { found, after: same.length - same.indexOf(one) };
}

async function refresh() {
  const here = location.href;
  const answer = await fetch(here, { headers: { "X-Live": "1" }, credentials: "same-origin", redirect: "manual" });
  const text = answer.ok ? await answer.text() : "";
  if (!text || location.href !== here) return;
  if (busy()) return notify();
  if (pressed) return changed();
  const fresh = new DOMParser().parseFromString(text, "text/html").getElementById("content");
  const shown = document.getElementById("content");
  if (!fresh || !shown) return;
  const before = new Set([...shown.querySelectorAll("tbody tr, .entry, .gate")].map((row) => row.textContent));
  const open = [...shown.querySelectorAll("details")].map((one) => one.open);
  const top = window.scrollY;
  const at = focused(shown);
  shown.replaceChildren(...fresh.childNodes);
  if (at) {
    const same = shown.querySelectorAll(at.found);
    same[same.length - at.after]?.focus({ preventScroll: true });
  }
  shown.querySelectorAll("details").forEach((one, place) => { if (open[place]) one.open = true; });
  shown.querySelectorAll("tbody tr, .entry, .gate").forEach((row) => {
    if (!before.has(row.textContent)) row.classList.add("changed-row");
  });
  window.htmx.process(shown);
  prepare();
  window.scrollTo(0, top);
}

function connect() {
  if (stream || document.hidden || !document.getElementById("live")) return;
  stream = new EventSource("/live");
  stream.addEventListener("open", () => show(true));
  stream.addEventListener("error", () => show(false));
  stream.addEventListener("renew", refresh);
  stream.addEventListener("change", (event) => { if (concerns(event.data.split(" "))) changed(); });
}

function disconnect() {
  stream?.close();
  stream = null;
  show(false);
}

document.addEventListener("visibilitychange", () => (document.hidden ? disconnect() : connect()));
window.addEventListener("pagehide", disconnect);
document.addEventListener("htmx:after:settle", () => {
  if (document.getElementById("live")) connect(); else disconnect(); // a page of the past does not change
  prepare();
  window.scrollTo(0, 0);
  if (document.activeElement === document.body) document.getElementById("content")?.focus({ preventScroll: true });
});
document.addEventListener("DOMContentLoaded", () => { prepare(); connect(); });
