"""Runs a command of Alembic in the schema of one tenant: `alembic -x tenant=SCHEMA upgrade head`."""

from alembic import context
from sqlalchemy import NullPool, create_engine, text

schema = context.get_x_argument(as_dictionary=True)["tenant"]
engine = create_engine(context.config.get_main_option("sqlalchemy.url", ""), poolclass=NullPool)
with engine.connect() as connection:
    connection.execute(text(f'SET search_path TO "{schema}"'))
    connection.commit()
    connection.dialect.default_schema_name = schema
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
