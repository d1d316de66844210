// Small charts of SVG. Colours are classes of the style sheet; each series has a shape or dash of its own beside its
// colour, and the page has the same figures as a table.
import { make } from "/common.js";

const NS = "http://www.w3.org/2000/svg";
export const svg = (kind, attributes = {}, text) => {
  const made = document.createElementNS(NS, kind);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  return made;
};

/** Round numbers from 0 (or below) to what is needed. */
export const ticks = (low, high, wanted) => {
  const span = high - low || 1;
  const raw = span / Math.max(1, wanted);
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((size) => size >= raw);
  const from = Math.floor(low / step) * step;
  const out = [];
  for (let value = from; value < high + step * 0.999; value += step) out.push(Number(value.toPrecision(12)));
  return out;
};

const short = (value) => {
  const size = Math.abs(value);
  if (size >= 1e9) return `${Number((value / 1e9).toPrecision(3))}G`;
  if (size >= 1e6) return `${Number((value / 1e6).toPrecision(3))}M`;
  if (size >= 1e4) return `${Number((value / 1e3).toPrecision(3))}k`;
  return String(Number(value.toPrecision(3)));
};

/**
 * Draws into `box`. `labels`: a text for each place. `series`: { name, values, kind: "bar" | "line" | "over" }; a bar of
 * kind "over" lies in the bar before it, as a part of it. `mark`: the place that is now.
 */
export const draw = (box, { labels, series, title, mark, height = 260 }) => {
  const width = Math.max(280, Math.floor(box.clientWidth || 640));
  const [left, right, top, bottom] = [46, 10, 10, 28];
  const inner = { width: width - left - right, height: height - top - bottom };
  const values = series.flatMap((line) => line.values).filter((value) => value !== null && Number.isFinite(value));
  const grid = ticks(Math.min(0, ...values), Math.max(0, ...values) || 1, 4);
  const [low, high] = [grid[0], grid[grid.length - 1]];
  const y = (value) => top + inner.height * (1 - (value - low) / (high - low));
  const step = inner.width / Math.max(1, labels.length);
  const x = (place) => left + step * (place + 0.5);

  const drawn = svg("svg", {
    viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": title, class: "chart",
  });
  for (const value of grid) {
    drawn.append(svg("line", { x1: left, x2: width - right, y1: y(value), y2: y(value), class: value === 0 ? "axis" : "grid" }));
    drawn.append(svg("text", { x: left - 6, y: y(value) + 4, "text-anchor": "end" }, short(value)));
  }
  const longest = Math.max(1, ...labels.map((label) => [...label].reduce((sum, c) => sum + (c > "\u2e80" ? 2 : 1), 0)));
  const every = Math.max(1, Math.ceil((longest * 7 + 10) / step));
  labels.forEach((label, place) => {
    if (place % every === 0) {
      const shown = longest * 7 > inner.width / 2 ? `${label.slice(0, 18)}…` : label;
      drawn.append(svg("text", { x: x(place), y: height - 8, "text-anchor": "middle" }, shown));
    }
  });
  if (mark !== undefined && mark >= 0) {
    drawn.append(svg("rect", { x: left + step * mark, y: top, width: step, height: inner.height, class: "now" }));
  }
  const bars = series.filter((line) => line.kind === "bar");
  let bar = -1;
  series.forEach((line, place) => {
    const colour = `s${place % 6}`;
    if (line.kind !== "line") {
      if (line.kind === "bar") bar += 1;
      const thick = Math.max(1, (step * 0.72) / Math.max(1, bars.length));
      line.values.forEach((value, at) => {
        if (value === null || !Number.isFinite(value)) return;
        const from = left + step * at + step * 0.14 + thick * Math.max(0, bar);
        const made = svg("rect", {
          x: from, width: Math.max(1, thick - 1), y: Math.min(y(value), y(0)), height: Math.abs(y(value) - y(0)),
          class: `${colour} ${line.kind}`,
        });
        made.append(svg("title", {}, `${labels[at]}: ${line.name} ${value}`));
        drawn.append(made);
      });
      return;
    }
    // A gap in the figures is a gap in the line.
    let path = "";
    let pen = false;
    line.values.forEach((value, at) => {
      if (value === null || !Number.isFinite(value)) { pen = false; return; }
      path += `${pen ? "L" : "M"}${x(at).toFixed(1)} ${y(value).toFixed(1)}`;
      pen = true;
    });
    drawn.append(svg("path", { d: path, class: `${colour} line` }));
    if (labels.length <= 120) {
      line.values.forEach((value, at) => {
        if (value === null || !Number.isFinite(value)) return;
        const made = svg("circle", { cx: x(at), cy: y(value), r: 3, class: `${colour} dot` });
        made.append(svg("title", {}, `${labels[at]}: ${line.name} ${value}`));
        drawn.append(made);
      });
    }
  });
  const legend = make("p", series.map((line, place) => make("span", line.name, `key s${place % 6} of-${line.kind}`)), "keys");
  box.replaceChildren(drawn, legend);
};
