// Who told whom what: lanes of processes, time to the right, a line for each message.
const space = { idle: false, answers: true, api: '', past: null, picked: null, shown: [], rows: [], hot: null };
const talking = new Set();
for (const m of messages) { talking.add(m.from); talking.add(m.to); }
for (const b of bands) talking.add(b.lane);
for (const e of events) if (e.lane >= 0) talking.add(e.lane);
const laneOrder = ['network', 'controller', 'broker', 'client'];
const shownLanes = lanes.filter((l) => talking.has(l.i)).sort((a, b) => laneOrder.indexOf(a.kind) - laneOrder.indexOf(b.kind) || a.i - b.i);
const laneY = [];
let diagramHeight = 24;
for (const l of shownLanes) {
  const h = l.kind === 'broker' || l.kind === 'controller' ? 52 : l.kind === 'network' ? 26 : 28;
  laneY[l.i] = diagramHeight + h / 2;
  diagramHeight += h;
}
diagramHeight += 8;

function choose() {
  space.shown = messages.filter((m) => (space.idle || !m.idle) && (space.answers || !m.answer) && (!space.api || m.name === space.api));
  if (view.byOrder) rank(space.shown);
  el('counted').textContent = `${space.shown.length} of ${messages.length} messages`;
  changed();
}
// The last instant of each lane that can have had to do with one in some lanes.
function pastOf(at, of) {
  const past = lanes.map((l) => (of.length === 0 || of.includes(l.i) ? at : -1));
  const order = messages.filter((m) => m.arrived >= 0 && m.arrived <= at).sort((a, b) => b.arrived - a.arrived);
  for (const m of order) if (m.arrived <= past[m.to] && m.sent > past[m.from]) past[m.from] = m.sent;
  return past;
}
const inPast = (m) => !space.past || (m.arrived >= 0 && m.arrived <= space.past[m.to]);

function concerns(m) { return view.partition < 0 || m.partitions.includes(view.partition); }

