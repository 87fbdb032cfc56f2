package client

import "testing"

// A batch of many small records takes many chunks of deliveries, and a delivery
// stays where it is once it is given out.
func TestDeliveriesOfALargeBatch(t *testing.T) {
	s := &shipment{}
	var given []*Delivery
	for i := range 20_000 {
		d := s.register(0)
		d.index = int32(i)
		given = append(given, d)
	}
	n := 0
	for _, chunk := range s.deliveries {
		for i := range chunk {
			if &chunk[i] != given[n] || given[n].index != int32(n) {
				t.Fatalf("delivery %d is not the one that was given out", n)
			}
			n++
		}
	}
	if n != len(given) {
		t.Fatalf("%d deliveries are kept of %d", n, len(given))
	}
}
