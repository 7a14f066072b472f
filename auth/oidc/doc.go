// Package oidc is the door of the protocols: OAuth 2.0 and OpenID Connect as applications speak them.
//
// fosite parses and dispatches; what it finds is judged by our own handlers, and what they decide is written by
// package auth in one transaction a request. Nothing of fosite's is visible outside this package.
package oidc
