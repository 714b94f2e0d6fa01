# SPDX-License-Identifier: Apache-2.0
# Two commands matter: `make quickstart` and `make check`. Both want a Debian 12 machine and root.

PREFIX ?= /usr/local
BUILD := build
GUEST := build-guest

.PHONY: help
help:
	@echo 'make quickstart    install what is missing, build, prepare the guest, install under $(PREFIX), run a container'
	@echo 'make check         everything that the tests need, then all tests'
	@echo 'make build         compile into $(BUILD)/'
	@echo 'make guest         Debian'"'"'s cloud kernel and the initramfs, into $(GUEST)/'
	@echo 'make guest-kernel  a tuned kernel from Debian'"'"'s source (about ten minutes on two cores)'
	@echo 'make install       install under PREFIX (now: $(PREFIX))'
	@echo 'make uninstall     remove what `make install` has put there'
	@echo 'make bench         measure against runc, runsc and a bare QEMU boot'
	@echo 'make soak          pods and containers by the hundred, side by side: nothing may stay (SOAK_WIDTH=8 at a time)'
	@echo 'make fuzz          fuzz every target for FUZZ_SECONDS (now: $(or $(FUZZ_SECONDS),60))'
	@echo 'make clean         remove build folders, but not the guest kernels'

.PHONY: quickstart
quickstart:
	@scripts/quickstart '$(PREFIX)'

.PHONY: deps
deps:
	@scripts/install-packages build guest

.PHONY: build
build: deps
	@scripts/compile '$(BUILD)' '$(PREFIX)'

.PHONY: guest
guest: build
	@guest/build-debian-kernel '$(GUEST)'
	@scripts/pack-guest '$(BUILD)' '$(GUEST)'

.PHONY: guest-kernel
guest-kernel: build
	@scripts/install-packages kernel
	@guest/build-tuned-kernel '$(GUEST)'
	@scripts/pack-guest '$(BUILD)' '$(GUEST)'

.PHONY: install
install:
	@scripts/install '$(BUILD)' '$(GUEST)' '$(PREFIX)'

.PHONY: uninstall
uninstall:
	@scripts/uninstall '$(PREFIX)'

.PHONY: check
check:
	@scripts/check

.PHONY: bench
bench: guest
	@scripts/install-packages bench
	@DESTDIR='$(CURDIR)/build-stage' scripts/install '$(BUILD)' '$(GUEST)' '$(PREFIX)'
	@tests/bench/run --prefix '$(CURDIR)/build-stage$(PREFIX)' $(BENCH_ARGS)

.PHONY: soak
soak: guest
	@scripts/install-packages test engines
	@DESTDIR='$(CURDIR)/build-stage' scripts/install '$(BUILD)' '$(GUEST)' '$(PREFIX)'
	@for program in tests/soak/*; do echo "== $$program"; HULL_PREFIX='$(CURDIR)/build-stage$(PREFIX)' $$program || exit 1; done

.PHONY: fuzz
fuzz: deps
	@scripts/install-packages test
	@scripts/fuzz '$(or $(FUZZ_SECONDS),60)'

.PHONY: clean
clean:
	rm -rf build build-asan build-fuzz build-stage
