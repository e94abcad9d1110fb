# make run   the lab: an operator on loopback, two simulated phones, the real gateway and agent
# make test  the tests; those that need a program from Debian (make peers) are skipped by name where it is missing
SHELL := /bin/sh
V := .venv/bin
PYTEST := $(V)/python -m pytest
# Container images like to set it; every start of a process would then compile all its sources: a third of their CPU time.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: venv run check quick test test-slow torture soak peers bench announcements lock fmt clean help

help:
	@sed -n 's/^# //p' Makefile

# The environment is made anew when the lock file has changed.
venv: .venv/installed.lock
.venv/installed.lock: requirements.lock
	@.ci/make-venv

run: venv
	@$(V)/iplink-agent lab

# check and quick together are what each commit must pass, within a minute: fewer examples, and not the thorough tests.
check: venv
	$(V)/ruff check .
	$(V)/ruff format --check .
	$(V)/mypy
	$(V)/lint-imports --no-cache
	sh -n .ci/find-python && sh -n .ci/make-venv && bash -n .ci/run

quick: venv
	HYPOTHESIS_PROFILE=few $(PYTEST) -q -x tests/unit tests/link -m "not slow and not thorough" -n 2 --dist loadscope

# Four at a time, a module each: most of them wait for telephones. In the order of the folders, so the long ones first.
test: venv
	$(PYTEST) -m "not slow" -n 4 --dist loadscope --no-loadscope-reorder

# A test each: some take minutes, and no module has much to share.
test-slow: venv
	$(PYTEST) -m slow -n 3 --dist worksteal --timeout 900

# Kills, dying gateways and a lying card for SECONDS, or until Ctrl-C; prints kills, records, missing, extra, money.
torture: venv
	@$(V)/python tests/torture --gateway --lying-card --seconds $(or $(SECONDS),0)

# Calls in and out on both lines at a real registrar for SECONDS, with faults; fails on anything that is left over.
soak: venv
	@$(V)/python tests/soak --seconds $(or $(SECONDS),600)

# Real SIP peers, a real browser and a C compiler, for the tests that are skipped without them.
peers:
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends gcc libc6-dev make openssl kamailio kamailio-tls-modules sip-tester chromium iproute2 nftables conntrack dnsmasq-base systemd faketime espeak-ng baresip-core linphone-nogtk

bench: venv
	$(V)/python tests/bench

# Speaks config/announcements anew from config/texts.d/announcement.toml; needs espeak-ng (make peers).
announcements: venv
	$(V)/python -m agent.speaking

# Resolves the lock files again, for developers and for devices; needs uv.
COMPILE := uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --quiet
lock:
	$(COMPILE) --extra sip --extra lab --group dev --output-file requirements.lock
	$(COMPILE) --output-file deploy/raspberrypi/requirements.lock

fmt: venv
	$(V)/ruff format .
	$(V)/ruff check --fix .

clean:
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache tests/output
	find agent firmware_bridge tests -name __pycache__ -type d -prune -exec rm -rf {} +
