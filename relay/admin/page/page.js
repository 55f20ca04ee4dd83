// The dashboard: asks the relay's API, draws what it says.  What comes from
// mail or from other hosts is only ever set as text, never as markup.
"use strict";

// --- small tools ---

const $ = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";

function put(node, props, children) {
  for (const [key, value] of Object.entries(props || {})) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (key === "width%") node.style.width = `${value}%`;
    else if (key === "text") node.textContent = value;
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((c) => c !== null && c !== undefined && c !== false));
  return node;
}
const el = (tag, props, ...children) => put(document.createElement(tag), props, children);
const draw = (tag, props, ...children) => put(document.createElementNS(SVG, tag), props, children);

const whole = new Intl.NumberFormat("en");
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const number = (n) => (n < 100000 ? whole : short).format(n);
const count = (n, one, many) => `${number(n)} ${n === 1 ? one : many || `${one}s`}`;

function duration(ms) {
  if (ms === null || ms === undefined) return "–";
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const units = [[60, "s"], [60, "min"], [24, "h"], [Infinity, "d"]];
  let value = ms / 1000;
  for (const [next, unit] of units) {
    if (value < next) return `${value < 10 && unit !== "d" ? Math.round(value * 10) / 10 : Math.round(value)} ${unit}`;
    value /= next;
  }
}
function octets(n) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let i = 0;
  for (; n >= 1000 && i < units.length - 1; i++) n /= 1000;
  return `${n < 10 && i > 0 ? n.toFixed(1) : Math.round(n)} ${units[i]}`;
}

// Times are shown relative to now; what a clock said is in the title.
let skew = 0; // the relay's clock minus ours, so that both mean the same now
const now = () => Date.now() + skew;
function relative(ms) {
  const s = Math.round((ms - now()) / 1000), a = Math.abs(s);
  if (a < 2) return ms < now() ? "just now" : "now";
  const text = a < 60 ? `${a} s` : a < 3600 ? `${Math.floor(a / 60)} min` : a < 86400 ? `${Math.floor(a / 3600)} h` : `${Math.floor(a / 86400)} d`;
  return s > 0 ? `in ${text}` : `${text} ago`;
}
const absolute = (iso) => new Date(iso).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
const day = (iso) => new Date(iso).toLocaleDateString(undefined, { dateStyle: "medium" });
const clock = (ms) => new Date(ms).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
function when(iso) {
  if (!iso) return "";
  return el("time", { datetime: iso, title: absolute(iso), "data-relative": true, text: relative(Date.parse(iso)) });
}
setInterval(() => {
  for (const t of document.querySelectorAll("time[data-relative]")) {
    const text = relative(Date.parse(t.dateTime));
    if (t.textContent !== text) t.textContent = text;
  }
}, 1000);

const chip = (kind, text, title) => el("span", { class: `chip ${kind}`, title, text });
// Sets the children of a place, unless they would be the same again.
const shown = new WeakMap();
function show(place, data, make) {
  const sign = JSON.stringify(data);
  if (shown.get(place) === sign) return;
  shown.set(place, sign);
  place.replaceChildren(...[make(data)].flat(Infinity).filter(Boolean));
}

// --- the API ---

class ApiError extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}
let token = sessionStorage.getItem("token") || "";
const headers = (more) => (token ? { ...more, Authorization: `Bearer ${token}` } : more);

// Paths are relative, so that the page works below a proxy's path as well.
async function ask(path, body) {
  const post = body && { method: "POST", body: JSON.stringify(body) };
  const r = await fetch(path, {
    cache: "no-store", credentials: "omit", signal: AbortSignal.timeout(10000),
    headers: headers(body ? { "Content-Type": "application/json" } : {}), ...post,
  });
  if (r.status === 401) askToken();
  const answer = await r.json().catch(() => ({}));
  if (!r.ok) throw new ApiError(r.status, answer.error || `The relay answered ${r.status}.`);
  const date = Date.parse(r.headers.get("Date"));
  // Dates have whole seconds: half of one is the best guess.
  if (date && Math.abs(date + 500 - now()) > 2000) skew = date + 500 - Date.now();
  return answer;
}
const words = (e) => (e instanceof ApiError ? e.message : "The relay does not answer.");

function askToken() {
  if ($("token").open) return;
  $("token-problem").textContent = token ? "The relay does not take this token." : "";
  $("token-text").value = "";
  $("token").showModal();
}
$("token-form").addEventListener("submit", (e) => {
  e.preventDefault();
  token = $("token-text").value.trim();
  sessionStorage.setItem("token", token);
  $("token").close();
  for (const p of polls) p.soon();
  listen();
});

// --- asking again and again ---

const polls = [];
let goodAt = 0, failure = "";

// Runs `work` every `ms` while the page is looked at; soon() makes it now.
function poll(ms, work) {
  let timer = 0, busy = false, again = false;
  async function run() {
    clearTimeout(timer);
    if (busy) { again = true; return; }
    busy = true;
    again = false;
    let wait = ms;
    try {
      if (!$("token").open) await work();
      goodAt = Date.now();
      failure = "";
    } catch (e) {
      if (!(e instanceof ApiError) && !(e instanceof TypeError) && e.name !== "TimeoutError") console.error(e);
      failure = words(e);
      wait = 2000;
    }
    busy = false;
    showConnection();
    if (!document.hidden) timer = setTimeout(run, again ? 300 : wait);
  }
  const p = { soon: run };
  polls.push(p);
  return p;
}
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) for (const p of polls) p.soon();
  listen();
});
// Something happened: look at once, but not more often than a busy relay and
// its network should bear.
const BETWEEN = 2500;
let hurry = 0, hurriedAt = 0;
function refreshSoon() {
  if (hurry) return;
  hurry = setTimeout(() => {
    hurry = 0;
    hurriedAt = Date.now();
    for (const p of [pollStatus, pollQueue, pollLatest]) p.soon();
  }, Math.max(250, hurriedAt + BETWEEN - Date.now()));
}

// --- the bar, and what has to be said first ---

let status = null;

function showConnection() {
  const s = $("state");
  if (failure && status === null && !goodAt) {
    s.dataset.is = "bad";
    s.textContent = "no answer";
  } else if (failure) {
    s.dataset.is = "bad";
    s.textContent = `no answer for ${Math.max(1, Math.round((Date.now() - goodAt) / 1000))} s`;
  } else if (status) {
    s.dataset.is = status.state === "running" ? "ok" : status.state === "draining" ? "warn" : "bad";
    s.textContent = status.state;
  }
  document.title = [failure && "no answer", status && status.hostname, "Sealpost"].filter(Boolean).join(" · ");
  showBanners();
}
setInterval(() => failure && showConnection(), 1000);

function banners() {
  const list = [];
  const add = (kind, text) => list.push({ kind, text });
  if (failure) add("bad", `${failure} What is shown is of ${goodAt ? clock(goodAt) : "no time yet"}; this page tries again by itself.`);
  if (!status) return list;
  if (status.mode === "redirect") add("warn", `Redirect mode: all mail goes to ${status.redirect_to}, and not to its recipients.`);
  if (status.mode === "sink") add("warn", "Sink mode: mail is accepted and delivered to nobody.");
  if (status.enforce === "report") add("warn", "Policies are only reported: what they would hold back is delivered all the same.");
  if (status.state === "draining") add("warn", "Draining: no more mail is taken.");
  if (status.state === "store trouble") add("bad", "The store can't commit: no mail is taken, and none is sent.");
  if (status.state === "running" && status.not_ready) add("bad", `Not ready for mail: ${status.not_ready}.`);
  if (status.reload_is_good === false) add("bad", "The last reload failed: the configuration before it is in use. The log says why.");
  return list;
}
function showBanners() {
  show($("banners"), banners(), (list) => list.map((b) => el("p", { class: `banner ${b.kind}`, role: b.kind === "bad" ? "alert" : null, text: b.text })));
}