function drawBands(g, s, width) {
  const stacked = new Map();
  for (const b of bands) {
    if (b.to < view.from || b.from > view.to || laneY[b.lane] === undefined) continue;
    const y = laneY[b.lane], x = Math.max(GUTTER, s(b.from)), w = Math.max(2, Math.min(s(b.to), width) - x), tall = lanes[b.lane].kind === 'client' ? 11 : 22;
    if (x > width) continue;
    g.fillStyle = ink('c-' + b.kind);
    if (b.kind === 'leads') { g.globalAlpha = 0.9; g.fillRect(x, y - tall, w, 3); g.globalAlpha = 1; continue; }
    if (b.kind === 'down') { g.globalAlpha = 0.32; g.fillRect(x, y - tall + 4, w, 2 * tall - 8); g.globalAlpha = 1; continue; }
    const n = (stacked.get(b.lane) || []).filter((o) => o.to > b.from);
    stacked.set(b.lane, [...n, b]);
    const thin = lanes[b.lane].kind === 'network' ? 6 : 4, off = (n.length % 4) * (thin + 1);
    g.globalAlpha = 0.75; g.fillRect(x, lanes[b.lane].kind === 'network' ? y - 11 + off : y + tall - 4 - off, w, thin); g.globalAlpha = 1;
  }
}
function drawLanes(g, s, width) {
  for (const l of shownLanes) {
    const y = laneY[l.i];
    g.strokeStyle = ink('line'); g.lineWidth = 1;
    g.beginPath(); g.moveTo(GUTTER, y); g.lineTo(width, y); g.stroke();
  }
  if (view.partition < 0) return;
  for (const r of replicas) {
    if (r.partition !== view.partition || laneY[r.lane] === undefined) continue;
    r.states.forEach((st, i) => {
      const to = i + 1 < r.states.length ? r.states[i + 1].at : D.End;
      if (st.role !== 'leader' || to < view.from || st.at > view.to) return;
      const x = Math.max(GUTTER, s(st.at));
      g.fillStyle = epochInk(st.epoch);
      g.fillRect(x, laneY[r.lane] - 2.5, Math.max(1, s(to) - x), 5);
      if (i === 0 || r.states[i - 1].role !== 'leader' || r.states[i - 1].epoch !== st.epoch) {
        g.fillStyle = ink('fg'); g.fillText('leader, epoch ' + st.epoch, x + 3, laneY[r.lane] - 6);
      }
    });
  }
}
function names(g, height) {
  g.fillStyle = ink('card'); g.fillRect(0, 16, GUTTER - 2, height);
  for (const l of shownLanes) {
    g.fillStyle = ink('fg'); g.font = (l.kind === 'client' ? '11px' : 'bold 12px') + ' system-ui, sans-serif';
    g.fillText(l.name, 6, laneY[l.i] + 4);
    g.fillStyle = ink('dim'); g.font = '9px system-ui, sans-serif';
    if (l.kind !== 'client' && l.kind !== 'network') g.fillText(l.kind, 6, laneY[l.i] + 15);
    if (space.past && space.past[l.i] < 0) g.fillText('no part in it', 6, laneY[l.i] + (l.kind === 'client' ? 13 : 25));
  }
  g.font = '11px system-ui, sans-serif';
}
function drawMessage(g, s, m, arrows) {
  const x1 = s(m.sent), y1 = laneY[m.from], y2 = laneY[m.to];
  g.beginPath(); g.moveTo(x1, y1);
  if (m.arrived < 0) {
    const x = x1 + 14, y = y1 + (y2 - y1) * 0.25;
    g.lineTo(x, y); g.stroke();
    g.beginPath(); g.moveTo(x - 3, y - 3); g.lineTo(x + 3, y + 3); g.moveTo(x - 3, y + 3); g.lineTo(x + 3, y - 3); g.stroke();
    return;
  }
  const x2 = s(m.arrived);
  g.lineTo(x2, y2); g.stroke();
  if (!arrows) return;
  const a = Math.atan2(y2 - y1, x2 - x1);
  g.beginPath(); g.moveTo(x2, y2); g.lineTo(x2 - 6 * Math.cos(a - 0.4), y2 - 6 * Math.sin(a - 0.4)); g.lineTo(x2 - 6 * Math.cos(a + 0.4), y2 - 6 * Math.sin(a + 0.4)); g.fill();
}
function messageInk(m) { return m.arrived < 0 ? ink('c-lost') : m.answer ? ink('c-answer') : ink('c-request'); }
function drawMessages(g, s) {
  const within = space.shown.filter((m) => (m.arrived < 0 ? m.sent + 1e6 : m.arrived) >= view.from && m.sent <= view.to && laneY[m.from] !== undefined && m.from !== m.to);
  const arrows = within.length < 500, dense = within.length > 1500, faint = Math.max(0.06, Math.min(0.45, 700 / within.length));
  for (const strong of [false, true]) {
    for (const m of within) {
      const is = concerns(m) && inPast(m);
      if (is !== strong) continue;
      g.globalAlpha = strong ? (dense ? faint : 0.9) : (dense ? faint / 6 : 0.13);
      g.strokeStyle = g.fillStyle = messageInk(m);
      g.lineWidth = strong ? 1.2 : 1; g.setLineDash(m.answer && !dense ? [4, 3] : []);
      drawMessage(g, s, m, arrows && strong);
    }
  }
  g.setLineDash([]); g.globalAlpha = 1;
  space.within = within;
  for (const m of within) {
    const same = space.picked && m.call === space.picked.call && m.call !== 0;
    if (m !== space.hot && !same) continue;
    g.strokeStyle = g.fillStyle = ink('c-evidence'); g.lineWidth = 2.5; drawMessage(g, s, m, true);
  }
}
const glyphs = { election: '▲', truncation: '✂', failure: '✖', 'in-sync': '◆', controller: '★', warning: '!' };
function drawEvents(g, s, width) {
  g.textAlign = 'center'; g.font = '12px system-ui, sans-serif';
  for (const e of events) {
    if (e.at < view.from || e.at > view.to || !glyphs[e.kind] || e.lane < 0 || laneY[e.lane] === undefined) continue;
    if (e.partition >= 0 && view.partition >= 0 && e.partition !== view.partition) continue;
    if (e.kind === 'warning' && view.to - view.from > 2e9) continue;
    g.fillStyle = e.kind === 'failure' ? ink('bad') : e.kind === 'truncation' ? ink('c-evidence') : e.kind === 'warning' ? ink('warn') : ink('good');
    const y = laneY[e.lane] + (lanes[e.lane].kind === 'client' ? 4 : 14);
    g.fillText(glyphs[e.kind], s(e.at), y);
  }
  for (const m of story) {
    if (m.at < view.from || m.at > view.to || m.lane < 0 || laneY[m.lane] === undefined) continue;
    g.strokeStyle = ink('c-evidence'); g.lineWidth = 2;
    g.beginPath(); g.arc(s(m.at), laneY[m.lane], 6, 0, 7); g.stroke();
  }
  g.textAlign = 'left'; g.font = '11px system-ui, sans-serif';
}
function drawPast(g, s, width) {
  if (!space.past) return;
  g.fillStyle = ink('bg'); g.globalAlpha = 0.6;
  for (const l of shownLanes) {
    const half = l.kind === 'broker' || l.kind === 'controller' ? 26 : 14, x = Math.max(GUTTER, s(Math.max(space.past[l.i], view.from)));
    if (l.kind !== 'network' && x < width) g.fillRect(x, laneY[l.i] - half, width - x, 2 * half);
  }
  g.globalAlpha = 1;
}
function drawDiagram() {
  const { g, width, height } = canvas(el('diagram'), diagramHeight), s = scale(width);
  g.save(); g.beginPath(); g.rect(GUTTER, 0, width - GUTTER, height); g.clip();
  axis(g, width, height, s);
  drawBands(g, s, width); drawLanes(g, s, width); drawPast(g, s, width); drawMessages(g, s); drawEvents(g, s, width); cursorLine(g, s, height);
  g.restore();
  names(g, height);
}
function nearestMessage(px, py) {
  const s = scale(el('diagram').clientWidth);
  let best = null, least = 7;
  for (const m of space.within || []) {
    if (!concerns(m) && space.picked !== m && !space.past && view.partition >= 0 && space.within.length > 400) continue;
    const x1 = s(m.sent), y1 = laneY[m.from], x2 = m.arrived < 0 ? x1 + 14 : s(m.arrived), y2 = m.arrived < 0 ? y1 + (laneY[m.to] - y1) * 0.25 : laneY[m.to];
    const l = (x2 - x1) ** 2 + (y2 - y1) ** 2, k = l ? Math.max(0, Math.min(1, ((px - x1) * (x2 - x1) + (py - y1) * (y2 - y1)) / l)) : 0;
    const d = Math.hypot(px - x1 - k * (x2 - x1), py - y1 - k * (y2 - y1));
    if (d < least) { least = d; best = m; }
  }
  return best;
}
function nearestMark(px, py) {
  const s = scale(el('diagram').clientWidth);
  for (const e of events) {
    if (e.lane < 0 || laneY[e.lane] === undefined || !glyphs[e.kind] || e.at < view.from || e.at > view.to) continue;
    if (Math.abs(s(e.at) - px) < 6 && Math.abs(laneY[e.lane] + 9 - py) < 9) return { at: e.at, who: lanes[e.lane].name, text: e.kind + ': ' + e.text };
  }
  for (const b of bands) {
    const y = laneY[b.lane];
    if (y !== undefined && px >= s(b.from) && px <= Math.max(s(b.to), s(b.from) + 3) && Math.abs(py - y) < 24) return { at: b.from, who: lanes[b.lane].name, text: `${b.text}, until ${seconds(b.to)}` };
  }
  return null;
}
function tell(m) {
  const way = m.arrived < 0 ? 'and it never arrived' : `arrived after ${span(m.arrived - m.sent)}`;
  say(el('picked'), `${seconds(m.sent, 6)} ${lanes[m.from].name} → ${lanes[m.to].name}: ${m.name}${m.answer ? ' (answer)' : ''}`, `${m.text || 'nothing more is known of it'} — ${way}.`);
}
handle(el('diagram'), (x, y) => {
  const m = nearestMessage(x, y);
  if (m !== space.hot) { space.hot = m; changed(); }
  if (m) return tell(m);
  const mark = nearestMark(x, y);
  if (mark) return say(el('picked'), `${seconds(mark.at, 6)} ${mark.who}`, mark.text);
  if (space.picked) tell(space.picked);
}, (x, y) => {
  const m = nearestMessage(x, y);
  space.picked = m;
  if (!m) return point(timeAt(x, el('diagram').clientWidth));
  tell(m);
  space.past = pastOf(m.sent, [m.from]);
  el('nopast').disabled = false;
  point(m.sent);
});
el('pastofviolation').addEventListener('click', () => { space.past = pastOf(focus.at, focus.lanes); el('nopast').disabled = false; changed(); });
el('nopast').addEventListener('click', () => { space.past = space.picked = null; el('nopast').disabled = true; changed(); });
for (const [id, name] of [['idle', 'idle'], ['answers', 'answers']]) el(id).addEventListener('change', (e) => { space[name] = e.target.checked; choose(); });
el('byorder').addEventListener('change', (e) => { view.byOrder = e.target.checked; choose(); });
{
  const count = new Map();
  for (const m of messages) count.set(m.name, (count.get(m.name) || 0) + 1);
  const all = new Option('all', '');
  el('api').append(all, ...[...count].sort((a, b) => b[1] - a[1]).map(([name, n]) => new Option(`${name} (${n})`, name)));
  el('api').addEventListener('change', (e) => { space.api = e.target.value; choose(); });
}
view.listeners.push(drawDiagram);
