// What clients asked for: a box from the call to the answer, clients one below the other.
const opsView = { polls: false, rows: [], height: 60, hot: null };
function layOut() {
  opsView.rows = [];
  let y = 22;
  const byLane = new Map();
  for (const o of operations) {
    if (!opsView.polls && o.kind === 'poll' && o.records === 0 && !evidence.has(o.i)) continue;
    if (!byLane.has(o.lane)) byLane.set(o.lane, []);
    byLane.get(o.lane).push(o);
  }
  for (const [lane, ops] of [...byLane].sort((a, b) => a[0] - b[0])) {
    const ends = [];
    const row = { lane, top: y, ops: [] };
    for (const o of ops.sort((a, b) => a.from - b.from)) {
      let level = ends.findIndex((e) => e <= o.from);
      if (level < 0) level = ends.length < 6 ? ends.length : ends.indexOf(Math.min(...ends));
      ends[level] = o.to < 0 ? D.End : o.to;
      row.ops.push([o, level]);
    }
    row.height = Math.max(1, ends.length) * 9 + 12;
    y += row.height;
    opsView.rows.push(row);
  }
  opsView.height = y + 6;
}
function drawOperations() {
  const { g, width, height } = canvas(el('ops'), opsView.height), s = scale(width);
  g.save(); g.beginPath(); g.rect(GUTTER, 0, width - GUTTER, height); g.clip();
  axis(g, width, height, s);
  for (const row of opsView.rows) {
    for (const [o, level] of row.ops) {
      const to = o.to < 0 ? D.End : o.to;
      if (to < view.from || o.from > view.to) continue;
      const x = s(o.from), w = Math.max(2, s(to) - x), y = row.top + 3 + level * 9, mine = view.partition < 0 || o.partition === view.partition;
      g.globalAlpha = mine ? 0.95 : 0.16;
      g.fillStyle = ink('c-' + (o.outcome === 'ok' ? 'ok' : o.outcome));
      if (o.kind === 'send') g.fillRect(x, y, w, 7);
      else { g.globalAlpha *= 0.45; g.fillRect(x, y, w, 7); g.globalAlpha /= 0.45; g.strokeStyle = g.fillStyle; g.lineWidth = 1; g.strokeRect(x + 0.5, y + 0.5, Math.max(1, w - 1), 6); }
      if (o.outcome === 'unknown' || o.outcome === 'pending') for (let i = x; i < Math.min(x + w, width); i += 5) { g.fillStyle = ink('card'); g.fillRect(i, y, 1.2, 7); }
      if (evidence.has(o.i) || o === opsView.hot) { g.globalAlpha = 1; g.strokeStyle = ink('c-evidence'); g.lineWidth = 2; g.strokeRect(x - 1.5, y - 1.5, w + 3, 10); }
      const label = o.kind === 'send' ? (o.first >= 0 ? '+' + o.first : '') : o.records ? `${o.first}–${o.end - 1}` : '';
      if (mine && label && w > g.measureText(label).width + 6) { g.globalAlpha = 1; g.fillStyle = o.kind === 'send' ? ink('card') : ink('fg'); g.font = '8px system-ui, sans-serif'; g.fillText(label, x + 3, y + 6.5); g.font = '11px system-ui, sans-serif'; }
    }
    g.globalAlpha = 1;
    g.strokeStyle = ink('line'); g.lineWidth = 1; g.beginPath(); g.moveTo(0, row.top + row.height - 3); g.lineTo(width, row.top + row.height - 3); g.stroke();
  }
  g.globalAlpha = 1;
  cursorLine(g, s, height);
  g.restore();
  g.fillStyle = ink('fg');
  for (const row of opsView.rows) g.fillText(lanes[row.lane].name, 6, row.top + 12);
}
function operationAt(px, py) {
  const s = scale(el('ops').clientWidth);
  let best = null;
  for (const row of opsView.rows) {
    if (py < row.top || py > row.top + row.height) continue;
    for (const [o, level] of row.ops) {
      const to = o.to < 0 ? D.End : o.to, y = row.top + 3 + level * 9;
      if (px >= s(o.from) - 2 && px <= Math.max(s(to), s(o.from) + 2) + 2 && py >= y - 1 && py <= y + 8) best = o;
    }
  }
  return best;
}
handle(el('ops'), (x, y) => {
  const o = operationAt(x, y);
  if (o !== opsView.hot) { opsView.hot = o; changed(); }
  if (o) say(el('pickedop'), o.kind + ', ' + o.outcome, o.text);
}, (x, y) => {
  const o = operationAt(x, y);
  if (o) say(el('pickedop'), o.kind + ', ' + o.outcome, o.text);
  point(o ? (o.to < 0 ? o.from : o.to) : timeAt(x, el('ops').clientWidth));
});
el('polls').addEventListener('change', (e) => { opsView.polls = e.target.checked; layOut(); changed(); });
layOut();
view.listeners.push(drawOperations);
