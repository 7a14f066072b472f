// Package axe holds axe-core for the browser tests.
package axe

import _ "embed"

// Source is the script, to be run in a page; it defines the object axe.
//
//go:embed axe.min.js
var Source string
