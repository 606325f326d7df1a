# `make help` lists what there is to make. Each target installs what it needs and says so.

RIG ?= arm64
NPM := npm --no-fund --no-audit --loglevel=error
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

.PHONY: help
help: ## show this list
	@echo "Usage: make TARGET [RIG=arm64|x86]"; echo
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  \1\t\2/' | expand -t 12

.PHONY: demo
demo: build ## boot a QEMU node (RIG=arm64 or x86) through the whole double reboot, print and draw its timeline
	@node dist/firmware-stubs/demo/main.js --rig $(RIG)

.PHONY: test
test: lint build ## lint, type check and run every test, whole boots under QEMU included
	@npx --no-install vitest run

.PHONY: bench
bench: build ## measure against peers in pairs; prints a table and writes build/bench.json
	@npx --no-install esbuild test/bench/main.ts --bundle --platform=node --format=esm --packages=external \
	    --log-level=warning --outfile=node_modules/.bench/main.mjs
	@node --enable-source-maps node_modules/.bench/main.mjs

.PHONY: proofs
proofs: build ## long versions of the NBD tests: 200 kills under fio, 20 under a Linux kernel, 100 nodes on one base
	@BOOTWRIGHT_KILL_ROUNDS=200 BOOTWRIGHT_KERNEL_KILLS=20 BOOTWRIGHT_NODES=100 \
	    npx --no-install vitest run --maxWorkers=1 test/nbd/proofs

.PHONY: build
build: setup dist/imager/udp/udp.node dist/imager/nbd/stream.node dist/imager/disks/host.node ## compile TypeScript and the native parts to dist/
	@npx --no-install tsc -p tsconfig.build.json

dist/imager/udp/udp.node: $(wildcard imager/udp/*.c imager/udp/*.h)
dist/imager/nbd/stream.node: imager/native/awake.c imager/native/awake.h
dist/imager/disks/host.node: imager/disks/crc32.c imager/disks/crc32.h
dist/imager/%.node: imager/%.c imager/native/addon.c imager/native/addon.h | setup
	@mkdir -p $(@D)
	@gcc -O2 -shared -fPIC -Wall -Wextra -Werror -I node_modules/node-api-headers/include $(filter %.c,$^) -o $@

.PHONY: lint
lint: setup ## check formatting, lint rules and types
	@npx --no-install biome check .
	@npx --no-install tsc -p tsconfig.json

.PHONY: setup
setup: build/.packages node_modules/.package-lock.json ## install missing Debian packages and npm modules

build/.packages: apt-packages.txt
	@mkdir -p build
	@missing=$$(for p in $$(grep -v '^#' $<); do \
	    dpkg-query -W -f='$${Status}\n' "$$p" 2>/dev/null | grep -q 'ok installed' || echo "$$p"; done); \
	if [ -n "$$missing" ]; then \
	    echo "installing Debian packages:" $$missing; \
	    $(SUDO) apt-get -q update || echo "apt-get update had errors; going on with the lists there are"; \
	    $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get -qy install --no-install-recommends $$missing; \
	fi
	@touch $@

node_modules/.package-lock.json: package-lock.json
	@echo "installing npm modules"
	@$(NPM) ci
	@touch $@

.PHONY: clean
clean: ## remove everything built and downloaded
	rm -rf build dist
