package ui

import (
	"cmp"
	"context"

	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/auth/password"
	"github.com/countersign-id/countersign/store"
)

// admit lets an attempt in, before anything about an account is looked up: pw can be looked at, there is a place in the queue
// of hashes, and the limits of its source and of everybody have room. Whoever is refused here is told so, because it says
// nothing about an account. leave must be called when the attempt is over.
func (s *Server) admit(ctx context.Context, pw string, o auth.Origin) (leave func(), err error) {
	if len(pw) > password.MaxBytes {
		return func() {}, password.ErrTooLong
	}
	leave, err = s.passwords.Enter(ctx)
	if err != nil {
		return leave, err
	}
	err = s.db.Update(ctx, func(tx *store.Tx) error { return s.signIn.Admit(ctx, tx, o) })
	if err != nil {
		leave()
	}
	return leave, err
}

// prove verifies a password exactly once, whatever a is (sec-K05). rehash is the hash to keep instead of an outdated one.
func (s *Server) prove(ctx context.Context, a auth.Attempt, pw string) (match bool, rehash string, err error) {
	match, outdated, err := s.passwords.Verify(ctx, pw, a.Hash)
	if err != nil || !match || !outdated || a.Dummy {
		return match, "", err
	}
	rehash, err = s.passwords.Hash(ctx, pw)
	return match, rehash, err
}

// minLength is the length a new password needs, as its page tells.
func (s *Server) minLength() int { return cmp.Or(s.rules.MinLength, 15) }

// newHash hashes a new password that is strong enough. words are what it must not be made of: names of its person.
func (s *Server) newHash(ctx context.Context, pw string, words ...string) (string, error) {
	if weak := s.rules.Weak(pw, words...); weak != nil {
		return "", weak.At("password")
	}
	leave, err := s.passwords.Enter(ctx)
	if err != nil {
		return "", err
	}
	defer leave()
	return s.passwords.Hash(ctx, pw)
}
