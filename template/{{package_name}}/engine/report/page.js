"use strict";
const DATA = JSON.parse(document.getElementById("data").textContent);
const RUNS = DATA.runs;
const IS_SINGLE = RUNS.length === 1;
const SPLITS = ["train", "val", "test"];
const HIGHER_IS_BETTER = /acc|f1|fbeta|auc|auroc|precision|recall|iou|dice|jaccard|kappa|psnr|ssim|r2|top\d/i;
const LOWER_IS_BETTER = /loss|err|ece|uce|nll|brier|mse|mae|perplexity/i;
const NUM_COLOURS = 8;
const WIDE = 192; // pixels: images are at most this wide, texts are wider
const HEIGHT = 230;
const MARGIN = {top: 14, right: 14, bottom: 24};

// ---- elements: what comes from a run is set as text, never parsed
function fill(node, attributes = {}, children) {
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

const SVG = "http://www.w3.org/2000/svg";
const html = (name, attributes, ...children) => fill(document.createElement(name), attributes, children);
const svg = (name, attributes, ...children) => fill(document.createElementNS(SVG, name), attributes, children);

/** A section, or nothing if it would be empty. */
function section(title, content, notes = []) {
  if (!content.length) return [];
  const texts = notes.map((note) => html("p", {class: "note"}, note));
  return [html("section", {}, html("h2", {}, title), ...content, ...texts)];
}

function table(head, rows) {
  const cells = ([first, ...rest]) => [html("th", {scope: "row"}, first), ...rest.map((cell) => html("td", {}, cell))];
  return html("div", {class: "wide", tabindex: 0}, html("table", {},
    html("thead", {}, html("tr", {}, ...head.map((cell) => html("th", {scope: "col"}, cell)))),
    html("tbody", {}, ...rows.map((row) => html("tr", {}, ...cells(row))))));
}

// ---- numbers and names
function shortNumber(value) {
  const size = Math.abs(value);
  if (size && (size >= 1e6 || size < 1e-4)) return value.toExponential(3).replace(/\.?0*e\+?/, "e");
  return value.toLocaleString("en", {maximumSignificantDigits: 4});
}

function durationText(seconds) {
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  return hours ? `${hours} h ${minutes} min` : `${minutes} min ${Math.floor(seconds % 60)} s`;
}

function stepText(step, run) {
  const epoch = epochAt(run, step);
  const stage = run.stages[stageAt(run, step)];
  return [`step ${step.toLocaleString("en")}`, ...(stage ? [stage[0]] : []), ...(epoch ? [`epoch ${epoch}`] : [])].join(" · ");
}

/** Index of the stage of a step; -1 in a run without stages. */
const stageAt = (run, step) => countUpTo(run.stages.map(([, start]) => start), step) - 1;

/** Number of the epoch of a step, from 1, in its stage; 0 before the first. */
function epochAt(run, step) {
  const start = run.stages[stageAt(run, step)]?.[1] ?? 0;
  return countUpTo(run.epoch_starts, step) - (start ? countUpTo(run.epoch_starts, start - 1) : 0);
}

/** What a key measures, without its split, its set and Lightning's suffixes. */
function metricOf(key) {
  if (/^lr\b/.test(key)) return "lr";
  const split = splitOf(key);
  return split ? key.slice(split.length + 1).replace(/_(step|epoch)$/, "") : key;
}

/** The split of a key, with its set if there are several: a set has its own loss, a class has none. */
function splitOf(key) {
  const [split, name, ...rest] = key.split("/");
  if (!SPLITS.includes(split)) return "";
  return rest.length && RUNS.some((run) => `${split}/${name}/loss` in run.curves) ? `${split}/${name}` : split;
}

/** Whether a key is the only term of a loss, and so equals the loss. */
function isOnlyTerm(key) {
  const prefix = `${splitOf(key)}/loss_`;
  const terms = (run) => Object.keys(run.curves).filter((other) => other.startsWith(prefix) && !other.endsWith("_step"));
  const isSame = ({curves}) => String(curves[key]?.[1]) === String(curves[`${splitOf(key)}/loss`]?.[1]);
  return key.startsWith(prefix) && !key.endsWith("_step") && RUNS.every((run) => terms(run).length < 2 && isSame(run));
}

/** Names of the runs, without their times if the rest tells them apart. */
function runNames() {
  const shorter = RUNS.map((run) => run.name.replace(/^\d{8}-\d{6}-(?=.)/, ""));
  return new Set(shorter).size === RUNS.length ? shorter : RUNS.map((run) => run.name);
}

/** How many of the ascending values are at most `limit`. */
function countUpTo(values, limit) {
  let [low, high] = [0, values.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] <= limit) low = middle + 1; else high = middle;
  }
  return low;
}

