package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/klammlog/klamm/node"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/osenv"
)

// An exposition is a web server that tells the metrics of one process. Numbers
// are gathered as a task of the node and encoded outside of it.
type exposition struct {
	listener net.Listener
	server   *http.Server
}

// listenMetrics opens where metrics are told. Nothing is answered before serve.
func listenMetrics(address string) (*exposition, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("cannot tell metrics at %s: %w", address, errors.Unwrap(err))
	}
	return &exposition{listener: l}, nil
}

// serve begins to answer with the metrics of a process.
func (e *exposition) serve(p *process) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(gatherer{p}, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4}))
	e.server = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second,
		WriteTimeout: time.Minute, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10}
	go e.server.Serve(e.listener)
}

func (e *exposition) url() string { return "http://" + e.listener.Addr().String() + "/metrics" }

func (e *exposition) close() {
	if e.server != nil {
		_ = e.server.Close()
	}
	_ = e.listener.Close()
}

// A snapshot is what metrics are made of.
type snapshot struct {
	node.Snapshot
	holds osenv.Holds
}

// A gatherer takes a snapshot for each time that somebody asks.
type gatherer struct{ p *process }

// gatherWithin bounds how long a question for metrics waits for the node.
const gatherWithin = 10 * time.Second

// Describe implements prometheus.Collector.
func (g gatherer) Describe(ch chan<- *prometheus.Desc) {
	for _, m := range metrics {
		ch <- m.desc()
	}
}

// Collect implements prometheus.Collector.
func (g gatherer) Collect(ch chan<- prometheus.Metric) {
	s, err := g.take()
	if err != nil {
		ch <- prometheus.NewInvalidMetric(metrics[0].desc(), err)
		return
	}
	for _, m := range metrics {
		m.tell(&s, sink{ch, m})
	}
}

func (g gatherer) take() (snapshot, error) {
	ctx, cancel := context.WithTimeout(context.Background(), gatherWithin)
	defer cancel()
	s := snapshot{holds: g.p.host.Holds()}
	err := g.p.host.Do(ctx, func() error {
		s.Snapshot = g.p.node.Snapshot()
		return nil
	})
	if errors.Is(err, env.ErrClosed) {
		err = errors.New("the node has stopped")
	}
	return s, err
}

// A metric is one name and what it tells of a snapshot.
type metric struct {
	name   string // without klamm_
	kind   string // as documented: counter, gauge, histogram or summary
	labels []string
	help   string
	tell   func(*snapshot, sink)
}

func (m metric) desc() *prometheus.Desc {
	return prometheus.NewDesc("klamm_"+m.name, m.help, m.labels, nil)
}

// A sink takes the values of one metric.
type sink struct {
	ch chan<- prometheus.Metric
	m  metric
}

func (s sink) value(v float64, labels ...string) {
	kind := prometheus.GaugeValue
	if s.m.kind == "counter" {
		kind = prometheus.CounterValue
	}
	s.ch <- prometheus.MustNewConstMetric(s.m.desc(), kind, v, labels...)
}
