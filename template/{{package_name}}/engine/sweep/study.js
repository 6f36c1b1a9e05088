"use strict";
const {title, note, metrics, params, trials, importances, commands} = JSON.parse(document.getElementById("data").textContent);
const WIDTH = 560, HEIGHT = 250, LEFT = 58, RIGHT = 14, TOP = 12, BOTTOM = 30;
const SVG = "http://www.w3.org/2000/svg";
const ended = trials.filter((trial) => trial.values.length && ["complete", "pruned"].includes(trial.state));
const complete = ended.filter((trial) => trial.state === "complete");
const at = (index) => (trial) => trial.values[index];

function fill(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) if (value !== undefined) node.setAttribute(key, value);
  node.append(...children);
  return node;
}
const html = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
const svg = (tag, attributes = {}, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);
const main = document.querySelector("main"), shown = html("output", {hidden: ""});
main.replaceChildren(html("h1", {}, title));
main.after(shown);
const isTiny = (value) => value !== 0 && Math.abs(value) < 1e-3;
const number4 = (value) => isTiny(value) ? Number(value.toPrecision(4)).toExponential() : String(Number(value.toPrecision(4)));
const short = (value) => typeof value === "number" ? number4(value) : String(value ?? "");
const text = (x, y, content, anchor) => svg("text", {x, y, "text-anchor": anchor}, content);

function section(title, ...content) {
  main.append(html("section", {}, html("h2", {}, title), ...content));
}

function card(title, ...content) {
  return html("figure", {class: "card"}, html("h3", {}, title), ...content);
}

// A scale maps values to 0..1 and knows its ticks.
function numeric(values, isLog) {
  const transform = isLog ? Math.log10 : (value) => value;
  let low = Math.min(...values.map(transform)), high = Math.max(...values.map(transform));
  if (low === high) [low, high] = [low - 0.5, high + 0.5];
  [low, high] = [low - 0.03 * (high - low), high + 0.03 * (high - low)];
  const rough = (high - low) / 4, power = 10 ** Math.floor(Math.log10(rough));
  const step = isLog ? Math.max(1, Math.ceil((high - low) / 5)) : [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough);
  const ticks = [];
  for (let tick = Math.ceil(low / step - 1e-9) * step; tick <= high + 1e-9 * step; tick += step) ticks.push(tick);
  return {
    place: (value) => (transform(value) - low) / (high - low),
    ticks: ticks.map((tick) => [(tick - low) / (high - low), short(isLog ? 10 ** tick : Math.abs(tick) < 1e-9 * step ? 0 : tick)]),
  };
}

// The scale of an objective: outliers lie on its edge, so that the other values can be told apart.
function robust(index) {
  const sorted = (complete.length < 4 ? ended : complete).map(at(index)).sort((one, other) => one - other);
  const quarter = (share) => sorted[Math.round(share * (sorted.length - 1))];
  const reach = 3 * (quarter(0.75) - quarter(0.25)) || Infinity;
  const low = Math.max(sorted[0], quarter(0.25) - reach), high = Math.min(sorted.at(-1), quarter(0.75) + reach);
  const scale = numeric([low, high]);
  return {...scale, place: (value) => scale.place(Math.min(high, Math.max(low, value)))};
}

function categorical(values) {
  const known = [...new Set(values.map(String))];
  const place = (value) => known.length === 1 ? 0.5 : 0.06 + 0.88 * known.indexOf(String(value)) / (known.length - 1);
  return {place, ticks: known.map((value) => [place(value), value.length > 14 ? `${value.slice(0, 13)}…` : value])};
}

function scaleOf(param, of) {
  const values = of.map((trial) => trial.params[param.key]);
  return param.kind === "choices" ? categorical(param.choices ?? values) : numeric(values, param.kind === "log");
}

function markOf(trial, x, y) {
  const kind = trial.isBest ? "best" : trial.state;
  return svg("circle", {class: `mark ${kind}`, cx: x, cy: y, r: trial.isBest ? 5.5 : 4, "data-trial": trial.number});
}

