# What people do here. `make` alone lists it.
.DEFAULT_GOAL := help
.PHONY: help run test bench fairness chaos lint openapi

help: ## This list
	@sed -n 's/^\([a-z-]*\): ##/make \1 \t/p' Makefile

run: ## Start everything in one process: SQLite, no other server needed (http://127.0.0.1:8080)
	cargo run --locked --package acm2-api

test: ## All tests, on SQLite + memory and on PostgreSQL + Redis of their own
	scripts/with-test-servers scripts/run-tests

bench: ## Measure, on a PostgreSQL and a Redis of its own; writes the table of docs/benchmarks.md (ARGS=--quick to try)
	cargo build --release --locked --package acm2-api --package acm2-bench
	cargo run --release --locked --package acm2-bench -- figures $(if $(ARGS),$(ARGS),--write docs/benchmarks.md)

fairness: ## Show who waits how long while one tenant floods
	cargo build --release --locked --package acm2-api --package acm2-bench
	cargo run --release --locked --package acm2-bench -- fairness $(ARGS)

chaos: ## A thousand faults in an hour, then the comparison of what was promised with what happened (ARGS="--seed 7 --faults 50")
	cargo build --locked --package acm2-api --package acm2-bench
	cargo run --locked --package acm2-bench -- chaos $(if $(ARGS),$(ARGS),--seed 1 --faults 1000 --minutes 60)

lint: ## Format, clippy, documentation, and who may know whom
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo clippy --package acm2-api --no-default-features --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items --locked --quiet
	scripts/check-architecture
	@if cargo deny --version >/dev/null 2>&1; then cargo deny --config .deny.toml --locked check bans licenses sources; \
	else echo "cargo-deny is not installed: licences and duplicate packages were not checked"; fi

openapi: ## Write the specification of the HTTP API
	cargo build --locked --package acm2-api
	@text=$$(cargo run --quiet --locked --package acm2-api -- openapi) && printf '%s\n' "$$text" > api/openapi.json
