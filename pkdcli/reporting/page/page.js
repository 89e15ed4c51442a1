"use strict";
(() => {
  const { $, $$ } = Page;
  const data = JSON.parse($("#data").textContent);
  const { element } = Charts;
  const unpack = Charts.reader(data.charts.digits);
  const samples = Samples(data);

  // Filters: rows, plots and cards that say nothing of a key are of every value.

  const form = $("#filters");
  function filter() {
    const chosen = [...new FormData(form)].filter(([key, value]) => key !== "text" && value);
    const text = form.elements.text.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    const fits = (one) => chosen.every(([key, value]) => !one.dataset[key] || one.dataset[key] === value);
    const rows = $$("table.sortable tbody tr");
    for (const row of rows) {
      const content = text.length ? row.textContent.toLowerCase() : "";
      row.hidden = !fits(row) || !text.every((word) => content.includes(word));
    }
    for (const one of $$(".plot, .card")) one.hidden = !fits(one);
    const listed = $$("#runs tbody tr");
    $("#shown").textContent = `${listed.filter((row) => !row.hidden).length} of ${listed.length} runs`;
  }
  if (form) {
    form.addEventListener("input", filter);
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", () => setTimeout(filter));
    filter();
  }

  // One run, in a dialog whose address can be kept.

  const dialog = $("#run");
  const templates = new Map($$("template[data-run]").map((one) => [one.dataset.run, one]));
  let opener = null;

  function wanted() {
    return location.hash.startsWith("#run=") ? decodeURIComponent(location.hash.slice(5)) : null;
  }

  function show() {
    const run = wanted();
    const template = run === null ? null : templates.get(run);
    if (!template) {
      if (dialog.open) dialog.close();
      return;
    }
    const body = $("#run-body");
    body.replaceChildren(template.content.cloneNode(true));
    for (const place of $$("[data-parts]", body)) {
      place.textContent = place.dataset.parts.split(" ").map((n) => data.parts[n]).join("");
    }
    for (const place of $$(".samples", body)) samples(place, JSON.parse(place.dataset.columns));
    for (const place of $$("[data-env]", body)) {
      place.replaceChildren(...data.environments[place.dataset.env].map(([name, value]) => {
        const row = element("div");
        row.append(element("dt", {}, name), element("dd", {}, value));
        return row;
      }));
    }
    for (const place of $$("[data-charts]", body)) {
      place.replaceChildren(...Charts.panels(data.panels[place.dataset.charts], data.charts, unpack, run));
    }
    Charts.follow(body);
    if (!dialog.open) {
      opener = document.activeElement;
      dialog.showModal();
    }
    dialog.scrollTop = 0;
    $("#run-title").focus({ preventScroll: true });
  }

  dialog.addEventListener("close", () => {
    if (wanted() !== null) history.replaceState(null, "", location.pathname + location.search);
    $("#run-body").replaceChildren();
    if (opener && opener.focus) opener.focus({ preventScroll: true });
  });
  dialog.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (event.target === dialog || (button && "close" in button.dataset)) dialog.close();
    if (button && button.dataset.step) step(Number(button.dataset.step));
  });
  dialog.addEventListener("keydown", (event) => {
    if (event.target.matches("input, pre")) return;
    if (event.key === "ArrowLeft") step(-1);
    if (event.key === "ArrowRight") step(1);
  });
  function step(by) {
    const shown = $$("#runs tbody tr").filter((row) => !row.hidden).map((row) => $("a", row).hash);
    const at = shown.findIndex((hash) => decodeURIComponent(hash.slice(5)) === wanted());
    if (shown.length) location.replace(shown[(at + by + shown.length) % shown.length]);
  }
  addEventListener("hashchange", show);
  show();

  Charts.follow(document);
})();
