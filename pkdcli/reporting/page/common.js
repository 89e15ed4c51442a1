"use strict";
// What every page of tables does: light and dark, and tables that can be sorted.
const Page = (() => {
  const $ = (selector, root = document) => root.querySelector(selector);
  const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

  // Light and dark: the reader's system, until the button says otherwise.

  const stored = { get: () => { try { return localStorage.getItem("pkd-theme"); } catch { return null; } },
                   set: (value) => { try { localStorage.setItem("pkd-theme", value); } catch { /* a page without storage */ } } };
  const dark = matchMedia("(prefers-color-scheme: dark)");
  let theme = stored.get();
  function paint() {
    document.documentElement.dataset.theme = theme || (dark.matches ? "dark" : "light");
  }
  dark.addEventListener("change", paint);
  $("#theme").addEventListener("click", () => {
    theme = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    stored.set(theme);
    paint();
  });
  paint();

  // Sorting: a heading's button; numbers fall first, words rise; the third time all is as it was.

  const NEXT = { number: { none: "descending", descending: "ascending", ascending: "none" },
                 word: { none: "ascending", ascending: "descending", descending: "none" } };
  const words = new Intl.Collator("en", { numeric: true });

  for (const table of $$("table.sortable")) {
    const bodies = [...table.tBodies];
    const original = bodies.map((body) => [...body.rows]);
    const headings = [...table.tHead.rows[0].cells];
    headings.forEach((heading, column) => $("button", heading).addEventListener("click", () => {
      const number = heading.classList.contains("number");
      const order = NEXT[number ? "number" : "word"][heading.getAttribute("aria-sort")];
      for (const other of headings) other.setAttribute("aria-sort", "none");
      heading.setAttribute("aria-sort", order);
      if (order === "none") {
        bodies.forEach((body, n) => body.append(...original[n]));
        return;
      }
      const sign = order === "ascending" ? 1 : -1;
      const keyed = original.flat().map((row) => {
        const text = row.cells[column].textContent.trim();
        return [number ? Number.parseFloat(text) : text, row];
      });
      const empty = (key) => key === "" || Number.isNaN(key);
      keyed.sort(([a], [b]) => empty(a) - empty(b) || (empty(a) ? 0 : sign * (number ? a - b : words.compare(a, b))));
      bodies[0].append(...keyed.map(([, row]) => row));
    }));
  }

  return { $, $$ };
})();
