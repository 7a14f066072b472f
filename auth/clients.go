package auth

import (
	"context"
	"crypto/subtle"
	"slices"
	"strconv"
	"time"

	"github.com/countersign-id/countersign/audit"
)

const maxOverlap = 30 * 24 * time.Hour

// AddClient registers an application after checking every field (NewClient for defaults). The secret, if it needs one, comes
// back once. An empty id is replaced by one of ours; one in the form of ours is refused, because roles are held by persons and
// clients alike and an id must not name both.
func AddClient(ctx context.Context, tx Tx, by string, c Client) (Client, Secret, error) {
	if _, ours := uuidBytes(string(c.ID)); ours {
		return Client{}, nil, refuse("client_id", "Choose a client id that is no UUID, or none: then it gets one.")
	}
	if c.ID == "" {
		c.ID = ClientID(tx.NewID())
	}
	c.Secrets = nil
	if err := c.Check(); err != nil {
		return Client{}, nil, err
	}
	st, err := tx.Structure(ctx)
	if err != nil {
		return Client{}, nil, err
	}
	for _, audience := range slices.Concat(c.Resources, c.Serves) {
		if _, ok := st.Server(audience); !ok {
			return Client{}, nil, refuse("resource", "There is no resource server %s.", quote(audience))
		}
	}

	var secret Secret
	if c.AuthMethod == AuthSecret {
		var kept ClientSecret
		secret, kept = newSecret(tx)
		c.Secrets = []ClientSecret{kept}
	}
	c.CreatedAt, c.UpdatedAt, c.Version = tx.Now(), tx.Now(), 1
	if err := tx.AddClient(ctx, c); err != nil {
		return Client{}, nil, err
	}
	return c, secret, tx.Record(ctx, audit.Event{
		Kind: audit.ClientAdded, Outcome: audit.OK, Actor: by, Subject: c.ID.actor(), Client: string(c.ID),
		Detail: map[string]string{"kind": string(c.Kind), "auth_method": c.AuthMethod},
	})
}

func newSecret(tx Tx) (Secret, ClientSecret) {
	secret := newToken(secretPrefix)
	return Secret(secret), ClientSecret{ID: tx.NewID(), Hash: hashToken(secret), CreatedAt: tx.Now()}
}

// SetClientDisabled opens or closes an application. Closing it ends its grants. One that is so already stays as it is.
func SetClientDisabled(ctx context.Context, tx Tx, by string, id ClientID, disabled bool) error {
	c, err := tx.Client(ctx, id)
	if err != nil || c.Disabled == disabled {
		return err
	}
	c.Disabled, c.UpdatedAt = disabled, tx.Now()
	ok, err := tx.UpdateClient(ctx, c)
	if err != nil {
		return err
	}
	if !ok {
		return ErrStale
	}
	e := audit.Event{Kind: audit.ClientEnabled, Outcome: audit.OK, Actor: by, Subject: id.actor(), Client: string(id)}
	if disabled {
		// One event for all of them: a client may have a million grants.
		ended, err := tx.EndGrants(ctx, GrantFilter{Client: id}, "client-disabled")
		if err != nil {
			return err
		}
		e.Kind, e.Detail = audit.ClientDisabled, map[string]string{"grants": strconv.Itoa(len(ended))}
	}
	return tx.Record(ctx, e)
}

// RotateSecret gives a client a new secret; the old ones stay valid for overlap, and none longer than it already was to.
func RotateSecret(ctx context.Context, tx Tx, by string, id ClientID, overlap time.Duration) (Secret, error) {
	if overlap < 0 || overlap > maxOverlap {
		return nil, refuse("overlap", "Old secrets may stay valid for up to %d days.", int(maxOverlap.Hours()/24))
	}
	c, err := tx.Client(ctx, id)
	if err != nil {
		return nil, err
	}
	if c.AuthMethod != AuthSecret {
		return nil, refuse("auth_method", "This client authenticates with %s and has no secret.", c.AuthMethod)
	}

	now := tx.Now()
	ends := now.Add(overlap)
	c.Secrets = slices.DeleteFunc(slices.Clone(c.Secrets), func(s ClientSecret) bool { return overlap == 0 || !s.live(now) })
	for i, s := range c.Secrets {
		if s.Ends.IsZero() || s.Ends.After(ends) {
			c.Secrets[i].Ends = ends
		}
	}
	if len(c.Secrets) >= maxSecrets {
		return nil, refuse("overlap", "This client has %d valid secrets already. Rotate without overlap to end the old ones.", maxSecrets)
	}
	secret, kept := newSecret(tx)
	c.Secrets, c.UpdatedAt = append(c.Secrets, kept), now
	ok, err := tx.UpdateClient(ctx, c)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, ErrStale
	}
	return secret, tx.Record(ctx, audit.Event{
		Kind: audit.ClientSecretRotated, Outcome: audit.OK, Actor: by, Subject: id.actor(), Client: string(id),
		Detail: map[string]string{"secret": kept.ID, "overlap": overlap.String()},
	})
}

const maxSecrets = 5

// live reports whether s counts at now.
func (s ClientSecret) live(now time.Time) bool { return s.Ends.IsZero() || now.Before(s.Ends) }

// CheckSecret reports whether secret is a valid one of c at now, in constant time over all of them. An empty secret never is.
func CheckSecret(c Client, secret string, now time.Time) bool {
	sum, match := hashToken(secret), 0
	for _, s := range c.Secrets {
		same := subtle.ConstantTimeCompare(sum, s.Hash)
		if s.live(now) {
			match |= same
		}
	}
	return match == 1 && secret != ""
}
