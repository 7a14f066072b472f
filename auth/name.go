package auth

// CanonicalName returns the form under which a username or e-mail address is unique and is found: NFKC and case folded,
// without space around it. It is empty for what cannot be anybody's name.
func CanonicalName(name string) string { panic("unwritten") }
