"""All models together: a foreign key finds the table it names only if that table's module was imported."""

from control_api.db.models import agents, analytics, bookkeeping, content, conversations, frontend, ledger, people
from control_api.db.models.model import Model

MODULES = (agents, analytics, bookkeeping, content, conversations, frontend, ledger, people)
METADATA = Model.metadata
