package auth

import (
	"context"
	"crypto/hmac"
	"encoding/binary"
	"strconv"
	"strings"
	"time"

	"github.com/countersign-id/countersign/audit"
)

// DeviceLife is how long a browser is known after a proof: the life of its device cookie.
const DeviceLife = 180 * 24 * time.Hour

const (
	month = 30 * 24 * time.Hour

	// A known browser has a budget of its own, so that strangers who use up the account's do not lock its owner out. It is
	// small, because a device cookie can be stolen.
	deviceBurst = 5
	deviceTotal = 20
)

// withDefaults fills in the figures left zero.
func (l Limits) withDefaults() Limits {
	def := func(n *int, v int) {
		if *n <= 0 {
			*n = v
		}
	}
	span := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	def(&l.AccountBurst, 10)
	span(&l.AccountWindow, 15*time.Minute)
	def(&l.AccountTotal, 100)
	def(&l.SourceBurst, 60)
	span(&l.SourceWindow, time.Minute)
	def(&l.GlobalBurst, 200)
	return l
}

// Admit counts an attempt from o against source and global limits, before any account is looked up. A full one is
// ErrThrottled or ErrBusy; the caller answers and evaluates nothing. Call it in a transaction of its own.
func (p SignIn) Admit(ctx context.Context, tx Tx, o Origin) error {
	l := p.Limits.withDefaults()
	_, ok, err := tx.Attempt(ctx, mac(p.Key, "limit source", o.Source), l.SourceWindow, l.SourceBurst)
	if err != nil {
		return err
	}
	if !ok {
		refused := *ErrThrottled
		refused.Wait = int(l.SourceWindow / time.Second)
		return &refused
	}

	_, ok, err = tx.Attempt(ctx, mac(p.Key, "limit global"), time.Second, l.GlobalBurst)
	if err != nil {
		return err
	}
	if !ok {
		refused := *ErrBusy
		refused.Wait = 1
		return &refused
	}
	return nil
}

// window is one limit of an attempt.
type window struct {
	name  string // for the event
	key   []byte
	span  time.Duration
	limit int
}

// budget returns the windows that an attempt at a name counts in. An account has one budget whichever of its names was typed,
// and a new one with a new password; a name that nobody has is throttled just alike.
func (p SignIn) budget(name string, acc Account, pw Password) []window {
	l := p.Limits.withDefaults()
	// Names that nobody has share a bounded number of budgets, so that strangers who make names up cannot fill the table. Sharing
	// one hurts nobody: such a name is refused in any case, with the same answer.
	of := []string{"nobody", string(mac(p.Key, "limit nobody", name)[:2])}
	if acc.ID != "" {
		of = []string{"account", string(acc.ID), strconv.FormatInt(pw.ChangedAt.UnixMicro(), 10)}
	}
	return []window{
		{"account-burst", mac(p.Key, "limit burst", of...), l.AccountWindow, l.AccountBurst},
		{"account-total", mac(p.Key, "limit total", of...), month, l.AccountTotal},
	}
}

// deviceBudget returns the windows of a known browser.
func (p SignIn) deviceBudget(device string) []window {
	return []window{
		{"device-burst", mac(p.Key, "limit device burst", device), p.Limits.withDefaults().AccountWindow, deviceBurst},
		{"device-total", mac(p.Key, "limit device total", device), month, deviceTotal},
	}
}

// count counts an attempt in windows until one is full. The keys it counted in are a's to forgive.
func (a *Attempt) count(ctx context.Context, tx Tx, acc Account, windows []window, o Origin) (bool, error) {
	for _, w := range windows {
		n, ok, err := tx.Attempt(ctx, w.key, w.span, w.limit)
		if err != nil || !ok {
			return false, err
		}
		a.key = append(a.key, w.key)
		if n < w.limit || acc.ID == "" {
			continue
		}
		// The attempt that fills a known account's window tells of it, once a window; those after it are only counted.
		err = tx.Record(ctx, audit.Event{
			Kind: audit.ThrottleClosed, Outcome: audit.Refused, Code: ErrThrottled.Code, Subject: acc.ID.actor(), Request: o.Request,
			Detail: map[string]string{"limit": w.name}, Personal: o.personal(),
		})
		if err != nil {
			return false, err
		}
	}
	return true, nil
}

// newDevice makes the value of a device cookie: a random name and its time, and our word that acc's owner proved themselves
// in the browser that holds it. It names no account, opens nothing, and ends with the password.
func (p SignIn) newDevice(acc AccountID, pw Password, now time.Time) string {
	name := randomText(16) + "." + strconv.FormatInt(now.Unix(), 36)
	return name + "." + tokenText.EncodeToString(p.deviceMAC(name, acc, pw))
}

// knows returns the name of o's device if acc proved itself there before.
func (p SignIn) knows(o Origin, acc AccountID, pw Password, now time.Time) (string, bool) {
	i := strings.LastIndexByte(o.Device, '.')
	if i < 0 || len(o.Device) > 128 {
		return "", false
	}
	name := o.Device[:i]
	sum, err := tokenText.DecodeString(o.Device[i+1:])
	if err != nil || !hmac.Equal(sum, p.deviceMAC(name, acc, pw)) {
		return "", false
	}
	_, issued, _ := strings.Cut(name, ".")
	at, err := strconv.ParseInt(issued, 36, 64)
	return name, err == nil && now.Before(time.Unix(at, 0).Add(DeviceLife))
}

func (p SignIn) deviceMAC(name string, acc AccountID, pw Password) []byte {
	changed := binary.BigEndian.AppendUint64(nil, uint64(pw.ChangedAt.UnixMicro()))
	return mac(p.Key, "device", name, string(acc), string(changed))
}
