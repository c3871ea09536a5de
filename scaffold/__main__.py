"""`python -m scaffold notes`: writes the skeleton of a resource."""

import sys
from pathlib import Path

import click

from scaffold.words import Refused, Words, words_of
from scaffold.writing import Skeleton, skeleton_of

ROOT = Path(__file__).resolve().parents[1]


@click.command()
@click.argument("name")
@click.option("--one", help="The singular, where it cannot be told from the plural: people --one person")
def main(name: str, one: str | None) -> None:
    """Write the skeleton of a resource of tenants. NAME is its plural: notes, or price_lists."""
    try:
        words = words_of(name, one)
        skeleton = skeleton_of(words, ROOT)
    except Refused as refusal:
        click.echo(f"new-resource: {refusal}", err=True)
        sys.exit(2)
    skeleton.write(ROOT)
    click.echo(_report(words, skeleton), nl=False)


def _report(words: Words, skeleton: Skeleton) -> str:
    names = words.placeholders()
    lines = [
        f"{names['A_one_words']}, several {names['many_words']}: address /v1/{names['path']}, table {words.many}",
        "",
        "written:",
        *(f"  {place}" for place in skeleton.new),
        "named in:",
        *(f"  {place}" for place in skeleton.changed),
    ]
    for place, texts in skeleton.by_hand.items():
        lines += ["", f"put into {place} by hand:", *(f"  {line}" for text in texts for line in text.splitlines())]
    migration = next(place for place in skeleton.new if place.startswith("migrations/"))
    lines += [
        "",
        "left to do:",
        "  give models.py and schemas.py your columns, and the migration too; or delete it, and let",
        f'  `just revision tenant "{names["many_words"]}"` write another: {migration}',
        f"  just migrate-all && just test tests/api/test_{words.many}.py",
        "  give API clients that are there already the new scopes; new ones get all",
        f"  say in docs/reference/http-api.md what {names['many_words']} are",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main(prog_name="new-resource")
