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
    for history in platform tenant; do alembic -n "$history" upgrade head --sql 2>/dev/null | squawk --config .squawk.toml; done

# Check types
types: setup
    pyright

# Do what the continuous integration does
ci: lint types test image-steps (test-on "16") _test-pooled-short

# Run the tests that touch the database on another PostgreSQL that the embedded package carries
test-on major: setup
    @LEASEHOLD_TEST_POSTGRES={{ major }} pytest tests/isolation tests/api tests/integration/tenancy

# Run the tests of the API and of isolation through a PgBouncer with one server connection, or another: just test-pooled /usr/local/sbin/pgbouncer
test-pooled pgbouncer="1" *tests="tests/isolation tests/api": setup
    @LEASEHOLD_TEST_PGBOUNCER={{ pgbouncer }} pytest {{ tests }}

# Run those of them that tell most
_test-pooled-short: (test-pooled "1" "tests/isolation tests/api/test_platform_idempotency.py tests/api/test_items.py tests/api/test_sessions.py")

# Run the tests of faults in their long form, which kills many more runs: just faults -k killed_at_random
faults *args: setup
    @LEASEHOLD_TEST_LONG=1 pytest tests/faults {{ args }}

# Ask every operation for what its description allows and what it does not, and do with items whatever can be done, for as long as it takes
fuzz *args: setup
    @LEASEHOLD_TEST_LONG=1 pytest tests/api/test_fuzzed.py tests/api/test_items_machine.py {{ args }}

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
    uv export --quiet --extra backup --extra embedded --extra otel --group dev --no-emit-project --no-annotate --no-header --output-file requirements/dev.txt >/dev/null
    uv export --quiet --extra backup --extra otel --no-dev --no-emit-project --no-annotate --no-header --output-file requirements/prod.txt >/dev/null
    uv export --quiet --only-group image --no-emit-project --no-annotate --no-header --output-file requirements/image.txt >/dev/null

# Measure requests and jobs against peers, migrations against SQL by hand, what roles cost, or memory: just bench jobs
bench *args: setup
    @python -m benchmarks {{ args }}

# Carry out the steps of deploy/Dockerfile in a folder that is removed afterwards, and start what they have made
image-steps: setup
    @folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT; python -m tests.deploy.image "$folder"
