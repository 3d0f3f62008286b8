"""The first start fills an empty database, and only that."""

import asyncio

from sqlalchemy import select

from control_api.db.database import Database
from control_api.db.models.agents import Agent
from control_api.identity.passwords import Passwords
from control_api.seed import oldest_organization, seed, set_password
from tests.integration.control_api.api import running_world


async def test_an_empty_database_is_filled_once(database_url: str, database: Database) -> None:
    made = await asyncio.gather(*(seed(database_url, "Admin@Example.com", "", Passwords()) for _ in range(3)))
    admins = [each for each in made if each is not None]
    assert [each.email for each in admins] == ["admin@example.com"]
    assert len(admins[0].password) >= 16
    organization = await oldest_organization(database_url)
    assert organization is not None
    async with database.organization(organization) as session:
        agents = list(await session.scalars(select(Agent)))
    assert [(agent.status, agent.published_version) for agent in agents] == [("published", 1)]


async def test_a_password_that_was_given_is_not_told(database_url: str) -> None:
    admin = await seed(database_url, "a@example.com", "a given password", Passwords())
    assert admin is not None
    assert admin.password == ""


async def test_a_database_with_anybody_in_it_is_left_alone(database_url: str, shared_redis_url: str) -> None:
    async with running_world(database_url, shared_redis_url) as world:
        assert await seed(database_url, "a@example.com", "", Passwords()) is None
        user = world.ours.users["owner"]
        login = {"email": user.email, "password": "another password"}
        pair = await world.anybody().post("/auth/login", {**login, "password": "correct horse battery staple"})
        assert await set_password(database_url, user.email.upper(), "another password", Passwords())
        assert (await world.anybody().post("/auth/login", login)).status == 200
        refreshed = await world.anybody().post("/auth/refresh", {"refreshToken": pair.body["refreshToken"]})
        assert refreshed.code == "unauthorized", "a new password ends the logins of before"
        assert not await set_password(database_url, "nobody@example.com", "x" * 12, Passwords())
