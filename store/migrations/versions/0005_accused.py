"""Whom a complaint is about: he never gets the ticket, and does not see it"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("ticket", sa.Column("accused", sa.Text(), nullable=True))
