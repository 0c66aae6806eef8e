"""Routes of blocks: seats that staff take off sale."""

from typing import Annotated

from chassis.http.problems import Forbidden, documented
from chassis.security.auth import Principal, require
from contracts.types import Id, Moment, Name, SeatId
from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel, Field

from inventory import store
from inventory.api.http import Body, ShowtimeId, ThisReplica
from inventory.model import (
    Block,
    BlockUnknown,
    CouchDivided,
    SeatMapMissing,
    SeatsTaken,
    SeatsUnknown,
    ShowtimeBusy,
    ShowtimeUnknown,
)

router = APIRouter(prefix="/api", tags=["inventory"])
Staff = Annotated[Principal, Depends(require("seats:block"))]


class BlockRequest(Body):
    """The seats to take off sale, and the reason."""

    seats: Annotated[list[SeatId], Field(min_length=1, max_length=2000)]
    reason: Name


class BlockResponse(BaseModel):
    """Seats that are off sale."""

    block_id: Id
    showtime_id: Id
    seats: list[SeatId]
    reason: str
    blocked_at: Moment


class BlockListResponse(BaseModel):
    """All blocks of a showtime."""

    items: list[BlockResponse]


@router.get("/showtimes/{showtime_id}/blocks", responses=documented(ShowtimeUnknown, SeatMapMissing))
async def list_blocks(showtime_id: ShowtimeId, staff: Staff, replica: ThisReplica) -> BlockListResponse:
    """List the blocks of a showtime: seats that staff took off sale, with the reasons."""
    await _check_theater(replica, showtime_id, staff)
    blocks = (await store.read(showtime_id)).blocks
    return BlockListResponse(items=[_block_response(showtime_id, each) for each in blocks])


@router.post(
    "/showtimes/{showtime_id}/blocks",
    status_code=201,
    responses=documented(ShowtimeUnknown, SeatsTaken, SeatsUnknown, CouchDivided, SeatMapMissing, ShowtimeBusy),
)
async def block(showtime_id: ShowtimeId, body: BlockRequest, staff: Staff, replica: ThisReplica) -> BlockResponse:
    """Take free seats off sale, all or none."""
    await _check_theater(replica, showtime_id, staff)
    new_block = await store.block_seats(replica, showtime_id, body.seats, body.reason, staff.user_id)
    return _block_response(showtime_id, new_block)


@router.delete(
    "/showtimes/{showtime_id}/blocks/{block_id}",
    status_code=204,
    responses=documented(ShowtimeUnknown, BlockUnknown, SeatMapMissing),
)
async def unblock(showtime_id: ShowtimeId, block_id: Annotated[Id, Path()], staff: Staff, replica: ThisReplica) -> None:
    """Put a block's seats back on sale."""
    await _check_theater(replica, showtime_id, staff)
    await store.unblock_seats(replica, showtime_id, block_id)


async def _check_theater(replica: ThisReplica, showtime_id: str, staff: Principal) -> None:
    """Check that the staff member may act at this theater. Raises Forbidden, ShowtimeUnknown and SeatMapMissing."""
    theater_id = (await replica.showtime_info(showtime_id)).theater_id
    if not staff.works_at(theater_id):
        raise Forbidden("This showtime is at a theater that you are not assigned to.")


def _block_response(showtime_id: str, block: Block) -> BlockResponse:
    return BlockResponse(
        block_id=block.id,
        showtime_id=showtime_id,
        seats=block.seats,
        reason=block.reason,
        blocked_at=block.blocked_at,
    )