function showBar() {
  $("hostname").textContent = status.hostname;
  $("uptime").textContent = `up ${duration(status.up_s * 1000)}`;
  $("uptime").title = `since ${absolute(status.up_since)}`;
  $("version").textContent = `Sealpost ${status.version} · process ${status.pid} · ${count(status.counters.accepted, "message")} accepted, ${count(status.counters.sent, "recipient")} sent since the start`;
}

// --- charts ---

const HOUR = 3600000, MINUTE = 60000, HEIGHT = 128, FOOT = 16, LEFT = 34;

// The next of 1, 2, 4, 10, ... that is not less: half of it is a whole number.
function roundUp(v) {
  const ten = 10 ** Math.floor(Math.log10(Math.max(v, 1)));
  return [1, 2, 4, 10].map((m) => m * ten).find((m) => m >= v);
}

// A figure that draws models: {title, big, rows, at, series, ticks, place,
// value, text}.  Its cursor moves by pointer and by arrow keys.
function chart(figure) {
  let model = null, width = 0, cursor = -1;
  const head = el("h2"), unit = el("span", { class: "unit" }), figures = el("div", { class: "figures" });
  const svg = draw("svg", { role: "img" }), legend = el("figcaption", { class: "legend" });
  figure.append(el("div", { class: "top" }, head, unit), figures, svg, legend);
  const x = (ms) => LEFT + (width - LEFT) * (1 - (model.end - ms) / model.span);
  const y = (v) => (HEIGHT - FOOT - 6) * (1 - model.place(v)) + 6;
  const floor = HEIGHT - FOOT;

  // Lines break where there is no number.
  function line(values) {
    let path = "", up = true;
    values.forEach((v, i) => {
      if (v === null) { up = true; return; }
      path += `${up ? "M" : "L"}${x(model.at[i]).toFixed(1)} ${y(v).toFixed(1)}`;
      up = false;
    });
    return path;
  }
  function area(from, to) {
    if (to.length === 0) return "";
    const back = [...from].map((v, i) => `L${x(model.at[i]).toFixed(1)} ${y(v).toFixed(1)}`).reverse();
    return `${line(to)}${back.join("")}Z`;
  }
  function bars(s) {
    const wide = Math.min(14, Math.max(1.5, ((width - LEFT) * MINUTE) / model.span - 1.5));
    return s.to.map((v, i) => v > s.from[i] && draw("rect", {
      class: `part ${s.color}`, x: (x(model.at[i]) - wide / 2).toFixed(1), width: wide.toFixed(1),
      y: y(v).toFixed(1), height: Math.max(0.5, y(s.from[i]) - y(v)).toFixed(1),
    }));
  }
  function plot(s) {
    if (s.kind === "bar") return bars(s);
    if (s.kind === "area") return draw("path", { class: `area ${s.color}`, d: area(s.from, s.to) });
    return draw("path", { class: `line ${s.color} ${s.thin ? "thin" : ""}`, d: line(s.to) });
  }
  function axes() {
    const span = model.span / MINUTE, marks = [[span, `${duration(model.span)} ago`], [span / 2, `${span / 2} min`], [0, "now"]];
    return [
      ...model.ticks.map((t) => draw("line", { class: "grid", x1: LEFT, x2: width, y1: y(t), y2: y(t) })),
      ...model.ticks.map((t) => draw("text", { x: LEFT - 6, y: y(t) + 3.5, "text-anchor": "end", text: (model.tick || model.value)(t) })),
      ...marks.map(([m, text]) => draw("text", { x: x(model.end - m * MINUTE), y: HEIGHT - 1, text, "text-anchor": m === span ? "start" : m ? "middle" : "end" })),
    ];
  }
  function showLegend() {
    const at = cursor >= 0 ? cursor : model.at.length - 1;
    legend.replaceChildren(...model.series.map((s) => el("span", {}, el("i", { class: s.color }), `${s.name} `,
      el("b", { text: at >= 0 && s.values[at] !== null ? model.value(s.values[at]) : "–" }))));
    unit.textContent = cursor >= 0 ? `at ${clock(model.at[cursor])}` : model.unit;
  }
  function render() {
    width = Math.max(200, svg.clientWidth || figure.clientWidth - 34);
    if (cursor >= model.at.length) cursor = -1;
    head.textContent = model.title;
    figures.replaceChildren(...model.figures.map(([value, unit]) => el("strong", {}, value, el("small", { text: unit }))));
    svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    svg.setAttribute("aria-label", model.text);
    svg.replaceChildren(...axes(), ...model.series.map(plot).flat().filter(Boolean));
    if (cursor >= 0) svg.append(draw("line", { class: "cursor", x1: x(model.at[cursor]), x2: x(model.at[cursor]), y1: 0, y2: floor }));
    showLegend();
  }
  function moveTo(i) {
    if (!model || i === cursor) return;
    cursor = i;
    render();
  }
  svg.addEventListener("pointermove", (e) => {
    if (!model || model.at.length === 0) return;
    const ms = model.end - (1 - (e.clientX - svg.getBoundingClientRect().left - LEFT) / (width - LEFT)) * model.span;
    let best = 0;
    model.at.forEach((t, i) => { if (Math.abs(t - ms) < Math.abs(model.at[best] - ms)) best = i; });
    moveTo(best);
  });
  svg.addEventListener("pointerleave", () => moveTo(-1));
  figure.addEventListener("blur", () => moveTo(-1));
  figure.addEventListener("keydown", (e) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[e.key];
    if (!step || !model) return;
    e.preventDefault();
    const from = cursor < 0 ? model.at.length - (step < 0 ? 0 : 1) : cursor;
    moveTo(Math.max(0, Math.min(model.at.length - 1, from + step)));
  });
  new ResizeObserver(() => model && svg.clientWidth !== width && render()).observe(figure);
  return (m) => { model = m; render(); };
}

const zero = (list) => list.map(() => 0);
const plus = (a, b) => a.map((v, i) => v + b[i]);
const last = (list, n) => list.slice(-n).reduce((a, b) => a + b, 0);
const sum = (list) => last(list, list.length);
// From the ground up, so that the first is the lowest.
function stack(parts) {
  let from = zero(parts[0].values);
  return parts.map((p) => {
    const to = plus(from, p.values), part = { ...p, from, to };
    from = to;
    return part;
  });
}
function linear(top) {
  return { place: (v) => v / top, ticks: [0, top / 2, top] };
}

// Samples of ten seconds as whole minutes, the last of which ends now.
function byMinute(h, at) {
  const n = Math.ceil(at.length / 6), out = { at: [] };
  for (let i = n; i > 0; i--) out.at.push(at[Math.max(0, at.length - 6 * i + 3)] ?? at[at.length - 1]);
  for (const name of ["accepted", "sent", "deferred", "bounced"]) {
    out[name] = Array.from({ length: n }, (_, i) => sum(h[name].slice(Math.max(0, at.length - 6 * (n - i)), at.length - 6 * (n - i - 1))));
  }
  return out;
}

