# Short targets; each calls a script of the same name, whose head says what it promises.
.DEFAULT_GOAL := help
.PHONY: demo rehearse-real test check model overload deny bench soak stores stores-down help

demo: ## build, let 20,000 shoppers buy 1,000 units, audit the books
	@scripts/demo

rehearse-real: ## the same with processes on real Redis, Kafka, MariaDB (or BOOKS=mysql)
	@scripts/rehearse-real

test: ## install what the tests need, then format, lints, docs, house rules and all tests
	@scripts/test

check: ## format, lints, docs and house rules only
	@scripts/check

overload: ## the stories of overload and attack by their own bounds, which want a quiet machine
	@scripts/overload

deny: ## licences, sources and bans of what is depended on (installs cargo-deny, takes some minutes)
	@scripts/deny

model: ## search the protocol's model in larger sizes than the tests do
	@scripts/model

bench: ## how fast it is, everything in one run: a table, and target/bench.json (takes a long build)
	@scripts/bench

soak: ## an hour of mixed load (or MINUTES=5): memory and tasks stay flat, the books are audited
	@scripts/soak

stores: ## install and start Redis, MariaDB, Kafka and MySQL for tests, on ports of their own
	@scripts/stores

stores-down: ## end what stores has started, and nothing else
	@scripts/stores-down

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 22