const inX = (share) => LEFT + share * (WIDTH - LEFT - RIGHT);
const inY = (share) => HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM);

function plot(xs, ys, label, ...marks) {
  const lines = ys.ticks.map(([share]) => svg("path", {class: "axis", d: `M${LEFT} ${inY(share)}H${WIDTH - RIGHT}`}));
  const names = [
    ...ys.ticks.map(([share, name]) => text(LEFT - 8, inY(share) + 4, name, "end")),
    ...xs.ticks.map(([share, name]) => text(inX(share), HEIGHT - 10, name, "middle")),
  ];
  return svg("svg", {viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": label}, ...lines, ...names, ...marks);
}

function history(index) {
  const {key, direction} = metrics[index], value = at(index);
  const xs = numeric(ended.map((trial) => trial.number)), ys = robust(index);
  let best, path = "", end = "";
  for (const trial of complete) {
    const isBetter = best === undefined || (direction === "minimize" ? value(trial) < best : value(trial) > best);
    if (isBetter) best = value(trial);
    const x = inX(xs.place(trial.number)), y = inY(ys.place(best));
    end = `H${WIDTH - RIGHT}`;
    path += path ? `H${x}V${y}` : `M${x} ${y}`;
  }
  const marks = ended.map((trial) => markOf(trial, inX(xs.place(trial.number)), inY(ys.place(value(trial)))));
  return card(`${key} by trial, and the best so far`, plot(xs, ys, "history", svg("path", {class: "front", d: path + end}), ...marks));
}

function slice(param, index) {
  const of = ended.filter((trial) => param.key in trial.params);
  const xs = scaleOf(param, of), ys = robust(index);
  const marks = of.map((trial) => markOf(trial, inX(xs.place(trial.params[param.key])), inY(ys.place(at(index)(trial)))));
  return card(param.name, plot(xs, ys, `${metrics[index].key} over ${param.key}`, ...marks));
}

function front() {
  const xs = robust(0), ys = robust(1);
  const marks = ended.map((trial) => markOf(trial, inX(xs.place(at(0)(trial))), inY(ys.place(at(1)(trial)))));
  return card(`${metrics[1].key} over ${metrics[0].key}; coloured: no trial is better in all objectives`, plot(xs, ys, "objectives", ...marks));
}

function parallel(index) {
  const of = ended.filter((trial) => params.every(({key}) => key in trial.params));
  const axes = params.map((param) => ({title: param.name, scale: scaleOf(param, of), value: (trial) => trial.params[param.key]}));
  axes.push({title: metrics[index].key, scale: robust(index), value: at(index)});
  const width = Math.max(WIDTH, 170 * axes.length), height = 320;
  const x = (number) => 70 + number * (width - 140) / (axes.length - 1), y = (share) => height - 24 - share * (height - 70);
  const sign = metrics[index].direction === "minimize" ? 1 : -1;
  const ranked = [...of].sort((one, other) => sign * (at(index)(other) - at(index)(one))); // best on top
  const paths = ranked.map((trial, rank) => svg("path", {
    class: trial.isBest ? "path best" : "path", "data-trial": trial.number,
    style: `opacity: ${trial.isBest ? 1 : 0.12 + 0.6 * rank / ranked.length}`,
    d: axes.map(({scale, value}, number) => `${number ? "L" : "M"}${x(number)} ${y(scale.place(value(trial)))}`).join(""),
  }));
  const rules = axes.flatMap(({title, scale}, number) => [
    svg("path", {class: "axis", d: `M${x(number)} ${y(0)}V${y(1)}`}),
    text(x(number), 18, title, "middle"),
    ...scale.ticks.map(([share, name]) => text(x(number) + 6, y(share) + 4, name)),
  ]);
  const picture = svg("svg", {viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": "parallel coordinates"}, ...paths, ...rules);
  picture.style.maxWidth = `${1.3 * width}px`;
  picture.style.minWidth = `${Math.min(width, 110 * axes.length)}px`;
  return html("div", {class: "wide"}, picture);
}

function bars(index) {
  const entries = Object.entries(importances[index] ?? {});
  if (!entries.length) return html("p", {class: "note"}, "Importances need at least four complete trials with different values.");
  const most = Math.max(...entries.map(([, share]) => share)) || 1, line = 26;
  const rows = entries.flatMap(([title, share], number) => [
    text(190, number * line + 18, title, "end"),
    svg("rect", {class: "bar", x: 200, y: number * line + 5, width: Math.max(1, 280 * share / most), height: 17, rx: 3}),
    text(206 + 280 * share / most, number * line + 18, short(Number(share.toFixed(3)))),
  ]);
  return card(metrics[index].key, svg("svg", {viewBox: `0 0 ${WIDTH} ${entries.length * line + 4}`, role: "img", "aria-label": "importances"}, ...rows));
}

function table() {
  const columns = [
    ["trial", (trial) => trial.number], ["state", (trial) => trial.state],
    ...metrics.map(({key}, index) => [key, at(index)]), ...params.map(({key, name}) => [name, (trial) => trial.params[key]]),
    ["seconds", (trial) => trial.duration_s], ["reason", (trial) => trial.reason],
  ];
  const body = html("tbody");
  const rows = new Map(trials.map((trial) => [trial, html("tr", {"data-trial": trial.number, class: trial.isBest ? "best" : ""},
    ...columns.map(([title, value]) => html("td", {}, title === "trial" && trial.link ? html("a", {href: trial.link}, short(value(trial))) : short(value(trial)))))]));
  let sorted = null, sign = 1;
  const sort = (value) => {
    sign = sorted === value ? -sign : 1;
    sorted = value;
    const order = (one, other) => one === other ? 0 : one == null ? 1 : other == null ? -1 : (one < other ? -sign : sign);
    body.replaceChildren(...[...trials].sort((one, other) => order(value(one), value(other))).map((trial) => rows.get(trial)));
  };
  const head = columns.map(([title, value]) => {
    const button = html("button", {type: "button"}, title);
    button.addEventListener("click", () => sort(value));
    return html("th", {scope: "col"}, button);
  });
  sort(columns[0][1]);
  return html("div", {class: "wide"}, html("table", {}, html("thead", {}, html("tr", {}, ...head)), body));
}

function choose(number) {
  for (const node of document.querySelectorAll(".chosen")) node.classList.remove("chosen");
  shown.hidden = number === undefined;
  if (number === undefined) return;
  for (const node of document.querySelectorAll(`[data-trial="${number}"]`)) node.classList.add("chosen");
  const trial = trials.find((one) => String(one.number) === number);
  const values = metrics.flatMap(({key}, index) => trial.values.length ? [`${key} ${short(at(index)(trial))}`] : []);
  shown.textContent = [`trial ${number}`, trial.state, ...values, ...params.map(({key, name}) => `${name} ${short(trial.params[key])}`)].join(" · ");
}
document.addEventListener("pointerover", (event) => choose(event.target.closest?.("[data-trial]")?.dataset.trial));

main.append(html("p", {class: "note"}, note));
if (ended.length) main.append(html("p", {class: "note"}, "Hollow: pruned. Orange: best. Outliers are drawn at the edge of an axis."));
if (commands.length) main.append(html("pre", {}, commands.join("\n")));
if (ended.length) {
  section("History", html("div", {class: "grid"}, ...metrics.map((_, index) => history(index)), ...(metrics.length > 1 ? [front()] : [])));
  metrics.forEach((metric, index) => {
    const of = metrics.length > 1 ? `: ${metric.key}` : "";
    section(`Parallel coordinates${of}`, parallel(index));
    section(`Importances${of}`, html("div", {class: "grid"}, bars(index)));
    section(`Slices${of}`, html("div", {class: "grid"}, ...params.map((param) => slice(param, index))));
  });
}
section("Trials", table());