/** Index of the ascending value that is nearest to `wanted`. */
function nearest(values, wanted) {
  const after = countUpTo(values, wanted);
  if (after === 0 || after === values.length) return Math.max(after - 1, 0);
  return wanted - values[after - 1] <= values[after] - wanted ? after - 1 : after;
}

/** Round values, about `count` of them: from `low` to `high`, or around both. */
function niceTicks(low, high, count, {smallest = 0, isAround = false} = {}) {
  const rough = (high - low) / count || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const distance = Math.max(smallest, power * [1, 2, 2.5, 5, 10].find((factor) => factor * power >= rough * 0.75));
  const first = isAround ? Math.floor(low / distance + 1e-9) : Math.ceil(low / distance - 1e-9);
  const last = isAround ? Math.ceil(high / distance - 1e-9) : Math.floor(high / distance + 1e-9);
  return Array.from({length: last - first + 1}, (_, index) => Number(((first + index) * distance).toPrecision(12)));
}

function logTicks(low, high) {
  const [first, last] = [Math.floor(Math.log10(low)), Math.ceil(Math.log10(high))];
  const powers = niceTicks(first, last, 6, {smallest: 1});
  const factors = last - first <= 2 ? [1, 2, 5] : [1];
  const ticks = powers.flatMap((power) => factors.map((factor) => Number(`${factor}e${power}`)));
  const inside = ticks.filter((tick) => tick >= low && tick <= high);
  return inside.length > 1 ? inside : niceTicks(low, high, 4);
}

// ---- state and results
function stateLine(run) {
  const parts = [html("span", {class: `state ${run.state.replace(/\W/g, "")}`}, run.state)];
  const add = (text) => parts.push(html("span", {}, text));
  if (run.epoch) add(`epoch ${run.epoch}` + (run.max_epochs ? ` of ${run.max_epochs}` : ""));
  if (run.started) add(`started ${run.started.slice(0, 16).replace("T", " ")}`);
  if (run.duration_s) add(`${run.state === "running" ? "" : "took "}${durationText(run.duration_s)}`);
  return html("p", {class: "line"}, ...parts);
}

/** Keys of the results: what is monitored, other validation, named sets, test. */
function resultKeys() {
  const isMonitored = (key) => RUNS.some((run) => run.monitor === key);
  const rank = (key) => key.split("/").length + 10 * key.startsWith("test/") - 20 * isMonitored(key);
  return [...new Set(RUNS.flatMap((run) => Object.keys(run.results)))].filter((key) => !isOnlyTerm(key)).sort((a, b) => rank(a) - rank(b));
}

function resultTiles(run) {
  const epoch = run.best_step === null ? 0 : epochAt(run, run.best_step);
  const titles = {val: "Validation" + (epoch ? ` at the best epoch, ${epoch}, by ${run.monitor}` : ""), test: "Test"};
  return Object.entries(titles).flatMap(([split, title]) => {
    const keys = resultKeys().filter((key) => key.startsWith(`${split}/`));
    const tiles = keys.map((key) => {
      const [value, last] = run.results[key].map(shortNumber);
      const remark = split === "val" ? [html("dd", {class: "remark"}, `last ${last}`)] : [];
      return html("div", {class: key === run.monitor ? "tile monitored" : "tile"},
        html("dt", {}, key), html("dd", {}, value), ...remark);
    });
    return tiles.length ? [html("h3", {}, title), html("dl", {class: "tiles"}, ...tiles)] : [];
  });
}

