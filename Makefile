# `make help` lists what there is to make. Each target installs what it needs and says so.

RIG ?= arm64
# What `make bench` measures, all of it where nothing is said: dhcp tftp nbd packs boot agent
BENCH ?=
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
bench: build build/.bench-packages ## measure against peers in pairs (BENCH="dhcp tftp": those parts alone); prints a table and writes build/bench.json, anew each time
	@npx --no-install esbuild test/bench/main.ts --bundle --platform=node --format=esm --packages=external \
	    --log-level=warning --outfile=node_modules/.bench/main.mjs
	@node --enable-source-maps node_modules/.bench/main.mjs $(BENCH)

.PHONY: proofs
proofs: build ## long versions: a million bent packets for each codec; disks under 200 kills, 20 under a Linux kernel, 100 nodes on one base; 100 power cuts a rig, 50 of deployments with scripts, 20 restarts amid traffic, all decisions, scenarios on QEMU; kills between all messages of a define and a join
	@BOOTWRIGHT_KILL_ROUNDS=200 BOOTWRIGHT_KERNEL_KILLS=20 BOOTWRIGHT_NODES=100 BOOTWRIGHT_DECISIONS=all \
	    BOOTWRIGHT_CUT_ROUNDS=100 BOOTWRIGHT_CUT_READY_ROUNDS=5 BOOTWRIGHT_CUT_SCRIPT_ROUNDS=25 BOOTWRIGHT_MODEL=all \
	    BOOTWRIGHT_CUT_STOP=10 BOOTWRIGHT_CUT_RUNS=2000 BOOTWRIGHT_DISK_CUT_STRIDE=1 BOOTWRIGHT_SCENARIOS=qemu \
	    BOOTWRIGHT_DEFINITION_STRIDE=1 BOOTWRIGHT_DEFINITION_RUNS=50000 BOOTWRIGHT_RESOURCES=all BOOTWRIGHT_PUT_BACK=all \
	    BOOTWRIGHT_WATCHED_ROUNDS=50000 BOOTWRIGHT_FUZZ_COUNT=1000000 BOOTWRIGHT_FUZZ_RATE=10000 BOOTWRIGHT_STORM_MIB=8 BOOTWRIGHT_RESTARTS=20 VITEST_MAX_WORKERS=1 \
	    npx --no-install vitest run test/nbd/proofs test/simulated test/agent/exhaustive.test.ts test/firmware/bios.test.ts \
	    test/boot/random-cuts.test.ts test/boot/restarts.test.ts test/definitions test/boot/resources.test.ts test/boot/detached.test.ts \
	    test/agent/host/memory.test.ts test/fuzz test/storm

.PHONY: build
build: setup dist/imager/udp/udp.node dist/imager/nbd/stream.node dist/imager/disks/host.node dist/firmware-stubs/rig/cable dist/firmware-stubs/bios/stub.bin dist/firmware-stubs/uefi/bootwright.efi ## compile TypeScript and the native parts to dist/
	@npx --no-install tsc -p tsconfig.build.json

dist/imager/udp/udp.node: $(wildcard imager/udp/*.c imager/udp/*.h) imager/native/awake.c imager/native/awake.h
dist/imager/nbd/stream.node: imager/native/awake.c imager/native/awake.h
dist/imager/disks/host.node: imager/disks/crc32.c imager/disks/crc32.h
dist/imager/%.node: imager/%.c imager/native/addon.c imager/native/addon.h | setup
	@mkdir -p $(@D)
	@gcc -O2 -shared -fPIC -Wall -Wextra -Werror -I node_modules/node-api-headers/include $(filter %.c,$^) -o $@

dist/firmware-stubs/rig/cable: firmware-stubs/rig/cable.c | setup
	@mkdir -p $(@D)
	@gcc -O2 -Wall -Wextra -Werror $< -o $@

# First sector and stub, one behind the other: two programs of i386 code without a format around them.
BIOS_FLAGS := -m32 -march=i386 -std=c99 -Os -ffreestanding -fno-pic -fno-stack-protector -fno-asynchronous-unwind-tables \
    -Wall -Wextra -Werror --param=min-pagesize=0 -I firmware-stubs/bios -nostdlib -static -Wl,--build-id=none,--oformat=binary
dist/firmware-stubs/bios/stub.bin: $(sort $(wildcard $(addprefix firmware-stubs/,bios/*.[chSl]* smbios/*.[ch] pointer/*.[ch] serial/*.[ch]))) Makefile | setup
	@mkdir -p $(@D)
	@x86_64-linux-gnu-gcc $(BIOS_FLAGS) -Wl,-Ttext=0x7c00 firmware-stubs/bios/mbr.S -o $@.mbr
	@x86_64-linux-gnu-gcc $(BIOS_FLAGS) -Wl,-T,firmware-stubs/bios/stub.ld $(filter-out %mbr.S,$(filter %.c %.S,$^)) -o $@.rest
	@cat $@.mbr $@.rest > $@ && rm $@.mbr $@.rest

# A UEFI application as gnu-efi makes them: position independent, its calls and callbacks in Microsoft's convention. The same
# sources give the same bytes: SOURCE_DATE_EPOCH is the time in its header.
EFI_FLAGS := -std=c11 -Os -Wall -Wextra -Werror -ffreestanding -fpic -fshort-wchar -fno-stack-protector -mno-red-zone \
    -maccumulate-outgoing-args -DGNU_EFI_USE_MS_ABI -isystem /usr/include/efi -isystem /usr/include/efi/x86_64
EFI_LINK := -nostdlib -shared -Wl,-Bsymbolic,-znocombreloc,--no-undefined,--build-id=none,-T,/usr/lib/elf_x86_64_efi.lds
dist/firmware-stubs/uefi/bootwright.efi: $(sort $(wildcard $(addprefix firmware-stubs/,uefi/*.[ch] smbios/*.[ch] pointer/*.[ch] serial/*.[ch]))) Makefile | setup
	@mkdir -p $(@D)
	@x86_64-linux-gnu-gcc $(EFI_FLAGS) $(EFI_LINK) /usr/lib/crt0-efi-x86_64.o $(filter %.c,$^) -lefi -lgnuefi -o $@.so
	@SOURCE_DATE_EPOCH=0 x86_64-linux-gnu-objcopy -j .text -j .sdata -j .data -j .rodata -j .dynamic -j .dynsym -j '.rel*' \
	    -j .reloc --strip-all --target=efi-app-x86_64 --subsystem=10 $@.so $@ && rm $@.so

.PHONY: lint
lint: setup ## check formatting, lint rules and types
	@npx --no-install biome check .
	@npx --no-install tsc -p tsconfig.json

.PHONY: setup
setup: build/.packages node_modules/.package-lock.json ## install missing Debian packages and npm modules

build/.packages: apt-packages.txt
build/.bench-packages: apt-packages-bench.txt
build/.packages build/.bench-packages:
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
