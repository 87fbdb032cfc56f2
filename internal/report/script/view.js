// What is looked at: a span of time and one instant in it, the same for all diagrams.
const GUTTER = 86;
const view = { from: 0, to: Math.max(D.End, 1), cursor: focus.at, partition: focus.partition, byOrder: false, listeners: [], ranks: null, pending: false };
function changed() {
  if (view.pending) return;
  view.pending = true;
  requestAnimationFrame(() => { view.pending = false; for (const f of view.listeners) f(); });
}
function look(from, to) {
  const least = 2e5, whole = Math.max(D.End, least);
  let width = Math.min(Math.max(to - from, least), whole * 1.02);
  from = Math.max(Math.min(from, whole * 1.01 - width), -whole * 0.01);
  view.from = from; view.to = from + width;
  changed();
}
function zoom(factor, about = (view.from + view.to) / 2) {
  look(about - (about - view.from) * factor, about + (view.to - about) * factor);
}
function point(at) { view.cursor = Math.max(0, Math.min(at, D.End)); changed(); }
function around(at, before = 1.2e9, after = 3e8) { look(at - before, at + after); point(at); }

// In the order of events each takes the same room.
function rankOf(t) {
  const r = view.ranks;
  let low = 0, high = r.length;
  while (low < high) { const mid = (low + high) >> 1; if (r[mid] <= t) low = mid + 1; else high = mid; }
  const a = low - 1;
  if (a < 0) return r.length ? t / Math.max(r[0], 1) : 0;
  if (a >= r.length - 1) return r.length + (t - r[r.length - 1]) / 1e9;
  return a + 1 + (t - r[a]) / (r[a + 1] - r[a]);
}
function rank(shown) {
  const at = new Set();
  for (const m of shown) { at.add(m.sent); if (m.arrived >= 0) at.add(m.arrived); }
  view.ranks = [...at].sort((a, b) => a - b);
}
function scale(width) {
  const w = width - GUTTER - 8;
  if (view.byOrder && view.ranks) {
    const a = rankOf(view.from), b = Math.max(rankOf(view.to), a + 1e-6);
    return (t) => GUTTER + (rankOf(t) - a) / (b - a) * w;
  }
  return (t) => GUTTER + (t - view.from) / (view.to - view.from) * w;
}
function timeAt(x, width) {
  const w = width - GUTTER - 8;
  if (!(view.byOrder && view.ranks)) return view.from + (x - GUTTER) / w * (view.to - view.from);
  const s = scale(width);
  let low = view.from, high = view.to;
  for (let i = 0; i < 50; i++) { const mid = (low + high) / 2; if (s(mid) < x) low = mid; else high = mid; }
  return low;
}

// Colours come from the style, so that they follow the reader's light or dark.
let colours = {};
function ink(name) {
  if (!(name in colours)) colours[name] = getComputedStyle(document.documentElement).getPropertyValue('--' + name).trim();
  return colours[name];
}
function epochInk(epoch) { return ink('e' + ((epoch % 7) + 7) % 7); }
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => { colours = {}; changed(); });

// A canvas of so many pixels' height, sharp on every screen.
function canvas(c, height) {
  const ratio = window.devicePixelRatio || 1, width = c.clientWidth;
  if (c.width !== Math.round(width * ratio) || c.height !== Math.round(height * ratio)) {
    c.width = Math.round(width * ratio); c.height = Math.round(height * ratio);
    c.style.height = height + 'px';
  }
  const g = c.getContext('2d');
  g.setTransform(ratio, 0, 0, ratio, 0, 0);
  g.clearRect(0, 0, width, height);
  g.font = '11px system-ui, sans-serif';
  return { g, width, height };
}
// Ticks of time along the top.
function axis(g, width, height, s) {
  const step0 = (view.to - view.from) / Math.max(3, (width - GUTTER) / 120), power = Math.pow(10, Math.floor(Math.log10(step0)));
  const step = [1, 2, 5, 10].map((k) => k * power).find((k) => k >= step0);
  const digits = Math.max(0, Math.min(9, 9 - Math.floor(Math.log10(step) + 1e-9)));
  g.fillStyle = ink('dim'); g.strokeStyle = ink('line'); g.lineWidth = 1; g.textAlign = 'center';
  let last = -100;
  for (let t = Math.ceil(view.from / step) * step; t <= view.to; t += step) {
    const x = s(t);
    if (x < GUTTER + 14 || x - last < 60) continue;
    last = x;
    g.beginPath(); g.moveTo(x, 16); g.lineTo(x, height); g.stroke();
    g.fillText(seconds(t, Math.max(0, digits)), x, 11);
  }
  g.textAlign = 'left';
}
function cursorLine(g, s, height) {
  for (const [at, colour, dash] of [[focus.at, ink('bad'), []], [view.cursor, ink('fg'), [3, 3]]]) {
    if (at < view.from || at > view.to || (at === focus.at && D.Broke < 0 && dash.length === 0)) continue;
    g.strokeStyle = colour; g.setLineDash(dash); g.lineWidth = dash.length ? 1 : 1.5;
    g.beginPath(); g.moveTo(s(at), 14); g.lineTo(s(at), height); g.stroke(); g.setLineDash([]);
  }
}
// Dragging moves the span, Ctrl and the wheel zoom, a click points.
function handle(c, hover, click) {
  let down = null;
  c.addEventListener('pointerdown', (e) => { down = { x: e.offsetX, from: view.from, to: view.to, moved: false }; c.setPointerCapture(e.pointerId); });
  c.addEventListener('pointermove', (e) => {
    if (!down) return hover(e.offsetX, e.offsetY);
    if (Math.abs(e.offsetX - down.x) > 4) down.moved = true;
    if (down.moved) {
      const w = c.clientWidth - GUTTER - 8, d = (down.x - e.offsetX) / w * (down.to - down.from);
      look(down.from + d, down.to + d);
    }
  });
  c.addEventListener('pointerup', (e) => { if (down && !down.moved) click(e.offsetX, e.offsetY); down = null; });
  c.addEventListener('wheel', (e) => {
    if (e.ctrlKey || e.metaKey) { e.preventDefault(); zoom(e.deltaY > 0 ? 1.25 : 0.8, timeAt(e.offsetX, c.clientWidth)); }
    else if (Math.abs(e.deltaX) > Math.abs(e.deltaY)) { e.preventDefault(); const d = e.deltaX / c.clientWidth * (view.to - view.from); look(view.from + d, view.to + d); }
  }, { passive: false });
}

