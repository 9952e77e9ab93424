# Every target does the set-up it needs; README.md tells which there are.
SHELL := /bin/sh
PYTHON ?= /usr/bin/python3
IMAGING ?= pillow-simd
ARGS ?=
NODE ?=
export PYTHON IMAGING

PACKAGES := make ca-certificates curl acl passwd util-linux \
    python3 python3-venv python3-dev gcc libc6-dev libjpeg-dev zlib1g-dev libtiff-dev libwebp-dev liblcms2-dev libopenjp2-7-dev \
    nginx libnginx-mod-http-ndk libnginx-mod-http-lua postgresql
TEST_PACKAGES := iproute2 plasma-workspace-wallpapers gnome-backgrounds mate-backgrounds
# Ubuntu has no such package but a snap; tests that need a browser are skipped there.
TEST_PACKAGES += $(shell . /etc/os-release; [ "$$ID" = ubuntu ] || echo chromium)

LINTED := image_cloud falcon_app daemons tests bench
STACK := .venv/bin/python -m image_cloud.stack

.PHONY: run up down cluster cluster-down node-start node-stop cluster-soak test lint clean setup setup-test \
    fresh-test bench bench-new bench-prefetch prefetch-soak setup-ansible deploy-test

run: setup
	@exec $(STACK) run

up: setup
	@exec $(STACK) up

down:
	@if [ -x .venv/bin/python ]; then exec $(STACK) down; fi

cluster: setup
	@exec $(STACK).cluster up

cluster-down:
	@if [ -x .venv/bin/python ]; then exec $(STACK).cluster down; fi

node-start: setup
	@exec $(STACK).cluster start $(NODE)

node-stop:
	@exec $(STACK).cluster stop $(NODE)

# A random run of half an hour; ARGS="--seconds 60 --seed 7" for another.
cluster-soak: setup-test
	@exec .venv/bin/python -m tests.cluster.chaos $(or $(ARGS),--seconds 1800)

test: setup-test setup-ansible
	@sh image_cloud/stack/system_packages.sh $(TEST_PACKAGES)
	@exec .venv/bin/python -m tests $(ARGS)

lint: setup-test setup-ansible
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy $(LINTED)
	PATH="$$PWD/.cache/ansible/bin:$$PATH" ansible-lint -q ansible

clean: down
	@if [ -n "$$IMAGE_CLOUD_HOME" ]; then IMAGE_CLOUD_HOME= $(MAKE) down; fi
	rm -rf .venv var .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis build *.egg-info
	find . -name __pycache__ -prune -exec rm -rf {} +

# Image Cloud beside bare nginx, PIL, thumbor, image_filter and ipx; QUICK=1 takes under 3 minutes.
bench: setup-test
	@sh image_cloud/stack/system_packages.sh $(TEST_PACKAGES) wrk libnginx-mod-http-image-filter
	@sh bench/setup.sh
	@exec .venv/bin/python -m bench $(if $(QUICK),--quick) $(ARGS)

# New thumbnails alone, in turn with thumbor, and the CPU of each part.
bench-new: setup-test
	@sh image_cloud/stack/system_packages.sh $(TEST_PACKAGES)
	@sh bench/setup.sh
	.venv/bin/python -m bench.new $(ARGS)
	MALLOC_MMAP_THRESHOLD_=33554432 MALLOC_TRIM_THRESHOLD_=67108864 .venv/bin/python -m bench.steps

# Prefetch: claims with a million URLs waiting; then URLs a second, CPU per part and memory.
bench-prefetch: setup-test
	.venv/bin/python -m bench.prefetch_claims $(ARGS)
	.venv/bin/python -m bench.prefetch

# Kill everything in turn, ten times over, in the middle of 5,000 URLs each.
prefetch-soak: setup-test
	PREFETCH_SOAK=10 .venv/bin/python -m pytest tests/prefetch/test_nothing_lost.py $(ARGS)

setup:
	@sh image_cloud/stack/system_packages.sh $(PACKAGES)
	@sh image_cloud/stack/virtual_environment.sh

setup-test:
	@sh image_cloud/stack/system_packages.sh $(PACKAGES)
	@sh image_cloud/stack/virtual_environment.sh requirements-test.txt

# Ansible has an environment of its own (.cache/ansible).
setup-ansible:
	@sh ansible/setup.sh

# Four Debian 12 hosts with systemd on this machine, deployed to over ssh; needs root. ARGS=--list names the stages.
deploy-test: setup-test setup-ansible
	@sh image_cloud/stack/system_packages.sh systemd-container debootstrap openssh-client iproute2
	@exec .venv/bin/python -m tests.deploy $(ARGS)

# A Debian 12 with nothing installed, as root and as a plain user; needs root and debootstrap.
fresh-test:
	@exec tests/fresh/run
