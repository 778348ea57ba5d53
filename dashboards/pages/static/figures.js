// Draws panels of figures into an element; for pages and for a report's file alike.
"use strict";

const PRINTED_WIDTH = 700; // A4 without its margins, in CSS pixels.
const CONFIG = {
  responsive: true,
  displaylogo: false,
  showSendToCloud: false,  // Nothing leaves this machine.
  modeBarButtonsToRemove: ["toImage", "select2d", "lasso2d", "zoomIn2d", "zoomOut2d", "autoScale2d"],
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

function make(tag, className, text = "") {
  const element = document.createElement(tag);
  element.className = className;
  element.textContent = text;
  return element;
}

// -- what a reader may switch ----------------------------------------------------------------

const SWITCHES = {
  log: ["log axis", "Shows the values on a logarithmic axis"],
  smooth: ["smooth", "Each line as a running mean that keeps 70 % of what it was a step before"],
};
const KEPT = 0.7;
const MOST_ROWS = 2000;

function smoothed(values) {
  let last = null;
  return values.map((value) => {
    last = value === null ? null : last === null ? value : KEPT * last + (1 - KEPT) * value;
    return last;
  });
}

// Bands, marks and staircases stay as they are.
function isLine(trace) {
  return trace.mode?.includes("lines") && trace.line?.width !== 0 && !trace.line?.shape
    && Array.isArray(trace.y);
}

// What has no logarithm would be left out.
function isPositive(figure) {
  return figure.data.filter((trace) => trace.yaxis !== "y2" && Array.isArray(trace.y))
    .every((trace) => trace.y.every((value) => value === null || value > 0));
}

function switched(figure, on) {
  const changed = structuredClone(figure);
  if (on.smooth) {
    changed.data.filter(isLine).forEach((trace) => { trace.y = smoothed(trace.y); });
  }
  if (on.log) {
    const { range, ...axis } = changed.layout.yaxis ?? {};
    changed.layout.yaxis = { ...axis, type: "log", autorange: true };
  }
  return changed;
}

// -- a figure's points as a table ------------------------------------------------------------

function plain(html) {
  const lines = String(html).replaceAll("<br>", "; ");
  return new DOMParser().parseFromString(lines, "text/html").documentElement.textContent;
}

function pointsOf(figure) {
  return figure.data.filter((trace) => trace.hoverinfo !== "skip").flatMap((trace) => {
    const all = trace.type === "parcoords" ? [] : trace.y ?? [];
    return Array.from(all, (y, index) => {
      const said = Array.isArray(trace.hovertext) ? trace.hovertext[index] : trace.hovertext;
      const text = said ? plain(said) : `${trace.x?.[index] ?? ""}; ${y}`;
      const link = trace.customdata?.[index]?.find?.((each) => String(each).startsWith("/study/"));
      return { name: plain(trace.name ?? ""), text, link, y };
    }).filter((point) => point.y !== null);
  });
}

function pointsTable(figures) {
  const points = figures.flatMap(pointsOf);
  const table = make("table", "");
  const body = table.createTBody();
  points.slice(0, MOST_ROWS).forEach((point) => {
    const row = body.insertRow();
    const first = row.appendChild(make("th", "", point.name));
    first.scope = "row";
    const cell = row.insertCell();
    if (point.link) {
      const link = cell.appendChild(make("a", "", point.text));
      link.href = point.link;
    } else {
      cell.textContent = point.text;
    }
  });
  if (points.length > MOST_ROWS) {
    body.insertRow().insertCell().textContent = `and ${points.length - MOST_ROWS} more`;
  }
  return table;
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
    this.width = window.innerWidth;
    window.addEventListener("resize", () => this.fit());
    window.addEventListener("beforeprint", () => this.print());
    window.addEventListener("afterprint", () => this.redraw());
  }

  // Plotly fits a figure by itself, but leaves a legend where its former height had put it.
  fit() {
    // Plotly, which hears of it after us, fits a figure to the place that it has by then.
    this.entries.forEach((entry) => this.arrange(entry));
    clearTimeout(this.fitting);
    this.fitting = setTimeout(() => {
      if (this.width !== window.innerWidth) {
        this.width = window.innerWidth;
        this.redraw();
      }
    }, 400);
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
    // Of an odd number of small panels the last one fills its row.
    const small = wanted.filter((element) => !element.classList.contains("several"));
    small.forEach((element, index) => {
      element.classList.toggle("alone", small.length % 2 === 1 && index === small.length - 1);
    });
    this.redraw();
  }

  add(id) {
    const element = make("figure", "panel");
    element.id = id;
    const entry = { heading: make("h2", ""), box: make("div", "plots"), plots: [], on: {} };
    entry.caption = make("figcaption", "");
    entry.tools = make("div", "tools");
    entry.points = make("details", "reading");
    const beside = make("div", "beside");
    beside.tabIndex = 0;
    entry.points.append(make("summary", "", "The points as a table"), beside);
    entry.points.addEventListener("toggle", () => this.fillPoints(entry));
    element.append(entry.heading, entry.tools, entry.box, entry.caption, entry.points);
    this.entries.set(element, entry);
    this.addTools(element, entry);
    this.watcher.observe(element);
    return element;
  }

  addTools(element, entry) {
    entry.switches = Object.entries(SWITCHES).map(([key, [words, title]]) => {
      const button = make("button", "", words);
      button.type = "button";
      button.title = title;
      button.dataset.key = key;
      button.setAttribute("aria-pressed", "false");
      button.addEventListener("click", () => {
        entry.on[key] = !entry.on[key];
        button.setAttribute("aria-pressed", String(entry.on[key]));
        entry.stale = true;
        delete element.dataset.drawn;
        this.draw(element, entry);
      });
      return button;
    });
    const saving = ["PNG", "SVG"].map((words) => {
      const button = make("button", "", words);
      button.type = "button";
      button.title = `Saves the figure as ${words}`;
      button.addEventListener("click", () => this.save(entry, words.toLowerCase()));
      return button;
    });
    entry.tools.append(...entry.switches, ...saving);
  }

  // As on paper: light, and not seen through.
  async save(entry, format) {
    for (const [index, plot] of entry.plots.entries()) {
      const { data, layout } = switched(entry.panel.figures[index], entry.on);
      const colours = { template: this.templates.light, paper_bgcolor: "#ffffff" };
      const size = { width: plot.clientWidth || PRINTED_WIDTH, height: layout.height };
      const number = entry.plots.length > 1 ? `-${index + 1}` : "";
      await Plotly.downloadImage(
        { data, layout: { ...layout, ...colours } },
        { ...size, format, scale: format === "png" ? 2 : 1, filename: entry.panel.key + number },
      );
    }
  }

  fillPoints(entry) {
    if (entry.points.open) {
      entry.points.lastChild.replaceChildren(pointsTable(entry.panel.figures));
    }
  }

  fill(element, entry, panel) {
    entry.panel = panel;
    entry.switches.forEach((button) => {
      const { key } = button.dataset;
      button.hidden = !panel.switches.includes(key)
        || (key === "log" && !panel.figures.every(isPositive));
    });
    entry.points.hidden = !panel.figures.some((figure) => pointsOf(figure).length);
    this.fillPoints(entry);
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
      this.arrange(entry);
      entry.stale = true;
      delete element.dataset.drawn;
      this.draw(element, entry);
    }
  }

  // As many side by side as there is room for, and then as even as they go: five are three and two.
  arrange(entry, most = Math.floor(entry.box.clientWidth / entry.panel.width)) {
    const n = entry.plots.length;
    const rows = Math.ceil(n / Math.max(most, 1));
    entry.box.style.setProperty("--columns", Math.ceil(n / rows));
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
    const figure = switched(entry.panel.figures[index], entry.on);
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
      this.arrange(entry, 2);
      const width = entry.plots.length > 1 ? PRINTED_WIDTH / 2 : PRINTED_WIDTH;
      entry.plots.forEach((plot, index) => this.plot(entry, plot, index, { width }));
    }
  }
}
