# Every target does the set-up it needs; `make help` tells which there are.
SHELL := /bin/sh
PYTHON ?= /usr/bin/python3
IMAGING ?= pillow-simd
ARGS ?=
NODE ?=
export PYTHON IMAGING

PACKAGES := make ca-certificates curl acl passwd util-linux \
    python3 python3-venv python3-dev gcc libc6-dev libjpeg-dev zlib1g-dev libtiff-dev libwebp-dev liblcms2-dev libopenjp2-7-dev \
    nginx libnginx-mod-http-ndk libnginx-mod-http-lua postgresql
TEST_PACKAGES := git bindfs glusterfs-server iproute2 prometheus plasma-workspace-wallpapers gnome-backgrounds mate-backgrounds chromium php-cli nodejs

STACK := .venv/bin/python -m image_cloud.stack

.DEFAULT_GOAL := run
.PHONY: help run up down cluster cluster-down node-start node-stop unit test lint fresh-test deploy-test cluster-soak \
    prefetch-soak shared-storage-test bench bench-new bench-prefetch vendor requirements release clean setup setup-test setup-lint setup-ansible

## Start here

help: ## print this list
	@awk -F ':.*## ' '/^## / { print "\n" substr($$0, 4) } /^[a-z-]+:.*## / { printf "  %-15s %s\n", $$1, $$2 }' Makefile

## A node, or four, on this machine

run: setup ## start a node in the foreground; Ctrl-C stops it
	@exec $(STACK) run

up: setup ## start a node in the background; returns once /ready answers 200
	@exec $(STACK) up

down: ## stop the node
	@if [ -x .venv/bin/python ]; then exec $(STACK) down; fi

cluster: setup ## start four nodes, ic00 to ic03, in the background
	@exec $(STACK).cluster up

cluster-down: ## stop the four nodes
	@if [ -x .venv/bin/python ]; then exec $(STACK).cluster down; fi

node-start: setup ## start one of the four: NODE=ic02
	@exec $(STACK).cluster start $(NODE)

node-stop: ## stop one of the four: NODE=ic02
	@exec $(STACK).cluster stop $(NODE)

## Checks

unit: ## run the unit tests; needs Python 3.11 and pip alone (ARGS="-k url")
	@exec sh dev/unit.sh $(ARGS)

test: setup-test setup-ansible ## run every test (ARGS="-k hostile" or a file: those alone)
	@sh image_cloud/stack/system_packages.sh $(TEST_PACKAGES)
	@exec .venv/bin/python -m tests $(ARGS)

lint: setup-lint setup-ansible ## check style, format, types and the playbooks
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy image_cloud falcon_app daemons tests bench dev client
	PATH="$$PWD/.cache/ansible/bin:$$PATH" ansible-lint -q ansible

fresh-test: ## try ./run on a bare Debian 12; needs root and debootstrap
	@exec tests/fresh/run

deploy-test: setup-test setup-ansible ## deploy to four Debian hosts in containers; needs root (ARGS=--list)
	@sh image_cloud/stack/system_packages.sh systemd-container debootstrap openssh-client iproute2
	@exec .venv/bin/python -m tests.deploy $(ARGS)

shared-storage-test: setup-test ## break GlusterFS and PostgreSQL under two nodes; needs root (ARGS=--list)
	@sh image_cloud/stack/system_packages.sh glusterfs-server iproute2
	@exec .venv/bin/python -m tests.shared_storage $(ARGS)

cluster-soak: setup-test ## break four nodes at random for half an hour (ARGS="--seconds 60 --seed 7")
	@exec .venv/bin/python -m tests.cluster.chaos $(or $(ARGS),--seconds 1800)

prefetch-soak: setup-test ## kill everything in turn, ten times, in the middle of 5,000 URLs each
	PREFETCH_SOAK=10 .venv/bin/python -m pytest tests/prefetch/test_nothing_lost.py $(ARGS)

## Measurements

bench: setup-test ## compare with bare nginx, libvips, thumbor, image_filter and ipx (QUICK=1: under 5 minutes)
	@sh image_cloud/stack/system_packages.sh $(TEST_PACKAGES) wrk libnginx-mod-http-image-filter
	@sh bench/setup.sh
	@.venv/bin/python -m bench $(if $(QUICK),--quick) $(ARGS)
	@exec .venv/bin/python -m bench.prefetch $(if $(QUICK),500)

bench-new: setup-test ## measure new thumbnails beside thumbor's (AGAINST=CHECKOUT: and beside that build)
	@sh image_cloud/stack/system_packages.sh $(TEST_PACKAGES) wrk
	@sh bench/setup.sh
	.venv/bin/python -m bench.new $(if $(AGAINST),--against "$(AGAINST)") $(ARGS)
	.venv/bin/python -m bench.fetch_parts
	MALLOC_MMAP_THRESHOLD_=33554432 MALLOC_TRIM_THRESHOLD_=67108864 .venv/bin/python -m bench.steps

bench-prefetch: setup-test ## measure claims with a million URLs waiting, then URLs a second
	.venv/bin/python -m bench.prefetch_claims $(ARGS)
	.venv/bin/python -m bench.prefetch

## Upkeep

vendor: ## take what the pages' browsers load from the package registry (needs npm)
	@exec sh dev/vendor.sh

requirements: ## write requirements*.txt with all hashes (ARGS="--upgrade-package NAME")
	@exec sh dev/requirements.sh $(ARGS)

release: ## release VERSION=1.0.0: version, changelog section, commit and tag
	@exec $(PYTHON) dev/release.py "$$VERSION"

clean: down cluster-down ## remove what the other targets made
	@if [ -n "$$IMAGE_CLOUD_HOME" ]; then IMAGE_CLOUD_HOME= $(MAKE) down cluster-down; fi
	rm -rf .venv var .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis build *.egg-info bench/results
	find . -name __pycache__ -prune -exec rm -rf {} +

setup: ## install what a node needs
	@sh image_cloud/stack/system_packages.sh $(PACKAGES)
	@sh image_cloud/stack/virtual_environment.sh

setup-test: ## install what the tests need on top
	@sh image_cloud/stack/system_packages.sh $(PACKAGES)
	@sh image_cloud/stack/virtual_environment.sh requirements-test.txt

setup-lint: ## install what lint needs on top
	@sh image_cloud/stack/system_packages.sh $(PACKAGES)
	@sh image_cloud/stack/virtual_environment.sh requirements-test.txt requirements-lint.txt

setup-ansible: ## install Ansible, in an environment of its own (.cache/ansible)
	@sh ansible/setup.sh
