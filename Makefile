# One environment, one list of versions: every target below builds .venv from constraints.txt when it is
# missing, when pyproject.toml or constraints.txt changed, or when the folder was moved.

PYTHON ?= python3
PY := .venv/bin/python
READY := .venv/.ready
RUNS := runs/demo
# Two processes with a thread each end sooner than one with two, and need no more memory than a laptop has.
TESTS := OMP_NUM_THREADS=1 $(PY) -m pytest -n 2 --dist loadfile --no-loadscope-reorder

# As in mgdmkit/__init__.py, for what loads torch first: pytest, and kernels of JupyterLab.
export OMP_WAIT_POLICY ?= PASSIVE

# The same line as in environment.yml; a test compares the two.
INSTALL := -c constraints.txt -e '.[notebooks,dev,site]'

# The stamp holds the folder it was made in: an environment does not survive a move or a copy.
ifneq ($(shell cat $(READY) 2>/dev/null),$(CURDIR))
.PHONY: $(READY)
endif

.PHONY: help demo site test check lab lock clean
.DEFAULT_GOAL := help

help:  ## print this list
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-7s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(READY)  ## run every notebook in order, and build the site of what they measured
	$(PY) -m mgdmkit notebooks --preset demo --out $(RUNS)
	$(PY) docs/make_site.py --run $(RUNS)

site: $(READY)  ## build the site with what is in runs/demo: build/site/html/index.html
	$(PY) docs/make_site.py --run $(RUNS)

test: $(READY)  ## lint, formatting, and all tests, the notebooks at their smallest included
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	$(TESTS)

check: $(READY)  ## lint, formatting, and the fast tests
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	$(TESTS) -m 'not slow'

lab: $(READY)  ## open the notebooks in JupyterLab
	$(PY) -m jupyterlab notebooks

# The stamp goes first and comes back last, so an interrupted installation is taken up again.
$(READY): pyproject.toml constraints.txt
	@rm -f $@
	@$(PYTHON) -c 'import sys; v = sys.version.split()[0]; sys.exit(None if sys.version_info >= (3, 11, 5) else f"mgdmkit needs Python 3.11.5 or newer, and $(PYTHON) is {v}: name another one, as in make PYTHON=python3.12")'
	@echo "Making .venv ready: seconds when it is there; anew up to 3 GB to download, 6 GB on disk, 2 to 10 minutes."
	@$(PY) -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv
	@$(PY) -m pip install --quiet --disable-pip-version-check $(INSTALL)
	@printf '%s\n' '$(CURDIR)' > $@
	@echo ".venv is ready."

lock:  ## write constraints.txt anew from the newest releases (6 GB in a temporary folder)
	@set -e; tmp=$$(mktemp -d); trap 'rm -rf "$$tmp"' EXIT; \
	$(PYTHON) -m venv "$$tmp"; \
	"$$tmp/bin/python" -m pip install --quiet --disable-pip-version-check -e '.[notebooks,dev,site]'; \
	{ echo "# Every version that was tested together. Written by 'make lock': edit pyproject.toml, not this file."; \
	  echo "# Pins of packages that a platform does not install (nvidia-*, triton) bind nothing there."; \
	  "$$tmp/bin/python" -m pip freeze --exclude-editable | sed 's/+[a-z0-9.]*$$//'; } > constraints.txt.new; \
	mv constraints.txt.new constraints.txt

clean:  ## remove .venv and caches; what is in runs/ stays
	rm -rf .venv build *.egg-info .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
