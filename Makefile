# Everything a contributor runs. `make` alone lists the targets.

.DEFAULT_GOAL := help
.PHONY: help demo tools python lint lint-python test test-python test-bench fuzz doc bench bench-micro instructions \
	instructions-record clean

TOOLS_STAMP := tools/bin/.stamp
PYTHON ?= python3
VENV := python/.venv
VENV_STAMP := $(VENV)/.stamp
HACK_VERSION := 0.6.46
HACK_STAMP := tools/cargo/.cargo-hack-$(HACK_VERSION)

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-20s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## Publish a text through two nsqds, consume it, and prove that nothing was lost
	cargo run --release --example quickstart

tools: $(TOOLS_STAMP) ## Build the real NSQ servers and tools into tools/bin, if they are missing or old

# Without cgo the build needs no C compiler, and the servers run wherever they are copied to.
$(TOOLS_STAMP): tools/go.mod tools/go.sum
	cd tools && CGO_ENABLED=0 GOBIN="$$PWD/bin" go install tool
	@touch $@

# Runs cargo once for each feature.
$(HACK_STAMP):
	cargo install cargo-hack --locked --version $(HACK_VERSION) --root tools/cargo
	@touch $@

# What the package is tested with, without the package itself.
$(VENV_STAMP): python/tests/requirements.txt
	$(PYTHON) -m venv --clear $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -r python/tests/requirements.txt
	@touch $@

# As a user does it: an optimized build, and no editable install.
python: $(VENV_STAMP) ## Build the Python package and install it into python/.venv
	$(VENV)/bin/pip install --quiet --disable-pip-version-check ./python

lint: $(HACK_STAMP) ## Check formatting, lints, documentation and each feature alone; a warning is an error
	cargo fmt --all --check
	cargo fmt --manifest-path fuzz/Cargo.toml --check
	cargo fmt --manifest-path bench/clients/tokio-nsq/Cargo.toml --check
	test -z "$$(gofmt -l bench/clients/go | tee /dev/stderr)"
	cargo clippy --workspace --all-targets --all-features -- -D warnings
	cargo clippy -p gnsq --all-targets --no-default-features -- -D warnings
	tools/cargo/bin/cargo-hack hack clippy -p gnsq -p gnsq-proto --each-feature -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --all-features --no-deps
	RUSTDOCFLAGS="-D warnings" cargo doc -p gnsq -p gnsq-proto --no-default-features --no-deps
	$(MAKE) lint-python

lint-python: $(VENV_STAMP) ## Check the Python package alone: its format, lints and types
	cd python && .venv/bin/ruff format --check . && .venv/bin/ruff check . && .venv/bin/mypy
	cd bench && ../$(VENV)/bin/mypy --strict --python-version 3.10 harness run floors.py
	$(VENV)/bin/ruff format --check bench bench/run && $(VENV)/bin/ruff check bench bench/run

test: tools ## Run all tests, those against the real servers and the documentation's examples included
	cargo test --workspace --all-features
	$(MAKE) test-bench
	$(MAKE) test-python

test-bench: tools ## Prove that the bench notices what is lost or doubled, and counts what is not
	bench/run --self-test

# Each way to wait is tried, also after one that failed. PYTEST_ARGS is given to each.
test-python: tools python ## Run the tests of the Python package: in threads, under gevent, and with asyncio
	@cd python && failed=; \
	for mode in threads gevent patched asyncio; do \
		GNSQ_TEST_MODE=$$mode .venv/bin/pytest $(PYTEST_ARGS) || failed="$$failed $$mode"; \
	done; \
	if [ -n "$$failed" ]; then echo "failed in the modes:$$failed" >&2; exit 1; fi

fuzz: ## Feed made-up input to everything that reads what a stranger sent, FUZZ_SECONDS (10) for each target
	fuzz/run

doc: ## Build the documentation into target/doc
	cargo doc --workspace --all-features --no-deps

bench: tools ## Measure all clients beside one another, and the servers (half an hour; QUICK=1: 4 minutes), and write it into docs
	bench/run

bench-micro: ## Time the parts by themselves: codec, RDY plan, a message's way through the client
	cargo bench -p gnsq-proto -p gnsq --bench codec --bench rdy --bench dispatch

instructions: ## Count a message's instructions, and fail where they are over a tenth more than recorded
	bench/instructions/run

instructions-record: ## Record a message's instructions anew, in bench/instructions/counts.json
	bench/instructions/run --record

clean: ## Remove everything that was built
	cargo clean
	rm -rf $(VENV) bench/.built bench/clients/node/node_modules python/dist python/gnsq/_core.abi3.so
	rm -rf tools/bin tools/cargo fuzz/target fuzz/corpus fuzz/artifacts
