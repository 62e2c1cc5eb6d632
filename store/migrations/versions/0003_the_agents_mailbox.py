"""The agent's mailbox: enrolment, questions, reminders, overlays, documents; who answered last, and how he signs"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    string, moment = sqlmodel.sql.sqltypes.AutoString, sqlmodel.sql.sqltypes.UTCDateTime
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "enrolment",
        sa.Column("agent", string(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("channel", string(), nullable=False),
        sa.Column("evidence", string(), nullable=False),
        sa.Column("client", string(), nullable=False),
        sa.Column("first_seen_at", moment(), nullable=False),
        sa.Column("last_seen_at", moment(), nullable=False),
        sa.Column("message", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("agent", "address", "channel", "evidence", name=op.f("pk_enrolment")),
    )
    op.create_table(
        "probe",
        sa.Column("channel", string(), nullable=False),
        sa.Column("kind", string(), nullable=False),
        sa.Column("nonce", string(), nullable=False),
        sa.Column("sent_at", moment(), nullable=False),
        sa.Column("seen_at", moment(), nullable=True),
        sa.Column("result", string(), nullable=True),
        sa.PrimaryKeyConstraint("channel", "kind", name=op.f("pk_probe")),
        sa.UniqueConstraint("nonce", name=op.f("uq_probe_nonce")),
    )
    op.create_table(
        "question",
        sa.Column("id", number, autoincrement=False, nullable=False),
        sa.Column("agent", string(), nullable=False),
        sa.Column("kind", string(), nullable=False),
        sa.Column("ticket", sa.BigInteger(), nullable=True),
        sa.Column("message", sa.BigInteger(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("asked_at", moment(), nullable=False),
        sa.Column("expires_at", moment(), nullable=False),
        sa.Column("answered_at", moment(), nullable=True),
        sa.Column("answer", string(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_question")),
    )
    op.create_index("ix_question_agent_answered_at", "question", ["agent", "answered_at"], unique=False)
    op.create_table(
        "reminder",
        sa.Column("id", number, autoincrement=True, nullable=False),
        sa.Column("at", moment(), nullable=False),
        sa.Column("kind", string(), nullable=False),
        sa.Column("ticket", sa.BigInteger(), nullable=True),
        sa.Column("agent", string(), nullable=True),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("done_at", moment(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reminder")),
    )
    waiting = sa.text("done_at IS NULL")
    op.create_index(
        "ix_reminder_at", "reminder", ["at"], unique=False, sqlite_where=waiting, postgresql_where=waiting
    )
    op.create_index("ix_reminder_ticket", "reminder", ["ticket"], unique=False)
    op.create_table(
        "overlay",
        sa.Column("id", number, autoincrement=False, nullable=False),
        sa.Column("kind", string(), nullable=False),
        sa.Column("key", string(), nullable=False),
        sa.Column("language", string(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("agent", string(), nullable=False),
        sa.Column("at", moment(), nullable=False),
        sa.Column("withdrawn_at", moment(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_overlay")),
    )
    op.create_table(
        "document",
        sa.Column("ticket", number, autoincrement=False, nullable=False),
        sa.Column("item", sa.Text(), nullable=False),
        sa.Column("agent", string(), nullable=False),
        sa.Column("message", sa.BigInteger(), nullable=False),
        sa.Column("at", moment(), nullable=False),
        sa.PrimaryKeyConstraint("ticket", "item", name=op.f("pk_document")),
    )
    # Columns are added in place: a table is not copied, however large it is.
    op.add_column("ticket", sa.Column("assigned_at", moment(), nullable=True))
    op.add_column("ticket", sa.Column("answered_by", string(), nullable=True))
    op.add_column("ticket", sa.Column("answered_at", moment(), nullable=True))
    op.add_column("ticket", sa.Column("waits_until", moment(), nullable=True))
    op.add_column("ticket", sa.Column("origin", sa.Text(), nullable=False, server_default=""))
    op.add_column("contact", sa.Column("complained_at", moment(), nullable=True))
    op.add_column("agent", sa.Column("until", moment(), nullable=True))
    op.add_column("agent", sa.Column("absence_hinted_at", moment(), nullable=True))
    op.add_column("agent", sa.Column("tails", sa.Text(), nullable=True))
