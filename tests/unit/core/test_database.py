"""How engines are opened."""

from leasehold.core.database import open_engine


def test_the_values_of_a_statement_are_kept_out_of_errors_and_so_out_of_logs() -> None:
    engine = open_engine("postgresql://nobody@127.0.0.1/nothing", pool_size=1)
    assert engine.sync_engine.hide_parameters is True
