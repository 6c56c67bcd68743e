"""What a pool of models decides by: who may be loaded, who has to leave. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from cria.config import ServerConfig
from cria.errors import SetupError
from cria.generation.hosted_model import RESIDENT, HostedModel, Place, Residence
from cria.generation.room import Room


def check_together(models: Sequence[HostedModel], config: ServerConfig) -> None:
    """SetupError for models that one server cannot have."""
    names = [name for model in models for name in model.names]
    twice = next((name for name in names if names.count(name) > 1), None)
    if len(models) > 1 and twice is not None:
        raise SetupError(f"Two models have the name {twice}; give one of them another --alias.")
    if config.num_workers > 1:
        if len(models) > 1:
            raise SetupError("--workers is for one model; several are served by one process.")
        if models[0].entry.keep_alive is not None:
            raise SetupError("--keep-alive and --workers cannot be together.")
    most = config.max_loaded_models
    num_pinned = sum(model.entry.pinned for model in models)
    if most is not None and num_pinned > most:
        raise SetupError(f"{num_pinned} models are pinned, and {most} may be loaded at once.")


def next_place(line: Sequence[Place]) -> Place | None:
    """The first one whose model is not there."""
    return next((p for p in line if p.model.residence is Residence.UNLOADED), None)


def has_to_go(model: HostedModel, now: float) -> bool:
    """Nothing runs on it, and somebody wants it gone, or it has been idle for too long."""
    if model.residence is not Residence.LOADED or not model.is_idle:
        return False
    keep = model.entry.keep_alive
    is_old = keep is not None and now - model.last_used >= keep and not model.entry.pinned
    return model.is_leaving or is_old


def may_load(place: Place, models: Sequence[HostedModel], most: int | None, room: Room) -> bool:
    """Whether its model can be loaded beside those that are."""
    wanted = place.model.entry
    if place.is_for_start and wanted.pinned:
        return True
    resident = [model for model in models if model.residence in RESIDENT]
    if not resident or not room.knows(wanted.engine):
        return True  # nobody has to go: its load will say what is wrong
    if place.is_for_start and most is not None:
        most -= sum(m.entry.pinned and m not in resident for m in models)
    if most is not None and len(resident) >= most:
        return False
    return room.fits(wanted.engine, [model.entry.engine for model in resident])


def in_order_of_leaving(models: Sequence[HostedModel]) -> list[HostedModel]:
    """Those that may be unloaded for another one, the longest unused first."""
    known = [m for m in models if m.residence is Residence.LOADED and not m.entry.pinned]
    return sorted(known, key=lambda model: model.last_used)
