# make demo    a virtual desktop, a real window, a workflow that fills it in and reads the answer
# make test    formatting, lints, every test
# make serve   the server on http://127.0.0.1:8007
# make bench   the figures of this machine
# make bench-ocr   how well screens are read, by each engine, and by what one would take instead
# make fuzz    the fuzz targets for SECONDS=60 each, where cargo-fuzz and a nightly toolchain are there
# make crash   the server killed with -9 over and over, and what it promised looked after: ROUNDS=500, or SEED=… for one round again
#
# Each says what it is about to do. On Debian and Ubuntu missing system packages are installed (with sudo where needed);
# elsewhere their names are printed, and the rest goes on. `make PACKAGES=skip …` installs nothing.

.PHONY: demo test serve bench bench-ocr crash fuzz packages-build packages-desktop packages-clients packages-shells packages-bench packages-reading packages-pip packages-pip-debian packages-curl tools
.DEFAULT_GOAL := help

export LANG := C.UTF-8
export LC_ALL := C.UTF-8
SHELL := /bin/bash

# What compiles the crate (bindgen, libjpeg-turbo, xcap's back ends), and what it needs to run.
BUILD := build-essential pkg-config ca-certificates clang libclang-dev cmake nasm libtesseract-dev libleptonica-dev libpipewire-0.3-dev \
	libwayland-dev libegl-dev libgbm-dev libdrm-dev libxcb1-dev libxcb-randr0-dev libxcb-shm0-dev \
	tesseract-ocr tesseract-ocr-eng
# Shells, and what runs in their terminals.
SHELLS := bash zsh fish vim-tiny python3
# A desktop to work on, windows, keyboards and clipboards to test it with, and VNC servers. One test wants qemu-system-x86 as well, and is
# passed over where that is not installed: it is large.
DESKTOP := xvfb openbox xterm xdotool zenity xclip x11-utils x11-xserver-utils x11-xkb-utils xkb-data fonts-dejavu-core tesseract-ocr-deu \
	tigervnc-standalone-server x11vnc
# The clients in examples/clients, a browser for the page among them, and the one that asks the API everything it says of itself.
CLIENTS := chromium curl nodejs node-ws python3 python3-venv util-linux
BENCH := xvfb xterm wrk python3-venv tigervnc-standalone-server tigervnc-scraping-server websockify
# Languages and fonts of the pictures that are read, and what RapidOCR's libraries want.
READING := tesseract-ocr-deu tesseract-ocr-fra tesseract-ocr-spa fonts-dejavu-core fonts-liberation fonts-open-sans openbox zenity libgl1 libglib2.0-0

define install
	@missing=""; \
	if [ "$(PACKAGES)" = skip ]; then exit 0; fi; \
	if ! command -v dpkg-query >/dev/null; then echo "==> not Debian: these packages, or their like, must be there: $(1)"; exit 0; fi; \
	for package in $(1); do \
		dpkg-query -W -f '$${db:Status-Status}' "$$package" 2>/dev/null | grep -qx installed || missing="$$missing $$package"; \
	done; \
	if [ -n "$$missing" ]; then \
		echo "==> installing the system packages$$missing"; \
		if [ "$$(id -u)" = 0 ]; then root=; else root=sudo; fi; \
		export DEBIAN_FRONTEND=noninteractive; \
		$$root apt-get update -qq </dev/null && $$root apt-get install -y -qq --no-install-recommends $$missing </dev/null >/dev/null; \
	fi
endef

# The neural engine: without it everything else works, and the tests of it are passed over.
define models
echo "==> the neural engine: ONNX Runtime and three networks, fetched once and checked by their hashes"; \
	$(1) models install $(2) || echo "==> skipped: the neural engine could not be installed; Tesseract reads"
endef

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

demo: packages-build packages-desktop
	@echo "==> building the release binary, then running examples/workflows/order_form.json on a virtual desktop"
	cargo build --locked --release
	bash examples/demo/run.sh target/release/trae

# Lints and code come from one compilation: `cargo clippy` would compile every dependency a second time, for its check alone.
LINTING := RUSTC_WORKSPACE_WRAPPER=$(CURDIR)/tests/linting.sh

