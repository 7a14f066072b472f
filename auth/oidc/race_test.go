package oidc

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// racers sends the same form as many at once and returns how they were answered.
func (r *rig) racers(n int, form url.Values) (won, lost, other int) {
	body := form.Encode()
	handler := r.p.Handler()
	codes := make([]int, n)
	var start, done sync.WaitGroup
	start.Add(1)
	for i := range n {
		done.Go(func() {
			req := httptest.NewRequest(http.MethodPost, testIssuer+tokenPath, strings.NewReader(body))
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			basic("app", r.secret)(req)
			w := httptest.NewRecorder()
			start.Wait()
			handler.ServeHTTP(w, req)
			codes[i] = w.Code
			if w.Code == http.StatusBadRequest && !strings.Contains(w.Body.String(), `"invalid_grant"`) {
				codes[i] = -1
			}
		})
	}
	start.Done()
	done.Wait()
	for _, c := range codes {
		switch c {
		case http.StatusOK:
			won++
		case http.StatusBadRequest:
			lost++
		default:
			other++
		}
	}
	return won, lost, other
}

// rounds of 20 at once; fewer where a quick look is wanted.
func rounds() int {
	if testing.Short() {
		return 10
	}
	return 200
}

func TestSecP02OneCodeManyRacers(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		b := r.browser()
		b.code(r.ask(r.app))
		for i := range rounds() {
			won, lost, other := r.racers(20, r.exchangeForm(r.app, b.code(r.ask(r.app))))
			if won > 1 || other > 0 { // fosite-2 a loser gets invalid_grant, never a 500
				t.Fatalf("round %d: %d won, %d lost, %d answered otherwise", i, won, lost, other)
			}
			if won == 0 {
				t.Fatalf("round %d: nobody won", i)
			}
		}
	})
}

func TestSecP30OneRefreshTokenManyRacers(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		b := r.browser()
		for i := range rounds() {
			token := r.tokensOf(r.app, b.code(r.ask(r.app, "scope", "openid offline_access")))["refresh_token"].(string)
			form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}
			won, lost, other := r.racers(20, form)
			if won > 1 || other > 0 { // fosite-3
				t.Fatalf("round %d: %d won, %d lost, %d answered otherwise", i, won, lost, other)
			}
		}
	})
}
