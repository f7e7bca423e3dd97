// One clock for all rules. The page opens at the end of the race; nothing moves until it is asked to.
"use strict";
const race = JSON.parse(document.getElementById("race").textContent);
const [play, scrub, speed, readout] = ["play", "scrub", "speed", "step"].map((id) => document.getElementById(id));
const [width, height] = race.map, [graphWidth, graphHeight] = race.graph;
const [[left, right], [bottom, top_]] = race.box;
const SECONDS = 10;  // that the whole race takes at speed 1
const GAP = 9, LINE = 18, MARGIN = 20;

const scale = race.axis.logarithmic ? Math.log10 : (value) => value;
const ceiling = scale(race.axis.high), floor = scale(race.axis.low);
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

const onMap = (x, y) => [(x - left) / (right - left) * width, (top_ - y) / (top_ - bottom) * height];
const text = ([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`;

function seen(from, to) {  // the part of a straight way that lies on the map or just beside it (Liang and Barsky)
  let enters = 0, leaves = 1;
  for (const [axis, size] of [width, height].entries()) {
    const way = to[axis] - from[axis], ends = [-MARGIN, size + MARGIN].map((edge) => (edge - from[axis]) / way);
    if (way === 0 && (from[axis] < -MARGIN || from[axis] > size + MARGIN)) return null;
    if (way === 0) continue;
    enters = Math.max(enters, Math.min(...ends));
    leaves = Math.min(leaves, Math.max(...ends));
  }
  const at = (share) => from.map((start, axis) => start + share * (to[axis] - start));
  return enters < leaves ? [enters === 0 ? from : at(enters), leaves === 1 ? to : at(leaves)] : null;
}

function pieces(points) {  // what each step adds to the line
  return points.map((point, step) => {
    if (step === 0) return `M${text(point)}`;
    const part = seen(points[step - 1], point);
    if (!part) return "";
    return (part[0] === points[step - 1] ? "" : `M${text(part[0])}`) + `L${text(part[1])}`;
  });
}

const rules = race.rules.map((rule, index) => {
  const find = (name) => document.querySelector(`.${name}[data-rule="${index}"]`);
  const button = document.querySelector(`[data-toggle="${index}"]`);
  const points = rule.x.map((x, step) => onMap(x, rule.y[step]));
  const heights = rule.height.map((value, step) =>
    [step / race.steps * graphWidth, (ceiling - scale(value)) / (ceiling - floor) * graphHeight]);
  return {
    ...rule, points, heights, button, shown: true, line: pieces(points), graph: heights.map(text), value: button.querySelector(".value"),
    parts: Object.fromEntries(["halo", "trail", "head", "label", "curve", "tip"].map((name) => [name, find(name)])),
  };
});

function standing(rule, step) {
  if (rule.stopped !== null && step >= rule.stopped) return rule.end;
  const inside = rule.x[step] >= left && rule.x[step] <= right && rule.y[step] >= bottom && rule.y[step] <= top_;
  return inside ? "" : "off the map";
}

function drawRule(rule, step) {
  const { halo, trail, head, label, curve, tip } = rule.parts, word = standing(rule, step);
  const line = rule.line.slice(0, step + 1).join("");
  halo.setAttribute("d", line);
  trail.setAttribute("d", line);
  curve.setAttribute("points", rule.graph.slice(0, step + 1).join(" "));
  const escaped = rule.exit && step >= rule.stopped;
  const [x, y] = escaped ? onMap(...rule.exit) : rule.points[step];
  rule.place = [clamp(x, 0, width), clamp(y, 0, height)];
  head.setAttribute("transform", `translate(${rule.place})`);
  tip.setAttribute("transform", `translate(${rule.heights[step]})`);
  head.classList.toggle("away", word !== "");
  label.textContent = word ? `${rule.name} · ${word}` : rule.name;
  rule.value.textContent = `f ${rule.f[step].toPrecision(3).replaceAll("-", "−")}`;
}

function placeLabels(shown) {  // beside the marker, moved up or down until it covers no other label
  const taken = [];
  for (const rule of shown) {
    const label = rule.parts.label, wide = label.getComputedTextLength(), [x, y] = rule.place;
    const at = x + GAP + wide <= width - 3 ? x + GAP : Math.max(3, x - GAP - wide);
    const tries = Array.from({ length: 81 }, (_, n) => y + (n % 2 ? 1 : -1) * Math.ceil(n / 2) * LINE / 2)
      .map((down) => clamp(down, LINE / 2 + 2, height - LINE / 2 - 2));
    const free = (down) => taken.every((other) =>
      at >= other.at + other.wide || other.at >= at + wide || Math.abs(down - other.down) >= LINE);
    const down = tries.find(free) ?? tries[0];
    taken.push({ at, wide, down });
    label.setAttribute("x", at);
    label.setAttribute("y", down + 5);
  }
}

let now = race.steps, playing = false, before = null;

function show(step) {
  now = clamp(step, 0, race.steps);
  const whole = Math.floor(now);
  for (const rule of rules) drawRule(rule, whole);
  placeLabels(rules.filter((rule) => rule.shown));
  scrub.value = whole;
  readout.textContent = whole;
}

function setPlaying(wanted) {
  playing = wanted;
  before = null;
  play.textContent = playing ? "Pause" : "Play";
  if (!playing) return;
  if (now >= race.steps) show(0);
  requestAnimationFrame(advance);
}

function advance(time) {
  if (!playing) return;
  const elapsed = before === null ? 0 : (time - before) / 1000;
  before = time;
  show(now + elapsed * race.steps / SECONDS * Number(speed.value));
  if (now >= race.steps) setPlaying(false);
  else requestAnimationFrame(advance);
}

function toggle(rule) {
  rule.shown = !rule.shown;
  rule.button.setAttribute("aria-pressed", rule.shown);
  for (const part of Object.values(rule.parts)) part.classList.toggle("hidden", !rule.shown);
  show(now);
}

const keys = {
  " ": () => setPlaying(!playing),
  ArrowLeft: (event) => show(Math.ceil(now) - (event.shiftKey ? 10 : 1)),
  ArrowRight: (event) => show(Math.floor(now) + (event.shiftKey ? 10 : 1)),
  Home: () => show(0),
  End: () => show(race.steps),
};

play.addEventListener("click", () => setPlaying(!playing));
scrub.addEventListener("input", () => { setPlaying(false); show(Number(scrub.value)); });
for (const rule of rules) rule.button.addEventListener("click", () => toggle(rule));
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.target.closest("select")) return;
  if (event.key === " " && event.target.closest("button")) return;  // which the key presses
  const rule = rules[Number(event.key) - 1];
  const action = keys[event.key] ?? (rule && (() => toggle(rule)));
  if (!action) return;
  event.preventDefault();
  if (event.key !== " " && !rule) setPlaying(false);
  action(event);
});
show(race.steps);
