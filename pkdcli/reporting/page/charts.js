"use strict";
// Charts: a run's curves as elements of SVG, out of what pkdcli/reporting/page/packed.py has written, and the values under
// the pointer in any chart. The elements are those that pkdcli/reporting/plots/svg.py writes.
const Charts = (() => {
  const SVG = "http://www.w3.org/2000/svg";
  const LEFT = 58, RIGHT = 390, TOP = 10, BOTTOM = 216, WIDTH = 400, HEIGHT = 260, MARK = 2.6;

  function element(name, attributes = {}, text = "") {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.textContent = text;
    return made;
  }

  function drawn(name, attributes = {}, text = "") {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text) made.textContent = text;
    return made;
  }

  // Two characters a number.
  function reader(digits) {
    const values = new Map([...digits].map((digit, n) => [digit, n]));
    return (text) => {
      const numbers = [];
      for (let n = 0; n < text.length; n += 2) numbers.push(values.get(text[n]) * digits.length + values.get(text[n + 1]));
      return numbers;
    };
  }

  function boxes(found, unpack) {
    if (typeof found !== "string") return found;
    const numbers = unpack(found), rows = [];
    for (let n = 0; n < numbers.length; n += 6) rows.push([...numbers.slice(n, n + 5), numbers[n + 5] / 100]);
    return rows;
  }

  const number = (tenths) => String(tenths / 10);

  function chart(panel, shared, unpack, run) {
    const [title, xLabel, yLabel, ends, log, xAt, xTexts, yAt, yTexts, lines, rules, marked] = panel;
    const { words, dashes } = shared;
    const label = `${words[title]} of ${run}`;
    const svg = drawn("svg", { class: "chart", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": label,
                               "data-axes": ends, "data-box": `${LEFT},${RIGHT},${BOTTOM},${TOP}`, "data-log": log });
    const dash = (place) => dashes[place] ? { "stroke-dasharray": dashes[place] } : {};
    const middle = (TOP + BOTTOM) / 2, texts = words[yTexts].split(" ");
    svg.append(drawn("title", {}, label));
    unpack(yAt).forEach((y, n) => svg.append(
      drawn("path", { class: "grid", d: `M${LEFT} ${number(y)}H${RIGHT}` }),
      drawn("text", { class: "tick", x: LEFT - 5, y: number(y + 45), "text-anchor": "end" }, texts[n])));
    svg.append(
      drawn("text", { class: "label", x: 12, y: middle, "text-anchor": "middle", transform: `rotate(-90 12 ${middle})` },
            words[yLabel]),
      drawn("path", { class: "axis", d: `M${LEFT} ${TOP}V${BOTTOM}H${RIGHT}` }));
    unpack(words[xAt]).forEach((x, n) => svg.append(
      drawn("text", { class: "tick", x: number(x), y: BOTTOM + 17, "text-anchor": "middle" }, words[xTexts].split(" ")[n])));
    svg.append(drawn("text", { class: "label", x: (LEFT + RIGHT) / 2, y: HEIGHT - 6, "text-anchor": "middle" },
                     words[xLabel]));
    for (const [place, y] of rules) {
      svg.append(drawn("line", { class: `c${place}`, x1: LEFT, x2: RIGHT, y1: number(y), y2: number(y), ...dash(place) }));
    }
    for (const [place, name, xs, ys] of lines) {
      const across = unpack(words[xs]).map(number), down = unpack(ys).map(number);
      svg.append(drawn("polyline", { class: `c${place}`, "data-name": words[name],
                                     points: across.map((x, n) => `${x},${down[n]}`).join(" "), ...dash(place) }));
      if (marked) {
        svg.append(...across.map((x, n) => drawn("circle", { class: `f${place}`, cx: x, cy: down[n], r: MARK })));
      }
    }
    return svg;
  }

  function legend(panel, { words, dashes }) {
    const lines = panel[9], rules = panel[10], names = panel[12];
    const entries = [...lines.map(([place, name]) => [place, name]), ...rules.map(([place], n) => [place, names[n]])];
    const list = element("ul", { class: "legend", "aria-hidden": "true" });
    for (const [place, name] of entries) {
      const line = drawn("path", { class: `c${place}`, d: "M0 5H26", ...(dashes[place] ? { "stroke-dasharray": dashes[place] } : {}) });
      const picture = drawn("svg", { viewBox: "0 0 26 10", "aria-hidden": "true" });
      picture.append(line);
      const item = element("li");
      item.append(picture, words[name]);
      list.append(item);
    }
    return entries.length > 1 ? [list] : [];
  }

  // The panels of a run.
  function panels(found, shared, unpack, run) {
    return found.map((panel) => {
      const made = element("div", { class: "panel" });
      made.append(element("h4", {}, shared.words[panel[0]]), chart(panel, shared, unpack, run), ...legend(panel, shared));
      return made;
    });
  }

  // Values under the pointer.

  function follow(root) {
    for (const svg of root.querySelectorAll("svg[data-axes]")) {
      const [left, right, low, high] = svg.dataset.axes.split(",").map(Number);
      const [x0, x1, y0, y1] = svg.dataset.box.split(",").map(Number);
      const [logX, logY] = svg.dataset.log.split(",").map(Number);
      const back = (at, a, b, start, end, log) => {
        const share = (at - start) / (end - start);
        return log ? 10 ** (Math.log10(a) + share * (Math.log10(b) - Math.log10(a))) : a + share * (b - a);
      };
      const lines = [...svg.querySelectorAll("polyline")].map((line) => [line.dataset.name,
        line.getAttribute("points").split(" ").filter(Boolean).map((point) => point.split(",").map(Number))]);
      let tip = null, cursor = null;
      const leave = () => { tip?.remove(); cursor?.remove(); tip = cursor = null; };
      svg.addEventListener("pointerleave", leave);
      svg.addEventListener("pointermove", (event) => {
        const area = svg.getBoundingClientRect();
        const at = (event.clientX - area.left) * svg.viewBox.baseVal.width / area.width;
        if (at < x0 - 4 || at > x1 + 4) return leave();
        const near = lines.filter(([, points]) => points.length).map(([name, points]) =>
          [name, points.reduce((a, b) => Math.abs(b[0] - at) < Math.abs(a[0] - at) ? b : a)]);
        if (!near.length) return;
        if (!tip) {
          tip = element("div", { class: "tip", "aria-hidden": "true" });
          svg.parentElement.append(tip);
          cursor = drawn("path", { class: "cursor" });
          svg.append(cursor);
        }
        const x = near[0][1][0];
        cursor.setAttribute("d", `M${x} ${y0}V${y1}`);
        const format = (value) => String(Number(value.toPrecision(4)));
        tip.replaceChildren(element("div", {}, format(back(x, left, right, x0, x1, logX))),
          ...near.map(([name, point]) => element("div", {}, `${name}: ${format(back(point[1], low, high, y0, y1, logY))}`)));
        const room = svg.parentElement.getBoundingClientRect();
        const place = area.left - room.left + (x / svg.viewBox.baseVal.width) * area.width;
        tip.style.left = `${place < room.width / 2 ? place + 12 : Math.max(0, place - tip.offsetWidth - 12)}px`;
        tip.style.top = `${area.top - room.top + 8}px`;
      });
    }
  }

  return { boxes, drawn, element, follow, panels, reader };
})();
