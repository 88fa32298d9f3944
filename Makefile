# Lodge: one command each. "make help" lists them.

.DEFAULT_GOAL := help
SHELL := /bin/sh
PYTHON := .venv/bin/python

.PHONY: help up down test check unit bench docs clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up: ## turn this machine into a virtualization host and run a real server (web1) on it
	@packaging/up.sh

down: ## stop the daemon; with GUESTS=1 shut the instances down first
	@packaging/down.sh $(if $(GUESTS),guests)

test: ## install what is needed and run every test
	@packaging/install.sh dev
	@packaging/test.sh

unit: ## only the tests that need no guest and take seconds
	@packaging/install.sh dev
	@$(PYTHON) -m pytest -q -m 'not slow and not root' tests

check: ## style, types, house rules, generated documents: what CI holds every change to
	@packaging/install.sh dev
	@packaging/check.sh

bench: ## measure the promises of SPECIFICATION.md (minutes; needs a quiet machine)
	@packaging/install.sh dev
	@$(PYTHON) -m bench

docs: ## write the generated reference pages anew
	@packaging/install.sh dev
	@$(PYTHON) docs/generate.py

clean: ## leave the machine as it was (KEEP_PACKAGES=1 keeps system packages)
	@packaging/clean.sh
