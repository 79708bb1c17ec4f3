"use strict";
// Theme: system, light or dark; kept where the browser lets a file keep something.
(() => {
  const names = ["system", "light", "dark"];
  const button = document.getElementById("theme");
  let current = "system";
  const apply = (name) => {
    current = names.includes(name) ? name : "system";
    if (current === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = current;
    button.textContent = `Theme: ${current}`;
    document.dispatchEvent(new Event("theme"));
  };
  try {
    apply(localStorage.getItem("mi_probe-theme"));
  } catch {
    apply("system");
  }
  button.hidden = false;
  button.addEventListener("click", () => {
    apply(names[(names.indexOf(current) + 1) % names.length]);
    try {
      localStorage.setItem("mi_probe-theme", current);
    } catch {
      // Not kept: it holds until the page is closed.
    }
  });
  window
    .matchMedia("(prefers-color-scheme: dark)")
    .addEventListener("change", () => document.dispatchEvent(new Event("theme")));
  // What is folded away would be missing on paper.
  let opened = [];
  window.addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("#verdict details:not([open])")];
    for (const one of opened) one.open = true;
    document.dispatchEvent(new Event("theme"));
  });
  window.addEventListener("afterprint", () => {
    for (const one of opened) one.open = false;
    document.dispatchEvent(new Event("theme"));
  });
})();
