// Package walls keeps the house in shape. Its tests read the source of every package and fail where
// an import runs uphill, a library leaves its home, or something is used that this house does not
// use. The tables say what holds; a new package or library is entered there first.
package walls