function resultTable(names) {
  const rows = resultKeys().map((key) => {
    const values = RUNS.map((run) => run.results[key]?.[0]);
    const known = values.filter((value) => value !== undefined);
    const isEqual = known.length < 2 || known.every((value) => value === known[0]);
    const choose = {max: Math.max, min: Math.min}[modeOf(key)];
    const best = isEqual || !choose ? null : choose(...known);
    return [key, ...values.map((value) => value === undefined ? "-" :
      value === best ? html("strong", {}, `${shortNumber(value)} ★`) : shortNumber(value))];
  });
  return rows.length ? [table(["", ...names], rows)] : [];
}

function modeOf(key) {
  const monitored = RUNS.find((run) => metricOf(run.monitor ?? "") === metricOf(key));
  if (monitored) return monitored.mode;
  return HIGHER_IS_BETTER.test(metricOf(key)) ? "max" : LOWER_IS_BETTER.test(metricOf(key)) ? "min" : null;
}

// ---- curves
/** For one run, a chart per metric with all splits and sets; for several, a chart per key with all runs. */
function makeCharts(names) {
  const roleOf = (key) => splitOf(key) || "train";
  const roles = [...new Set([...SPLITS, ...RUNS.flatMap((run) => Object.keys(run.curves).map(roleOf))])];
  const charts = new Map();
  RUNS.forEach((run, index) => Object.entries(run.curves).filter(([key]) => !isOnlyTerm(key)).forEach(([key, [x, y]]) => {
    const title = IS_SINGLE ? metricOf(key) : key;
    const [label, colour] = IS_SINGLE ? [key, roles.indexOf(roleOf(key))] : [names[index], index];
    if (!charts.has(title)) charts.set(title, []);
    charts.get(title).push({label, colour, isRaw: IS_SINGLE && key.endsWith("_step"), x, y, run});
  }));
  const monitors = RUNS.map((run) => IS_SINGLE ? metricOf(run.monitor ?? "") : run.monitor);
  const rank = (title) => monitors.includes(title) ? 0 : metricOf(title) === "loss" ? 1 : metricOf(title) === "lr" ? 9 :
    2 + ["val", "train", "test"].indexOf(title.split("/")[0]);
  const drawn = [...charts].filter(([, series]) => series.some(({x}) => x.length > 1));
  drawn.sort(([a], [b]) => rank(a) - rank(b));
  const byColour = (a, b) => a.colour - b.colour || b.isRaw - a.isRaw;
  return drawn.map(([title, series]) => new Chart(title, series.sort(byColour)).node);
}

const colourOf = (series) => `--colour: var(--c${series.colour % NUM_COLOURS})`;
const dotOf = (series) => html("i", {class: series.isRaw ? "dot raw" : "dot", style: colourOf(series)});

class Chart {
  constructor(title, series) {
    [this.title, this.series, this.step, this.isLog] = [title, series, null, false];
    this.steps = [...new Set(series.flatMap(({x}) => x))].sort((a, b) => a - b);
    const values = series.flatMap(({y}) => y);
    [this.low, this.high] = [Math.min(...values), Math.max(...values)];
    const ranges = series.map(({label, y}) => `${label} from ${shortNumber(y[0])} to ${shortNumber(y[y.length - 1])}`);
    const description = `${title}: ${ranges.join(", ")}. Arrow keys read values.`;
    this.plot = html("div", {class: "plot", tabindex: 0, role: "group", "aria-label": description});
    this.tooltip = html("div", {class: "tooltip", role: "status", hidden: ""});
    const legend = series.map((one) => html("span", {}, dotOf(one), one.label));
    this.node = html("figure", {class: "card"},
      this.makeCaption(), this.plot, html("div", {class: "legend"}, ...legend));
    this.listen();
  }

  makeCaption() {
    const caption = html("figcaption", {}, html("h3", {}, this.title));
    if (this.low > 0 && (this.high / this.low > 10 || this.title.includes("loss"))) {
      const box = html("input", {type: "checkbox"});
      box.addEventListener("change", () => { this.isLog = box.checked; this.draw(); });
      caption.append(html("label", {class: "toggle"}, box, "log scale"));
    }
    return caption;
  }

