"""What a lab that is only starting says when it is asked for its records."""

from __future__ import annotations

from agent.lab.world import World


async def test_an_agent_that_has_not_run_yet_has_no_records(tmp_path):
    world = World(tmp_path, lambda who, message: None)
    try:
        assert await world.records() == []
    finally:
        world.card.stop()
