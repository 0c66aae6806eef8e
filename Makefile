# Usher's commands. `make` alone lists them.
.DEFAULT_GOAL := help
.PHONY: $(shell awk -F: '/^[a-z-]+:.*## / {print $$1}' $(firstword $(MAKEFILE_LIST)))

PYTHON := .venv/bin/python
LAUNCHER := PYTHONPATH=deploy/local $(PYTHON) -m launcher
export PATH := $(CURDIR)/.runtime/bin:$(CURDIR)/.venv/bin:$(PATH)

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## get everything that Usher needs (run and test do it by themselves)
	@python3 deploy/local/bootstrap.py

run: setup ## start the whole platform on this machine, until Ctrl-C
	@$(LAUNCHER) run

stop: ## stop a platform that runs from this checkout
	@$(LAUNCHER) stop

reset: ## empty the local platform's data
	@$(LAUNCHER) reset

scale: ## more or fewer replicas of a service that `make run` runs: make scale SERVICE=booking REPLICAS=2
	@$(LAUNCHER) scale "$(SERVICE)" "$(REPLICAS)"

upgrade: ## start a running service anew, without a gap: make upgrade SERVICE="inventory booking"
	@$(LAUNCHER) upgrade $(SERVICE)

drain: ## close the running platform's gateway and wait until nothing is under way (ARGS=--leave-unpaid)
	@$(LAUNCHER) drain $(ARGS)

open: ## open the gateway again
	@$(LAUNCHER) open

# A run of pytest for each suite: two services in one process would answer each other's events. `replicas` is what may go
# wrong among replicas, with two of each service; `tests` has it with one.
SUITES := libs deploy/local tools web $(wildcard services/*) tests replicas
AMONG_REPLICAS := $(patsubst %,tests/chaos/test_%.py,crashes events race servers stripe)

test: setup ## run every test, on servers of its own (one suite: make test SUITES=services/booking)
	@failed=; for suite in $(SUITES); do printf '\n== %s\n' $$suite; \
	  case $$suite in \
	    web) (cd web && npm test --silent);; \
	    replicas) REPLICAS=2 $(PYTHON) -m pytest $(AMONG_REPLICAS) $(ARGS);; \
	    *) $(PYTHON) -m pytest $$suite $(ARGS);; \
	  esac || failed="$$failed $$suite"; \
	done; [ -z "$$failed" ] || { echo "failed:$$failed"; exit 1; }

chaos: setup ## the tests that crash, cut off, repeat and garble, with one replica of each service and with two
	@failed=0; for replicas in 1 2; do printf '\n== %s of each service\n' $$replicas; \
	  REPLICAS=$$replicas $(PYTHON) -m pytest tests/chaos -s $(ARGS) || failed=1; done; exit $$failed

campaign: setup ## break every part while people buy and print what each fault cost, half an hour (ARGS="--only inventory,mongo --quick")
	@PYTHONPATH=deploy/local:tests:tools $(PYTHON) -m campaign $(ARGS)

invariants: setup ## look at the running platform and print what does not hold
	@PYTHONPATH=deploy/local $(PYTHON) tests/invariants.py

check: setup ## lint, formatting, types, who may import what
	@ruff check .
	@ruff format --check .
	@pyright
	@lint-imports
	@$(PYTHON) tools/openapi.py --check web/src/api/schema.d.ts
	@cd web && npm run --silent check

fmt: setup ## format the code and mend what the linter can mend
	@ruff check --fix-only --quiet .
	@ruff format .
	@cd web && npm run --silent format

demo: ## sell a ticket on the running platform, as a client would, and show each step
	@$(PYTHON) tools/demo.py

admin: setup ## make an admin: make admin EMAIL=you@theater.example (asks for a password; LINK=1: prints a link)
	@$(LAUNCHER) env $(PYTHON) -m identity.admin "$(EMAIL)" $(if $(NAME),--name "$(NAME)") $(if $(LINK),--link)

migrate: setup ## prepare the running platform's databases for this version (PHASE=expand; contract; status)
	@$(LAUNCHER) env $(PYTHON) -m chassis.migrate $(notdir $(wildcard services/*)) $(or $(PHASE),expand)

import: setup ## take in films: make import ARGS="file films.csv --dry-run" (docs/runbooks/import-films.md)
	@$(LAUNCHER) env $(PYTHON) -m catalog.importing $(ARGS)

trace: setup ## one booking's way through all services: make trace BOOKING=<id or reference>
	@$(PYTHON) tools/trace.py $(BOOKING)

compose-up: ## start the whole platform in Docker, with demo data
	@docker compose up --build --detach --wait

compose-down: ## stop it and throw its data away
	@docker compose down --volumes

LOCK := uv pip compile --universal --python-version 3.11 -q --generate-hashes --no-emit-index-url --no-annotate \
  --no-emit-package usher-contracts --no-emit-package usher-chassis --custom-compile-command "make lock"
PROJECTS := libs/*/pyproject.toml services/*/pyproject.toml tools/stripe_sandbox/pyproject.toml

bench: setup ## measure a platform of its own beside a floor, some ten minutes (ARGS=--quick: three)
	@PYTHONPATH=deploy/local $(PYTHON) -m bench $(ARGS)

bench-live: setup ## what the push costs with thousands watching one showtime, beside a plain loop, some three minutes
	@PYTHONPATH=deploy/local $(PYTHON) -m bench.live

bench-browse: setup ## what browsing costs, cached and not, with 100,000 showtimes, some three minutes
	@PYTHONPATH=deploy/local $(PYTHON) -m bench.browse $(ARGS)

bench-best: setup ## what picking the best available seats costs, a second
	@$(PYTHON) -m bench.best

bench-identity: setup ## what a log-in costs, whom it delays, and whether time tells who has an account, some three minutes
	@PYTHONPATH=deploy/local $(PYTHON) -m bench.identity $(ARGS)

lock: setup ## resolve requirements.lock anew, and the part of it that goes into the images
	@$(LOCK) --group dev --all-extras $(PROJECTS) -o requirements.lock
	@$(LOCK) -c requirements.lock $(PROJECTS) -o deploy/docker/requirements.lock

asyncapi: setup ## render docs/asyncapi.yaml from the events, docs/asyncapi-live.yaml from the WebSocket's messages
	@$(PYTHON) -m contracts.asyncapi docs/asyncapi.yaml
	@$(PYTHON) -m realtime.asyncapi docs/asyncapi-live.yaml

api: setup ## make the web client's types from the services' HTTP API
	@$(PYTHON) tools/openapi.py web/src/api/schema.d.ts

screenshots: setup ## show every page of the web client, at two sizes and in two themes, as pictures in .runtime/screenshots
	@PYTHONPATH=deploy/local:tests:tools $(PYTHON) tools/screenshots.py $(ARGS)

snapshots: setup ## record the events' schemas after a change that is meant
	@$(PYTHON) -m contracts.snapshots
