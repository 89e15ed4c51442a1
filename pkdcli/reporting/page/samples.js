"use strict";
// Detections over thumbnails: matched to objects as COCO does at IoU 0.5, best scores first.
const Samples = (data) => {
  const { drawn, element } = Charts;
  const unpack = Charts.reader(data.charts.digits);
  const FIRST = 4;  // rows of detections before more are asked for
  const BOXES = ["#2fa4ff", "#ff8a3d", "#22d39b", "#f58ccb", "#ffe14d", "#b9a1ff", "#ff6b6b", "#d8dee6"];

  function overlap(a, b) {
    const width = Math.min(a[2], b[2]) - Math.max(a[0], b[0]);
    const height = Math.min(a[3], b[3]) - Math.max(a[1], b[1]);
    if (width <= 0 || height <= 0) return 0;
    const area = (box) => (box[2] - box[0]) * (box[3] - box[1]);
    return width * height / (area(a) + area(b) - width * height);
  }

  function matches(boxes, truth) {
    const taken = new Set();
    return boxes.map((box) => {
      let best = -1, most = 0.5;
      truth.forEach((object, n) => {
        const value = object[4] === box[4] && !object[5] && !taken.has(n) ? overlap(box, object) : 0;
        if (value >= most) [best, most] = [n, value];
      });
      if (best >= 0) taken.add(best);
      return best >= 0;
    });
  }

  function picture(image, boxes, right, classes, label) {
    const svg = drawn("svg", { viewBox: `0 0 ${image.w} ${image.h}`, role: "img", "aria-label": label });
    if (image.src) {
      svg.append(drawn("image", { href: image.src, width: image.w, height: image.h, preserveAspectRatio: "none" }));
    } else {
      svg.append(drawn("text", { class: "gone", x: image.w / 2, y: image.h / 2, "text-anchor": "middle",
                                 "font-size": image.w / 18 }, "image not found"));
    }
    const size = Math.max(image.w, image.h) / 26;
    boxes.forEach((box, n) => {
      const [x1, y1, x2, y2, label] = box;
      const colour = BOXES[label % BOXES.length];
      const name = classes[label] ?? `class ${label}`;
      const score = right ? ` ${box[5].toFixed(2)}` : "";
      const group = drawn("g");
      const rect = drawn("rect", { x: x1, y: y1, width: Math.max(x2 - x1, 0), height: Math.max(y2 - y1, 0), stroke: colour });
      const halo = rect.cloneNode();
      halo.setAttribute("class", "halo");
      if (right && !right[n]) rect.setAttribute("class", "wrong");
      group.append(halo, rect, drawn("title", {}, name + score + (right && !right[n] ? ", no such object" : "")));
      if (boxes.length <= 12) {
        const fits = y1 > size ? y1 - size * .25 : Math.min(y2 + size, image.h - 1);
        group.append(drawn("text", { x: Math.min(x1, image.w - size * 3), y: fits, "font-size": size }, name + score));
      }
      svg.append(group);
    });
    return svg;
  }

  function caption(title, text) {
    const made = element("figcaption", {}, title);
    made.append(element("br"), element("span", {}, text));
    return made;
  }

  // A set names the first with the same classes.
  function classes(set) {
    return typeof set.classes === "number" ? data.sets[set.classes].classes : set.classes;
  }

  function samples(place, columns) {
    const sets = columns.map(([name, n]) => [name, { ...data.sets[n], classes: classes(data.sets[n]) }]);
    const own = sets[sets.length - 1][1];
    const knob = element("div", { class: "knob" });
    const slider = element("input", { type: "range", min: .05, max: .95, step: .05, value: .3, id: "score" });
    const said = element("output", { for: "score" });
    knob.append(element("label", { for: "score" }, "Detections with a score from"), slider, said);
    const help = element("p", { class: "quiet" },
      "Solid: an object of that class is there (IoU 0.5 or more). Dashed: there is none.");
    const shots = element("div");
    const more = element("button", { type: "button" }, `Show all ${own.images.length} images`);
    let count = FIRST;
    more.hidden = own.images.length <= FIRST;
    more.addEventListener("click", () => { count = own.images.length; more.hidden = true; redraw(); });
    place.replaceChildren(knob, help, shots, more);

    function redraw() {
      const least = Number(slider.value);
      said.textContent = least.toFixed(2);
      shots.replaceChildren(...own.images.slice(0, count).map((n) => row(data.images[n], n, least)));
    }

    function row(image, n, least) {
      const made = element("div", { class: "shots" });
      made.style.setProperty("--columns", columns.length + 1);
      const objects = image.truth.filter((box) => !box[5]).length;
      const first = element("figure");
      const file = image.file.split("/").pop();
      first.append(picture(image, image.truth, null, own.classes, `Ground truth of ${file}: ${objects} objects`),
                   caption("ground truth", `${objects} object${objects === 1 ? "" : "s"} in ${file}`));
      made.append(first);
      for (const [name, set] of sets) {
        const at = set.images.indexOf(n);
        const boxes = at < 0 ? [] : Charts.boxes(set.found[at], unpack).filter((box) => box[5] >= least);
        const right = matches(boxes, image.truth);
        const good = right.filter(Boolean).length;
        const text = at < 0 ? "not among its images" : `${good} of ${objects} found, ${boxes.length - good} wrong`;
        const figure = element("figure");
        figure.append(picture(image, boxes, right, set.classes, `${name} in ${file}: ${text}`), caption(name, text));
        made.append(figure);
      }
      return made;
    }

    slider.addEventListener("input", redraw);
    redraw();
  }

  return samples;
};