function flowModel(h, at, end) {
  const m = byMinute(h, at);
  const series = stack([
    { name: "sent", color: "green", kind: "bar", values: m.sent },
    { name: "deferred", color: "amber", kind: "bar", values: m.deferred },
    { name: "bounced", color: "red", kind: "bar", values: m.bounced },
  ]);
  const accepted = { name: "accepted", color: "blue", kind: "line", values: m.accepted, to: m.accepted };
  const top = roundUp(Math.max(4, ...m.accepted, ...(series.length ? series[2].to : [])));
  return {
    title: "Throughput", end, at: m.at, series: [...series, accepted], ...linear(top), value: (v) => short.format(v),
    unit: "recipients a minute",
    figures: [[number(last(h.sent, 6)), "sent a minute"], [number(sum(h.sent)), "in the hour"]],
    text: `Throughput of the last hour: ${number(sum(h.accepted))} messages accepted; ${number(sum(h.sent))} recipients sent, ${number(sum(h.deferred))} deferred, ${number(sum(h.bounced))} bounced.`,
  };
}
function delayModel(h, at, end) {
  const all = [...h.delay_p50_ms, ...h.delay_p99_ms].filter((v) => v !== null).map((v) => Math.max(1, v));
  const low = Math.floor(Math.log10(Math.min(10, ...all))), high = Math.max(low + 2, Math.ceil(Math.log10(Math.max(1, ...all))));
  const ticks = [];
  for (let p = low; p <= high; p += Math.ceil((high - low) / 3)) ticks.push(10 ** p);
  const line = (name, color, values, thin) => ({ name, color, kind: "line", thin, values, to: values });
  const hour = h.hour;
  const latest = h.delay_p50_ms[h.delay_p50_ms.length - 1];
  return {
    title: "Delivery time", end, at, ticks, value: duration, unit: "acceptance to the host's 250",
    tick: (v) => (v < 1000 ? `${v} ms` : `${number(v / 1000)} s`),
    place: (v) => (Math.log10(Math.max(10 ** low, v)) - low) / (high - low),
    series: [line("median", "green", h.delay_p50_ms), line("95 %", "amber", h.delay_p95_ms, true), line("99 %", "red", h.delay_p99_ms, true)],
    figures: [[duration(latest === undefined ? null : latest), "median"], [duration(hour.delay_p95_ms), "95 %, last hour"]],
    text: hour.delivered ? `Delivery time of the last hour: half of ${number(hour.delivered)} recipients within ${duration(hour.delay_p50_ms)}, 95 % within ${duration(hour.delay_p95_ms)}, 99 % within ${duration(hour.delay_p99_ms)}.` : "Delivery time: nothing was delivered in the last hour.",
  };
}
function queueModel(h, at, end) {
  const series = stack([
    { name: "active", color: "blue", kind: "area", values: h.queue_active },
    { name: "queued", color: "grey", kind: "area", values: h.queue_queued },
    { name: "deferred", color: "amber", kind: "area", values: h.queue_deferred },
    { name: "held", color: "violet", kind: "area", values: h.queue_held },
  ]);
  const q = status.queue;
  return {
    title: "Queue", end, at, series, ...linear(roundUp(Math.max(4, ...series[3].to))), value: (v) => short.format(v), unit: "recipients",
    figures: [[number(q.recipients), q.recipients === 1 ? "recipient waits" : "recipients wait"], [q.oldest ? duration(now() - Date.parse(q.oldest)) : "–", "the oldest"]],
    text: `Queue: ${count(q.recipients, "recipient")} of ${count(q.messages, "message")}, ${octets(q.octets)}; ${q.deferred} deferred, ${q.held} held.`,
  };
}
// As much of the hour as there is: a relay that has just begun has a wider look
// at its first minutes.
function spanOf(at, end) {
  const age = at.length ? end - at[0] : 0;
  return [10 * MINUTE, 30 * MINUTE].find((span) => age < span) || HOUR;
}
const drawFlow = chart($("chart-flow")), drawDelay = chart($("chart-delay")), drawQueue = chart($("chart-queue"));
let history_ = null;
function showCharts() {
  if (!history_ || !status) return;
  const at = history_.at.map(Date.parse), end = now(), span = spanOf(at, end);
  drawFlow({ ...flowModel(history_, at, end), span });
  drawDelay({ ...delayModel(history_, at, end), span });
  drawQueue({ ...queueModel(history_, at, end), span });
}

// --- tables ---

// Keeps a table's rows in step with a list: {key, data} by row.  Rows that stay
// keep their element, and so the focus.
function table(place, columns, { empty, open, label, pick }) {
  const body = el("tbody"), rows = new Map();
  const head = el("tr", {}, columns.map((c) => el("th", { scope: "col", class: c.class || "" },
    c.hidden ? el("span", { class: "hidden", text: c.title }) : c.title)));
  const whole = el("table", { "aria-label": label }, el("colgroup", {}, columns.map((c) => el("col", { width: c.width }))), el("thead", {}, head), body);
  const none = el("p", { class: "none", text: empty });

  function fill(row, item) {
    const sign = JSON.stringify(item);
    if (row.sign === sign) return;
    row.sign = sign;
    row.item = item;
    const focused = row.node.contains(document.activeElement) && document.activeElement !== row.node ? document.activeElement.dataset.part : null;
    row.node.replaceChildren(...columns.map((c) => {
      const value = c.cell(item);
      const zeroed = value === 0 || value === "0";
      return el("td", { class: `${c.class || ""} ${zeroed ? "zero" : ""}`, "data-label": c.label }, typeof value === "number" ? number(value) : value);
    }));
    if (pick) row.node.setAttribute("aria-selected", item.picked ? "true" : "false");
    if (focused) row.node.querySelector(`[data-part="${focused}"]`)?.focus();
  }
  function make(item) {
    const row = { node: el("tr", { tabindex: "-1" }) };
    row.node.addEventListener("click", (e) => {
      if (!e.target.closest("button, input, a") && !String(getSelection())) open(row.item);
    });
    row.node.addEventListener("keydown", (e) => {
      if (e.target !== row.node) return;
      if (e.key === "Enter") { e.preventDefault(); open(row.item); }
      if ((e.key === "x" || e.key === " ") && pick) { e.preventDefault(); pick(row.item); }
    });
    return row;
  }
  return (items, key) => {
    const wanted = new Set(items.map(key));
    const had = body.contains(document.activeElement);
    for (const [k, row] of rows) if (!wanted.has(k)) { row.node.remove(); rows.delete(k); }
    items.forEach((item, i) => {
      let row = rows.get(key(item));
      if (!row) rows.set(key(item), row = make(item));
      fill(row, item);
      if (body.children[i] !== row.node) body.insertBefore(row.node, body.children[i] || null);
    });
    if (!body.querySelector('tr[tabindex="0"]')) body.firstElementChild?.setAttribute("tabindex", "0");
    if (had && !body.contains(document.activeElement)) body.querySelector('tr[tabindex="0"]')?.focus();
    const wants = items.length ? whole : none;
    if (place.firstElementChild !== wants) place.replaceChildren(wants);
  };
}
function focusRow(row) {
  row.parentNode.querySelector('tr[tabindex="0"]')?.setAttribute("tabindex", "-1");
  row.setAttribute("tabindex", "0");
  row.focus();
  row.scrollIntoView({ block: "nearest" });
}
document.addEventListener("focusin", (e) => {
  const row = e.target.closest?.("tbody tr");
  if (row && row === e.target && row.getAttribute("tabindex") !== "0") focusRow(row);
});

