"""Deadlines that hold: pauses, rescue and the manager's word; matters, filing dates, customer classes, corrections"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    string, moment = sqlmodel.sql.sqltypes.AutoString, sqlmodel.sql.sqltypes.UTCDateTime
    op.create_table(
        "correction",
        sa.Column("message", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("field", string(), nullable=False),
        sa.Column("ticket", sa.BigInteger(), nullable=False),
        sa.Column("was", string(), nullable=False),
        sa.Column("became", string(), nullable=False),
        sa.Column("agent", string(), nullable=False),
        sa.Column("at", moment(), nullable=False),
        sa.PrimaryKeyConstraint("message", "field", name=op.f("pk_correction")),
    )
    op.create_index("ix_correction_at", "correction", ["at"], unique=False)
    # Columns are added in place: a table is not copied, however large it is.
    op.add_column("ticket", sa.Column("matter", sa.BigInteger(), nullable=True))
    op.add_column("ticket", sa.Column("statute", sa.Text(), nullable=True))
    op.add_column("ticket", sa.Column("statutory_at", moment(), nullable=True))
    op.add_column("customer", sa.Column("grade", sa.Text(), nullable=False, server_default=""))
    op.add_column("target", sa.Column("rescue_at", moment(), nullable=True))
    op.add_column("target", sa.Column("manager_at", moment(), nullable=True))
    op.add_column("target", sa.Column("paused_at", moment(), nullable=True))
    op.add_column("agent", sa.Column("last_act_at", moment(), nullable=True))
    matter = sa.text("matter IS NOT NULL")
    armed = sa.text("rescue_at IS NOT NULL")
    op.create_index(
        "ix_target_rescue_at", "target", ["rescue_at"], unique=False, sqlite_where=armed, postgresql_where=armed
    )
    op.create_index(
        "ix_ticket_matter", "ticket", ["matter"], unique=False, sqlite_where=matter, postgresql_where=matter
    )
