// What was logged and decided, as a table.
const MOST_LINES = 500;
function drawLines() {
  const words = el('find').value.toLowerCase().split(/\s+/).filter(Boolean), near = el('nearby').checked, rows = [];
  let found = 0;
  for (const e of events) {
    if (near && (e.at < view.from || e.at > view.to)) continue;
    if (near && view.partition >= 0 && e.partition >= 0 && e.partition !== view.partition) continue;
    const who = e.lane < 0 ? '' : lanes[e.lane].name, all = `${who} ${e.kind} ${e.text}`.toLowerCase();
    if (!words.every((w) => all.includes(w))) continue;
    if (++found > MOST_LINES) continue;
    const tr = document.createElement('tr');
    tr.className = e.kind;
    for (const t of [seconds(e.at, 6), who, e.kind, e.text]) { const td = document.createElement('td'); td.textContent = t; tr.append(td); }
    tr.addEventListener('click', () => point(e.at));
    rows.push(tr);
  }
  el('lines').replaceChildren(...rows);
  el('found').textContent = found > MOST_LINES ? `the first ${MOST_LINES} of ${found} lines` : `${found} lines`;
}
let linesDue = 0;
function linesSoon() { clearTimeout(linesDue); linesDue = setTimeout(drawLines, 150); }
el('find').addEventListener('input', linesSoon);
el('nearby').addEventListener('change', linesSoon);
let linesOf = '';
view.listeners.push(() => {
  const of = `${view.from} ${view.to} ${view.partition}`;
  if (of !== linesOf) { linesOf = of; linesSoon(); }
});
