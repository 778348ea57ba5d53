// Fills a page with the document at its address, and keeps asking whether there is a newer one.
"use strict";

const RUNNING_SECONDS = 4;
const IDLE_SECONDS = 20;
const LONGEST_SECONDS = 60;
const USUAL_HEIGHT = 380; // in pixels
const TALL = 640;

const content = document.getElementById("content");
const summary = document.getElementById("summary");
const details = document.getElementById("details");
const panels = document.getElementById("panels");
const state = document.getElementById("state");

let templates = null;
let tag = null;
let running = false;
let failures = 0;
let timer = null;
let asking = false;
const figures = new Map(); // key -> {element, plot, figure, drawn}

// -- figures ---------------------------------------------------------------------------------

const theme = () => document.documentElement.dataset.theme;
const narrow = window.matchMedia("(max-width: 600px)");

function draw(entry) {
  if (entry.isNarrow !== narrow.matches) {
    // Redrawn, a figure would keep margins that it had on the other side.
    Plotly.purge(entry.plot);
    entry.clickable = false;
    entry.isNarrow = narrow.matches;
  }
  const layout = {
    ...layoutOf(entry),
    template: templates[theme()],
    // Where this stays the same, a redrawn figure keeps its zoom and its hidden traces.
    uirevision: "kept",
  };
  // Plotly writes into what it is given, which has to stay as it came for the next theme.
  const data = structuredClone(entry.figure.data);
  const config = {
    responsive: true,
    displaylogo: false,
    showSendToCloud: false,  // Nothing leaves this machine.
    modeBarButtonsToRemove: ["select2d", "lasso2d", "zoomIn2d", "zoomOut2d", "autoScale2d"],
  };
  Plotly.react(entry.plot, data, structuredClone(layout), config).then(() => {
    if (!entry.clickable) {
      entry.clickable = true;
      entry.plot.on("plotly_click", openTrial);
    }
    entry.element.dataset.drawn = tag;
  });
}

// Among a point's custom data is the address of its trial, if it has one.
function openTrial(event) {
  const known = event.points.flatMap((point) => point.customdata ?? []);
  const address = known.find(
    (each) => typeof each === "string" && each.startsWith("/dashboard/"),
  );
  if (address) {
    window.open(address, "_blank", "noopener");
  }
}

// The figure's layout, with what is written over it on a narrow screen. Drawing may write into it.
function layoutOf(entry) {
  const layout = structuredClone(entry.figure.layout);
  return Overlay.fit(layout, entry.narrow, narrow.matches);
}

function makeRoom(entry) {
  const { height = USUAL_HEIGHT, width } = layoutOf(entry);
  entry.plot.style.minHeight = `${height}px`;
  entry.element.classList.toggle("tall", !narrow.matches && height > TALL);
  Overlay.scroll(entry.plot, width);
}

// Figures are drawn when they come near the screen: the first ones are there sooner.
const watcher = new IntersectionObserver(
  (entries) => {
    for (const { isIntersecting, target } of entries) {
      const entry = figures.get(target.id);
      if (entry) {
        entry.near = isIntersecting;
        if (isIntersecting && entry.stale) {
          entry.stale = false;
          draw(entry);
        }
      }
    }
  },
  { rootMargin: "600px" },
);

function makePanel(panel) {
  const element = document.createElement("figure");
  element.id = panel.key;
  element.className = "panel";
  const heading = document.createElement("h3");
  const plot = document.createElement("div");
  plot.className = "plot";
  plot.setAttribute("role", "img");
  const caption = document.createElement("figcaption");
  element.append(heading, plot, caption);
  watcher.observe(element);
  return { element, heading, plot, caption, near: false, stale: true, clickable: false };
}

function showPanels(wanted) {
  const keys = new Set(wanted.map((panel) => panel.key));
  for (const [key, entry] of figures) {
    if (!keys.has(key)) {
      watcher.unobserve(entry.element);
      Plotly.purge(entry.plot);
      entry.element.remove();
      figures.delete(key);
    }
  }
  wanted.forEach((panel, index) => {
    let entry = figures.get(panel.key);
    if (!entry) {
      entry = makePanel(panel);
      figures.set(panel.key, entry);
    }
    if (panels.children[index] !== entry.element) {
      panels.insertBefore(entry.element, panels.children[index] || null);
    }
    entry.heading.textContent = panel.title;
    entry.caption.textContent = panel.caption;
    entry.plot.setAttribute("aria-label", `${panel.title}. ${panel.caption}`);
    entry.figure = panel.figure;
    entry.narrow = panel.narrow;
    makeRoom(entry);
    if (entry.near) {
      draw(entry);
    } else {
      entry.stale = true;
    }
  });
}

function redraw() {
  for (const entry of figures.values()) {
    makeRoom(entry);
    if (entry.near) {
      draw(entry);
    } else {
      entry.stale = true;
    }
  }
}

document.addEventListener("themechange", redraw);
narrow.addEventListener("change", redraw);

// -- text ------------------------------------------------------------------------------------

const shown = new Map(); // element -> the HTML that it was filled with

// What the reader has folded out or in stays as it is.
function fill(element, html) {
  if (shown.get(element) === html) {
    return;
  }
  const open = new Map();
  element.querySelectorAll("details[id]").forEach((each) => open.set(each.id, each.open));
  element.innerHTML = html; // The server has escaped every text in it.
  shown.set(element, html);
  open.forEach((value, id) => {
    const each = document.getElementById(id);
    if (each) {
      each.open = value;
    }
  });
  showTimes();
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
    if (templates === null) {
      templates = await (await fetch("/pages/templates.json")).json();
    }
    const headers = tag === null ? {} : { "If-None-Match": `"${tag}"` };
    const response = await fetch(content.dataset.address, { headers, cache: "no-store" });
    if (response.status === 200) {
      show(await response.json(), response.headers.get("ETag"));
    } else if (response.status !== 304) {
      throw new Error(String(response.status));
    }
    failures = 0;
    say("");
  } catch (error) {
    failures += 1;
    say(
      error.message === "404"
        ? "It is no longer in the store."
        : "The dashboard does not answer; trying again …",
    );
  } finally {
    asking = false;
    showTimes();
    schedule((performance.now() - began) / 1000);
  }
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
  showPanels(found.panels);
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
