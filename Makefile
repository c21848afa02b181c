# make lists what there is; CI calls the same targets.

.DEFAULT_GOAL := help
.PHONY: help setup build release demo test test-swift test-python test-cgroup2 bench bench-json overload leaks fuzz clean

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

setup: ## install what Debian has and the build needs (as root)
	@.ci/setup build

build: setup ## build everything, for debugging
	swift build

release: setup ## build everything, optimised
	swift build -c release --static-swift-stdlib

demo: release ## start a farm, run a batch of coding tasks and one hostile job, show the table
	@.ci/setup demo
	@examples/demo.sh

test: ## set up and run every test
	@.ci/setup test
	$(MAKE) test-swift test-python test-cgroup2

test-swift: ## the Swift tests, room by room
	swift build --build-tests
	@.ci/test-swift

test-python: ## the Python client against a real daemon
	@.ci/test-python

test-cgroup2: ## the cgroup v2 path, in a guest that mounts it (skips where there is no guest)
	@.ci/test-cgroup2

bench: release ## measure against posix_spawn, side by side, and print the ratios
	.build/release/paddock-bench

bench-json: release
	@.build/release/paddock-bench --json

overload: release ## two minutes of three times what a farm can do: are verdicts true, refusals fast, is it well afterwards?
	Benchmarks/overload

leaks: release ## 100,000 jobs, and what of them is left (as root)
	Benchmarks/leaks

fuzz: setup ## fuzz every reader of outside bytes, a minute each
	@.ci/fuzz 60

clean: ## remove what was built
	rm -rf .build .build-*