test: packages-build packages-desktop packages-clients packages-shells packages-pip tools
	@echo "==> formatting"
	cargo fmt --check
	@echo "==> building everything, with clippy's lints: a warning is an error"
	$(LINTING) cargo build --locked --all-targets
	@$(call models,target/debug/trae,--to target/models)
	@echo "==> tests: units, scripts, golden files, end to end on virtual desktops"
	$(LINTING) cargo nextest run --locked --no-fail-fast
	@echo "==> examples in the documentation"
	$(LINTING) cargo test --locked --doc --quiet
	@echo "==> the API against its own description"
	tests/schema/run.sh target/debug/trae
	@if command -v cargo-deny >/dev/null; then \
		echo "==> licences, sources and doubles of the dependencies"; \
		cargo deny --locked check bans licenses sources || exit 1; \
		if cargo deny fetch db 2>/dev/null; then \
			echo "==> advisories about the dependencies"; cargo deny --locked --offline check advisories || exit 1; \
		else \
			echo "==> skipped: advisories about the dependencies, whose database cannot be reached"; \
		fi; \
	else \
		echo "==> skipped: cargo deny check, as cargo-deny could not be installed (cargo install cargo-deny --locked)"; \
	fi

serve: packages-build packages-desktop packages-pip
	@echo "==> building the release binary, then serving on http://127.0.0.1:8007 (PORT, HOST and the like are read from the environment)"
	cargo build --locked --release
	@$(call models,target/release/trae,)
	target/release/trae serve

bench: packages-build packages-bench
	@echo "==> building for release, then measuring: a few minutes"
	cargo bench --locked --bench figures

bench-ocr: packages-build packages-bench packages-reading packages-pip
	@echo "==> building for release, then reading a few dozen pictures in every way: some ten minutes"
	cargo build --locked --release
	@$(call models,target/release/trae,--to target/models)
	cargo bench --locked --bench reading

ROUNDS ?= $(if $(SEED),1,500)

crash: packages-build packages-desktop
	@echo "==> rounds of the crash harness: $(ROUNDS), about 2 s each"
	CRASH_ROUNDS=$(ROUNDS) CRASH_SEED=$(SEED) cargo test --locked --test crash -- --nocapture nothing_acknowledged

SECONDS ?= 60

fuzz: packages-build
	@if command -v cargo-fuzz >/dev/null && cargo +nightly --version >/dev/null 2>&1; then \
		for target in graph header shell socket; do \
			echo "==> fuzzing $$target for $(SECONDS) s"; \
			(cd fuzz && cargo +nightly fuzz run "$$target" -- -max_total_time=$(SECONDS)) || exit 1; \
		done; \
	else \
		echo "==> skipped: fuzzing (rustup toolchain install nightly && cargo install cargo-fuzz); make test runs the same entry points"; \
	fi

packages-build:
	$(call install,$(BUILD))

packages-desktop:
	$(call install,$(DESKTOP))

packages-clients: examples/clients/node_modules/@xterm/xterm
	$(call install,$(CLIENTS))

# What `npm install` puts there, without npm.
XTERM := https://registry.npmjs.org/@xterm/xterm/-/xterm-6.0.0.tgz
XTERM_SHA512 := 4d0c037501adc300edfb67202832e7d0845a4b162ed6d4948e029aad20e450cd193624915c5a63c44b2f73f66073992ae68989f95d1af3f908336583dec30e62

examples/clients/node_modules/@xterm/xterm:
	@if [ "$(PACKAGES)" = skip ]; then exit 0; fi; \
	echo "==> fetching xterm.js, for the page that shows a terminal"; \
	command -v curl >/dev/null || $(MAKE) --no-print-directory packages-curl; \
	mkdir -p target $@.new && curl -fsSL --retry 3 $(XTERM) -o target/xterm.tgz && echo "$(XTERM_SHA512)  target/xterm.tgz" | sha512sum -c --quiet - && \
	tar xzf target/xterm.tgz -C $@.new --strip-components=1 && mv $@.new $@

packages-reading:
	$(call install,$(READING))

# pip fetches the neural engine; where there is one already, whoever put it there has seen to it.
packages-pip:
	@if [ "$(PACKAGES)" != skip ] && ! python3 -m pip --version >/dev/null 2>&1; then $(MAKE) --no-print-directory packages-pip-debian; fi

packages-pip-debian:
	$(call install,python3 python3-pip ca-certificates)

packages-curl:
	$(call install,curl ca-certificates)

packages-shells:
	$(call install,$(SHELLS))

packages-bench:
	$(call install,$(BENCH))

# A runner that gives each test its own process and time limit; built once, without its self-updater.
tools:
	@if ! command -v cargo-nextest >/dev/null; then \
		echo "==> installing cargo-nextest, which runs the tests"; \
		cargo install cargo-nextest --locked --quiet --debug --no-default-features --features default-no-update; \
	fi
	@if ! command -v cargo-deny >/dev/null; then \
		echo "==> installing cargo-deny, which looks at the licences and sources of the dependencies"; \
		cargo install cargo-deny --locked --quiet --debug --no-default-features || true; \
	fi