// --- destinations ---

const isRoute = (name) => name.startsWith("route:");

// What the scheduler has at hand, and what happened lately, as one list: those
// in trouble first.
function destinations() {
  const all = new Map();
  for (const r of status.recent || []) all.set(r.name, { ...r, waiting: 0, active: 0 });
  for (const t of status.destinations.top) all.set(t.name, { sent: 0, deferred: 0, bounced: 0, ...all.get(t.name), ...t });
  for (const e of status.exemptions || []) if (all.has(e.domain)) all.get(e.domain).exempt = e;
  const rank = (d) => (d.blocked_until ? 0 : isTroubled(d) ? 1 : 2);
  return [...all.values()].sort((a, b) => rank(a) - rank(b) || (Date.parse(b.last) || 0) - (Date.parse(a.last) || 0) || (a.name < b.name ? -1 : 1));
}
// The last thing that happened was not a delivery.
function isTroubled(d) {
  return Boolean(d.blocked_until) || (d.last_trouble && (!d.last_sent || d.last_trouble > d.last_sent));
}
function policyChip(policy, proof) {
  if (!policy) return chip("", "not known yet");
  const strict = proof && proof !== "none";
  return chip(strict ? "ok" : "", policy, strict ? `Hosts must prove: ${proof}` : "No policy asks for more: encrypted where the host can");
}
function policyCell(d) {
  const tls = d.tls_version ? [d.tls_version, d.verdict].filter(Boolean).join(", ") : d.last_sent ? "no TLS" : "";
  return el("div", {}, policyChip(d.policy, d.proof), d.exempt && [" ", chip("warn", "exempt", `${d.exempt.reason}, until ${day(d.exempt.until)}`)],
    tls && el("div", { class: "second", text: tls }));
}
function troubleCell(d) {
  if (d.blocked_until) {
    return el("div", {}, el("span", { class: "text-bad name" }, "tried again ", when(d.blocked_until)),
      el("div", { class: "second clamp", title: d.why, text: d.why || d.trouble || "" }));
  }
  if (isTroubled(d)) return el("div", {}, el("span", { class: "text-warn" }, "not delivered ", when(d.last_trouble)), el("div", { class: "second clamp", title: d.trouble, text: d.trouble || "" }));
  return el("span", { class: "soft" }, d.last_sent ? ["delivered ", when(d.last_sent)] : "nothing yet");
}
const fillDestinations = table($("destinations"), [
  { title: "Destination", width: "20%", class: "full", cell: (d) => el("button", { class: "link", "data-part": "open", tabindex: "-1", onclick: () => open_("to", d.name) }, isRoute(d.name) ? ["route ", d.name.slice(6)] : d.name) },
  { title: "Policy and TLS", width: "19%", class: "full", cell: policyCell },
  { title: "Waiting", width: "74", class: "number", label: "waiting", cell: (d) => (d.queued >= AGE_MAX ? `${number(d.queued)}+` : d.queued || 0) },
  { title: "Sent", width: "66", class: "number", label: "sent", cell: (d) => d.sent },
  { title: "Deferred", width: "80", class: "number", label: "deferred", cell: (d) => d.deferred },
  { title: "Bounced", width: "80", class: "number", label: "bounced", cell: (d) => d.bounced },
  { title: "State", class: "full", cell: troubleCell },
], { empty: "No mail has gone anywhere yet. Destinations appear with the first message.", open: (d) => open_("to", d.name), label: "Destinations" });

function showDestinations() {
  const list = destinations(), blocked = list.filter((d) => d.blocked_until).length;
  fillDestinations(list, (d) => d.name);
  $("destinations-sum").textContent = list.length ? `${blocked ? `${blocked} in trouble, ` : ""}${list.length} shown; counts since the start` : "";
}

// --- policy refusals ---

const REFUSALS_MAX = 100;
function refusal(r) {
  return el("button", { type: "button", class: "refusal", onclick: () => open_("to", r.destination) },
    el("div", { class: "top" }, el("span", { class: "name", text: r.destination }), when(r.last)),
    el("div", { class: "top" }, el("span", {}, chip(r.enforced ? "bad" : "warn", r.reason), " ", chip("", r.policy)),
      el("span", { text: r.enforced ? `${number(r.count)}×` : `${number(r.count)}×, sent anyway` })),
    el("div", { class: "why", text: r.text }));
}
function showRefusals() {
  show($("refusals"), status.refusals, (list) => list.length
    ? el("div", { class: "scroll", tabindex: "0" }, list.slice(0, REFUSALS_MAX).map(refusal), list.length > REFUSALS_MAX && el("p", { class: "more", text: `and ${number(list.length - REFUSALS_MAX)} more` }))
    : el("p", { class: "none", text: "Nothing: each host that mail was given to met the policy of its domain." }));
  $("refusals-sum").textContent = status.refusals.length ? count(status.counters.policy_refusals + status.counters.policy_shadowed, "attempt") : "";
}

// --- health ---