  listen() {
    const follow = (event) => this.show(this.steps[nearest(this.steps, this.stepAt(event.clientX))]);
    for (const name of ["pointermove", "pointerdown"]) this.plot.addEventListener(name, follow);
    for (const name of ["pointerleave", "blur"]) this.plot.addEventListener(name, () => this.show(null));
    this.plot.addEventListener("keydown", (event) => this.onKey(event));
    new ResizeObserver(() => this.draw()).observe(this.plot);
  }

  onKey(event) {
    const last = this.steps.length - 1;
    const at = this.step === null ? last + 1 : nearest(this.steps, this.step);
    const to = {ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: last}[event.key];
    if (to === undefined) return;
    event.preventDefault();
    this.show(this.steps[Math.max(0, Math.min(last, to))]);
  }

  draw() {
    this.width = this.plot.clientWidth;
    if (!this.width) return;
    this.setScales();
    this.overlay = svg("g");
    const image = svg("svg", {viewBox: `0 0 ${this.width} ${HEIGHT}`, "aria-hidden": "true"},
      ...this.drawAxes(), ...this.series.map((series) => this.drawSeries(series)), this.overlay);
    this.plot.replaceChildren(image, this.tooltip);
    this.show(this.step);
  }

  setScales() {
    let [low, high] = [this.low, this.high];
    if (low === high) [low, high] = [low - (Math.abs(low) || 1) / 2, high + (Math.abs(high) || 1) / 2];
    this.ticks = this.isLog ? logTicks(low, high) : niceTicks(low, high, 4, {isAround: true});
    if (!this.isLog) [low, high] = [this.ticks[0], this.ticks[this.ticks.length - 1]];
    const place = this.isLog ? Math.log10 : (value) => value;
    const room = HEIGHT - MARGIN.top - MARGIN.bottom - 8;
    this.y = (value) => HEIGHT - MARGIN.bottom - 4 - room * (place(value) - place(low)) / (place(high) - place(low));
    this.left = 12 + 6.6 * Math.max(4, ...this.ticks.map((tick) => shortNumber(tick).length));
    const [first, last] = [this.steps[0], this.steps[this.steps.length - 1]];
    const across = this.width - this.left - MARGIN.right;
    this.x = (step) => this.left + (last > first ? across * (step - first) / (last - first) : across / 2);
    this.stepAt = (clientX) =>
      first + (clientX - this.plot.getBoundingClientRect().left - this.left) / across * (last - first);
    this.stepTicks = niceTicks(first, last, Math.max(3, Math.floor(across / 70)), {smallest: 1});
  }

  drawAxes() {
    const label = (x, y, text, anchor) => svg("text", {x, y, "text-anchor": anchor}, text);
    const parts = [label(this.left - 7, HEIGHT - 5, "step", "end")];
    for (const tick of this.ticks) {
      const y = this.y(tick);
      parts.push(svg("line", {class: "gridline", x1: this.left, x2: this.width - MARGIN.right, y1: y, y2: y}));
      parts.push(label(this.left - 7, y + 4, shortNumber(tick), "end"));
    }
    for (const tick of this.stepTicks) parts.push(label(this.x(tick), HEIGHT - 5, tick.toLocaleString("en"), "middle"));
    const [first, last] = [this.steps[0], this.steps[this.steps.length - 1]];
    const stages = IS_SINGLE ? RUNS[0].stages : [];
    for (const [at, [name, step]] of stages.entries()) {
      if (step > last || stages[at + 1]?.[1] <= first) continue; // it has no value here
      const x = this.x(Math.max(step, first));
      if (step > first) parts.push(svg("line", {class: "stage", x1: x, x2: x, y1: MARGIN.top - 2, y2: HEIGHT - MARGIN.bottom}));
      parts.push(label(x + 3, HEIGHT - MARGIN.bottom - 4, name, x > this.width - 60 ? "end" : "start"));
    }
    const best = IS_SINGLE ? RUNS[0].best_step : null;
    if (best !== null && first <= best && best <= last) {
      const x = this.x(best);
      parts.push(svg("line", {class: "best", x1: x, x2: x, y1: MARGIN.top - 2, y2: HEIGHT - MARGIN.bottom}));
      parts.push(label(x, 9, "best", x > this.width - 30 ? "end" : "middle"));
    }
    return parts;
  }

