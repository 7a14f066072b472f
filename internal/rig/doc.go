// Package rig is what tests of the whole stand on: a real browser, and whatever else it takes to let
// people, applications and a provider meet on one machine. Nothing but tests may import it.
package rig
