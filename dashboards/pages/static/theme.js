// Light or dark: what the reader chose, else what the system says. Runs before the page is drawn.
"use strict";

(() => {
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const stored = () => {
    try {
      return localStorage.getItem("theme");
    } catch {
      return null; // Storage may be forbidden; the system's choice then holds.
    }
  };
  const current = () => stored() || (system.matches ? "dark" : "light");

  const apply = () => {
    document.documentElement.dataset.theme = current();
    const button = document.getElementById("theme");
    if (button) {
      button.setAttribute("aria-pressed", String(current() === "dark"));
    }
    document.dispatchEvent(new Event("themechange"));
  };

  apply();
  system.addEventListener("change", apply);
  document.addEventListener("DOMContentLoaded", () => {
    document.getElementById("theme").addEventListener("click", () => {
      try {
        localStorage.setItem("theme", current() === "dark" ? "light" : "dark");
      } catch {
        return;
      }
      apply();
    });
    apply();
  });
})();