  drawSeries(series) {
    if (series.x.length === 1) return this.markOf(series, 0, 5);
    const points = series.x.map((step, index) => `${this.x(step).toFixed(1)} ${this.y(series.y[index]).toFixed(1)}`);
    const kind = (series.isRaw ? " raw" : "") + (series.colour >= NUM_COLOURS ? " dashed" : "");
    return svg("path", {class: `series${kind}`, style: colourOf(series), d: `M${points.join("L")}`});
  }

  markOf(series, index, radius) {
    const [cx, cy] = [this.x(series.x[index]), this.y(series.y[index])];
    return svg("circle", {class: "mark", style: colourOf(series), r: radius, cx, cy});
  }

  /** Show the values at a step; a series that has none there shows its nearest one. */
  show(step) {
    this.step = step;
    this.tooltip.hidden = step === null;
    this.overlay?.replaceChildren();
    if (step === null || !this.overlay) return;
    const x = this.x(step);
    this.overlay.append(svg("line", {class: "crosshair", x1: x, x2: x, y1: MARGIN.top, y2: HEIGHT - MARGIN.bottom}));
    const rows = this.series.map((series) => {
      const index = nearest(series.x, step);
      this.overlay.append(this.markOf(series, index, 4));
      const where = series.x[index] === step ? [] : [html("small", {}, `at ${series.x[index].toLocaleString("en")}`)];
      return html("p", {}, dotOf(series), series.label, html("b", {}, shortNumber(series.y[index])), ...where);
    });
    this.tooltip.replaceChildren(html("p", {}, stepText(step, this.series[0].run)), ...rows);
    const isRight = x > this.width / 2;
    this.tooltip.style.left = isRight ? "auto" : `${x + 12}px`;
    this.tooltip.style.right = isRight ? `${this.width - x + 12}px` : "auto";
  }
}

// ---- pictures
/** The pictures of a split, with one slider over all of their steps. */
function pictureGroup({title, rows}, names) {
  const pictures = rows.flatMap((row) => row.runs.flat());
  const steps = [...new Set(pictures.map((picture) => picture.step))].sort((a, b) => a - b);
  const cards = rows.map(({key, runs}) => runs.map((ofRun, run) => pictureCard(key, ofRun, RUNS[run], names[run])));
  const output = html("output");
  const label = `step of the pictures of ${title}`;
  const slider = html("input", {type: "range", max: steps.length - 1, value: steps.length - 1, "aria-label": label});
  const show = () => {
    const step = steps[Number(slider.value)];
    output.textContent = stepText(step, RUNS[0]);
    slider.setAttribute("aria-valuetext", output.textContent);
    for (const card of cards.flat()) card.show(step);
  };
  slider.addEventListener("input", show);
  show();
  const bar = html("div", {class: "steps"}, html("h3", {}, title), ...(steps.length > 1 ? [slider] : []), output);
  const grids = IS_SINGLE ? [html("div", {class: "grid"}, ...cards.flat().map((card) => card.node))] :
    cards.map((row) => html("div", {class: "beside"}, ...row.map((card) => card.node)));
  return html("div", {class: "group"}, bar, ...grids);
}

/** One picture, or the images of one sheet, at the newest step that is not after the chosen one. */
function pictureCard(key, pictures, run, name) {
  const [remark, content] = [html("span"), html("div")];
  const isSheet = pictures.some((picture) => picture.images.length);
  const caption = html("figcaption", {}, html("h3", {}, IS_SINGLE ? key : `${key} · ${name}`), remark);
  const node = html("figure", {class: isSheet ? "card sheet" : "card"}, caption, content);
  const steps = pictures.map((picture) => picture.step);
  const show = (step) => {
    const picture = pictures[countUpTo(steps, step) - 1];
    remark.textContent = !picture ? "none yet" : picture.step === step ? "" : stepText(picture.step, run);
    content.replaceChildren();
    if (picture?.images.length) content.append(imagesOf(picture));
    else if (picture) content.append(imageOf(picture, `${key} at ${stepText(picture.step, run)}`));
  };
  return {node, show};
}

function imageOf({url, width, height}, alt) {
  return html("div", {class: "picture"}, html("img", {src: url, width, height, alt}));
}

