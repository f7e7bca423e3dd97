// One clock for all rules. The page opens at the end of the race; nothing moves until it is asked to.
"use strict";
const race = JSON.parse(document.getElementById("race").textContent);
const [play, scrub, speed, readout] = ["play", "scrub", "speed", "step"].map((id) => document.getElementById(id));
const [width, height] = race.map, [graphWidth, graphHeight] = race.graph;
const [[left, right], [bottom, top_]] = race.box;
const SECONDS = 10;  // that the whole race takes at speed 1
const FAR = 1e5;     // as far from the map's middle as a line is drawn
const GAP = 9, LINE = 18;

const scale = race.axis.logarithmic ? Math.log10 : (value) => value;
const ceiling = scale(race.axis.high), floor = scale(race.axis.low);
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

function onMap(x, y) {  // a point far off the map is brought nearer, in the same direction
  const across = ((x - left) / (right - left) - 0.5) * width, up = ((y - bottom) / (top_ - bottom) - 0.5) * height;
  const shrink = Math.min(1, FAR / Math.hypot(across, up));
  return [width / 2 + across * shrink, height / 2 - up * shrink];
}

const rules = race.rules.map((rule, index) => {
  const find = (name) => document.querySelector(`.${name}[data-rule="${index}"]`);
  const button = document.querySelector(`[data-toggle="${index}"]`);
  const points = rule.x.map((x, step) => onMap(x, rule.y[step]));
  const heights = rule.height.map((value, step) =>
    [step / race.steps * graphWidth, (ceiling - scale(value)) / (ceiling - floor) * graphHeight]);
  const text = (all) => all.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`);
  return {
    ...rule, points, heights, button, shown: true, line: text(points), graph: text(heights), value: button.querySelector(".value"),
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
  const line = rule.line.slice(0, step + 1).join(" ");
  halo.setAttribute("points", line);
  trail.setAttribute("points", line);
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
