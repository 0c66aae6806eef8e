# Usher's commands. `make` alone lists them.
.DEFAULT_GOAL := help
.PHONY: $(shell awk -F: '/^[a-z-]+:.*## / {print $$1}' $(firstword $(MAKEFILE_LIST)))

PYTHON := .venv/bin/python
LAUNCHER := PYTHONPATH=deploy/local $(PYTHON) -m launcher
export PATH := $(CURDIR)/.runtime/bin:$(CURDIR)/.venv/bin:$(PATH)

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## install everything that Usher needs (`run` and `test` do this too)
	@python3 deploy/local/bootstrap.py

run: setup ## start the whole platform on this machine, until Ctrl-C
	@$(LAUNCHER) run

stop: ## stop a platform that runs from this checkout
	@$(LAUNCHER) stop

reset: ## empty the local platform's data
	@$(LAUNCHER) reset

scale: ## change the number of a service's replicas in `make run`: make scale SERVICE=booking REPLICAS=2
	@$(LAUNCHER) scale "$(SERVICE)" "$(REPLICAS)"

upgrade: ## restart running services without downtime: make upgrade SERVICE="inventory booking"
	@$(LAUNCHER) upgrade $(SERVICE)

dev: ## restart a running service whenever its code changes: make dev SERVICE=booking
	@$(LAUNCHER) dev "$(SERVICE)"

drain: ## close the running platform's gateway and wait until no work is unfinished (ARGS=--leave-unpaid)
	@$(LAUNCHER) drain $(ARGS)

open: ## open the gateway again
	@$(LAUNCHER) open

