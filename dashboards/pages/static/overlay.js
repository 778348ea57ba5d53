// What figures are on a narrow screen; for pages and for a report's file alike.
"use strict";

const Overlay = {
  // Writes {"xaxis2.title.text": value, "annotations[0].x": value} over a layout; returns it.
  write(layout, settings) {
    for (const [path, value] of Object.entries(settings)) {
      const names = path.replaceAll("[", ".").replaceAll("]", "").split(".");
      const last = names.pop();
      let inner = layout;
      for (const name of names) {
        inner = inner[name] ??= {};
      }
      inner[last] = value;
    }
    return layout;
  },

  // A layout for the screen that there is; returns it. Where a finger moves the page, a swipe on a
  // figure moves the page, too, and a tap names the point.
  fit(layout, settings, isNarrow) {
    if (window.matchMedia("(pointer: coarse)").matches) {
      layout.dragmode = false;
    }
    return isNarrow ? Overlay.write(layout, settings) : layout;
  },

  // A figure wider than its box can be moved within it, also with the keyboard.
  scroll(plot, width) {
    plot.classList.toggle("wide", width !== undefined);
    if (width === undefined) {
      plot.removeAttribute("tabindex");
    } else {
      plot.tabIndex = 0;
    }
  },
};