// The whole run, small: faults, how much was said, what is looked at.
const counts = new Array(400).fill(0);
for (const m of messages) if (!m.idle) counts[Math.min(399, Math.max(0, Math.floor(m.sent / Math.max(D.End, 1) * 400)))]++;
function drawOverview() {
  const { g, width, height } = canvas(el('overview'), 46);
  const w = width - GUTTER - 8, x = (t) => GUTTER + t / Math.max(D.End, 1) * w, most = Math.max(1, ...counts);
  g.fillStyle = ink('dim'); g.fillText('whole run', 4, 14); g.fillText(seconds(D.End, 1), 4, 30);
  g.globalAlpha = 0.55; g.fillStyle = ink('c-request');
  counts.forEach((n, i) => { const h = Math.sqrt(n / most) * 22; g.fillRect(GUTTER + i / 400 * w, 32 - h, w / 400 + 0.5, h); });
  for (const b of bands) {
    if (b.kind === 'leads') continue;
    g.globalAlpha = 0.7; g.fillStyle = ink('c-' + b.kind);
    g.fillRect(x(b.from), 34 + ['cut', 'held', 'disk', 'down'].indexOf(b.kind) * 3, Math.max(1.5, x(b.to) - x(b.from)), 2.5);
  }
  g.globalAlpha = 1;
  if (D.Heal >= 0) { g.strokeStyle = ink('good'); g.beginPath(); g.moveTo(x(D.Heal), 4); g.lineTo(x(D.Heal), 46); g.stroke(); g.fillStyle = ink('good'); g.fillText('faults end', Math.min(x(D.Heal) + 3, width - 60), 10); }
  g.strokeStyle = ink('bad'); g.lineWidth = 1.5;
  if (D.Broke >= 0) { g.beginPath(); g.moveTo(x(D.Broke), 0); g.lineTo(x(D.Broke), 46); g.stroke(); }
  g.fillStyle = ink('fg'); g.globalAlpha = 0.1; g.fillRect(x(view.from), 0, x(view.to) - x(view.from), 46); g.globalAlpha = 1;
  g.strokeStyle = ink('dim'); g.lineWidth = 1; g.strokeRect(x(view.from), 0.5, Math.max(2, x(view.to) - x(view.from)), 45);
  el('cursor').textContent = `${seconds(view.from < 0 ? 0 : view.from)} to ${seconds(Math.min(view.to, D.End))} · at ${seconds(view.cursor, 6)}`;
}
{
  const c = el('overview');
  let start = null;
  const time = (e) => (e.offsetX - GUTTER) / (c.clientWidth - GUTTER - 8) * D.End;
  c.addEventListener('pointerdown', (e) => { start = time(e); c.setPointerCapture(e.pointerId); });
  c.addEventListener('pointermove', (e) => { if (start !== null && Math.abs(time(e) - start) > D.End / 200) look(Math.min(start, time(e)), Math.max(start, time(e))); });
  c.addEventListener('pointerup', (e) => {
    if (start !== null && Math.abs(time(e) - start) <= D.End / 200) { const half = (view.to - view.from) / 2; look(start - half, start + half); point(start); }
    start = null;
  });
}
view.listeners.push(drawOverview);
