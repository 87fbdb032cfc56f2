// Groups: a row for each member, with what it has over time.
const tracks = groups.filter((g) => g.states.length).map((g) => {
  const members = [...new Set(g.states.flatMap((s) => s.members.map((m) => m.name)))];
  const box = document.createElement('div'), title = document.createElement('h3'), c = document.createElement('canvas');
  box.className = 'group'; title.textContent = 'group ' + g.name;
  const note = document.createElement('div');
  note.className = 'picked';
  box.append(title, c, note); el('grouptracks').append(box);
  const track = { g, members, c, note };
  handle(c, (x) => describe(track, timeAt(x, c.clientWidth)), (x) => point(timeAt(x, c.clientWidth)));
  return track;
});
function describe(t, at) {
  const i = lastUntil(t.g.states, at);
  if (i < 0) return;
  const s = t.g.states[i];
  say(t.note, `${seconds(s.at, 6)} ${s.state}, epoch ${s.epoch}:`, s.members.map((m) => `${m.name} in epoch ${m.epoch} has ${m.has.join(', ') || 'nothing'}${m.has.join() !== m.goal.join() ? ' and shall have ' + (m.goal.join(', ') || 'nothing') : ''}`).join(' · ') || 'nobody is in it');
}
function short(has) { return has.map((p) => p.replace(/^.*-/, '')).join(' '); }
function drawGroups() {
  for (const t of tracks) {
    const rows = t.members.slice(0, 24), { g, width, height } = canvas(t.c, 42 + rows.length * 18), s = scale(width);
    g.save(); g.beginPath(); g.rect(GUTTER, 0, width - GUTTER, height); g.clip();
    axis(g, width, height, s);
    t.g.states.forEach((st, i) => {
      const to = i + 1 < t.g.states.length ? t.g.states[i + 1].at : D.End;
      if (to < view.from || st.at > view.to) return;
      const x = Math.max(GUTTER, s(st.at)), w = Math.max(1, s(to) - x);
      g.fillStyle = epochInk(st.epoch); g.globalAlpha = st.state === 'Stable' ? 0.8 : 0.35; g.fillRect(x, 18, w, 12); g.globalAlpha = 1;
      g.fillStyle = ink('fg'); if (w > 60) g.fillText(`${st.epoch} ${st.state}`, x + 3, 28);
      for (const m of st.members) {
        const row = rows.indexOf(m.name), y = 36 + row * 18;
        if (row < 0) continue;
        g.fillStyle = epochInk(m.epoch); g.globalAlpha = m.has.length ? 0.75 : 0.15; g.fillRect(x, y, w, 13); g.globalAlpha = 1;
        if (m.has.join() !== m.goal.join()) { g.strokeStyle = ink('c-pending'); g.strokeRect(x + 0.5, y + 0.5, w, 12); }
        g.fillStyle = ink('fg'); if (w > 24) g.fillText(short(m.has), x + 3, y + 10);
      }
    });
    cursorLine(g, s, height);
    g.restore();
    g.fillStyle = ink('dim'); g.fillText('epoch, state', 4, 28);
    g.fillStyle = ink('fg'); rows.forEach((m, i) => g.fillText(m.length > 13 ? m.slice(0, 12) + '…' : m, 4, 46 + i * 18));
  }
}
if (tracks.length) { el('groups').hidden = false; view.listeners.push(drawGroups); }
