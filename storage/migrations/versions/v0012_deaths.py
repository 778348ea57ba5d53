"""How often a submission's command has died in vain, and which launches clients have begun."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Add a column, of no deaths so far; of who begins a client's launch it is said as of others.

    Of what else was asked before, nobody knows whether a token, a page's user or a system's did.
    """
    deaths = sa.Column("deaths", sa.Integer, nullable=False, server_default="0")
    op.add_column("search_submissions", deaths)
    actions = sa.table("search_actions", sa.column("verb"), sa.column("asked_by"))
    by_token = sa.literal("token ").concat(actions.c.asked_by)
    begun = actions.c.verb == "begin-launch"
    op.execute(actions.update().where(begun).values(asked_by=by_token))
