"""Participants, where a contact asks for answers, sealed octets, the Message-ID that a provider put for ours"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "participant",
        sa.Column("ticket", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("name", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("role", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("source", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("added_by", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("added_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("ticket", "address", name=op.f("pk_participant")),
    )
    op.create_table(
        "raw_key",
        sa.Column("message", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("key_id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("sealed_key", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("message", name=op.f("pk_raw_key")),
    )
    # Columns are added in place: a table is not copied, however large it is.
    op.add_column("contact", sa.Column("reply_to", sa.Text(), nullable=True))
    op.add_column("contact", sa.Column("reply_to_state", sqlmodel.sql.sqltypes.AutoString(), nullable=True))
    op.add_column("contact", sa.Column("spam_mark", sqlmodel.sql.sqltypes.AutoString(), nullable=True))
    op.add_column("outbox", sa.Column("remote_mail_id", sa.Text(), nullable=True))
    op.create_index(
        "ix_outbox_remote_mail_id",
        "outbox",
        ["remote_mail_id"],
        unique=False,
        sqlite_where=sa.text("remote_mail_id IS NOT NULL"),
        postgresql_where=sa.text("remote_mail_id IS NOT NULL"),
    )
    op.create_index("ix_thread_key_ticket", "thread_key", ["ticket"], unique=False)
