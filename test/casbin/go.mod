// After a change to what the product depends on: go -C test/casbin mod tidy.
module github.com/countersign-id/countersign/test/casbin

go 1.26.0

replace (
	github.com/countersign-id/countersign => ../..
	github.com/ory/x => ../../third_party/oryx
)

require (
	github.com/casbin/casbin/v2 v2.135.0
	github.com/countersign-id/countersign v0.0.0
)

require (
	github.com/bmatcuk/doublestar/v4 v4.6.1 // indirect
	github.com/casbin/govaluate v1.3.0 // indirect
	github.com/google/uuid v1.6.0 // indirect
	golang.org/x/mod v0.42.0 // indirect
)