# A run of pytest for each suite: two services in one process would answer each other's events. `replicas` is what may go
# wrong among replicas, with two of each service; `tests` has it with one. Suites wait for servers most of the time, so two
# run at once; each prints its output when it has ended. The longest ones start first.
SUITES := tests replicas libs deploy/local tools web $(wildcard services/*)
AMONG_REPLICAS := $(patsubst %,tests/chaos/test_%.py,crashes events race servers stripe)

test: setup ## run every test on separate servers (one suite: make test SUITES=services/booking)
	@$(MAKE) --no-print-directory --keep-going --jobs=2 $(if $(word 2,$(SUITES)),--output-sync=target) $(SUITES:%=suite/%)

suite/web:
	@printf '\n== web\n'; cd web && npm test --silent

suite/replicas:
	@printf '\n== replicas\n'; MAKEFLAGS= REPLICAS=2 $(PYTHON) -m pytest $(AMONG_REPLICAS) $(ARGS)

suite/%:
	@printf '\n== %s\n' $*; MAKEFLAGS= $(PYTHON) -m pytest $* $(ARGS)

flakes: setup ## run each suite three times beside busy loops and name what fails (SUITES and ARGS as in make test)
	@$(PYTHON) tools/flakes.py $(SUITES)

chaos: setup ## run the fault tests, with one replica of each service and with two
	@failed=0; for replicas in 1 2; do printf '\n== %s of each service\n' $$replicas; \
	  REPLICAS=$$replicas $(PYTHON) -m pytest tests/chaos -s $(ARGS) || failed=1; done; exit $$failed

campaign: setup ## break every part while people buy and print each fault's effect, half an hour (ARGS="--only inventory,mongo --quick")
	@PYTHONPATH=deploy/local:tests:tools $(PYTHON) -m campaign $(ARGS)

invariants: setup ## check the running platform and print each violation
	@PYTHONPATH=deploy/local $(PYTHON) tests/invariants.py

check: setup ## lint, formatting, types and import rules
	@ruff check .
	@ruff format --check .
	@pyright
	@lint-imports
	@$(PYTHON) tools/openapi.py --check web/src/api/schema.d.ts
	@cd web && npm run --silent check

fmt: setup ## format the code and apply the linter's fixes
	@ruff check --fix-only --quiet .
	@ruff format .
	@cd web && npm run --silent format

demo: ## buy a ticket on the running platform as a client would, and print each step
	@$(PYTHON) tools/demo.py

admin: setup ## create an admin: make admin EMAIL=you@theater.example (asks for a password; LINK=1: prints a link)
	@$(LAUNCHER) env $(PYTHON) -m identity.admin "$(EMAIL)" $(if $(NAME),--name "$(NAME)") $(if $(LINK),--link)

migrate: setup ## prepare the running platform's databases for this version (PHASE=expand; contract; status)
	@$(LAUNCHER) env $(PYTHON) -m chassis.migrate $(notdir $(wildcard services/*)) $(or $(PHASE),expand)

import: setup ## import films: make import ARGS="file films.csv --dry-run" (docs/runbooks/import-films.md)
	@$(LAUNCHER) env $(PYTHON) -m catalog.importing $(ARGS)

trace: setup ## show one booking's path through all services: make trace BOOKING=<id or reference>
	@$(PYTHON) tools/trace.py $(BOOKING)

compose-up: ## start the whole platform in Docker, with demo data
	@docker compose --profile demo up --build --detach --wait

compose-down: ## stop it and delete its data
	@docker compose --profile demo down --volumes

operator: ## a command with all rights on the local platform: make operator COMMAND="python -m chassis.deadletters list booking"
	@$(LAUNCHER) env $(COMMAND)

secrets: ## write a fresh value to .env for each secret that it lacks
	@python3 deploy/local/make_secrets.py

LOCK := uv pip compile --universal --python-version 3.11 -q --generate-hashes --no-emit-index-url --no-annotate \
  --no-emit-package usher-contracts --no-emit-package usher-chassis --custom-compile-command "make lock"
PROJECTS := libs/*/pyproject.toml services/*/pyproject.toml tools/stripe_sandbox/pyproject.toml

bench: setup ## measure a separate platform and compare it with a floor, ten minutes (ARGS=--quick: three)
	@PYTHONPATH=deploy/local $(PYTHON) -m bench $(ARGS)

bench-live: setup ## measure the push to thousands of clients of one showtime, three minutes
	@PYTHONPATH=deploy/local $(PYTHON) -m bench.live

bench-browse: setup ## measure browsing with 100,000 showtimes, cached and not, three minutes
	@PYTHONPATH=deploy/local $(PYTHON) -m bench.browse $(ARGS)

bench-first-paint: setup ## measure in Chromium what a page needs before its content is painted, three minutes
	@PYTHONPATH=deploy/local $(PYTHON) -m bench.first_paint

bench-best: setup ## measure the choice of the best available seats, one second
	@$(PYTHON) -m bench.best

bench-after-sale: setup ## measure cancellations, exchanges and a cancelled showtime, three minutes
	@PYTHONPATH=deploy/local $(PYTHON) -m bench.after_sale

bench-identity: setup ## measure log-ins, their effect on other requests and their timing, three minutes
	@PYTHONPATH=deploy/local $(PYTHON) -m bench.identity $(ARGS)

lock: setup ## resolve requirements.lock and the images' part of it
	@$(LOCK) --group dev --all-extras $(PROJECTS) -o requirements.lock
	@$(LOCK) -c requirements.lock $(PROJECTS) -o deploy/docker/requirements.lock

asyncapi: setup ## render docs/asyncapi.yaml from the events, docs/asyncapi-live.yaml from the WebSocket's messages
	@$(PYTHON) -m contracts.asyncapi docs/asyncapi.yaml
	@$(PYTHON) -m realtime.api.asyncapi docs/asyncapi-live.yaml

api: setup ## generate the web client's types from the services' HTTP API
	@$(PYTHON) tools/openapi.py web/src/api/schema.d.ts

screenshots: setup ## save screenshots of every page, in two sizes and themes, to .runtime/screenshots
	@PYTHONPATH=deploy/local:tests:tools $(PYTHON) tools/screenshots.py $(ARGS)

snapshots: setup ## record the events' schemas after an intended change
	@$(PYTHON) -m contracts.snapshots
