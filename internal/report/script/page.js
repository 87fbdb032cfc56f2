// What ties the parts together: buttons, keys, the story.
for (const e of document.querySelectorAll('.scripted')) e.hidden = false;
document.body.classList.add('live');
el('partition').append(new Option('all', -1), ...partitions.map((p, i) => new Option(p, i)));
el('partition').value = view.partition;
el('partition').addEventListener('change', (e) => { view.partition = +e.target.value; changed(); });
el('whole').addEventListener('click', () => look(0, D.End));
el('around').addEventListener('click', () => around(focus.at));
el('crux').addEventListener('click', crux);
el('in').addEventListener('click', () => zoom(0.6, view.cursor >= view.from && view.cursor <= view.to ? view.cursor : undefined));
el('out').addEventListener('click', () => zoom(1 / 0.6));
const move = (by) => { const d = (view.to - view.from) * by; look(view.from + d, view.to + d); };
el('back').addEventListener('click', () => move(-0.4));
el('forth').addEventListener('click', () => move(0.4));
addEventListener('keydown', (e) => {
  if (/^(INPUT|SELECT|TEXTAREA)$/.test(e.target.tagName) || e.ctrlKey || e.metaKey || e.altKey) return;
  const keys = { ArrowLeft: () => move(-0.2), ArrowRight: () => move(0.2), '+': () => zoom(0.7), '-': () => zoom(1 / 0.7) };
  if (keys[e.key]) { e.preventDefault(); keys[e.key](); }
});
addEventListener('resize', changed);
for (const li of document.querySelectorAll('[data-moment]')) {
  li.addEventListener('click', () => {
    for (const o of document.querySelectorAll('[data-moment].on')) o.classList.remove('on');
    li.classList.add('on');
    const m = story[+li.dataset.moment];
    if (m.partition >= 0) { view.partition = m.partition; el('partition').value = m.partition; }
    around(m.at, 3e8, 3e8);
    el('spacetime').scrollIntoView({ block: 'start', behavior: 'smooth' });
  });
}
for (const b of document.querySelectorAll('button.copy')) {
  b.hidden = false;
  b.addEventListener('click', async () => {
    const code = b.closest('tr').querySelector('code');
    try { await navigator.clipboard.writeText(code.textContent); b.textContent = 'copied'; } catch {
      getSelection().selectAllChildren(code); b.textContent = 'selected';
    }
    setTimeout(() => { b.textContent = 'copy'; }, 1500);
  });
}
// At first the diagrams show where most of the story is, of the latest such spans.
function crux() {
  const wide = 3e9, at = story.map((m) => m.at).sort((a, b) => a - b);
  let best = at.length - 1, most = 0;
  for (let i = at.length - 1; i >= 0; i--) {
    const n = at.filter((t) => t >= at[i] && t <= at[i] + wide).length;
    if (n > most) { most = n; best = i; }
  }
  const within = at.filter((t) => t >= at[best] && t <= at[best] + wide);
  const from = within[0], to = within[within.length - 1], room = Math.max(1.5e8, (to - from) * 0.12);
  look(from - room, to + room);
  point(from);
}
choose();
if (story.length) crux(); else look(0, D.End);
