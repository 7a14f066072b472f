package main

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
)

// Figures stand on a listener of their own, never on the public one, and count what happened.
func TestMetricsStandOnTheirOwnListener(t *testing.T) {
	t.Parallel()
	port := freePort(t)
	d := newDeployment(t, "sqlite").set("METRICS_LISTEN=127.0.0.1:" + port)
	d.addUser("probe")
	a := newApp(d.issuer, "probe", d.addClient("probe", "--redirect-uri", rpCallback, "--grant", "client_credentials"))
	d.serve()
	for range 3 {
		if got, err := a.token(context.Background(), "grant_type", "client_credentials"); err != nil || got.Status != http.StatusOK {
			t.Fatal(got, err)
		}
	}
	figures := fetch(t, "http://127.0.0.1:"+port+"/metrics")
	for _, want := range []string{
		`countersign_endpoint_total{endpoint="POST /oauth2/token",outcome="ok"} 3`, "countersign_kdf_runs_total", "countersign_database_statements_total",
		`countersign_request_seconds_count{method="POST",route="POST /oauth2/token",status="200"} 3`, "go_goroutines",
	} {
		if !strings.Contains(figures, want) {
			t.Errorf("the figures lack %s", want)
		}
	}
	resp, err := http.Get(d.issuer + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusNotFound || strings.Contains(string(body), "go_goroutines") {
		t.Errorf("sec-R18 the public listener answers /metrics with %d", resp.StatusCode)
	}
}
