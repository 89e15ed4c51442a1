"use strict";
const about = JSON.parse(document.getElementById("about").textContent);
const rows = JSON.parse(document.getElementById("rows").textContent);
const models = Object.keys(about.models);
const PAGE = 60;
const NS = "http://www.w3.org/2000/svg";
const el = (id) => document.getElementById(id);
const main = el("main"), slider = el("score"), chosen = el("class"), only = el("found");
let page = 0;

slider.min = about.lowest;
slider.value = about.score;
for (const name of Object.keys(about.colours)) chosen.add(new Option(name, name));
if (models.length > 1) main.classList.add("two");

function ink(colour) {
  const part = (at) => { const c = parseInt(colour.slice(at, at + 2), 16) / 255; return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; };
  const light = 0.2126 * part(1) + 0.7152 * part(3) + 0.0722 * part(5);
  return (light + 0.05) / 0.05 >= 1.05 / (light + 0.05) ? "#000" : "#fff";
}

function kept(row, model) {
  const least = Number(slider.value);
  return row.found[model].filter((one) => one[4] >= least && (!chosen.value || about.models[model][one[5]] === chosen.value));
}

function node(name, attributes, parent) {
  const made = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  parent.append(made);
  return made;
}

function boxes(row, model, svg) {
  svg.replaceChildren();
  const size = Math.max(row.size[0], row.size[1]) / 42;
  const found = kept(row, model);
  for (const [x1, y1, x2, y2, score, label] of found.slice().reverse()) {
    const name = about.models[model][label], colour = about.colours[name];
    const group = node("g", {}, svg);
    node("title", {}, group).textContent = `${name} ${score.toFixed(3)}`;
    node("rect", { class: "box", x: x1, y: y1, width: Math.max(0, x2 - x1), height: Math.max(0, y2 - y1), stroke: colour }, group);
    const text = `${name} ${score.toFixed(2)}`, width = text.length * size * 0.58;
    const top = y1 >= size * 1.25 ? y1 - size * 1.25 : y1, left = Math.max(0, Math.min(x1, row.size[0] - width));
    node("rect", { x: left, y: top, width, height: size * 1.25, fill: colour }, group);
    node("text", { x: left + size * 0.2, y: top + size, "font-size": size, "font-family": "sans-serif", fill: ink(colour) }, group).textContent = text;
  }
  return found.length;
}

function figure(row) {
  const made = document.createElement("figure");
  const pair = document.createElement("div");
  pair.className = "pair";
  let count = [];
  for (const model of models) {
    const view = document.createElement("div");
    view.className = "view";
    if (models.length > 1) { const title = document.createElement("b"); title.textContent = model; view.append(title); }
    const inner = document.createElement("div");
    const image = document.createElement("img");
    image.loading = "lazy"; image.src = row.file; image.alt = row.name; image.width = row.size[0]; image.height = row.size[1];
    const svg = document.createElementNS(NS, "svg");
    svg.setAttribute("viewBox", `0 0 ${row.size[0]} ${row.size[1]}`);
    svg.setAttribute("aria-hidden", "true");
    count.push(boxes(row, model, svg));
    inner.append(image, svg);
    view.append(inner);
    pair.append(view);
  }
  const caption = document.createElement("figcaption");
  caption.textContent = `${row.name}: ${count.join(" and ")} ${count.length === 1 && count[0] === 1 ? "box" : "boxes"}`;
  made.append(pair, caption);
  return made;
}

function show() {
  el("value").textContent = Number(slider.value).toFixed(2);
  const seen = only.checked ? rows.filter((row) => models.some((model) => kept(row, model).length)) : rows;
  const pages = Math.max(1, Math.ceil(seen.length / PAGE));
  page = Math.min(page, pages - 1);
  main.replaceChildren(...seen.slice(page * PAGE, (page + 1) * PAGE).map(figure));
  el("shown").textContent = seen.length ? `${page * PAGE + 1} to ${Math.min(seen.length, (page + 1) * PAGE)} of ${seen.length}` : "none";
  el("before").disabled = page === 0;
  el("next").disabled = page >= pages - 1;
}

let waiting = 0;
slider.addEventListener("input", () => { cancelAnimationFrame(waiting); waiting = requestAnimationFrame(show); });
for (const control of [chosen, only]) control.addEventListener("change", () => { page = 0; show(); });
for (const [id, step] of [["before", -1], ["next", 1]]) el(id).addEventListener("click", () => { page += step; show(); scrollTo(0, 0); });
el("controls").addEventListener("submit", (event) => event.preventDefault());
show();
