# Thin calls; the logic is in deploy/ and in the tests.
.PHONY: help up down test fuzz load-image bench chaos chaos-docs

help: ## Say what there is.
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

up: ## Start a cluster of three nodes, or update a running one; FERRULE_HA=1: two or three of all.
	@deploy/up.sh

down: ## Remove everything that `make up` made.
	@deploy/down.sh

load-image: ## Put a local image into every node: make load-image IMAGE=name.
	@deploy/load-image.sh '$(IMAGE)'

test: ## Run every check and test; starts clusters of its own.
	@e2e/run.sh

fuzz: ## Fuzz every parser that sees bytes from outside: make fuzz MINUTES=3; see docs/testing.md.
	@e2e/fuzz/run.sh $(or $(MINUTES),3)

bench: ## Measure; see bench/README.md.
	@bench/run.sh

chaos: ## Break one thing after the other under load, and check: SEED=1 MINUTES=20; see docs/chaos.md.
	@deploy/chaos.sh

chaos-docs: ## Put reports of chaos into docs/chaos.md: make chaos-docs REPORTS="file ...".
	@deploy/chaos-docs.sh $(REPORTS)
