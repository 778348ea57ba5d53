// Draws panels of figures into an element; for pages and for a report's file alike.
"use strict";

const PRINTED_WIDTH = 700; // A4 without its margins, in CSS pixels.
const CONFIG = {
  responsive: true,
  displaylogo: false,
  showSendToCloud: false,  // Nothing leaves this machine.
  modeBarButtonsToRemove: ["select2d", "lasso2d", "zoomIn2d", "zoomOut2d", "autoScale2d"],
};

// Among a point's custom data is the address of its trial or run, if it has one; a file that was
// written has no such pages beside it.
function openPage(event) {
  if (!document.getElementById("content")) {
    return;
  }
  const known = event.points.flatMap((point) => point.customdata ?? []);
  const address = known.find(
    (each) => typeof each === "string" && /^\/(study|run)\//.test(each),
  );
  if (address) {
    window.open(address, "_blank", "noopener");
  }
}

// Paper is light.
const root = document.documentElement;
let onScreen = null;
window.addEventListener("beforeprint", () => {
  onScreen = root.dataset.theme;
  root.dataset.theme = "light";
});
window.addEventListener("afterprint", () => { root.dataset.theme = onScreen; });

function make(tag, className) {
  const element = document.createElement(tag);
  element.className = className;
  return element;
}

class Figures {
  constructor(container, templates) {
    this.container = container;
    this.templates = templates;
    this.entries = new Map(); // element -> {heading, plots, caption, panel, near, stale}
    // Figures are drawn when they come near the screen: the first ones are there sooner.
    this.watcher = new IntersectionObserver(
      (seen) => seen.forEach(({ isIntersecting, target }) => this.see(target, isIntersecting)),
      { rootMargin: "600px" },
    );
    document.addEventListener("themechange", () => this.redraw());
    window.addEventListener("beforeprint", () => this.print());
    window.addEventListener("afterprint", () => this.redraw());
  }

  see(element, isNear) {
    const entry = this.entries.get(element);
    if (entry) {
      entry.near = isNear;
      this.draw(element, entry);
    }
  }

  show(panels, version = "drawn") {
    this.version = version;
    const prefix = this.container.dataset.prefix ?? "";
    const wanted = panels.map((panel) => {
      const id = prefix + panel.key;
      const known = document.getElementById(id) ?? this.add(id);
      this.fill(known, this.entries.get(known), panel);
      return known;
    });
    for (const [element, entry] of this.entries) {
      if (!wanted.includes(element)) {
        this.watcher.unobserve(element);
        entry.plots.forEach(Plotly.purge);
        this.entries.delete(element);
      }
    }
    if (wanted.some((element, index) => this.container.children[index] !== element)
        || this.container.children.length !== wanted.length) {
      this.container.replaceChildren(...wanted);
    }
    this.redraw();
  }

  add(id) {
    const element = make("figure", "panel");
    element.id = id;
    const entry = { heading: make("h2", ""), box: make("div", "plots"), plots: [] };
    entry.caption = make("figcaption", "");
    element.append(entry.heading, entry.box, entry.caption);
    this.entries.set(element, entry);
    this.watcher.observe(element);
    return element;
  }

  fill(element, entry, panel) {
    entry.panel = panel;
    entry.heading.textContent = panel.title;
    entry.caption.textContent = panel.caption;
    element.classList.toggle("several", panel.figures.length > 1);
    element.style.setProperty("--width", `${panel.width}px`);
    while (entry.plots.length > panel.figures.length) {
      const plot = entry.plots.pop();
      Plotly.purge(plot);
      plot.remove();
    }
    panel.figures.forEach((figure, index) => {
      entry.plots[index] ??= entry.box.appendChild(make("div", "plot"));
      const plot = entry.plots[index];
      plot.setAttribute("role", "group");
      plot.setAttribute("aria-label", `${panel.title}. ${panel.caption}`);
      // What is wider than a narrow screen can be moved sideways, with the keyboard, too.
      plot.tabIndex = 0;
      plot.style.minHeight = `${figure.layout.height}px`;
    });
  }

  redraw() {
    for (const [element, entry] of this.entries) {
      entry.stale = true;
      delete element.dataset.drawn;
      this.draw(element, entry);
    }
  }

  draw(element, entry) {
    if (entry.near && entry.stale) {
      entry.stale = false;
      const drawn = entry.plots.map((plot, index) => this.plot(entry, plot, index, {}));
      Promise.all(drawn).then(() => entry.stale || (element.dataset.drawn = this.version));
    }
  }

  plot(entry, plot, index, size) {
    // Plotly writes into what it is given, which has to stay as it came for the next time.
    const figure = structuredClone(entry.panel.figures[index]);
    const layout = {
      ...figure.layout,
      ...size,
      template: this.templates[root.dataset.theme],
      // Where this stays the same, a redrawn figure keeps its zoom and its hidden traces.
      uirevision: "kept",
    };
    // Where a finger moves the page, a swipe on a figure moves the page, too; a tap names a point.
    if (window.matchMedia("(pointer: coarse)").matches) {
      layout.dragmode = false;
    }
    return Plotly.react(plot, figure.data, layout, CONFIG).then(() => {
      if (!plot.dataset.clickable) {
        plot.dataset.clickable = "yes";
        plot.on("plotly_click", openPage);
      }
    });
  }

  // On paper all of it is there.
  print() {
    for (const entry of this.entries.values()) {
      const width = entry.plots.length > 1 ? PRINTED_WIDTH / 2 : PRINTED_WIDTH;
      entry.plots.forEach((plot, index) => this.plot(entry, plot, index, { width }));
    }
  }
}
