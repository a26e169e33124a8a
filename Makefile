# The two commands of the README, `make demo` and `make test`, work from a fresh clone: they make .venv and install into it
# by the pins of constraints.txt. PYTHON chooses the interpreter the environment is made with.
PYTHON ?= python3
BIN := .venv/bin
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: demo test test-external lint docs clean

demo: .venv/with-demo
	$(BIN)/temporem demo --output demo

test: .venv/with-test
	$(BIN)/python -m pytest --durations=10

# What needs a browser, another program or its reader, or minutes of fitting. cryodrgn is called where it is on the
# PATH, and cryosparc-tools and ome-zarr read where the environment has them: they do not install everywhere.
test-external: .venv/with-external
	$(BIN)/python -m pytest -m external --exitfirst --durations=10

lint: .venv/with-test
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

# The site, from docs/ and the docstrings, into site/; a broken link or reference is an error.
docs: .venv/with-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

clean:
	rm -rf .venv demo site

.venv/with-demo: EXTRAS = demo
.venv/with-test: EXTRAS = test,demo,trajectories,paths,kinetics,video,zarr
.venv/with-external: EXTRAS = test,demo,trajectories,paths,kinetics,video,zarr,umap
.venv/with-docs: EXTRAS = docs
.venv/with-demo .venv/with-test .venv/with-external .venv/with-docs: pyproject.toml constraints.txt
	@echo "Installing into .venv, about 1.6 GB for the demo; pip prints nothing for some minutes."
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[$(EXTRAS)]'
	touch $@
