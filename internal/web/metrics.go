package web

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics are a deployment's figures. They are served on a listener of their own, never on the public one.
type Metrics struct {
	Registry *prometheus.Registry
	requests *prometheus.HistogramVec
	endpoint *prometheus.CounterVec
	signIns  *prometheus.CounterVec
}

// NewMetrics returns metrics with a registry of their own.
func NewMetrics() *Metrics {
	m := &Metrics{
		Registry: prometheus.NewRegistry(),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "countersign_request_seconds", Help: "Time to answer, by route, method and status.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
		}, []string{"route", "method", "status"}),
		endpoint: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "countersign_endpoint_total", Help: "Requests to protocol endpoints, by outcome: ok or the OAuth error.",
		}, []string{"endpoint", "outcome"}),
		signIns: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "countersign_sign_ins_total", Help: "Password attempts, by outcome."}, []string{"outcome"}),
	}
	m.Registry.MustRegister(m.requests, m.endpoint, m.signIns,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Endpoint counts how a request to a protocol endpoint ended.
func (m *Metrics) Endpoint(endpoint, outcome string) {
	m.endpoint.WithLabelValues(endpoint, outcome).Inc()
}

// SignIn counts how a password attempt ended.
func (m *Metrics) SignIn(outcome string) { m.signIns.WithLabelValues(outcome).Inc() }

// Gauge registers a figure that is read when it is asked for.
func (m *Metrics) Gauge(name, help string, read func() float64) {
	m.Registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, read))
}

// Counter registers a count that is kept elsewhere.
func (m *Metrics) Counter(name, help string, read func() float64) {
	m.Registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, read))
}

// Handler serves the figures in Prometheus' format.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.Registry, promhttp.HandlerOpts{})
}

// observe counts one request. The route is the pattern it matched, so that a stranger cannot make new series.
func (m *Metrics) observe(r *http.Request, status int, took time.Duration) {
	if m == nil {
		return
	}
	route := r.Pattern
	if route == "" {
		route = "none"
	}
	method := r.Method
	switch method {
	case http.MethodGet, http.MethodPost, http.MethodHead, http.MethodOptions, http.MethodPut, http.MethodPatch, http.MethodDelete:
	default:
		method = "other"
	}
	m.requests.WithLabelValues(route, method, strconv.Itoa(status)).Observe(took.Seconds())
}
