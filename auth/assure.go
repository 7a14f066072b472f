package auth

import (
	"slices"
	"time"
)

// Authentication context classes, the values of `acr`. AAL1 to AAL3 are those of NIST SP 800-63B-4; PHR is the phishing-resistant one
// of OpenID Connect Extended Authentication Profile (EAP) ACR Values 1.0 §4.
const (
	AAL1 = "aal1" // something was proved
	AAL2 = "aal2" // two factors were
	PHR  = "phr"  // proof of a key that answers to our origin alone
	AAL3 = "aal3" // two factors by such a key, which cannot leave its device
)

// Levels lists the classes, the weakest first.
func Levels() []string { return []string{AAL1, AAL2, PHR, AAL3} }

// rank orders classes for choosing the highest that was reached; PHR does not contain AAL2.
func rank(level string) int { return slices.Index(Levels(), level) }

// The values of `amr` (RFC 8176 §2).
const (
	amrPassword = "pwd"
	amrCode     = "otp"  // a code of an authenticator, or a recovery code
	amrHardware = "hwk"  // a key that says it cannot leave its device
	amrSoftware = "swk"  // a key that may be copied between devices
	amrPresence = "user" // somebody touched the authenticator
	amrFactors  = "mfa"  // two kinds of factor
)

// Way is a manner of proving oneself.
type Way string

// The ways.
const (
	ByPassword Way = "password"
	ByPasskey  Way = "passkey"
	ByCode     Way = "totp"
	ByRecovery Way = "recovery"
)

// Proof is something proved in a sign-in.
type Proof struct {
	Way Way
	At  time.Time
	// Of a passkey, as this ceremony's own flags say, never as stored: whether the authenticator verified who holds it, and whether
	// its key is bound to the device (sec-M12).
	Verified, Bound bool
}

// assurance is what proofs amount to.
type assurance struct {
	acr string
	amr []string
}

// assured says what proofs amount to (I4).
func assured(proofs []Proof) assurance {
	var a assurance
	for _, p := range proofs {
		a = a.and(p.alone())
	}
	return a
}

// alone is what a proof amounts to by itself.
func (p Proof) alone() assurance {
	switch p.Way {
	case ByPassword:
		return assurance{AAL1, []string{amrPassword}}
	case ByCode, ByRecovery:
		return assurance{AAL1, []string{amrCode}}
	case ByPasskey:
		key := amrSoftware
		if p.Bound {
			key = amrHardware
		}
		a := assurance{PHR, []string{key, amrPresence}}
		if p.Verified {
			a.amr = append(a.amr, amrFactors)
		}
		if p.Verified && p.Bound {
			a.acr = AAL3
		}
		return a
	}
	return assurance{}
}

// and is what a and b amount to together.
func (a assurance) and(b assurance) assurance {
	if len(a.amr) == 0 {
		return b
	}
	if len(b.amr) == 0 {
		return a
	}
	have := func(amr ...string) bool {
		return slices.ContainsFunc(amr, func(v string) bool { return slices.Contains(a.amr, v) || slices.Contains(b.amr, v) })
	}
	out := assurance{acr: AAL1}
	for _, v := range []string{amrPassword, amrCode, amrHardware, amrSoftware, amrPresence} {
		if have(v) {
			out.amr = append(out.amr, v)
		}
	}
	if have(amrFactors) || have(amrPassword) && have(amrCode, amrHardware, amrSoftware) {
		out.amr, out.acr = append(out.amr, amrFactors), AAL2
	}
	if have(amrHardware, amrSoftware) {
		out.acr = PHR
	}
	if a.acr == AAL3 || b.acr == AAL3 {
		out.acr = AAL3
	}
	return out
}

// Meets reports whether an authentication with acr and amr meets a level. AAL3 meets all; a phishing-resistant one meets AAL2 only
// where two factors were proved.
func Meets(level, acr string, amr []string) bool {
	switch level {
	case AAL1:
		return len(amr) > 0
	case AAL2:
		return slices.Contains(amr, amrFactors)
	case PHR:
		return slices.Contains(amr, amrHardware) || slices.Contains(amr, amrSoftware)
	case AAL3:
		return acr == AAL3 && slices.Contains(amr, amrHardware) && slices.Contains(amr, amrFactors)
	}
	return false
}

// ACRFor is the acr to tell whoever asked for levels: the first of them that was met, else the highest that was.
func ACRFor(asked []string, acr string, amr []string) string {
	for _, level := range asked {
		if Meets(level, acr, amr) {
			return level
		}
	}
	return acr
}
