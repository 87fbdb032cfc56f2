// What happened: the lists of the data become objects.
const D = JSON.parse(document.getElementById('data').textContent);
const el = (id) => document.getElementById(id);
const list = (l) => l || [];
const text = (i) => D.Texts[i];
const lanes = list(D.Lanes).map((l, i) => ({ i, name: l.Name, kind: l.Kind, id: l.ID }));
const partitions = list(D.Partitions);
const focus = { at: D.Focus.At, offset: D.Focus.Offset, partition: D.Focus.Partition, lanes: list(D.Focus.Lanes) };
const messages = [];
{
  let sent = 0;
  for (const m of list(D.Messages)) {
    sent += m[0];
    messages.push({ sent, arrived: m[1] < 0 ? -1 : sent + m[1], from: m[2], to: m[3], call: m[4], answer: !!(m[5] & 1), idle: !!(m[5] & 2), name: text(m[6]), text: text(m[7]), partitions: m[8] });
  }
}
const bands = list(D.Bands).map((b) => ({ lane: b[0], from: b[1], to: b[2] < 0 ? D.End : b[2], kind: b[3], text: text(b[4]), fault: b[5] }));
const events = list(D.Events).map((e) => ({ at: e[0], lane: e[1], kind: e[2], partition: e[3], text: text(e[4]) }));
const operations = list(D.Operations).map((o, i) => ({ i, lane: o[0], partition: o[1], kind: o[2], from: o[3], to: o[4] < 0 ? -1 : o[3] + o[4], outcome: o[5], first: o[6], end: o[7], records: o[8], text: text(o[9]) }));
const replicas = list(D.Replicas).map((r) => ({
  partition: r.Partition, lane: r.Lane,
  states: list(r.States).map((s) => ({ at: s[0], role: s[1], epoch: s[2], partitionEpoch: s[3], start: s[4], high: s[5], end: s[6], durable: s[7], insync: s[8], epochs: s[9] })),
}));
const groups = list(D.Groups).map((g) => ({
  name: g.Name,
  states: list(g.States).map((s) => ({ at: s[0], state: s[1], epoch: s[2], members: s[3].map((m) => ({ name: text(m[0]), epoch: m[1], has: m[2].map(text), goal: m[3].map(text) })) })),
}));
const story = list(D.Story).map((s) => ({ at: s[0], lane: s[1], partition: s[2], operation: s[3] }));
const evidence = new Set(story.filter((s) => s.operation >= 0).map((s) => s.operation));

// The last of rows with an .at up to an instant; -1: none.
function lastUntil(rows, at) {
  let low = 0, high = rows.length;
  while (low < high) {
    const mid = (low + high) >> 1;
    if (rows[mid].at <= at) low = mid + 1; else high = mid;
  }
  return low - 1;
}
function seconds(ns, digits = 3) { return (ns / 1e9).toFixed(digits) + 's'; }
function span(ns) {
  if (ns < 1e6) return (ns / 1e3).toFixed(0) + ' µs';
  return ns < 1e9 ? (ns / 1e6).toFixed(ns < 1e7 ? 2 : 0) + ' ms' : (ns / 1e9).toFixed(2) + ' s';
}
// Lines of "strong: plain", without any markup in what is said.
function say(where, strong, plain) {
  where.replaceChildren();
  const b = document.createElement('b');
  b.textContent = strong;
  where.append(b, ' ' + plain);
}
