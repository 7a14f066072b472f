package auth_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/countersign-id/countersign/auth"
)

// Whatever a flow holds, it stands at Done only with the proofs that were asked for: the machine is asked with every kind of flow there
// can be, also such as no sign-in makes.
func TestNoFlowReachesDoneWithoutTheProofAskedFor(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	amrs := [][]string{nil, {"pwd"}, {"otp"}, {"pwd", "otp", "mfa"}, {"swk", "user"}, {"swk", "user", "mfa"}, {"hwk", "user", "mfa"}, {"pwd", "hwk", "user", "mfa"}}
	reached := map[auth.Step]int{}
	rapid.Check(t, func(t *rapid.T) {
		levels := func(name string) []string {
			return rapid.SliceOfNDistinct(rapid.SampledFrom(auth.Levels()), 0, 3, rapid.ID).Draw(t, name)
		}
		flag := func(name string) bool { return rapid.Bool().Draw(t, name) }
		f := auth.Flow{
			CreatedAt: at, AuthTime: at.Add(time.Duration(rapid.IntRange(-700, 60).Draw(t, "auth time")) * time.Second), Fresh: flag("fresh"), Strict: flag("strict"),
			ACR: rapid.SampledFrom(append(auth.Levels(), "")).Draw(t, "acr"), AMR: rapid.SampledFrom(amrs).Draw(t, "amr"), Asked: levels("asked"),
			Need:  auth.Need{Levels: levels("need"), Own: flag("own")},
			Holds: flag("holds"), Bound: flag("bound"), Pass: flag("pass"), Later: flag("later"),
			Ways:        rapid.SliceOfDistinct(rapid.SampledFrom([]auth.Way{auth.ByPasskey, auth.ByCode, auth.ByRecovery}), rapid.ID).Draw(t, "ways"),
			NeedConsent: flag("consent needed"), Consented: flag("consented"),
		}
		if flag("account") {
			f.Account = "a"
		}
		if flag("typed") {
			f.Typed = "a"
		}
		if flag("wanted") {
			f.WantAccount = rapid.SampledFrom([]auth.AccountID{"a", "b"}).Draw(t, "want")
		}
		if flag("max age") {
			f.NotBefore = at.Add(-time.Minute)
		}
		if flag("trusted") {
			f.Waived = "browser"
		}
		step := f.Next()
		reached[step]++
		if step != auth.Done {
			return
		}
		met := func(l string) bool { return auth.Meets(l, f.ACR, f.AMR) }
		switch {
		case f.Account == "" || len(f.AMR) == 0:
			t.Fatalf("done without any proof: %+v", f)
		case f.WantAccount != "" && f.WantAccount != f.Account:
			t.Fatalf("done for another account: %+v", f)
		case f.Fresh && f.AuthTime.Before(f.CreatedAt), f.AuthTime.Before(f.NotBefore):
			t.Fatalf("done with an old proof: %+v", f)
		case len(f.Asked) > 0 && !slices.ContainsFunc(f.Asked, met):
			t.Fatalf("done below what the application asks for: %+v", f)
		case f.NeedConsent && !f.Consented:
			t.Fatalf("done without consent: %+v", f)
		case f.Waived == "" && !f.Later && slices.ContainsFunc(f.Need.Levels, func(l string) bool { return !met(l) }):
			t.Fatalf("done below policy: %+v", f)
		case f.Waived == "" && f.Holds && !f.Pass && (f.Need.Own || len(f.Need.Levels) > 0 && f.Need.Levels[len(f.Need.Levels)-1] != auth.AAL1) && !met(auth.AAL2):
			t.Fatalf("done without the second factor that the account has: %+v", f)
		case f.Later && f.Pass && f.Waived == "" && slices.ContainsFunc(f.Need.Levels, func(l string) bool { return !met(l) }):
			t.Fatalf("a pass led to a sign-in without a factor: %+v", f)
		}
	})
	for _, step := range []auth.Step{auth.Identify, auth.Prove, auth.Second, auth.Enrol, auth.Allow, auth.Done} {
		if reached[step] == 0 && !testing.Short() {
			t.Logf("%s was not reached in this run", step)
		}
	}
}
