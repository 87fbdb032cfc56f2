// The replicas of a partition at an instant: what each log holds, and of which epoch.
const SVG = 'http://www.w3.org/2000/svg';
function svg(name, attrs, content) {
  const e = document.createElementNS(SVG, name);
  for (const k in attrs) e.setAttribute(k, attrs[k]);
  if (content !== undefined) e.textContent = content;
  return e;
}
const logView = { range: 'near', playing: 0, drawn: '' };
const shownPartition = () => (view.partition >= 0 ? view.partition : replicas.length ? replicas[0].partition : -1);
const copies = () => replicas.filter((r) => r.partition === shownPartition()).sort((a, b) => lanes[a.lane].id - lanes[b.lane].id);
const nodeName = (id) => { const l = lanes.find((x) => x.id === id && x.kind !== 'client'); return l ? l.name : 'node ' + id; };
function epochAt(st, offset) {
  let e = -1;
  for (const [epoch, start] of st.epochs) if (start <= offset) e = epoch;
  return e;
}
function extent(states) {
  const live = states.filter(Boolean);
  let low = Math.min(...live.map((s) => s.start)), high = Math.max(...live.map((s) => Math.max(s.end, s.high)));
  if (!live.length) return [0, 1];
  if (logView.range === 'end') low = Math.max(low, high - 60);
  if (logView.range === 'near') {
    const here = view.partition === focus.partition && focus.offset >= 0 ? [focus.offset] : [Math.min(...live.map((s) => s.end)), high, Math.min(...live.map((s) => s.high))];
    low = Math.max(low, Math.min(...here) - 20); high = Math.min(high, Math.max(...here) + 20);
  }
  return [low, Math.max(high, low + 1)];
}
function bar(st, low, high, wide) {
  const g = svg('svg', { viewBox: `0 0 ${wide} 44`, role: 'img' }), x = (o) => (Math.max(low, Math.min(o, high)) - low) / (high - low) * wide;
  g.append(svg('rect', { x: 0, y: 17, width: wide, height: 12, fill: ink('code') }));
  const parts = st.epochs.length ? st.epochs : [[st.epoch, st.start]];
  parts.forEach(([epoch, start], i) => {
    const from = Math.max(start, st.start), to = i + 1 < parts.length ? parts[i + 1][1] : st.end;
    if (to <= low || from >= high || to <= from) return;
    g.append(svg('rect', { x: x(from), y: 13, width: Math.max(1, x(to) - x(from) - 0.5), height: 20, fill: epochInk(epoch) }));
    if (x(to) - x(from) > 46) g.append(svg('text', { x: x(from) + 4, y: 27, class: 'epoch' }, 'epoch ' + epoch));
  });
  if (high - low <= 130) for (let o = Math.ceil(low); o < Math.min(high, st.end); o++) if (o > st.start) g.append(svg('line', { x1: x(o), x2: x(o), y1: 13, y2: 33, stroke: ink('card'), 'stroke-width': 0.8 }));
  const mark = (o, name, colour, y1, y2, ty) => {
    if (o < low || o > high) return;
    g.append(svg('line', { x1: x(o), x2: x(o), y1, y2, stroke: colour, 'stroke-width': 2 }));
    g.append(svg('text', { x: x(o) + (x(o) > wide - 110 ? -4 : 4), y: ty, 'text-anchor': x(o) > wide - 110 ? 'end' : 'start' }, `${name} ${o}`));
  };
  mark(st.high, 'high watermark', ink('fg'), 2, 36, 9);
  if (st.end !== st.high) mark(st.end, 'end', ink('dim'), 10, 36, 43);
  if (view.partition === focus.partition && focus.offset >= low && focus.offset < high) {
    g.append(svg('rect', { x: x(focus.offset), y: 11, width: Math.max(3, x(focus.offset + 1) - x(focus.offset)), height: 24, fill: 'none', stroke: ink('c-evidence'), 'stroke-width': 2 }));
  }
  return g;
}
function drawReplicas() {
  const where = el('logs'), all = copies(), now = all.map((r) => r.states[lastUntil(r.states, view.cursor)]);
  el('slider').value = Math.round(view.cursor / Math.max(D.End, 1) * 10000);
  const wide = Math.max(200, where.clientWidth - 140), key = JSON.stringify([shownPartition(), now, logView.range, wide, ink('fg')]);
  if (key === logView.drawn) return;
  logView.drawn = key;
  where.replaceChildren();
  const title = document.createElement('p');
  title.className = 'hint';
  title.textContent = all.length ? `${partitions[shownPartition()]} at ${seconds(view.cursor, 6)}${focus.offset >= 0 && view.partition === focus.partition ? ', with the offset in question, ' + focus.offset + ', framed' : ''}` : 'No replica was seen.';
  where.append(title);
  const [low, high] = extent(now);
  all.forEach((r, i) => {
    const st = now[i], row = document.createElement('div'), who = document.createElement('div'), numbers = document.createElement('div'), name = document.createElement('span'), role = document.createElement('span');
    row.className = 'copyof' + (!st || st.role === 'down' || st.role === 'gone' ? ' down' : '');
    name.className = 'who'; role.className = 'role'; numbers.className = 'numbers';
    name.textContent = lanes[r.lane].name + ' '; role.textContent = st ? st.role : 'not there yet';
    who.append(name, role);
    if (st) {
      numbers.textContent = `leader epoch ${st.epoch} · offsets ${st.start} to ${st.end} · high watermark ${st.high} · durable ${st.durable}` + (st.role === 'leader' ? ` · in sync ${st.insync.map(nodeName).join(', ')}` : '');
      const right = document.createElement('div');
      right.append(bar(st, low, high, wide), numbers);
      row.append(who, right);
    } else row.append(who, numbers);
    where.append(row);
  });
}
// The instants at which something of the shown replicas changes.
function changes() {
  const at = new Set();
  for (const r of copies()) for (const s of r.states) at.add(s.at);
  return [...at].sort((a, b) => a - b);
}
function step(by) {
  const all = changes(), i = by > 0 ? all.findIndex((t) => t > view.cursor) : all.findLastIndex((t) => t < view.cursor);
  if (i < 0) return false;
  point(all[i]);
  if (all[i] < view.from || all[i] > view.to) { const half = (view.to - view.from) / 2; look(all[i] - half, all[i] + half); }
  return true;
}
// The first instant at which two logs have records of different epochs at an offset that
// one of them knows to be committed.
function parting() {
  const all = copies(), at = changes();
  for (const t of at) {
    const now = all.map((r) => r.states[lastUntil(r.states, t)]).filter((s) => s && s.role !== 'gone');
    for (let i = 0; i < now.length; i++) for (let j = i + 1; j < now.length; j++) {
      const a = now[i], b = now[j], end = Math.min(a.end, b.end, Math.max(a.high, b.high));
      for (const [, start] of [...a.epochs, ...b.epochs]) {
        const o = Math.max(start, a.start, b.start);
        if (o < end && epochAt(a, o) !== epochAt(b, o)) return t;
      }
    }
  }
  return -1;
}
el('slider').addEventListener('input', (e) => point(e.target.value / 10000 * D.End));
el('prevchange').addEventListener('click', () => step(-1));
el('nextchange').addEventListener('click', () => step(1));
el('range').addEventListener('change', (e) => { logView.range = e.target.value; changed(); });
el('parting').addEventListener('click', () => {
  const t = parting();
  if (t >= 0) around(t, 5e8, 5e8); else { el('parting').disabled = true; el('parting').textContent = 'the logs never part below the high watermark'; }
});
el('play').addEventListener('click', () => {
  if (logView.playing) { clearInterval(logView.playing); logView.playing = 0; el('play').textContent = 'play'; return; }
  el('play').textContent = 'stop';
  logView.playing = setInterval(() => { if (!step(1)) el('play').click(); }, 120);
});
view.listeners.push(drawReplicas);
