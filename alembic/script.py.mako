<% filled = "op." in (upgrades or "") %>\
"""${message.rstrip(".")}.

Revision: ${up_revision}
Follows: ${down_revision | comma,n}
Created: ${create_date.strftime("%Y-%m-%d")}
% if config.attributes.get("reverses"):
Reverses: ${config.attributes["reverses"]}
% endif
"""

import sqlalchemy as sa
from alembic import op

% if not filled:
from aragora_db.errors import UsageError
% endif
from aragora_db.migrations.forward_only import no_way_back as __getattr__  # noqa: F401 -- answers for `downgrade`
${imports if imports else ""}

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = None
depends_on = None


def upgrade() -> None:
    """${message.rstrip(".")}."""
% if filled:
    ${upgrades}
% else:
    raise UsageError(f"{revision} is not filled in: write its upgrade(), or delete the file")
% endif
