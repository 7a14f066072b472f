// Package password hashes and verifies passwords, a bounded number at once, and says which new ones are too weak
// (NIST SP 800-63B-4 §3.1.1). It knows no accounts and no store.
package password
