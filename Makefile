# What people do here. `make` alone lists it.
.DEFAULT_GOAL := help
.PHONY: help run test lint openapi

help: ## This list
	@sed -n 's/^\([a-z-]*\): ##/make \1 \t/p' Makefile

run: ## Start everything in one process: SQLite, no other server needed (http://127.0.0.1:8080)
	cargo run --locked --package acm2-api

test: ## All tests, on SQLite + memory and on PostgreSQL + Redis of their own
	scripts/with-test-servers scripts/run-tests

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
