# make lists what there is; CI calls the same targets.

.DEFAULT_GOAL := help
.PHONY: help setup build release demo test test-swift test-python test-cgroup2 bench-setup bench bench-json bench-peers bench-report bench-check bench-ratios overload leaks fuzz clean

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

setup: ## install what Debian has and the build needs (as root)
	@.ci/setup build

build: setup ## build everything, for debugging
	swift build

# By default a generic type is looked up at its first use by its mangled name: the runtime parses that, and for each protocol a parameter
# conforms to goes through all conformances of the program, 0.1 ms each time. A process that runs one job and a warden's sandboxes
# meet every type for the first time. With this the compiler names the witnesses itself, in the packages that we use as well:
# of two copies of one specialised function the linker takes the first, whoever's it is.
NAMED_TYPES = -Xswiftc -Xfrontend -Xswiftc -disable-concrete-type-metadata-mangled-name-accessors

release: setup ## build everything, optimised
	PADDOCK_ONE_FILE=1 swift build -c release --static-swift-stdlib $(NAMED_TYPES)

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

BENCH = .build/release/paddock-bench
QUICKLY = $(if $(QUICK),--quick)

bench-setup: release
	@.ci/setup bench

bench: bench-setup ## measure every bar beside its baseline, a quarter of an hour (QUICK=1: some minutes)
	@$(BENCH) $(QUICKLY)

bench-json: bench-setup ## the same for machines
	@$(BENCH) --json $(QUICKLY)

bench-peers: release ## measure the farm beside other sandboxes that Debian has
	@.ci/setup peers
	@Benchmarks/one-hierarchy $(BENCH) --only peers $(QUICKLY)

bench-report: bench-setup ## measure it all and write docs/performance.md and its chart
	@.ci/setup peers
	@rm -f .build/bench.json
# One that ends badly because something could not be measured has saved the rest, and says so in its row.
	@Benchmarks/one-hierarchy $(BENCH) --peers --save .build/bench.json $(QUICKLY) || test -s .build/bench.json
	@Benchmarks/report .build/bench.json

# What the guard looks at: most of what a job costs, in a minute.
GUARDED = --quick --only single,reuse,python,command

bench-check: bench-setup ## compare ratios with the committed ones, a minute; fails only for what noise never did
	@rm -f .build/check.json
	@$(BENCH) $(GUARDED) --save .build/check.json >/dev/null || true
	@Benchmarks/check .build/check.json

bench-ratios: bench-setup ## measure the committed ratios anew, and how much is noise
	@for run in 1 2 3 4 5; do $(BENCH) $(GUARDED) --save .build/ratios-$$run.json >/dev/null || exit 1; done
	@Benchmarks/check --record .build/ratios-[1-5].json

overload: release ## two minutes of three times what a farm can do: are verdicts true, refusals fast, is it well afterwards?
	Benchmarks/overload

leaks: release ## 100,000 jobs, and what of them is left (as root)
	Benchmarks/leaks

fuzz: setup ## fuzz every reader of outside bytes, a minute each
	@.ci/fuzz 60

clean: ## remove what was built
	rm -rf .build .build-*