const DAY = 86400000;
function left(iso, warn, bad) {
  const ms = Date.parse(iso) - now();
  return ms < bad ? "bad" : ms < warn ? "warn" : "ok";
}
function healthRows() {
  const rows = [], s = status;
  const add = (is, name, text, second, time) => rows.push({ is, name, text, second, time });
  const way = { off: "not authenticated", trust: "validated by the resolver", validate: "validated here" }[s.dnssec.way] || s.dnssec.way;
  add(s.dnssec.way === "off" ? "warn" : "ok", "DNSSEC", way, s.dnssec.way === "off" ? `${s.dnssec.reason || ""} · no DANE` : s.dnssec.reason);
  for (const c of s.certificates) add(left(c.expires, 21 * DAY, 7 * DAY), "Certificate", "ends", c.file.replace(/.*\//, ""), c.expires);
  if (!s.certificates.length) add("none", "Certificate", "none: clients are not offered TLS");
  if (s.open_warnings) add("bad", "Access", `${count(s.open_warnings, "network")} may relay that strangers seem to be in`, "access.networks");
  for (const a of s.accounts) {
    const ok = a.state !== "held";
    add(ok ? "ok" : "bad", `Route ${a.route}`, a.state, [a.user, a.why].filter(Boolean).join(" · "));
    if (a.has_token && a.expires) add(left(a.expires, 0, -MINUTE), "Access token", "ends", a.route, a.expires);
  }
  if (s.expiring.count) add("warn", "MTA-STS", `${count(s.expiring.count, "policy", "policies")} can't be renewed`, s.expiring.policies.map((p) => p.domain).slice(0, 5).join(", "));
  else add("ok", "MTA-STS", "policies are kept fresh");
  if (s.disk) {
    const free = s.disk.free / s.disk.size;
    add(free < 0.03 ? "bad" : free < 0.1 ? "warn" : "ok", "Disk", `${octets(s.disk.free)} free of ${octets(s.disk.size)}`, `queue.db ${octets(s.disk.database)}, log ${octets(s.disk.wal)}`);
  }
  for (const e of s.exemptions || []) add("warn", "Exemption", e.domain, `${e.reason}, ends ${day(e.until)}`);
  add("ok", "Connections", `${count(s.sessions, "client")} now`, `${number(s.counters.connections_out)} made to hosts, ${number(s.counters.connections_reused)} used again`);
  return rows;
}
function showHealth() {
  show($("health"), healthRows(), (rows) => rows.map((r) => el("div", { "data-is": r.is },
    el("dt", { text: r.name }), el("dd", {}, r.text, r.time && [" ", when(r.time)], r.second && el("span", { class: "second", text: r.second })))));
}

// --- the queue ---

const STATES = ["any", "queued", "active", "deferred", "held"];
const STATE_CHIPS = { queued: "", active: "busy", deferred: "warn", held: "held" };
const AGES = [["under_1m", "< 1 min"], ["under_10m", "< 10 min"], ["under_1h", "< 1 h"], ["under_6h", "< 6 h"], ["under_1d", "< 1 d"], ["older", "older"]];
const AGE_MAX = 10000; // the relay counts no further
const filter = { state: "any", domain: "" };
const picked = new Set();
const ROWS = 15; // shown at first
let rows = [], next = null, wanted = ROWS;

function filterBody() {
  const f = {};
  if (filter.state !== "any") f.state = filter.state;
  if (filter.domain) f.domain = filter.domain;
  return f;
}
function queuePath(cursor) {
  const q = new URLSearchParams(filterBody());
  if (cursor) q.set("cursor", cursor);
  return `v1/queue?${q}`;
}
function setFilter(change) {
  Object.assign(filter, change);
  wanted = ROWS;
  picked.clear();
  showQueueHead();
  pollQueue.soon();
}
function pick(id) {
  if (!picked.delete(id)) picked.add(id);
  showQueue();
}
function nextCell(r) {
  if (r.state === "active") return el("span", { class: "soft", text: "now" });
  if (r.state === "held") return el("span", { class: "soft", text: "when released" });
  if (r.next && Date.parse(r.next) > now()) return when(r.next);
  return el("span", { class: "soft", title: "Due; its destination has to be ready for it", text: "in its turn" });
}
const fillQueue = table($("queue"), [
  { title: "Select", width: "36", hidden: true, class: "pick", cell: (r) => el("input", { type: "checkbox", "data-part": "pick", tabindex: "-1", "aria-label": `Select message ${r.id}`, checked: r.picked, onchange: () => pick(r.id) }) },
  { title: "Recipient", width: "28%", class: "full", cell: (r) => el("div", {}, el("button", { class: "link", "data-part": "open", tabindex: "-1", onclick: () => open_("message", r.id), text: r.to }),
    el("div", { class: "second", text: `from ${r.from || "<>"}` })) },
  { title: "State", width: "96", class: "short", cell: (r) => chip(STATE_CHIPS[r.state], r.state) },
  { title: "Why it waits", class: "full", cell: (r) => el("span", { class: r.last ? "clamp" : "soft", title: r.last, text: r.last || "not tried yet" }) },
  { title: "Tries", width: "64", class: "number", label: "tries", cell: (r) => r.attempts },
  { title: "Next", width: "112", class: "short", label: "next", cell: nextCell },
  { title: "Came", width: "112", class: "short", label: "came", cell: (r) => when(r.arrived) },
], { empty: "Nothing waits here.", open: (r) => open_("message", r.id), label: "Queue", pick: (r) => pick(r.id) });

function showQueueHead() {
  const q = status && status.queue;
  if (!q) return;
  show($("states"), { f: filter.state, q }, () => STATES.map((s) => el("button", {
    type: "button", "aria-pressed": filter.state === s ? "true" : "false", onclick: () => setFilter({ state: s }),
  }, s === "any" ? "all" : s, el("b", { text: number(s === "any" ? q.recipients : q[s]) }))));
  show($("ages"), status.ages, (a) => {
    const total = AGES.reduce((n, [k]) => n + a[k], 0);
    if (!total) return null;
    const kept = AGES.map(([k, name], i) => [a[k], name, i]).filter(([n]) => n);
    return [el("div", { class: "strip", "aria-hidden": "true" }, kept.map(([n, , i]) => el("i", { class: `age-${i}`, "width%": (100 * n) / total }))),
      el("ul", { "aria-label": "Recipients by age" }, kept.map(([n, name]) => el("li", {}, `${name} `, el("b", { text: n >= AGE_MAX ? `${number(n)}+` : number(n) }))))];
  });
  $("filter").hidden = !filter.domain;
  show($("filter"), filter.domain, (d) => [`Only recipients at ${d} `, el("button", { type: "button", onclick: () => setFilter({ domain: "" }), text: "Show all" })]);
}
function showQueue() {
  const ids = new Set(rows.map((r) => r.id));
  for (const id of picked) if (!ids.has(id)) picked.delete(id);
  fillQueue(rows.slice(0, wanted).map((r) => ({ ...r, picked: picked.has(r.id) })), (r) => `${r.id}.${r.number}`);
  const foot = $("queue").querySelector(".more") || el("p", { class: "more" });
  const more = next || rows.length > wanted;
  show(foot, [wanted], () => [`The oldest ${number(wanted)} are shown. `,
    el("button", { type: "button", onclick: () => { wanted = wanted === ROWS ? 200 : wanted + 200; showQueue(); pollQueue.soon(); }, text: "Show more" })]);
  if (more) $("queue").append(foot); else foot.remove();
  showSelection();
}
function showSelection() {
  const f = filterBody(), here = rows.slice(0, wanted), all = picked.size === new Set(here.map((r) => r.id)).size;
  $("selection").hidden = picked.size === 0;
  show($("selection"), [[...picked], f, all], () => [
    el("span", { text: `${count(picked.size, "message")} selected` }),
    !all && el("button", { type: "button", onclick: () => { here.forEach((r) => picked.add(r.id)); showQueue(); }, text: "All that is shown" }),
    el("button", { type: "button", onclick: () => { picked.clear(); showQueue(); }, text: "None" }),
    verbButtons(() => ({ ids: [...picked], ...filterBody() }), () => (picked.size === 1 ? `message ${[...picked][0]}` : `${number(picked.size)} messages`), () => picked.clear())]);
}

// --- changes ---

const VERBS = {
  retry: { name: "Retry", did: "made due", effect: "They are tried again at once, also where nobody could be reached before." },
  hold: { name: "Hold", did: "held", effect: "They stay in the queue and are not tried until they are released." },
  release: { name: "Release", did: "released", effect: "What is held is tried again at once." },
  bounce: { name: "Bounce", did: "given up", effect: "They are given up: senders are told that the mail was not delivered. This can't be undone.", danger: true },
  delete: { name: "Delete", did: "deleted", effect: "They are removed from the queue for good, and nobody is told. This can't be undone.", danger: true },
};
function verbButtons(body, what, after) {
  return Object.entries(VERBS).map(([verb, v]) => el("button", {
    type: "button", class: v.danger ? "danger" : "", "data-verb": verb, onclick: () => change(verb, body(), what(), after), text: v.name,
  }));
}

// Asks how much it would be, says so, and does it when told to.
async function change(verb, body, what, after) {
  const v = VERBS[verb], box = $("confirm"), path = `v1/queue/${verb}`;
  const problem = el("p", { class: "problem", role: "alert" });
  const effect = el("p", { text: "Counting …" });
  const go = el("button", { type: "button", class: `primary ${v.danger ? "danger" : ""}`, disabled: true, text: v.name });
  const no = el("button", { type: "button", text: "Cancel", onclick: () => box.close() });
  box.replaceChildren(el("h2", { id: "confirm-title", text: `${v.name} ${what}?` }), effect, problem, el("div", { class: "buttons" }, no, go));
  box.showModal();
  no.focus();
  go.addEventListener("click", async () => {
    go.disabled = true;
    try {
      const done = await ask(path, body);
      box.close();
      after?.();
      say(`${count(done.count, "recipient")} ${v.did}.`);
      for (const p of polls) p.soon();
    } catch (e) {
      problem.textContent = words(e);
      go.disabled = false;
    }
  });
  try {
    const { count: n } = await ask(path, { ...body, dry: true });
    effect.textContent = n ? `${count(n, "recipient")}. ${v.effect}` : verb === "release" ? "Nothing here is held." : "Nothing in the queue is concerned any more.";
    if (!n) return;
    go.textContent = `${v.name} ${count(n, "recipient")}`;
    go.disabled = false;
    if (!v.danger && box.contains(document.activeElement)) go.focus();
  } catch (e) {
    effect.textContent = "";
    problem.textContent = words(e);
  }
}

let saidTimer = 0;
function say(text) {
  const s = $("said");
  clearTimeout(saidTimer);
  s.className = "toast";
  s.textContent = text;
  saidTimer = setTimeout(() => { s.className = "hidden"; s.textContent = ""; }, 5000);
}

// --- latest messages, and what a search finds ---

function outcomes(m) {
  const parts = [];
  if (m.delivered) parts.push(chip("ok", m.delivered > 1 ? `${number(m.delivered)} delivered` : "delivered"));
  if (m.waiting) parts.push(chip("warn", m.waiting > 1 ? `${number(m.waiting)} wait` : "waits"));
  if (m.failed) parts.push(chip("bad", m.failed > 1 ? `${number(m.failed)} failed` : "failed"));
  if (!parts.length) parts.push(chip("", "removed"));
  return el("span", {}, parts.flatMap((p, i) => (i ? [" ", p] : [p])));
}
const others = (m) => m.waiting + m.delivered + m.failed - 1;
const MESSAGE_COLUMNS = [
  { title: "Recipient", class: "full", cell: (m) => el("div", {}, el("button", { class: "link", "data-part": "open", tabindex: "-1", onclick: () => open_("message", m.id), text: m.to || "(nobody left)" }),
    others(m) > 0 && el("span", { class: "soft", text: ` and ${count(others(m), "other")}` }), el("div", { class: "second", text: `from ${m.from || "<>"}` })) },
  { title: "Outcome", width: "138", class: "short", cell: outcomes },
  { title: "Size", width: "76", class: "number", label: "size", cell: (m) => octets(m.size) },
  { title: "Id", width: "112", class: "short mono soft id", cell: (m) => m.id },
  { title: "Came", width: "104", class: "short", cell: (m) => when(m.arrived) },
];
const fillLatest = table($("latest"), MESSAGE_COLUMNS, { empty: "No message yet. Hand one over, and it appears here.", open: (m) => open_("message", m.id), label: "Latest messages" });

// --- the drawer: one message, one destination, or what was found ---

const drawer = $("drawer");
let opened = null; // {kind, name, data}

const open_ = (kind, name) => { location.hash = `${kind}/${encodeURIComponent(name)}`; };
function closeDrawer() {
  drawer.close();
}
drawer.addEventListener("close", () => {
  if (drawer.open) return;
  opened = null;
  if (location.hash) history.pushState(null, "", location.pathname);
});
drawer.addEventListener("click", (e) => { if (e.target === drawer) closeDrawer(); });

function frame(title, sub, actions) {
  return el("header", {}, el("h2", { id: "drawer-title", tabindex: "-1", autofocus: true, text: title }), sub && el("p", { class: "soft", text: sub }),
    el("button", { type: "button", class: "close", onclick: closeDrawer, text: "Close" }), actions && el("div", { class: "actions" }, actions));
}
const fact = (name, ...value) => (value.flat().some((v) => v !== null && v !== undefined && v !== "") ? [el("dt", { text: name }), el("dd", {}, ...value)] : []);

const OUTCOMES = { delivered: ["ok", "delivered"], deferred: ["warn", "not yet delivered"], failed: ["bad", "returned: it will not be delivered"], expired: ["bad", "given up after too long"] };

// Results of one attempt share it.
function attempts(events) {
  const list = [];
  for (const e of events) {
    const before = list[list.length - 1];
    const same = before && e.attempt && before.attempt && JSON.stringify(before.attempt) === JSON.stringify(e.attempt) && before.outcome === e.outcome && before.reason === e.reason;
    if (same) before.to.push(e.to);
    else list.push({ ...e, to: e.to ? [e.to] : [] });
  }
  return list;
}
function attemptItem(e, many) {
  const a = e.attempt, [is, text] = OUTCOMES[e.outcome] || ["", "went on to the next host"];
  const tls = a && (a.tls_version ? `${a.tls_version}, ${a.tls_cipher}` : "none: in clear");
  const reply = (a && a.reply) || e.reason;
  return el("li", { "data-is": is },
    el("div", { class: "top" }, el("b", {}, a && a.host ? `${a.host}: ${text}` : text), a && when(a.at)),
    many && e.to.length > 0 && el("div", { class: "second soft", text: e.to.join(", ") }),
    a && el("dl", { class: "facts" },
      fact("Host", a.host && [a.host, a.address && el("span", { class: "mono soft", text: ` ${a.address}` })]),
      fact("Policy", a.policy && policyChip(a.policy, a.proof), a.proof && a.proof !== "none" ? ` must prove ${a.proof}` : ""),
      fact("TLS", a.host && tls), fact("Certificate", a.verdict && el("span", { class: a.verdict === "verified" ? "text-ok" : /none/.test(a.proof || "none") ? "soft" : "text-bad", text: a.verdict })),
      fact("Took", `${duration(a.took_ms)}${a.step ? `, as far as ${a.step}` : ""}`)),
    reply && el("pre", { class: "reply", text: reply }),
    e.reason && reply !== e.reason && el("p", { class: "soft", text: e.reason }),
    e.warned && el("p", { class: "note", text: "The sender was told of the delay." }));
}
// When the destination is in trouble as a whole, that is why it waits.
function waitingItem(r) {
  const is = r.state === "held" ? "held" : "next", idle = r.state === "queued" || r.state === "deferred";
  const where = status.destinations.top.find((d) => d.name === r.destination && d.blocked_until);
  const text = { held: "held until it is released", active: "being delivered now", queued: "waits for its first attempt", deferred: "waits" }[r.state];
  const due = where && (!r.next || where.blocked_until > r.next) ? where.blocked_until : r.next;
  const why = (where && where.why) || (r.state === "deferred" && r.last);
  return el("li", { "data-is": is }, el("div", { class: "top" }, el("b", {}, `${r.to}: ${text}`), idle && due && el("span", { class: "soft" }, "next try ", when(due))),
    idle && why && el("p", { class: "soft", text: `because ${where ? `${r.destination} is in trouble` : "of this"}: ${why}` }));
}
function messageView(m) {
  const many = new Set([...m.events.map((e) => e.to), ...m.recipients.map((r) => r.to)].filter(Boolean)).size > 1;
  const list = attempts(m.events), to = [...new Set([...m.events.map((e) => e.to), ...m.recipients.map((r) => r.to)].filter(Boolean))];
  return el("div", { class: "body" },
    el("dl", { class: "facts" }, fact("From", m.from || "<> (nobody: a notice)"), fact("To", to.slice(0, 20).join(", ") + (to.length > 20 ? ` and ${to.length - 20} more` : "")),
      fact("Size", octets(m.size)), fact("Message-ID", m.message_id && el("span", { class: "mono", text: m.message_id })), fact("ENVID", m.envid)),
    el("h3", { text: "What happened" }),
    el("ol", { class: "timeline" },
      el("li", { "data-is": "ok" }, el("div", { class: "top" }, el("b", { text: "accepted, and safe on disk" }), when(m.arrived)), el("p", { class: "soft", text: m.origin ? `from ${m.origin}` : "" })),
      list.map((e) => attemptItem(e, many)), m.recipients.slice(0, 50).map(waitingItem),
      m.recipients.length === 0 && list.length === 0 && el("li", {}, el("b", { text: "removed from the queue" }))));
}
const kinds = {
  message: {
    load: (id) => ask(`v1/messages/${encodeURIComponent(id)}/trace`),
    head: (id, m) => frame(`Message ${id}`, m.recipients.length ? `${count(m.recipients.length, "recipient")} in the queue` : "finished",
      m.recipients.length > 0 && verbButtons(() => ({ ids: [id] }), () => `message ${id}`)),
    view: messageView,
  },
  to: {
    load: async (name) => {
      const mail = isRoute(name) ? null : await ask(`v1/queue?domain=${encodeURIComponent(name)}`);
      const plan = isRoute(name) ? null : await ask(`v1/plan/${encodeURIComponent(name)}`).catch((e) => ({ problem: words(e) }));
      return { name, plan, mail, row: destinations().find((d) => d.name === name) || null };
    },
    head: (name, x) => frame(isRoute(name) ? `Route ${name.slice(6)}` : name, "", x.mail && x.mail.rows.length > 0 &&
      verbButtons(() => ({ domain: name }), () => `all mail for ${name}`)),
    view: destinationView,
  },
  find: {
    load: (text) => search(text),
    head: (text) => frame(`Mail of or for ${text}`, "the newest first; finished messages as long as the history keeps them"),
    view: foundView,
  },
};

function planFacts(p) {
  if (p.problem) return el("p", { class: "problem", text: p.problem });
  const verdict = { go: ["ok", "would be sent"], defer: ["warn", "would wait"], refuse: ["bad", "would be returned"] }[p.verdict] || ["", p.verdict];
  return el("dl", { class: "facts" },
    fact("Now", chip(verdict[0], verdict[1]), p.status ? ` ${p.status}` : ""),
    fact("MTA-STS", p.sts.mode ? `${p.sts.mode} (${p.sts.state})` : p.sts.state, p.sts.why ? `: ${p.sts.why}` : ""),
    fact("Local rule", p.tls, p.exempt ? ", exempt" : ""),
    fact("Hosts", p.hosts.map((h) => el("div", {}, h.name, " ", chip(h.proof === "none" ? "" : "ok", h.proof, `by ${h.source}`), el("span", { class: "soft mono", text: ` ${h.addresses.join(" ")}` })))),
    fact("Passed over", p.rejected.map((h) => el("div", { text: `${h.name}: ${h.why}` }))),
    fact("MX", p.mx_why));
}
function destinationView(x) {
  const d = x.row;
  const list = el("div");
  if (x.mail) {
    table(list, [
      { title: "Recipient", class: "full", cell: (r) => el("button", { class: "link", tabindex: "-1", onclick: () => open_("message", r.id), text: r.to }) },
      { title: "State", width: "96", class: "short", cell: (r) => chip(STATE_CHIPS[r.state], r.state) },
      { title: "Tries", width: "64", class: "number", label: "tries", cell: (r) => r.attempts },
      { title: "Next", width: "112", class: "short", label: "next", cell: nextCell },
    ], { empty: "Nothing waits for it.", open: (r) => open_("message", r.id), label: "Waiting here" })(x.mail.rows.slice(0, 50), (r) => `${r.id}.${r.number}`);
  }
  return el("div", { class: "body" },
    d && el("dl", { class: "facts" }, fact("State", troubleCell(d)), fact("Last policy", policyCell(d)),
      fact("Exemption", d.exempt && `${d.exempt.reason}, until ${day(d.exempt.until)}`),
      fact("Since start", `${number(d.sent)} sent, ${number(d.deferred)} deferred, ${number(d.bounced)} bounced`)),
    x.plan && [el("h3", { text: "What would be done with mail now" }), planFacts(x.plan)],
    x.mail && [el("h3", { text: "Waiting here" }), list,
      (x.mail.next || x.mail.rows.length > 50) && el("p", { class: "more" }, "More is in the queue. ", el("button", { type: "button", onclick: () => { closeDrawer(); setFilter({ domain: x.name, state: "any" }); $("h-queue").scrollIntoView(); }, text: "Show it there" }))]);
}

// A search looks at so many messages at a time: on until some are found.
const SEARCH_ROUNDS = 20;
async function search(text, from) {
  const found = from ? [...from.messages] : [];
  let cursor = from ? from.next : null, n = 0;
  do {
    const page = await ask(`v1/messages?${new URLSearchParams({ address: text, ...(cursor ? { cursor } : {}) })}`);
    found.push(...page.messages);
    cursor = page.next;
    n++;
  } while (cursor && n < SEARCH_ROUNDS && found.length < (from ? from.messages.length : 0) + 20);
  return { text, messages: found, next: cursor };
}
function foundView(x) {
  const list = el("div");
  table(list, MESSAGE_COLUMNS, { empty: x.next ? "Nothing among the newest messages." : "There is no such message.", open: (m) => open_("message", m.id), label: "Found" })(x.messages, (m) => m.id);
  return el("div", { class: "body" }, list, x.next && el("p", { class: "more" }, el("button", { type: "button", onclick: async (e) => {
    e.target.disabled = true;
    opened.data = await search(x.text, x).catch(() => x);
    opened.still = true; // polling would take the rest away again
    showDrawer();
  }, text: "Search further back" })));
}

function showDrawer() {
  const { kind, name, data } = opened;
  const sign = JSON.stringify(data);
  if (opened.sign === sign) return;
  opened.sign = sign;
  const top = drawer.scrollTop, inside = drawer.contains(document.activeElement);
  const at = inside ? [...drawer.querySelectorAll("button, tr")].indexOf(document.activeElement) : -1;
  drawer.replaceChildren(kinds[kind].head(name, data), kinds[kind].view(data));
  drawer.scrollTop = top;
  if (at >= 0) [...drawer.querySelectorAll("button, tr")][at]?.focus();
}
async function loadDrawer() {
  const mine = opened;
  if (!mine || mine.still) return;
  try {
    mine.data = await kinds[mine.kind].load(mine.name);
    if (mine === opened) showDrawer();
  } catch (e) {
    if (!(e instanceof ApiError)) throw e;
    if (mine === opened && !mine.data) drawer.replaceChildren(frame(mine.name), el("div", { class: "body" }, el("p", { class: "problem", text: words(e) })));
  }
}
function readHash() {
  const [, kind, text] = /^#(\w+)\/(.+)$/.exec(location.hash) || [];
  if (!kinds[kind]) {
    if (drawer.open) drawer.close();
    return;
  }
  let name = text;
  try { name = decodeURIComponent(text); } catch { /* as it stands */ }
  opened = { kind, name, data: null };
  drawer.replaceChildren(frame(name), el("p", { class: "none", text: "Looking …" }));
  if (!drawer.open) drawer.showModal();
  drawer.scrollTop = 0;
  if (status) loadDrawer().catch((e) => drawer.replaceChildren(frame(name), el("div", { class: "body" }, el("p", { class: "problem", text: words(e) }))));
}
addEventListener("hashchange", readHash);

$("search").addEventListener("submit", (e) => {
  e.preventDefault();
  const text = $("query").value.trim().replace(/^<(.*)>$/, "$1");
  if (!text) return;
  $("query").blur();
  const same = location.hash;
  if (/^[0-9a-hjkmnp-tv-z]{10}$/i.test(text)) open_("message", text.toLowerCase());
  else open_("find", text);
  if (location.hash === same) readHash();
});

// --- events as they happen ---

const ACTIVITY_MAX = 80;
const EVENTS = {
  "message.accepted": ["blue", (e) => `accepted from ${e.from || "<>"}`],
  "delivery.sent": ["green", (e) => `${e.to} delivered${e.policy ? `, ${e.policy}` : ""}`],
  "delivery.deferred": ["amber", (e) => `${e.to} waits: ${e.reply || ""}`],
  "delivery.bounced": ["red", (e) => `${e.to} returned: ${e.reply || ""}`],
  "delivery.expired": ["red", (e) => `${e.to} given up: ${e.reply || ""}`],
  "delivery.throttled": ["amber", (e) => `${e.destination || e.host || "a host"} slowed us down`],
  "policy.fetch": ["grey", (e) => `policy of ${e.domain} fetched${e.reason ? `: ${e.reason}` : ""}`],
  "policy.failure": ["red", (e) => `policy of ${e.domain}: ${e.reason || "failed"}`],
  "policy.shadow": ["amber", (e) => `${e.domain || e.destination || ""}: a policy would have held it back`],
  "session.reject": ["amber", (e) => `a client was refused: ${e.reply || e.reason || ""}`],
  "queue.change": ["violet", (e) => `${e.change}: ${count(e.recipients || 0, "recipient")}`],
  "config.reload": ["grey", () => "configuration read again"],
  "tlsrpt.sent": ["grey", (e) => `TLS report sent${e.domain ? ` for ${e.domain}` : ""}`],
  drain: ["violet", () => "draining"],
  missed: ["grey", (e) => (e.count ? `${count(e.count, "event")} came too fast to be shown` : "some events were missed")],
};
let stream = null, streamWait = 1000;

// Events come faster than anybody reads: they are shown a few times a second,
// and the last of them only.
let fresh = [], flush = 0;
function happened(e) {
  fresh.push(e);
  if (fresh.length > ACTIVITY_MAX) fresh.shift();
  if (!flush) flush = setTimeout(() => { flush = 0; showActivity(); refreshSoon(); }, 200);
}
function activity(e) {
  const [color, text] = EVENTS[e.event] || [];
  if (!color) return null;
  const at = Date.parse(e.ts) || now(), line = text(e).slice(0, 220);
  return el("li", {}, el("time", { datetime: new Date(at).toISOString(), title: absolute(at), text: new Date(at).toLocaleTimeString([], { hour12: false }) }),
    el("i", { class: color }), e.mid ? el("button", { type: "button", onclick: () => open_("message", e.mid), text: line }) : el("span", { text: line }));
}
function showActivity() {
  $("activity").prepend(...fresh.reverse().map(activity).filter(Boolean));
  fresh = [];
  while ($("activity").children.length > ACTIVITY_MAX) $("activity").lastElementChild.remove();
}
function readBlock(block) {
  const data = block.split("\n").filter((l) => l.startsWith("data:")).map((l) => l.slice(5)).join("\n");
  if (!data) return;
  let event = null;
  try { event = JSON.parse(data); } catch { return; }
  happened(event);
}
// By fetch, as an EventSource could not bring the token.
async function follow(signal) {
  const wanted = Object.keys(EVENTS).filter((name) => name !== "missed");
  const r = await fetch(`v1/events?event=${wanted.join(",")}`, { headers: headers({ Accept: "text/event-stream" }), cache: "no-store", credentials: "omit", signal });
  if (r.status === 404) { showStream("none"); return false; }
  if (!r.ok) return true;
  streamWait = 1000;
  showStream("live");
  const reader = r.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let rest = ""; ;) {
    const { value, done } = await reader.read();
    if (done) return true;
    const blocks = (rest + value).split(/\r?\n\r?\n/);
    rest = blocks.pop();
    blocks.forEach(readBlock);
  }
}
function showStream(is) {
  $("activity").closest("section").hidden = is === "none";
  $("activity-sum").textContent = is === "live" ? "live" : "";
}
async function listen() {
  stream?.abort();
  if (document.hidden || $("token").open) return;
  const mine = stream = new AbortController();
  let again = true;
  try {
    again = await follow(mine.signal);
  } catch { /* it ended: once more, below */ }
  if (mine !== stream || mine.signal.aborted) return;
  if (again) {
    showStream("lost");
    setTimeout(() => mine === stream && listen(), streamWait);
    streamWait = Math.min(30000, streamWait * 2);
  }
}

// --- keys ---

let chord = "";
function moveRow(step) {
  const active = document.activeElement;
  const root = drawer.open ? drawer : document;
  const row = active.closest?.("tbody tr");
  const target = row ? (step > 0 ? row.nextElementSibling : row.previousElementSibling) : root.querySelector('tbody tr[tabindex="0"]');
  if (target) focusRow(target);
}
document.addEventListener("keydown", (e) => {
  if (e.ctrlKey || e.metaKey || e.altKey || e.target.closest("input:not([type=checkbox]), textarea")) {
    if (e.key === "Escape" && e.target === $("query")) e.target.blur();
    return;
  }
  const modal = document.querySelector("dialog.confirm[open]");
  if (modal) return;
  const was = chord;
  chord = "";
  if (was === "g") {
    const where = { q: "queue", d: "destinations", l: "latest" }[e.key];
    const row = where && $(where).querySelector('tbody tr[tabindex="0"]');
    if (where && !drawer.open) { $(`h-${where}`).scrollIntoView(); row ? focusRow(row) : 0; }
    return;
  }
  const inRow = e.target.closest("tbody tr");
  if (e.key === "/") { e.preventDefault(); if (drawer.open) closeDrawer(); $("query").focus(); $("query").select(); }
  else if (e.key === "?") $("keys").showModal();
  else if (e.key === "g") chord = "g";
  else if (e.key === "j" || (e.key === "ArrowDown" && inRow)) { e.preventDefault(); moveRow(1); }
  else if (e.key === "k" || (e.key === "ArrowUp" && inRow)) { e.preventDefault(); moveRow(-1); }
});
$("show-keys").addEventListener("click", () => $("keys").showModal());

// --- all of it ---

const pollStatus = poll(5000, async () => {
  const first = status === null;
  status = await ask("v1/status");
  showBar();
  showDestinations();
  showRefusals();
  showHealth();
  showQueueHead();
  showCharts();
  if (first) readHash();
  else await loadDrawer();
});
const pollHistory = poll(10000, async () => {
  history_ = await ask("v1/history");
  showCharts();
});
const pollQueue = poll(5000, async () => {
  let page = await ask(queuePath());
  const list = page.rows;
  while (page.next && list.length < wanted) {
    page = await ask(queuePath(page.next));
    list.push(...page.rows);
  }
  rows = list;
  next = page.next;
  showQueue();
});
const pollLatest = poll(5000, async () => {
  const page = await ask("v1/messages");
  fillLatest(page.messages.slice(0, 20), (m) => m.id);
});
for (const p of [pollStatus, pollHistory, pollQueue, pollLatest]) p.soon();
listen();
