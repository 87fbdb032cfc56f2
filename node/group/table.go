package group

import "iter"

// A table is a map that is gone through in the order in which its keys came.
// The zero table is empty.
type table[K comparable, V any] struct {
	at      map[K]int
	entries []entry[K, V]
	first   int // entries before it are gone
}

type entry[K comparable, V any] struct {
	key   K
	value V
	gone  bool
}

func (t *table[K, V]) len() int { return len(t.at) }

func (t *table[K, V]) get(k K) V {
	if i, ok := t.at[k]; ok {
		return t.entries[i].value
	}
	var none V
	return none
}

func (t *table[K, V]) has(k K) bool {
	_, ok := t.at[k]
	return ok
}

// put sets what is at a key. A key that is there keeps its place.
func (t *table[K, V]) put(k K, v V) {
	if i, ok := t.at[k]; ok {
		t.entries[i].value = v
		return
	}
	if t.at == nil {
		t.at = map[K]int{}
	}
	t.squeeze()
	t.at[k] = len(t.entries)
	t.entries = append(t.entries, entry[K, V]{key: k, value: v})
}

// drop takes a key out.
func (t *table[K, V]) drop(k K) {
	i, ok := t.at[k]
	if !ok {
		return
	}
	delete(t.at, k)
	t.entries[i] = entry[K, V]{gone: true}
	for t.first < len(t.entries) && t.entries[t.first].gone {
		t.first++
	}
	if len(t.at) == 0 {
		t.entries, t.first = nil, 0
	}
}

// squeeze closes the gaps once there are more of them than entries. Who goes
// through the table keeps the entries he began with.
func (t *table[K, V]) squeeze() {
	if len(t.entries) < 16 || len(t.entries) < 2*len(t.at) {
		return
	}
	kept := make([]entry[K, V], 0, len(t.at)+1)
	for _, e := range t.entries {
		if !e.gone {
			t.at[e.key] = len(kept)
			kept = append(kept, e)
		}
	}
	t.entries, t.first = kept, 0
}

// all goes through the keys in order. Keys may be dropped meanwhile; those put
// meanwhile may or may not be seen.
func (t *table[K, V]) all() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		entries := t.entries[t.first:]
		for i := range entries {
			if e := &entries[i]; !e.gone && !yield(e.key, e.value) {
				return
			}
		}
	}
}
