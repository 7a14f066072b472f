# Countersign. `make` lists what can be done.

GO ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
FUZZTIME ?= 30s
SCREENS ?= $(CURDIR)/docs/images

# Everything is built as what is shipped, so that it is compiled once: without C (but for the race
# detector) and without the paths of this machine.
export CGO_ENABLED := 0
export GOFLAGS := -trimpath $(GOFLAGS)

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | awk -F'\t' '{ printf "  make %-12s %s\n", $$1, $$2 }'

.PHONY: build
build: ## build bin/countersign, a static binary
	$(GO) build -ldflags '-s -w -X main.version=$(VERSION)' -o bin/countersign ./cmd/countersign

.PHONY: run
run: build ## start the demo: provider on localhost:8080, application on localhost:8090
	@exec bin/countersign demo

.PHONY: clean-demo
clean-demo: ## forget the demo's data
	rm -rf data/demo

.PHONY: test
test: ## run everything: vet, lint, all tests on both databases and in a browser
	@scripts/test $(PKG)

.PHONY: check
check: ## run the quick part, in under a minute
	@$(GO) run ./internal/tally -quick $(PKG)

.PHONY: bench
bench: bench-rbac ## print requests per second, latencies and processor time
	$(GO) test -run '^$$' -bench '$(or $(BENCH),.)' -benchtime $(or $(BENCHTIME),3s) ./cmd/countersign ./auth/password ./auth/oidc ./rbac $(ARGS)

.PHONY: bench-rbac
bench-rbac: ## print what the engine takes, with its aims, beside casbin
	@$(GO) run -C test/casbin . -run '$(or $(BENCH),.)'

.PHONY: fuzz
fuzz: ## fuzz every fuzz test for FUZZTIME (30s) each
	@scripts/fuzz $(FUZZTIME)

.PHONY: fault
fault: ## run the fault campaign CAMPAIGN; without one, list them
	@$(GO) run ./internal/campaign $(CAMPAIGN)

.PHONY: screenshots
screenshots: ## draw the pages again, into docs/images
	COUNTERSIGN_SCREENSHOTS=$(SCREENS) $(GO) test -count=1 ./ui/... ./cmd/...

.PHONY: docs
docs: ## write again what of the documentation is generated
	$(GO) generate ./...

.PHONY: vuln
vuln: ## look for known vulnerabilities; needs https://vuln.go.dev
	$(GO) tool govulncheck ./...
