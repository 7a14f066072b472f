// Package ui is the door for people: the pages of the sign-in, of one's own account and of first set-up.
//
// Pages hangs every page in one frame (organisation, host, language, theme) and is what auth/oidc draws its few pages
// with; New builds the routes. Each page is one template file bound to one Go type, drawn whole into a buffer or not at
// all, in the reader's language, under a policy that allows no inline script or style. Everything works without JavaScript.
//
// It knows HTTP, templates and words. It decides nothing about accounts: auth does, inside transactions of the store that
// the handlers here open.
package ui
