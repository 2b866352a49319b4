# The two commands of a newcomer are `make demo` and `make test`; the rest is for developers.
PYTHON ?= python3
BIN := .venv/bin
# Tests beside each other, a file's in one worker. Rooms wait most of the time: more of them than cores.
SIDE_BY_SIDE = --dist loadfile --no-loadscope-reorder -n

.PHONY: demo test test-machine quick check deb pyz texts room-tools screenshots faults clean

demo: .venv/run
	$(BIN)/ogtorrent demo

# All that CI runs: style, types, and every test, whole rooms and the machine that boots included.
test: .venv/dev room-tools check
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) 4 --ignore=tests/machine
	$(BIN)/python -m pytest tests/machine

# A machine that boots, in QEMU; by itself, for it keeps two cores busy. See docs/machine.md.
test-machine: .venv/dev room-tools
	$(BIN)/python -m pytest tests/machine

# What a developer runs all day: no root, no rooms.
quick: .venv/dev check
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) auto -m "not room"

check: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# dist/ogtorrent_VERSION_ARCHITECTURE.deb, without root; DEBFULLNAME and DEBEMAIL say who made it.
deb: .venv/deb
	packaging/deb $(BIN)/python

# dist/ogtorrent-VERSION-cpNNN-MACHINE.pyz, one file for live systems whose Python is of PYTHON's version.
pyz: .venv/pyz
	packaging/pyz $(BIN)/python $(PYTHON)

# What the code says, into the catalogues; what has no translation yet is told.
texts: .venv/dev
	$(BIN)/python packaging/texts

# Foreign clients, shaped networks and partclone, from Debian.
room-tools:
	packaging/room-tools

# The pictures of the page in docs/, in both themes; Debian's chromium takes them.
screenshots: .venv/dev
	$(BIN)/python -m docs.screenshots

# Every fault is staged once more, and what happened written to docs/faults.md.
faults: .venv/dev room-tools
	WRITE_FAULTS=1 $(BIN)/python -m pytest tests/rooms/test_faults_*.py

.venv/run: pyproject.toml packaging/set-up
	packaging/set-up $(PYTHON)
	touch $@

.venv/deb: pyproject.toml packaging/set-up
	packaging/set-up $(PYTHON) deb
	touch $@ .venv/run

.venv/pyz: pyproject.toml packaging/set-up
	packaging/set-up $(PYTHON) pyz
	touch $@ .venv/run

.venv/dev: pyproject.toml packaging/set-up
	packaging/set-up $(PYTHON) dev
	touch $@ .venv/run .venv/deb .venv/pyz

clean:
	rm -rf .venv tests/tracker/npm/node_modules build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