/** The images of a sheet, each cut out of it and as wide as its column; images of text are wide. */
function imagesOf({url, width, height, images}) {
  // A percentage of background-position is a share of the space that overflows.
  const offset = (start, size, whole) => whole > size ? 100 * start / (whole - size) : 0;
  const items = images.map(({box: [x, y, w, h], caption}) => {
    const lines = caption.split("\n");
    const image = html("div", {class: "image", role: "img", "aria-label": lines.join(", ")});
    image.style.aspectRatio = `${w} / ${h}`;
    image.style.backgroundSize = `${100 * width / w}% ${100 * height / h}%`;
    image.style.backgroundPosition = `${offset(x, w, width)}% ${offset(y, h, height)}%`;
    return html("li", {}, image, ...lines.map((line) => html("p", {}, line)));
  });
  const kind = Math.max(...images.map(({box}) => box[2])) > WIDE ? "images texts" : "images";
  return html("ul", {class: kind, style: `--sheet: url(${url})`}, ...items);
}

// ---- classes
/** The number of training examples of each class, as bars. */
function classBars({classes}) {
  const largest = Math.max(1, ...classes.map(([, count]) => count));
  const rows = classes.map(([name, count]) => html("li", {}, html("span", {}, name),
    html("i", {style: `--share: ${100 * count / largest}%`}), html("b", {}, count.toLocaleString("en"))));
  return rows.length ? [html("ul", {class: "card bars"}, ...rows)] : [];
}

function classNotes({classes, majority}) {
  const always = majority == null ? "" : ` Always predicting ${classes[0]?.[0]} has accuracy ${shortNumber(majority)} in validation.`;
  return [`Examples in training.${always}`];
}

// ---- the page
function onlyOfOne(run) {
  const texts = Object.entries(run.texts).filter(([, text]) => text).map(([title, text], index) =>
    html("details", index === 0 ? {open: ""} : {}, html("summary", {}, title), html("pre", {tabindex: 0}, text)));
  const address = (file) => [run.link, ...file.split("/").map(encodeURIComponent)].join("/");
  const links = run.files.map((file) => html("a", {href: address(file)}, file));
  return [...section("Classes", classBars(run), classNotes(run)),
    ...section("Environment and config", texts),
    ...section("Files", links.length ? [html("p", {class: "files"}, ...links)] : [])];
}

function tableOfRuns(names) {
  const rows = RUNS.map((run, index) => {
    const link = html("a", {href: `${run.link}/${run.has_page ? "report.html" : ""}`}, names[index]);
    return [html("span", {}, dotOf({colour: index}), link), stateLine(run)];
  });
  return html("div", {class: "runs"}, table(["run", "state"], rows));
}

function differences(names) {
  const keys = [...new Set(RUNS.flatMap((run) => Object.keys(run.config)))];
  const rows = keys.map((key) => [key, ...RUNS.map((run) => run.config[key] ?? "-")]);
  const different = rows.filter(([, ...values]) => values.some((value) => value !== values[0])).slice(0, 150);
  const content = different.length ? table(["", ...names], different) : html("p", {}, "None.");
  return section("Differences between the configs", [content]);
}

function drawPage() {
  const names = runNames();
  const title = html("h1", {}, IS_SINGLE ? RUNS[0].name : `${RUNS.length} runs`);
  const charts = makeCharts(names);
  const groups = DATA.pictures.map((group) => pictureGroup(group, names));
  document.querySelector("main").replaceChildren(title, IS_SINGLE ? stateLine(RUNS[0]) : tableOfRuns(names),
    ...section("Results", IS_SINGLE ? resultTiles(RUNS[0]) : resultTable(names),
      IS_SINGLE ? [] : ["Validation at the best epoch of each run. ★ marks the best of a row."]),
    ...section("Curves", charts.length ? [html("div", {class: "grid"}, ...charts)] : [], DATA.notes.curves),
    ...section("Pictures", groups, DATA.notes.pictures),
    ...(IS_SINGLE ? onlyOfOne(RUNS[0]) : differences(names)),
    html("footer", {}, `Written ${new Date(DATA.written * 1000).toLocaleString("sv")}.`));
}

drawPage();
