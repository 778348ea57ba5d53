// Fills a page with the document at its address, and keeps asking whether there is a newer one.
"use strict";

const RUNNING_SECONDS = 4;
const IDLE_SECONDS = 20;
const LONGEST_SECONDS = 60;

const content = document.getElementById("content");
const state = document.getElementById("state");
const asOf = document.getElementById("as-of");
const panels = document.getElementById("panels");

let figures = null;

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

// Asks an address again and again, and shows what it says where that is new.
class Follower {
  constructor(address, show) {
    this.address = address;
    this.show = show;
    this.tag = null;
    this.running = false;
    this.failures = 0;
    this.known = null; // When what is shown was last said to be the newest.
    this.asking = false;
  }

  async refresh() {
    if (this.asking) {
      return;
    }
    this.asking = true;
    clearTimeout(this.timer);
    const began = performance.now();
    this.problem = "";
    try {
      const headers = this.tag === null ? {} : { "If-None-Match": `"${this.tag}"` };
      const response = await fetch(this.address, { headers, cache: "no-store" });
      if (response.status === 200) {
        const found = await response.json();
        const etag = response.headers.get("ETag");
        this.tag = etag ? etag.replace(/^(W\/)?"|"$/g, "") : null;
        this.running = found.running;
        await this.show(found, this.tag);
      } else if (response.status !== 304) {
        throw new Error(String(response.status));
      }
      this.failures = 0;
      this.known = new Date();
    } catch (error) {
      this.failures += 1;
      this.problem =
        error.message === "404"
          ? "It is no longer in the store."
          : `The dashboard does not answer; this is what it said ${this.since()}. Trying again …`;
    } finally {
      this.asking = false;
      showState();
      this.schedule((performance.now() - began) / 1000);
    }
  }

  since() {
    return this.known === null ? "never" : `at ${this.known.toLocaleTimeString("en-GB")}`;
  }

  // A large study takes its time to read: it is asked for less often, to leave the machine to its
  // search.
  schedule(lastSeconds) {
    if (document.hidden) {
      return;
    }
    const usual = this.running ? RUNNING_SECONDS : IDLE_SECONDS;
    const wait = Math.max(usual, 10 * lastSeconds, 2 ** this.failures);
    this.timer = setTimeout(() => this.refresh(), 1000 * Math.min(wait, LONGEST_SECONDS));
  }
}

const followers = [];

function follow(element, show) {
  if (element) {
    followers.push(new Follower(element.dataset.address, show));
  }
}

// What is old is grey, so that nobody takes it for what is. A problem is said only when it changes,
// for who hears the page instead of seeing it.
function showState() {
  const problem = followers.map((each) => each.problem).find(Boolean) || "";
  content.classList.toggle("stale", problem !== "");
  if (state.textContent !== problem) {
    state.textContent = problem;
  }
  asOf.hidden = followers[0].known === null;
  asOf.textContent = asOf.hidden ? "" : `as of ${followers[0].since().slice(3)}`;
  showTimes();
}

follow(content, async (found, tag) => {
  if (figures === null && found.panels.length) {
    figures = new Figures(panels, await (await fetch("/pages/templates.json")).json());
  }
  for (const name of ["lead", "summary", "details"]) {
    fill(document.getElementById(name), found[name]);
  }
  figures?.show(found.panels, tag);
  content.dataset.version = tag;
});

const now = document.getElementById("now");
follow(now, (found) => {
  // Where something began or ended, the document says so, too.
  const was = now.firstElementChild !== null;
  fill(now, found.summary);
  if (was !== found.running) {
    followers[0].refresh();
  }
});

document.addEventListener("visibilitychange", () => {
  for (const each of followers) {
    clearTimeout(each.timer);
    if (!document.hidden) {
      each.refresh();
    }
  }
});

document.querySelectorAll("pre").forEach(addCopying);
followers.forEach((each) => each.refresh());
