"""What a new resource must keep: the tests that walk through all operations, all tables and all source."""

from tests.tutorial.checkout import Checkout

_MATRIX = "tests/api/test_access_matrix.py"
_WALKS = (
    "tests/architecture/test_audit_actions.py",
    "tests/architecture/test_import_contracts.py::test_every_feature_stands_under_the_contract_for_features",
    "tests/architecture/test_routes.py",
    "tests/architecture/test_schema_rules.py",
    "tests/architecture/test_source_rules.py",
    f"{_MATRIX}::test_every_route_has_a_row_and_every_row_a_route",
    f"{_MATRIX}::test_every_route_answers_a_credential_as_the_matrix_says[a client without scopes]",
    "tests/api/test_audit_walk.py::test_every_operation_is_walked_or_excepted",
    "tests/api/test_audit_walk.py::test_every_operation_leaves_its_events_and_nobodys_secrets",
    "tests/api/test_docs.py::test_every_operation_has_a_name_of_its_own_a_summary_and_a_tag",
    "tests/api/test_docs.py::test_every_operation_describes_its_success_and_its_errors",
    "tests/api/test_reference.py::test_the_committed_document_is_the_present_one",
    "tests/api/test_reference.py::test_the_documented_problems_are_those_of_the_code",
    "tests/api/test_reference.py::test_schemas_have_names_of_which_a_generator_makes_classes",
    "tests/api/test_reference.py::test_every_operation_has_examples_that_are_valid",
    "tests/api/test_users.py::test_a_member_reads_users_and_writes_items_but_no_users",
)


def assert_kept(scratch: Checkout, *tests: str) -> None:
    """Fail unless these tests pass and all walks, and the models are what the migrations have made."""
    nodes = " ".join(f"'{test}'" for test in (*tests, *_WALKS))
    assert " passed" in scratch.run(f".venv/bin/pytest -n0 -q {nodes}")
    assert "No new upgrade operations detected." in scratch.run(".venv/bin/alembic -n tenant check")
