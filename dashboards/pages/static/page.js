// Fills a page with the document at its address, and keeps asking whether there is a newer one.
"use strict";

const RUNNING_SECONDS = 4;
const IDLE_SECONDS = 20;
const LONGEST_SECONDS = 60;

const content = document.getElementById("content");
const summary = document.getElementById("summary");
const details = document.getElementById("details");
const state = document.getElementById("state");
const asOf = document.getElementById("as-of");

let figures = null;
let tag = null;
let running = false;
let failures = 0;
let known = null; // When the data that is shown was last said to be the newest.
let timer = null;
let asking = false;

// -- text ------------------------------------------------------------------------------------

const shown = new Map(); // element -> the HTML that it was filled with

function fill(element, html) {
  if (shown.get(element) !== html) {
    element.innerHTML = html; // The server has escaped every text in it.
    shown.set(element, html);
    showTimes();
    element.querySelectorAll("pre").forEach(addCopying);
  }
}

// What stands in a box of its own is there to be used elsewhere: a command, a path, an error.
function addCopying(box) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    const range = document.createRange();
    range.selectNodeContents(box);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    try {
      // There is no clipboard where a page comes by HTTP from another machine.
      await navigator.clipboard.writeText(box.textContent);
      button.textContent = "Copied";
    } catch {
      button.textContent = document.execCommand("copy") ? "Copied" : "Selected";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });
  const frame = document.createElement("div");
  frame.className = "copied";
  box.replaceWith(frame);
  frame.append(box, button);
}

const SPANS = [
  [86400, "day"],
  [3600, "hour"],
  [60, "minute"],
];
const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });

function showTimes() {
  document.querySelectorAll("time[datetime]").forEach((each) => {
    const seconds = (Date.parse(each.dateTime) - Date.now()) / 1000;
    const span = SPANS.find(([size]) => Math.abs(seconds) >= size);
    each.textContent = span
      ? relative.format(Math.round(seconds / span[0]), span[1])
      : "just now";
  });
}

// -- asking ----------------------------------------------------------------------------------

async function refresh() {
  if (asking) {
    return;
  }
  asking = true;
  clearTimeout(timer);
  const began = performance.now();
  try {
    if (figures === null) {
      const templates = await (await fetch("/pages/templates.json")).json();
      figures = new Figures(document.getElementById("panels"), templates);
    }
    const headers = tag === null ? {} : { "If-None-Match": `"${tag}"` };
    const response = await fetch(content.dataset.address, { headers, cache: "no-store" });
    if (response.status === 200) {
      show(await response.json(), response.headers.get("ETag"));
    } else if (response.status !== 304) {
      throw new Error(String(response.status));
    }
    failures = 0;
    known = new Date();
    say("");
  } catch (error) {
    failures += 1;
    say(
      error.message === "404"
        ? "It is no longer in the store."
        : `The dashboard does not answer; this is what it said ${since()}. Trying again …`,
    );
  } finally {
    asking = false;
    age();
    showTimes();
    schedule((performance.now() - began) / 1000);
  }
}

function since() {
  return known === null ? "never" : `at ${known.toLocaleTimeString("en-GB")}`;
}

// What is old is grey, so that nobody takes it for what is.
function age() {
  content.classList.toggle("stale", failures > 0);
  asOf.hidden = known === null;
  asOf.textContent = known === null ? "" : `as of ${known.toLocaleTimeString("en-GB")}`;
}

// Said only when it changes, for who hears the page instead of seeing it.
function say(text) {
  if (state.textContent !== text) {
    state.textContent = text;
  }
}

function show(found, etag) {
  tag = etag ? etag.replace(/^(W\/)?"|"$/g, "") : null;
  running = found.running;
  fill(summary, found.summary);
  fill(details, found.details);
  figures.show(found.panels, tag);
  content.dataset.version = tag;
}

// A large study takes its time to read: it is asked for less often, to leave the machine to its
// search.
function schedule(lastSeconds) {
  if (document.hidden) {
    return;
  }
  const usual = running ? RUNNING_SECONDS : IDLE_SECONDS;
  const wait = Math.max(usual, 10 * lastSeconds, 2 ** failures);
  timer = setTimeout(refresh, 1000 * Math.min(wait, LONGEST_SECONDS));
}

document.addEventListener("visibilitychange", () => {
  clearTimeout(timer);
  if (!document.hidden) {
    refresh();
  }
});

refresh();
