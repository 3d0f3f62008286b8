"""The database's address as products write it, and as the driver takes it."""

from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from voicegate.kernel.errors import ConfigError

_PRISMA_ONLY = frozenset(
    {"schema", "pgbouncer", "connection_limit", "pool_timeout", "socket_timeout", "statement_cache_size", "sslaccept"}
)
"""What Prisma puts into its address and libpq would refuse (Prisma's documentation of PostgreSQL connection URLs)."""


def plain_address(url: str) -> str:
    """``url`` without what only Prisma understands, for libpq.

    Raises:
        ConfigError: not a PostgreSQL address.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("postgresql", "postgres"):
        raise ConfigError("DATABASE_URL: allowed is postgresql://user:password@host:port/database")
    query = [(name, value) for name, value in parse_qsl(parts.query) if name not in _PRISMA_ONLY]
    return urlunsplit(parts._replace(scheme="postgresql", query=urlencode(query, quote_via=quote)))


def is_pooled(url: str) -> bool:
    """Whether a transaction pooler may stand in between, over which prepared statements do not live: ``pgbouncer=true``
    (Prisma's word for it), or Supabase's port."""
    parts = urlsplit(url)
    return dict(parse_qsl(parts.query)).get("pgbouncer") == "true" or parts.port == 6543
